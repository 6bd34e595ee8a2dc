"""Parameters: the documented defaults, and one clear line for a wrong value."""

import dataclasses
import inspect
import math
from pathlib import Path

import numpy as np
import pytest

from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts_utils.errors import ConfigError
from darts_utils.paths import DefaultPaths

DOCUMENTED = {
    "model_files": None,
    "output_data_dir": None,
    "arcticdem_dir": None,
    "tcvis_dir": None,
    "device": None,
    "ee_project": None,
    "ee_use_highvolume": True,
    "tpi_outer_radius": 100,
    "tpi_inner_radius": 0,
    "patch_size": 1024,
    "overlap": 256,
    "batch_size": 8,
    "reflection": 0,
    "binarization_threshold": 0.5,
    "mask_erosion_size": 10,
    "edge_erosion_size": None,
    "min_object_size": 32,
    "quality_level": 1,
    "export_bands": ["probabilities", "binarized", "polygonized", "extent", "thumbnail"],
    "write_model_outputs": False,
    "overwrite": False,
    "offline": False,
    "debug_data": False,
    "scene_ids": None,
    "scene_id_file": None,
    "tile_ids": None,
    "aoi_file": None,
    "start_date": None,
    "end_date": None,
    "max_cloud_cover": 10,
    "max_snow_cover": 10,
    "months": None,
    "years": None,
    "prep_data_scene_id_file": None,
    "sentinel2_grid_dir": None,
    "raw_data_store": None,
    "no_raw_data_store": False,
    "raw_data_source": "cdse",
}


def test_defaults_are_those_of_the_documentation():
    pipeline = Sentinel2Pipeline()
    assert {name: getattr(pipeline, name) for name in DOCUMENTED} == DOCUMENTED


def test_nothing_else_is_a_parameter_but_what_the_docs_say():
    extra = {field.name for field in dataclasses.fields(Sentinel2Pipeline)} - set(DOCUMENTED)
    endpoints = {
        "cdse_stac_url",
        "cdse_s3_endpoint",
        "earthsearch_stac_url",
        "arcticdem_stac_url",
        "arcticdem_index_url",
        "ee_url",
    }
    results = {"drop_cut_objects", "keep_old", "metadata_dir", "clip_to_aoi", "tcvis_year", "tta", "uncertainty",
               "inventory", "report", "precision", "skip_water", "quarters"}  # fmt: skip
    assert extra == {"default_dirs", "max_memory_gb", "dry_run", "yes", "shard"} | endpoints | results


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"overlap": 256, "patch_size": 256},
            "overlap is 256 px but must be below patch_size (256 px). Lower overlap or raise patch_size.",
        ),
        ({"overlap": -1}, "overlap is -1 but must not be negative. Use 0 or more."),
        ({"patch_size": 0}, "patch_size is 0 but must be positive. Use 1 or more."),
        ({"batch_size": 0}, "batch_size is 0 but must be positive. Use 1 or more."),
        ({"reflection": -3}, "reflection is -3 but must not be negative. Use 0 or more."),
        ({"reflection": 99_999}, "reflection is 99999 px but must be at most 4096: networks see no farther. Lower it."),
        ({"tta": "all"}, "tta is 'all' but must be none, minimal, standard, full: 1, 2, 4 or 8 views of each patch."),
        ({"tpi_outer_radius": -100}, "tpi_outer_radius is -100 but must be positive. Use 1 or more."),
        ({"tpi_inner_radius": -1}, "tpi_inner_radius is -1 but must not be negative. Use 0 or more."),
        (
            {"tpi_inner_radius": 100},
            "tpi_inner_radius is 100 m but must be below tpi_outer_radius (100 m). "
            "Lower the inner or raise the outer radius.",
        ),
        (
            {"binarization_threshold": 50},
            "binarization_threshold is 50 but must be from 0 to 1. It is a probability, not percent.",
        ),
        ({"mask_erosion_size": -1}, "mask_erosion_size is -1 but must not be negative. Use 0 or more."),
        ({"edge_erosion_size": -1}, "edge_erosion_size is -1 but must not be negative. Use 0 or more."),
        ({"min_object_size": -1}, "min_object_size is -1 but must not be negative. Use 0 or more."),
        (
            {"quality_level": "best"},
            "quality_level is 'best' but must be none (0), low_quality (1) or high_quality (2).",
        ),
        ({"patch_size": 96.7}, "patch_size is 96.7 but must be a whole number. Correct it."),
        ({"patch_size": 96.0}, "patch_size is 96.0 but must be a whole number. Correct it."),
        ({"patch_size": "96"}, "patch_size is '96' but must be a whole number or auto. Correct it."),
        ({"batch_size": True}, "batch_size is True but must be a whole number. Correct it."),
        ({"quality_level": True}, "quality_level is True but must be a whole number. Correct it."),
        ({"max_cloud_cover": 0.1}, "max_cloud_cover is 0.1 but must be a whole number. Correct it."),
        ({"years": [2020, 2020.5]}, "years is 2020.5 but must be a whole number. Correct it."),
        (
            {"binarization_threshold": math.nan},
            "binarization_threshold is nan but must be a finite number. Correct it.",
        ),
        ({"binarization_threshold": "0.5"}, "binarization_threshold is '0.5' but must be a number. Correct it."),
        ({"max_memory_gb": math.inf}, "max_memory_gb is inf but must be a finite number. Correct it."),
        ({"max_memory_gb": True}, "max_memory_gb is True but must be a number. Correct it."),
        ({"max_memory_gb": 0}, "max_memory_gb is 0 but must be positive. Use 1 or more."),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_right(wrong, message):
    with pytest.raises(ConfigError) as caught:
        Sentinel2Pipeline(**wrong)
    assert str(caught.value) == message


def test_zero_is_a_value_and_not_a_missing_one():
    pipeline = Sentinel2Pipeline(edge_erosion_size=0, mask_erosion_size=0, min_object_size=0, overlap=0)
    assert (pipeline.edge_erosion_size, pipeline.mask_erosion_size, pipeline.min_object_size) == (0, 0, 0)


def test_checking_twice_changes_nothing():
    pipeline = Sentinel2Pipeline(patch_size=512)
    before = dataclasses.asdict(pipeline)
    pipeline.__post_init__()
    assert dataclasses.asdict(pipeline) == before


def test_two_pipelines_do_not_share_their_lists():
    Sentinel2Pipeline().export_bands.append("dem")
    assert "dem" not in Sentinel2Pipeline().export_bands


def test_base_folders_can_be_given_one_by_one_and_paths_as_texts():
    """The table of parameters calls them fields of the pipeline."""
    run = Sentinel2Pipeline(fast_dir="fast", aux_dir="aux", raw_data_store="store", model_files="a.pt")
    assert run.paths.models == Path("fast/models")
    assert run.with_paths().tcvis_dir == Path("aux/tcvis.icechunk")
    assert run.raw_data_store == Path("store")
    assert run.resolved().model_files == [Path("a.pt")]
    assert Sentinel2Pipeline(model_files=["a.pt", "b.pt"]).model_files == [Path("a.pt"), Path("b.pt")]
    both = Sentinel2Pipeline(default_dirs=DefaultPaths(aux_dir=Path("x")), models_dir="y").default_dirs
    assert both == DefaultPaths(aux_dir=Path("x"), models_dir=Path("y"))
    with pytest.raises(TypeError, match="unexpected keyword argument 'fastdir'"):
        Sentinel2Pipeline(fastdir="fast")


def test_the_signature_of_a_pipeline_lists_its_parameters():
    parameters = inspect.signature(Sentinel2Pipeline).parameters
    assert {"scene_ids", "default_dirs", "patch_size"} <= set(parameters)
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters.values())


def test_whole_numbers_of_other_libraries_are_whole_numbers():
    assert Sentinel2Pipeline(patch_size=np.int64(512), binarization_threshold=np.float32(0.5)).patch_size == 512
