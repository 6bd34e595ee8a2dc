"""Names that users' scripts import, at the paths where they import them."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

NAMES = {
    "darts.pipelines": "Sentinel2Pipeline PlanetPipeline Sentinel2RayPipeline PlanetRayPipeline",
    "darts.pipelines.sequential_v2": "PipelineV2Paths PlanetPipeline Sentinel2Pipeline",
    "darts.training": "preprocess_planet_train_data preprocess_planet_train_data_pingo preprocess_s2_train_data",
    "darts_export": "export_tile missing_outputs",
    "darts_export.vectorization": "vectorize",
    "darts_postprocessing": "prepare_export erode_mask binarize",
    "darts_preprocessing": "preprocess_v2 calculate_ndvi calculate_slope calculate_aspect calculate_hillshade "
    "calculate_curvature calculate_topographic_position_index",
    "darts_segmentation": "SMPSegmenter EnsembleV1",
    "darts_segmentation.segment": "SMPSegmenter",
    "darts_segmentation.metrics": "BinaryInstanceF1Score BinaryInstancePrecision BinaryInstanceRecall "
    "BinaryBoundaryIoU",
    "darts_segmentation.training": "train_smp test_smp cross_validation_smp tune_smp validate_dataset "
    "convert_lightning_checkpoint",
    "darts_segmentation.training.data": "DartsDataModule",
    "darts_segmentation.training.hparams": "parse_hyperparameters",
    "darts_segmentation.training.scoring": "score_from_runs",
    "darts_segmentation.training.prepare_training": "TrainDatasetBuilder",
    "darts_utils.bands": "BandCodec BandManager manager",
    "darts_utils.functools": "write_function_args_to_config_file",
    "darts_utils.toml": "write_function_args_to_config_file",
    "darts_utils.paths": "DefaultPaths paths",
    "darts_utils.tilecache": "XarrayCacheManager",
    "darts.utils.bench": "benchviz",
    "darts.utils.config": "ConfigParser",
    "darts.utils.cuda": "debug_info decide_device",
    "darts.utils.earthengine": "init_ee",
    "darts.utils.logging": "LoggingManager VerbosityLevel",
}


@pytest.mark.parametrize(("module", "names"), NAMES.items(), ids=NAMES)
def test_names_are_where_scripts_look_for_them(module, names):
    found = importlib.import_module(module)
    for name in names.split():
        assert callable(getattr(found, name)) or name in ("manager", "paths", "LoggingManager")


def test_pipelines_are_imported_when_they_are_asked_for():
    code = "import darts.pipelines, sys; print([m for m in ('torch', 'xarray', 'ray') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    with pytest.raises(AttributeError, match=r"^module 'darts\.pipelines' has no attribute 'LandsatPipeline'$"):
        importlib.import_module("darts.pipelines").LandsatPipeline


@pytest.fixture
def tile():
    grid = GeoBox.from_bbox((500_000, 7_700_000, 500_400, 7_700_300), "EPSG:32608", resolution=10)
    y, x = np.mgrid[: grid.shape[0], : grid.shape[1]]
    dem = (100 + 3 * x - 0.02 * (y - 10.0) ** 2).astype(np.float32)
    return xr.Dataset({"dem": (("y", "x"), dem), "extent": (("y", "x"), dem > 150)}, xr_coords(grid))


def test_a_feature_at_a_time_gives_what_its_function_gives(tile):
    import darts_preprocessing as p

    made = {
        "slope": (p.calculate_slope(tile), p.slope(tile.dem)),
        "aspect": (p.calculate_aspect(tile), p.aspect(tile.dem)),
        "hillshade": (p.calculate_hillshade(tile, 180, 40), p.hillshade(tile.dem, 180, 40)),
        "curvature": (p.calculate_curvature(tile), p.curvature(tile.dem)),
        "relative_elevation": (
            p.calculate_topographic_position_index(tile, 50, 20), p.topographic_position_index(tile.dem, 50, 20)
        ),
    }  # fmt: skip
    for name, (with_feature, feature) in made.items():
        assert set(with_feature.data_vars) == {"dem", "extent", name}
        np.testing.assert_array_equal(with_feature[name], feature)
    assert set(tile.data_vars) == {"dem", "extent"}


def test_vectorizing_gives_the_outlines_of_a_band(tile):
    from darts_export.vector import regions
    from darts_export.vectorization import vectorize

    assert vectorize(tile, "extent").equals(regions(tile.extent))
    assert vectorize(tile.assign(extent=tile.extent.astype("uint8")), "extent").equals(regions(tile.extent))


def test_factories_make_the_codecs_of_the_contract():
    from darts_utils.bands import BandCodec, manager

    made = {
        "red": BandCodec.optical(), "ndvi": BandCodec.ndi(), "probabilities": BandCodec.percentage(),
        "tc_wetness": BandCodec.tc(), "quality_data_mask": BandCodec.mask(2), "extent": BandCodec.bool(),
    }  # fmt: skip
    assert made == {name: manager[name] for name in made}


def test_the_manager_validates_bands(tile):
    from darts_utils.bands import manager
    from darts_utils.errors import DataError

    assert manager.validate(tile) is tile
    with pytest.raises(DataError, match=r"^band dem is float64 but must be float32 in memory\. Convert it\.$"):
        manager.validate(tile.assign(dem=tile.dem.astype("float64")))
