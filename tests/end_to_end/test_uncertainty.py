"""Test-time augmentation and uncertainty in whole runs: what they change, what they add, and what they leave alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts_export.record import FINGERPRINT, fingerprints, read_record
from darts_utils.errors import ConfigError

BANDS = ["probabilities", "extent"]


@pytest.fixture
def pipeline(make_scene, make_model, scene_ids):
    make_scene(Path("store"), scene_ids[0], size=(64, 70))
    models = [make_model(Path(f"{name}.pt"), ["red", "green", "nir"], seed=seed) for seed, name in enumerate("ab")]
    return Sentinel2Pipeline(
        model_files=models, raw_data_store=Path("store"), output_data_dir=Path("results"), scene_ids=scene_ids[:1],
        export_bands=BANDS, offline=True, mask_erosion_size=2, min_object_size=1, patch_size=64, overlap=16,
        device="cpu",
    )  # fmt: skip


@pytest.fixture
def tile(scene_ids):
    return Path("results") / scene_ids[0]


def read(path):
    with rasterio.open(path) as raster:
        return raster.read(1)


def test_uncertainty_is_a_file_more_and_can_be_added_later(pipeline, tile):
    assert pipeline.run().exit_code == 0
    before = {path.name: path.read_bytes() for path in tile.iterdir() if path.name != "darts_inference.json"}
    assert not (tile / "uncertainty.tif").exists()
    assert replace(pipeline, uncertainty=True).run().count("success") == 1
    assert replace(pipeline, uncertainty=True).run().count("skipped") == 1
    after = {path.name: path.read_bytes() for path in tile.iterdir() if path.name != "darts_inference.json"}
    assert after.keys() - before.keys() == {"uncertainty.tif"}
    assert {name: after[name] for name in before} == before
    assert fingerprints(tile) == {read_record(tile)[FINGERPRINT]}
    values, probabilities = read(tile / "uncertainty.tif"), read(tile / "probabilities.tif")
    np.testing.assert_array_equal(values == 255, probabilities == 255)
    assert (values == 255).any()
    assert 0 < values[values != 255].max() <= 50


def test_results_with_other_views_are_other_results(pipeline, tile):
    assert replace(pipeline, tta="minimal").run().exit_code == 0
    views = read(tile / "probabilities.tif")
    assert read_record(tile)["DARTS_tta"] == "minimal"
    with pytest.raises(ConfigError, match=r"^1 tile was made with tta minimal \(now none\) \(in results\)\. "):
        pipeline.run()
    assert replace(pipeline, overwrite=True).run().exit_code == 0
    assert not np.array_equal(read(tile / "probabilities.tif"), views)


def test_the_spread_of_one_model_that_sees_one_view_is_refused_before_anything_is_done(darts):
    Path("a.pt").touch()
    refused = darts("inference", "sentinel2-sequential", "--model-files", "a.pt", "--uncertainty", "--scene-ids", "x")
    assert refused.returncode == 2
    assert "uncertainty is the spread of models and of views, but there is one model, and tta none" in refused.stderr
    assert not Path("output").exists()
