"""Kept results of a small made-up scene: equal input gives what it gave when they were kept.

Where a change is meant to give other results, raise `RESULT_VERSION` and keep the new ones:
`DARTS_KEEP_RESULTS=1 uv run pytest tests/contract/test_result_version.py`.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from darts.pipelines.results.fingerprint import RESULT_VERSION
from darts_export.vector import segment_table
from darts_postprocessing import prepare_export
from darts_preprocessing import preprocess_v2
from darts_segmentation import EnsembleV1
from darts_segmentation.models.checkpoint import save_checkpoint
from darts_utils.bands import TRAINING_BANDS, manager

KEPT = Path(__file__).with_name("kept_results")
NETWORK = {
    "arch": "unet", "encoder_name": "resnet18", "encoder_depth": 3, "decoder_channels": [16, 8, 8], "classes": 1,
    "in_channels": len(TRAINING_BANDS),
}  # fmt: skip


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A network whose weights do not depend on the random numbers of a torch release."""
    import segmentation_models_pytorch as smp

    rng = np.random.default_rng(11)
    weights = smp.create_model(**NETWORK, encoder_weights=None).state_dict()
    for name, weight in weights.items():
        if weight.is_floating_point() and "running" not in name:
            fan = max(1, weight[0].numel()) if weight.ndim > 1 else 1
            values = rng.normal(size=tuple(weight.shape)) / np.sqrt(fan / 2) if weight.ndim > 1 else 0.5 + 0 * weight
            weight.copy_(torch.as_tensor(np.asarray(values)))
    spread(weights, smp.create_model(**NETWORK, encoder_weights=None).eval())
    path = tmp_path_factory.mktemp("models") / "kept.pt"
    save_checkpoint(path, NETWORK, TRAINING_BANDS, weights)
    return path


def spread(weights, model):
    """Scale the last layer so that there are objects; rounded, so that processors agree on it."""
    model.load_state_dict(weights)
    tile = preprocess_v2(*made_scene())
    bands = torch.as_tensor(np.stack([manager[name].normalize(tile[name].values) for name in TRAINING_BANDS]))
    with torch.inference_mode():
        logits = model(bands[None, :, :64, :64])
    scale = round(float(3 / logits.std()), 2)
    weights["segmentation_head.0.weight"] *= scale
    bias = weights["segmentation_head.0.bias"]
    bias.copy_(torch.round(scale * (bias - logits.mean()), decimals=2) - 1)


def waves(grid, low, high, *, seed):
    """Smooth ground as sums of waves over map coordinates: no library's random numbers, no filter."""
    x, y = (np.asarray(grid.coords[name].values) for name in ("x", "y"))
    phase = np.random.default_rng(seed).uniform(0, 6.28, 4)
    ground = sum(
        np.sin(x[None, :] / (90 * (n + 1)) + phase[n]) * np.cos(y[:, None] / (70 * (n + 1)) - phase[n])
        for n in range(4)
    )
    return (low + (high - low) * (ground + 4) / 8).astype(np.float32)


def made_scene():
    """A scene of 72 x 64 pixels with elevation and trends around it, each on a grid of its own."""
    grid = GeoBox.from_bbox((500_000, 7_700_000, 500_640, 7_700_720), "EPSG:32608", resolution=10)
    bands = {
        name: (("y", "x"), waves(grid, 0.02, 0.45, seed=n)) for n, name in enumerate(("blue", "green", "red", "nir"))
    }
    quality = np.full(grid.shape, 2, np.uint8)
    quality[:9, :20], quality[30:36, 40:60] = 0, 1
    optical = xr.Dataset(bands, xr_coords(grid), {"azimuth": 170.0, "elevation": 35.0, "tile_id": "kept"})
    optical["quality_data_mask"] = (("y", "x"), quality)
    polar = GeoBox.from_bbox(grid.footprint("EPSG:3413").buffer(400).boundingbox, "EPSG:3413", resolution=10)
    dem = waves(polar, 10, 120, seed=7)
    dem[dem > 95] = np.nan
    arcticdem = xr.Dataset({"dem": (("y", "x"), dem)}, xr_coords(polar))
    arcticdem["arcticdem_data_mask"] = (("y", "x"), np.isfinite(dem).astype(np.uint8))
    wgs = GeoBox.from_bbox(grid.footprint("EPSG:4326").buffer(0.01).boundingbox, "EPSG:4326", resolution=0.00027)
    names = ("tc_brightness", "tc_greenness", "tc_wetness")
    trends = {
        name: (wgs.dims, np.rint(255 * waves_of_degrees(wgs, seed=n + 20)).astype(np.uint8))
        for n, name in enumerate(names)
    }
    return optical, arcticdem, xr.Dataset(trends, xr_coords(wgs))


def waves_of_degrees(grid, *, seed):
    y, x = np.mgrid[: grid.shape[0], : grid.shape[1]]
    phase = np.random.default_rng(seed).uniform(0, 6.28)
    return (np.sin(x / 9 + phase) * np.cos(y / 6 - phase) + 1) / 2


@pytest.fixture(scope="module")
def made(network):
    """What the steps of a run give, in their representation on disk."""
    optical, arcticdem, tcvis = made_scene()
    tile = preprocess_v2(optical, arcticdem, tcvis, models={"kept": TRAINING_BANDS})
    tile = EnsembleV1({"kept": network}, "cpu").segment_tile(tile, patch_size=64, overlap=16)
    tile = prepare_export(tile, 0.4, mask_erosion_size=3, min_object_size=8, quality_level=2)
    bands = [
        *TRAINING_BANDS,
        "probabilities",
        "binarized_segmentation",
        "cut_segmentation",
        "extent",
        "features_missing",
    ]
    arrays = {name: manager[name].encode(tile[name].values) for name in bands}
    table = segment_table(tile).drop(columns="geometry")
    return arrays, json.loads(table.to_json(orient="columns", double_precision=6))


def test_the_scene_has_all_that_results_depend_on(made):
    arrays, table = made
    assert 2 < len(table["cut"]) < 40
    assert set(table["cut"].values()) == {True, False}
    assert 0 < arrays["features_missing"].mean() < 0.5
    assert arrays["probabilities"][arrays["probabilities"] < 255].std() > 5


def test_equal_input_gives_what_it_gave_before(made):
    arrays, table = made
    if os.environ.get("DARTS_KEEP_RESULTS"):
        np.savez_compressed(KEPT.with_suffix(".npz"), version=RESULT_VERSION, **arrays)
        KEPT.with_suffix(".json").write_text(json.dumps(table, indent=1) + "\n")
    kept = np.load(KEPT.with_suffix(".npz"))
    assert kept["version"] == RESULT_VERSION, "the results were kept for another version: keep those of this one"
    for name, values in arrays.items():
        assert_same_results(name, values, kept[name])
    assert_same_tables(table, json.loads(KEPT.with_suffix(".json").read_text()))


def assert_same_results(name, values, kept):
    """Continuous bands may differ by a step in one of a hundred pixels: other processors round otherwise."""
    told = f"{name} is another one: raise RESULT_VERSION if that is meant, and keep the new results"
    difference = np.abs(values.astype(int) - kept.astype(int))
    assert difference.max() <= 1, told
    assert (difference > 0).mean() <= (0.01 if values.dtype != bool else 0), told


def assert_same_tables(table, kept):
    assert table.keys() == kept.keys()
    for name, column in kept.items():
        if isinstance(next(iter(column.values())), float):
            assert list(table[name].values()) == pytest.approx(list(column.values()), rel=1e-3, abs=0.05), name
        else:
            assert table[name] == column, name
