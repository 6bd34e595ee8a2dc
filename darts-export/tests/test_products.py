import re

import pytest

from darts_export import check_bands, expected_files, export_tile, missing_files, missing_outputs, needed_variables
from darts_export.export import TileProducts
from darts_export.products import PRODUCTS, Product, in_order, outdated_files
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
        "prediction_observed.parquet",
        "prediction_density.parquet",
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
    meant = "did you mean binarized and probabilities?"
    what = f"cannot export binarised, foo, probabilities-* ({meant})"
    message = f"{what}; known are: {known}. Correct the name or leave it out."
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


@pytest.fixture
def contents(monkeypatch):
    """A product that lists the other files of its folder, and one that is made of that."""
    listing = Product(stem="contents", suffixes=(".txt",), needs=("*",))
    about_masks = Product(stem="about_masks", suffixes=(".txt",), needs=("binarized",))
    monkeypatch.setitem(PRODUCTS, "contents", listing)
    monkeypatch.setitem(PRODUCTS, "about_masks", about_masks)
    writer = TileProducts.writer

    def with_contents(products, band):
        if band == "contents":
            return lambda folder: (folder / "contents.txt").write_text(
                " ".join(sorted(p.name for p in folder.glob("*")))
            )
        if band == "about_masks":
            return lambda folder: (folder / "about_masks.txt").write_text(str((folder / "binarized.tif").exists()))
        return writer(products, band)

    monkeypatch.setattr(TileProducts, "writer", with_contents)


def test_what_needs_others_is_written_after_them(contents, make_tile, tmp_path):
    bands = ["contents", "about_masks", "binarized", "metadata", "probabilities"]
    assert in_order(bands) == [["binarized", "probabilities"], ["about_masks"], ["contents", "metadata"]]
    export_tile(make_tile(), tmp_path / "a", bands)
    assert (tmp_path / "a/about_masks.txt").read_text() == "True"
    assert {"about_masks.txt", "binarized.tif", "probabilities.tif"} <= {
        *(tmp_path / "a/contents.txt").read_text().split()
    }


def test_what_needs_others_is_made_again_when_files_of_theirs_are_added(contents, make_tile, tmp_path):
    bands = ["contents", "about_masks", "binarized", "probabilities"]
    export_tile(make_tile(), tmp_path / "a", bands)
    listed = (tmp_path / "a/contents.txt").stat().st_ino
    (tmp_path / "a/probabilities.tif").unlink()
    masks = (tmp_path / "a/about_masks.txt").stat().st_ino
    export_tile(make_tile(), tmp_path / "a", bands)
    assert (tmp_path / "a/contents.txt").stat().st_ino != listed
    assert (tmp_path / "a/about_masks.txt").stat().st_ino == masks
    assert outdated_files(bands, (), ["binarized.tif"]) == ["about_masks.txt", "contents.txt"]
    assert outdated_files(bands, (), ["contents.txt"]) == []


def test_products_that_need_each_other_are_refused(monkeypatch):
    monkeypatch.setitem(PRODUCTS, "one", Product(stem="one", suffixes=(".txt",), needs=("two",)))
    monkeypatch.setitem(PRODUCTS, "two", Product(stem="two", suffixes=(".txt",), needs=("one",)))
    with pytest.raises(
        ConfigError, match=r"^the products one, two need each other\. Correct what one of them needs\.$"
    ):
        in_order(["one", "two", "extent"])
