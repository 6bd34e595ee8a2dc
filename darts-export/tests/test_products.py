import re

import pytest

from darts_export import check_bands, expected_files, missing_files, missing_outputs, needed_variables
from darts_export.products import PRODUCTS
from darts_export.record import fingerprints
from darts_utils.bands import manager
from darts_utils.errors import ConfigError


def test_every_product_has_the_files_of_the_contract():
    bands = [*PRODUCTS, "ndvi"]
    assert set(expected_files(bands, ["a"], debug=True)) == {
        "probabilities.tif",
        "probabilities-a.tif",
        "binarized.tif",
        "binarized-a.tif",
        "prediction_segments.gpkg",
        "prediction_segments.parquet",
        "prediction_segments-a.gpkg",
        "prediction_segments-a.parquet",
        "prediction_extent.gpkg",
        "prediction_extent.parquet",
        "thumbnail.jpg",
        "optical.tif",
        "dem.tif",
        "tcvis.tif",
        "darts_inference.json",
        "ndvi.tif",
        "darts_inference_debug.nc",
    }


def test_missing_outputs_are_all_some_or_none(tmp_path):
    folder = tmp_path / "scene"
    assert missing_outputs(folder) == "all"
    folder.mkdir()
    assert missing_outputs(folder) == "all"
    (folder / "binarized.tif").write_bytes(b"content")
    assert missing_outputs(folder) == "some"
    assert missing_outputs(folder, ["binarized"]) == "none"
    assert missing_outputs(folder, ["binarized"], ["a"]) == "some"
    assert missing_outputs(folder, ["extent"]) == "all"
    assert missing_files(folder, ["binarized", "thumbnail"]) == ["thumbnail.jpg"]


def test_an_empty_file_is_none(tmp_path):
    (tmp_path / "binarized.tif").touch()
    assert missing_outputs(tmp_path, ["binarized"]) == "all"
    assert missing_files(tmp_path, ["binarized"]) == ["binarized.tif"]


def test_a_pair_of_files_is_missing_when_one_of_it_is(tmp_path):
    (tmp_path / "prediction_extent.gpkg").write_bytes(b"content")
    assert missing_files(tmp_path, ["extent"]) == ["prediction_extent.parquet"]


def test_needed_variables_are_those_of_the_tile():
    assert needed_variables(["dem", "thumbnail", "metadata"]) == {"slope", "relative_elevation"}
    assert needed_variables(["polygonized", "ndvi"], ["a"]) == {
        "binarized_segmentation",
        "probabilities",
        "binarized_segmentation-a",
        "probabilities-a",
        "ndvi",
    }


def test_unknown_bands_are_refused_with_what_is_known():
    check_bands(["probabilities", "slope", "probabilities-a"])
    check_bands(["depth"], also=["depth"])
    known = ", ".join([*PRODUCTS, *(name.replace("*", "{model}") for name in manager if name not in PRODUCTS)])
    message = f"cannot export binarised, foo, probabilities-*; known are: {known}. Correct the name or leave it out."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        check_bands(["binarised", "extent", "foo", "probabilities-*"])


def test_folders_and_links_that_lead_nowhere_are_no_results(tmp_path):
    for name in ("probabilities.tif", "binarized.tif", "prediction_segments.gpkg", "prediction_segments.parquet"):
        (tmp_path / name).write_bytes(b"content")
    (tmp_path / "binarized.tif").unlink()
    (tmp_path / "binarized.tif").symlink_to("binarized.tif")
    (tmp_path / "prediction_segments.gpkg").unlink()
    (tmp_path / "prediction_segments.gpkg").symlink_to("gone")
    (tmp_path / "prediction_segments.parquet").unlink()
    (tmp_path / "prediction_segments.parquet").mkdir()
    bands = ["probabilities", "binarized", "polygonized"]
    missing = ["binarized.tif", "prediction_segments.gpkg", "prediction_segments.parquet"]
    assert sorted(missing_files(tmp_path, bands)) == missing
    assert fingerprints(tmp_path) == frozenset()
