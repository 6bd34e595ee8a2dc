"""Patches that no network sees: nothing of them is mapped, or they are wholly water if that is asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from same_products import assert_same_folder

from darts.pipelines import stages
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts_export.record import read_record
from darts_segmentation import network
from darts_utils.errors import ConfigError


@pytest.fixture
def ground(monkeypatch):
    """Function that sets what a scene shows: bad ground on the left but for a few stripes, water above."""

    def change(*, bad=0, water=0):
        made = stages.preprocess_v2

        def preprocess(*args, **given):
            tile = made(*args, **given)
            quality, classes = tile["quality_data_mask"].values.copy(), np.full_like(tile["quality_data_mask"], 4)
            quality[:, :bad], quality[::40, :bad] = 0, 2
            classes[:water] = 6
            return tile.assign(quality_data_mask=(("y", "x"), quality), s2_scl=(("y", "x"), classes))

        monkeypatch.setattr(stages, "preprocess_v2", preprocess)

    return change


@pytest.fixture
def n_patches(monkeypatch):
    """Counts the patches that networks see."""
    seen, launch = [], network.NetworkGroup.launch
    monkeypatch.setattr(
        network.NetworkGroup, "launch", lambda group, batch: seen.append(len(batch.inputs)) or launch(group, batch)
    )
    return seen


@pytest.fixture
def pipeline(make_model, make_scene, scene_ids):
    make_scene(Path("store"), scene_ids[0], size=(150, 190))
    models = [make_model(Path(f"{seed}.pt"), ["red", "green", "nir"], seed=seed) for seed in (0, 1)]
    return Sentinel2Pipeline(
        model_files=models, raw_data_store=Path("store"), output_data_dir=Path("seen"), scene_ids=scene_ids[:1],
        offline=True, mask_erosion_size=3, min_object_size=1, patch_size=32, overlap=8, device="cpu", uncertainty=True,
        write_model_outputs=True, inventory=False,
    )  # fmt: skip


def test_results_are_the_same_without_patches_of_which_nothing_is_mapped(
    pipeline, scene_ids, ground, n_patches, monkeypatch
):
    ground(bad=110)
    assert pipeline.run().count("success") == 1
    some = sum(n_patches)
    n_patches.clear()
    monkeypatch.setattr(stages, "is_out_of_extent", lambda *_, **__: False)
    assert replace(pipeline, output_data_dir=Path("all")).run().count("success") == 1
    assert some < 0.7 * sum(n_patches)
    assert_same_folder(Path("seen") / scene_ids[0], Path("all") / scene_ids[0])
    record = read_record(Path("seen") / scene_ids[0])
    assert record["n_objects"] > 3, "there is something to compare"


def test_water_is_left_out_if_that_is_asked_for_and_recorded(pipeline, scene_ids, ground, n_patches):
    ground(water=70)
    assert pipeline.run().count("success") == 1
    everything = sum(n_patches)
    n_patches.clear()
    dry = replace(pipeline, output_data_dir=Path("dry"), skip_water=True)
    assert dry.run().count("success") == 1
    assert sum(n_patches) < 0.9 * everything
    assert read_record(Path("dry") / scene_ids[0])["DARTS_skip_water"] is True
    one, other = (rasterio.open(Path(name) / scene_ids[0] / "probabilities.tif").read(1) for name in ("seen", "dry"))
    assert np.isin(other[:20], (0, 255)).all()
    assert not np.isin(one[:20], (0, 255)).all()
    np.testing.assert_array_equal(other[80:], one[80:])
    np.testing.assert_array_equal(other == 255, one == 255)
    with pytest.raises(ConfigError, match=r"skip_water True \(now False\)"):
        replace(dry, skip_water=False).run()
