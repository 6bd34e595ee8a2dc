"""A band beyond those of every set, such as ndwi: models read it, runs export it, training sets hold it."""

import numpy as np
import pytest
import rasterio
import segmentation_models_pytorch as smp
import torch
from training_worlds import read_set, write_labelled_worlds

from darts.demo.world.make import make_world
from darts.demo.world.write import write_world
from darts.pipelines import Sentinel2Pipeline
from darts.training import PlanetTrainingData
from darts_segmentation.models.checkpoint import save_checkpoint
from darts_utils.bands import TRAINING_BANDS, manager
from darts_utils.errors import ConfigError
from darts_utils.paths import DefaultPaths

NETWORK = {"arch": "unet", "encoder_name": "resnet18", "encoder_depth": 3, "decoder_channels": [16, 8, 8],
           "classes": 1, "in_channels": 2}  # fmt: skip


def test_a_model_reads_it_and_a_run_exports_it(tmp_path):
    world = make_world(5, 256)
    written = write_world(world, tmp_path)
    torch.manual_seed(5)
    weights = smp.create_model(**NETWORK, encoder_weights=None).state_dict()
    save_checkpoint(tmp_path / "water.pt", NETWORK, ("nir", "ndwi"), weights)
    paths = DefaultPaths(fast_dir=tmp_path, large_dir=tmp_path)
    report = Sentinel2Pipeline(
        scene_ids=[written.scene_id], model_files=tmp_path / "water.pt", default_dirs=paths, offline=True, device="cpu",
        patch_size=128, overlap=32, export_bands=["ndwi", "probabilities"],
    ).run()  # fmt: skip
    assert report.exit_code == 0, report.outcomes
    folder = tmp_path / "output/sentinel2-cdse" / written.scene_id
    with rasterio.open(folder / "ndwi.tif") as raster:
        found = manager["ndwi"].decode(raster.read(1))
    green, nir = (np.clip(world.reflectance[index], 0, 1) for index in (1, 3))
    known = ~np.isnan(green) & (green + nir > 0.01) & ~np.isnan(found)
    assert known.mean() > 0.9
    np.testing.assert_allclose(found[known], ((green - nir) / (green + nir))[known], atol=0.02)
    with rasterio.open(folder / "probabilities.tif") as raster:
        assert (raster.read(1) != 255).any()


def test_a_training_set_holds_it_last(tmp_path):
    _, given = write_labelled_worlds(tmp_path, [7])
    given |= {"data_dir": tmp_path / "input" / "planet", "patch_size": 64, "exclude_nan": False}
    assert PlanetTrainingData(**given, train_data_dir=tmp_path / "set", extra_bands=["ndwi"]).create().exit_code == 0
    x = read_set(tmp_path / "set")[0]
    assert x.shape[1] == len(TRAINING_BANDS) + 1
    green, nir = (x[:, TRAINING_BANDS.index(band)] * 0.6 - 0.1 for band in ("green", "nir"))
    green, nir = np.clip(green, 0, 1), np.clip(nir, 0, 1)
    inside = (x[:, 1] > 0.2) & (x[:, 1] < 0.9) & (x[:, 3] < 0.9)
    expected = ((green - nir) / np.maximum(green + nir, 1e-9) + 1) / 2
    np.testing.assert_allclose(x[:, -1][inside], expected[inside], atol=2e-3)
    with pytest.raises(ConfigError, match=r"^extra_bands names ndvi, but only ndwi, gndvi, savi, evi, vari, tgi, "):
        PlanetTrainingData(**given, train_data_dir=tmp_path / "set", extra_bands=["ndvi"]).create()
