"""The three functions have the documented parameters and defaults, and wrong values are refused in one line."""

import inspect

import pytest

import darts.training
from darts.training import Sentinel2TrainingData
from darts_utils.errors import ConfigError
from darts_utils.paths import DefaultPaths

REQUIRED = inspect.Parameter.empty
SHARED = {
    "labels_dir": REQUIRED, "default_dirs": DefaultPaths(), "train_data_dir": None, "arcticdem_dir": None,
    "tcvis_dir": None, "admin_dir": None, "preprocess_cache": None, "force_preprocess": False, "append": True,
    "device": None, "ee_project": None, "ee_use_highvolume": True, "tpi_outer_radius": 100, "tpi_inner_radius": 0,
    "patch_size": 1024, "overlap": 16, "exclude_nopositive": False, "exclude_nan": True,
}  # fmt: skip
SENTINEL2 = {
    "planet_data_dir": None, "raw_data_source": "cdse", "raw_data_store": None, "no_raw_data_store": False,
    "matching_cache": None, "no_matching_cache": False, "matching_day_range": 7, "matching_max_cloud_cover": 10,
    "matching_min_intersects": 0.7, "save_matching_scores": False,
}  # fmt: skip
FURTHER = {
    "offline": False, "max_memory_gb": None, "shard_size": None, "extra_bands": None, "cdse_stac_url": None,
    "cdse_s3_endpoint": None, "earthsearch_stac_url": None, "arcticdem_stac_url": None, "arcticdem_index_url": None,
    "ee_url": None, "tcvis_year": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("function", "documented"),
    [
        ("preprocess_planet_train_data", {"data_dir": REQUIRED, **SHARED}),
        ("preprocess_planet_train_data_pingo", {"data_dir": REQUIRED, **SHARED}),
        ("preprocess_s2_train_data", {**SHARED, **SENTINEL2}),
    ],
)
def test_parameters_and_defaults_are_those_of_the_documentation(function, documented):
    parameters = inspect.signature(getattr(darts.training, function)).parameters
    assert all(parameter.kind == parameter.KEYWORD_ONLY for parameter in parameters.values())
    defaults = {
        name: DefaultPaths() if name == "default_dirs" else parameter.default for name, parameter in parameters.items()
    }
    assert defaults == {**documented, **FURTHER}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"overlap": 1024}, "overlap is 1024 px but must be below patch_size (1024 px). Lower overlap or raise "
         "patch_size."),
        ({"shard_size": 0}, "shard_size is 0 but must be positive. Use 1 or more."),
        ({"matching_day_range": -1}, "matching_day_range is -1 but must not be negative."),
        ({"matching_max_cloud_cover": 101}, "matching_max_cloud_cover is 101 but must be from 0 to 100 percent."),
        ({"matching_min_intersects": 70}, "matching_min_intersects is 70 but must be above 0 and at most 1. It is a "
         "share, not percent."),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_what_is_right(wrong, message, tmp_path):
    with pytest.raises(ConfigError) as caught:
        Sentinel2TrainingData(labels_dir=tmp_path, **wrong)
    assert str(caught.value) == message


def test_locations_hang_off_the_base_folders(tmp_path):
    paths = DefaultPaths(fast_dir=tmp_path / "fast", large_dir=tmp_path / "large")
    run = Sentinel2TrainingData(labels_dir=tmp_path, default_dirs=paths, patch_size=256).with_paths()
    assert run.train_data_dir == tmp_path / "fast" / "training" / "sentinel2_256"
    assert run.matching_cache == run.train_data_dir / "matching-cache.json"
    assert run.admin_dir == tmp_path / "large" / "aux" / "admin_boundaries"
    assert run.raw_data_store == tmp_path / "large" / "input" / "sentinel2" / "cdse-scenes"
    assert run.arcticdem_dir == tmp_path / "large" / "aux" / "arcticdem_10m.icechunk"
    assert run.with_paths() == run
    assert list(tmp_path.iterdir()) == []
