"""The document that decides results: what is in it, what is not, and what two of them differ in."""

import os
from dataclasses import fields, replace
from pathlib import Path

import pytest

from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.ray.pipelines import PlanetRayPipeline, Sentinel2RayPipeline
from darts.pipelines.results.fingerprint import (
    LATER,
    ONE_FOR_ALL,
    PARAMETERS,
    Models,
    differences,
    files_seen,
    fingerprint_of,
    image_of_files,
    recipe_of,
)
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.tiles import TileRef
from darts_utils.canonical import canonical
from darts_utils.parameters import BFLOAT16, FLOAT32

MODELS = Models(ids={"a": "12" * 32}, bands={"a": ["red", "slope"]}, precision=FLOAT32)
IMAGE = {"source": "cdse", "id": "S2A", "processing_baseline": "05.10", "window": "whole"}
REF = TileRef(tile_id="S2A", output_folder=Path("S2A"), year=2024)
RUN = Sentinel2Pipeline().with_paths()


def document(run=RUN, models=MODELS, image=IMAGE):
    return recipe_of(run, models, 10).document(REF, image)


CHANGES = [
    {"patch_size": 512}, {"overlap": 128}, {"reflection": 3}, {"binarization_threshold": 0.6},
    {"mask_erosion_size": 3}, {"edge_erosion_size": 3}, {"min_object_size": 3}, {"quality_level": 2},
    {"tpi_outer_radius": 90}, {"tpi_inner_radius": 20}, {"drop_cut_objects": True}, {"tta": "full"},
    {"skip_water": True},
]  # fmt: skip


def test_each_of_them_is_changed_here():
    assert {name for one in CHANGES for name in one} == set(PARAMETERS)


@pytest.mark.parametrize("other", CHANGES, ids=lambda other: next(iter(other)))
def test_parameters_that_change_a_result_are_in_it(other):
    changed = document(replace(RUN, **other))
    assert fingerprint_of(changed) != fingerprint_of(document())
    assert len(differences(document(), changed)) == (2 if "mask_erosion_size" in other else 1)  # the edge follows it


@pytest.mark.parametrize(
    "other",
    [
        {"batch_size": 1}, {"device": "cpu"}, {"export_bands": ["optical"]}, {"write_model_outputs": True},
        {"offline": True}, {"cdse_stac_url": "http://mirror"}, {"edge_erosion_size": 10},
        {"quality_level": "low_quality"}, {"overwrite": True}, {"uncertainty": True},
    ],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_what_changes_no_result_is_not(other):
    assert fingerprint_of(document(replace(RUN, **other))) == fingerprint_of(document())


def test_auxiliary_data_counts_if_a_model_reads_it():
    colours = replace(MODELS, bands={"a": ["red"]})
    assert document(models=colours)["auxiliary"] == {}
    assert document(replace(RUN, export_bands=["dem"]), colours)["auxiliary"] == {}
    assert document()["auxiliary"] == {"arcticdem": {"name": "arcticdem", "version": "4.1", "resolution_m": 10}}
    both = replace(MODELS, bands={"a": ["red", "slope"], "b": ["tc_wetness"]})
    assert list(document(models=both)["auxiliary"]) == ["arcticdem", "tcvis"]


def test_the_resolution_of_elevation_counts():
    planet = recipe_of(PlanetPipeline(), MODELS, 2).document(REF, IMAGE)
    assert differences(document(), planet) == ("arcticdem resolution_m 10 (now 2)",)


def test_differences_are_said_in_words():
    other = document(
        replace(RUN, binarization_threshold=0.9, drop_cut_objects=True),
        replace(MODELS, ids={"a": "34" * 32, "b": "56" * 32}, precision=BFLOAT16),
        {**IMAGE, "processing_baseline": "04.00"},
    )
    assert differences(document(), other) == (
        "binarization_threshold 0.5 (now 0.9)",
        "drop_cut_objects False (now True)",
        "precision float32 (now bfloat16)",
        "model a 12121212... (now 34343434...)",
        "image processing_baseline 05.10 (now 04.00)",
        "float32_parts none (now ends)",
        "model b none (now 56565656...)",
    )


def test_what_earlier_releases_lacked_is_as_they_did_it():
    earlier = document(replace(RUN, drop_cut_objects=True))
    for name in LATER:
        del earlier["parameters"][name]
    assert differences(earlier, document(replace(RUN, drop_cut_objects=True))) == ()
    assert differences(earlier, document()) == ("drop_cut_objects True (now False)",)
    now = document(replace(RUN, drop_cut_objects=True, skip_water=True))
    assert differences(earlier, now) == ("skip_water False (now True)",)


def test_what_is_not_known_of_an_image_before_it_is_read_may_be_anything():
    assert differences(document(), document(image={**IMAGE, "processing_baseline": None})) == ()
    assert differences(document(), document(image={**IMAGE, "id": "S2B"})) == ("image id S2A (now S2B)",)


def test_files_are_told_by_size_and_header_and_are_remembered_by_the_time_of_their_last_change(tmp_path, monkeypatch):
    file = tmp_path / "a.tif"
    file.write_bytes(bytes(200_000))
    seen = files_seen([file])
    status = file.stat()
    assert seen["a.tif"][:2] == [200_000, status.st_mtime_ns]
    monkeypatch.setattr(
        "darts.pipelines.results.fingerprint._header_sha256", lambda _: pytest.fail("it was read again")
    )
    assert files_seen([file], seen) == seen
    monkeypatch.undo()
    os.utime(file, ns=(0, 0))  # touched: read again, and the same
    again = files_seen([file], seen)
    assert image_of_files("a", "disk", again) == image_of_files("a", "disk", seen)
    content = bytearray(200_000)
    for place in (0, 199_999):
        content[place] = 1
        file.write_bytes(content)
        assert files_seen([file], seen)["a.tif"][2] != seen["a.tif"][2]
        content[place] = 0


def test_the_hash_is_that_of_the_canonical_form():
    assert canonical({"b": [1, 0.5, None], "a": "ä"}) == '{"a":"ä","b":[1,0.5,null]}'.encode()
    assert fingerprint_of({"b": 1, "a": 2}) == fingerprint_of({"a": 2, "b": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(float("nan"))


WHAT_IS_MAPPED = {
    "scene_ids", "scene_id_file", "tile_ids", "aoi_file", "start_date", "end_date", "max_cloud_cover", "max_snow_cover",
    "months", "years", "quarters", "prep_data_scene_id_file", "image_ids", "image_id_file", "shard", "aoi_shapefile",
}  # fmt: skip
IN_IT_BY_WHAT_THEY_LEAD_TO = {"model_files", "precision", "clip_to_aoi", "raw_data_source", *ONE_FOR_ALL}
"""The ids of models, what is computed in, the window and source of the image, editions of layers."""
WHERE_THINGS_ARE = {
    "default_dirs", "output_data_dir", "metadata_dir", "arcticdem_dir", "tcvis_dir", "raw_data_store", "input_cache",
    "no_raw_data_store", "sentinel2_grid_dir", "orthotiles_dir", "scenes_dir", "ee_project", "ee_use_highvolume",
    "ee_url",
    "cdse_stac_url", "cdse_s3_endpoint", "earthsearch_stac_url", "arcticdem_stac_url", "arcticdem_index_url",
}  # fmt: skip
WHAT_IS_WRITTEN = {
    "export_bands", "write_model_outputs", "uncertainty", "overwrite", "keep_old", "debug_data", "inventory", "report",
}  # fmt: skip
HOW_IT_IS_DONE = {
    "device", "batch_size", "offline", "max_memory_gb", "dry_run", "yes", "num_cpus", "devices", "ray_address",
}  # fmt: skip


def test_of_each_parameter_it_is_said_whether_it_decides_a_result():
    said = WHAT_IS_MAPPED | IN_IT_BY_WHAT_THEY_LEAD_TO | WHERE_THINGS_ARE | WHAT_IS_WRITTEN | HOW_IT_IS_DONE
    kinds = (Sentinel2Pipeline, PlanetPipeline, Sentinel2RayPipeline, PlanetRayPipeline)
    declared = {field.name for kind in kinds for field in fields(kind)}
    assert not said & set(PARAMETERS)
    assert declared - said == set(PARAMETERS), "a parameter that changes results belongs into PARAMETERS, or maps mix"
    assert said <= declared
