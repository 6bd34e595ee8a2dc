"""The document that decides results: what is in it, what is not, and what two of them differ in."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.results.fingerprint import (
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


@pytest.mark.parametrize(
    "other",
    [
        {"patch_size": 512}, {"overlap": 128}, {"reflection": 3}, {"binarization_threshold": 0.6},
        {"mask_erosion_size": 3}, {"edge_erosion_size": 3}, {"min_object_size": 3}, {"quality_level": 2},
        {"tpi_outer_radius": 90}, {"tpi_inner_radius": 20}, {"drop_cut_objects": True},
        {"tta": "full"},
    ],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
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
