import errno
import json
import re
import time
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio._err import CPLE_AppDefinedError

from darts_export import expected_files, export_tile, missing_outputs
from darts_export import export as export_module
from darts_export.facts import tile_facts
from darts_export.products import DEFAULT_BANDS, PRODUCTS
from darts_export.record import ADDED, FINGERPRINT, fingerprints, read_record
from darts_utils.bands import manager
from darts_utils.errors import ConfigError, DataError, OutputError


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_product_is_written_and_nothing_else(make_tile, tmp_path):
    tile = make_tile(models=("a", "b"))
    before = tile.copy(deep=True)
    bands = [*PRODUCTS, "ndvi", "planet_udm"]
    folder = tmp_path / "deep" / "scene"
    export_tile(tile, folder, bands, ["a", "b"], {"version": 3, "path": Path("x")}, debug=True)
    assert {path.name for path in folder.iterdir()} == set(expected_files(bands, ["a", "b"], debug=True))
    assert missing_outputs(folder, bands, ["a", "b"]) == "none"
    assert [path.name for path in folder.parent.iterdir()] == ["scene"]
    xr.testing.assert_identical(tile, before)


def test_defaults_are_those_of_the_contract(make_tile, tmp_path):
    export_tile(make_tile(), tmp_path / "scene")
    assert {path.name for path in (tmp_path / "scene").iterdir()} == {
        "probabilities.tif",
        "binarized.tif",
        "prediction_segments.gpkg",
        "prediction_segments.parquet",
        "prediction_extent.gpkg",
        "prediction_extent.parquet",
        "thumbnail.jpg",
    }


def test_subsets_get_their_own_results(make_tile, tmp_path):
    tile = make_tile(models=("a",))
    export_tile(tile, tmp_path / "scene", ["binarized", "polygonized"], ["a"])
    with rasterio.open(tmp_path / "scene" / "binarized-a.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), tile["binarized_segmentation-a"])
    frame = gpd.read_parquet(tmp_path / "scene" / "prediction_segments-a.parquet")
    assert frame["npixel"].sum() == tile["binarized_segmentation-a"].sum()


def test_statistics_do_not_depend_on_what_else_is_exported(make_tile, tmp_path):
    tile = make_tile()
    export_tile(tile, tmp_path / "one", ["polygonized"])
    export_tile(tile, tmp_path / "two", ["probabilities", "binarized", "thumbnail", "polygonized", "ndvi"])
    frames = [gpd.read_parquet(tmp_path / name / "prediction_segments.parquet") for name in ("one", "two")]
    assert frames[0].equals(frames[1])
    assert frames[0]["max"].max() > 50


def test_metadata_are_tags_and_json_and_the_json_has_the_time_of_export(make_tile, tmp_path):
    metadata = {"model": "v2.1", "threshold": 0.5, "none": None, "more": {"a": [1, 2]}, "path": Path("x")}
    export_tile(make_tile(), tmp_path / "scene", ["metadata", "ndvi"], metadata=metadata)
    stored = json.loads((tmp_path / "scene" / "darts_inference.json").read_text())
    stamp = stored.pop("DARTS_exportdate")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", stamp)
    figures = ["n_objects", "area_m2", "observed_km2", "clear_km2", "cloudy_km2", "features_missing"]
    assert {name: value for name, value in stored.items() if name not in figures} == {**metadata, "path": "x"}
    assert set(figures) < set(stored)
    with rasterio.open(tmp_path / "scene" / "ndvi.tif") as raster:
        assert {name: text for name, text in raster.tags().items() if name not in ("AREA_OR_POINT",)} == {
            "model": "v2.1",
            "threshold": "0.5",
        }
    assert "DARTS_exportdate" not in metadata


def test_the_same_tile_gives_the_same_bytes(make_tile, tmp_path, monkeypatch):
    for name in ("one", "two"):
        export_tile(make_tile(), tmp_path / name, [*DEFAULT_BANDS, "ndvi", "optical"], metadata={"a": 1})
        time.sleep(1.1)  # GeoPackages have a date of their own, to the second
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_nothing_is_added_to_a_folder_that_was_made_in_another_way(make_tile, tmp_path):
    folder = tmp_path / "scene"
    export_tile(make_tile(), folder, ["ndvi", "metadata"], metadata={FINGERPRINT: "a" * 64})
    before = contents(folder)
    message = (
        f"nothing is added to {folder}: its files have the fingerprint {'a' * 12}, not {'b' * 12}, so they were "
        "made in another way. Use --overwrite, or another folder."
    )
    with pytest.raises(OutputError, match=f"^{re.escape(message)}$"):
        export_tile(make_tile(), folder, ["binarized"], metadata={FINGERPRINT: "b" * 64})
    assert contents(folder) == before
    export_tile(make_tile(), folder, ["binarized"], metadata={FINGERPRINT: "a" * 64})
    assert set(contents(folder)) == {*before, "binarized.tif"}


def test_the_record_tells_of_what_is_added_with_the_cubes_of_then(make_tile, tmp_path):
    first, second = ({FINGERPRINT: "a" * 64, "DARTS_cubes": {"tcvis": text}, "azimuth": 170.0} for text in "XY")
    export_tile(make_tile(), tmp_path / "scene", ["ndvi", "metadata"], metadata=first)
    export_tile(make_tile(), tmp_path / "scene", ["ndvi", "tcvis", "metadata"], metadata=second)
    record = read_record(tmp_path / "scene")
    assert record["DARTS_cubes"] == {"tcvis": "X"}
    (added,) = record[ADDED]
    assert (added["files"], added["DARTS_cubes"]) == (["tcvis.tif"], {"tcvis": "Y"})
    assert added["DARTS_exportdate"] >= record["DARTS_exportdate"]


def test_nothing_is_added_to_results_of_another_image_of_that_id(make_tile, tmp_path):
    folder, metadata = tmp_path / "scene", {FINGERPRINT: "a" * 64, "azimuth": 170.0, "DARTS_cubes": {}}
    export_tile(make_tile(), folder, ["ndvi", "metadata"], metadata=metadata)
    before = contents(folder)
    with pytest.raises(OutputError, match=r"of another image of that id \(azimuth 170.0, now 10.0\). Use --overwrite"):
        export_tile(make_tile(), folder, ["tcvis"], metadata={**metadata, "azimuth": 10.0})
    assert contents(folder) == before


@pytest.mark.parametrize(
    "kept", ["ndvi.tif", "prediction_segments.gpkg", "prediction_segments.parquet", "darts_inference.json"]
)
def test_any_file_but_a_picture_tells_how_its_folder_was_made(make_tile, tmp_path, kept):
    export_tile(make_tile(), tmp_path / "scene", [*DEFAULT_BANDS, "ndvi", "metadata"], metadata={FINGERPRINT: "a" * 64})
    for path in (tmp_path / "scene").iterdir():
        if path.name != kept:
            path.unlink()
    assert fingerprints(tmp_path / "scene") == {"a" * 64}


def test_damaged_files_tell_nothing(tmp_path):
    for name in ("a.tif", "a.gpkg", "a.parquet", "darts_inference.json"):
        (tmp_path / name).write_bytes(b"[" * 100_000)
        (tmp_path / f"empty_{name}").touch()
    assert fingerprints(tmp_path) == frozenset()


@pytest.mark.parametrize("asked", [["ndvi", "metadata"], ["ndvi", "binarized", "metadata"]])
def test_a_folder_that_appears_meanwhile_is_neither_replaced_nor_claimed(make_tile, tmp_path, monkeypatch, asked):
    folder, write = tmp_path / "scene", export_module.TileProducts.write

    def slower_than_another(making, wanted, part):
        monkeypatch.setattr(export_module.TileProducts, "write", write)
        export_tile(make_tile(seed=3), folder, ["ndvi", "metadata"], metadata={FINGERPRINT: "b" * 64})
        write(making, wanted, part)

    monkeypatch.setattr(export_module.TileProducts, "write", slower_than_another)
    with pytest.raises(OutputError, match=r"^nothing is added to .*scene: its files have the fingerprint bbbbbbbbbbbb"):
        export_tile(make_tile(), folder, asked, metadata={FINGERPRINT: "a" * 64})
    assert fingerprints(folder) == {"b" * 64}
    assert [path.name for path in tmp_path.iterdir()] == ["scene"]


def test_the_record_is_written_last(make_tile, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export_module, "write_record", broken)
    with pytest.raises(OutputError):
        export_tile(make_tile(), tmp_path / "scene", ["metadata", "ndvi"])
    assert not (tmp_path / "scene").exists()


def test_numbers_that_are_none_are_null_in_json(make_tile, tmp_path):
    export_tile(make_tile(), tmp_path, ["metadata"], metadata={"azimuth": float("nan"), "deep": [{"a": float("inf")}]})
    text = (tmp_path / "darts_inference.json").read_text()
    stored = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert (stored["azimuth"], stored["deep"]) == (None, [{"a": None}])


def test_figures_of_a_tile_say_what_was_seen(make_tile, tmp_path):
    tile = make_tile()
    tile["features_missing"] = (("y", "x"), np.zeros((93, 71), dtype=bool))
    tile["features_missing"][:20] = True
    facts = export_tile(tile, tmp_path, ["metadata"])
    extent, quality = tile["extent"].values, tile["quality_data_mask"].values
    assert facts.observed_km2 == pytest.approx(extent.sum() * 1e-4, rel=1e-3)
    assert facts.clear_km2 == pytest.approx((extent & (quality == 2)).sum() * 1e-4, rel=1e-3)
    assert facts.clear_km2 + facts.cloudy_km2 == pytest.approx(facts.observed_km2)
    assert facts.features_missing == pytest.approx(extent[:20].sum() / extent.sum())
    stored = json.loads((tmp_path / "darts_inference.json").read_text())
    assert {name: stored[name] for name in facts.to_dict()} == facts.to_dict()


def test_ground_without_a_probability_was_not_observed(make_tile):
    tile = make_tile()
    tile["features_missing"] = tile["extent"] & False
    tile["probabilities"][:30] = np.nan
    facts, extent = tile_facts(tile), tile["extent"].values
    assert facts.observed_km2 == pytest.approx(extent[30:].sum() * 1e-4, rel=1e-3)
    assert facts.clear_km2 + facts.cloudy_km2 == pytest.approx(facts.observed_km2)
    assert facts.features_missing == pytest.approx(extent[:30].sum() / extent.sum())


def test_debug_adds_the_whole_tile(make_tile, tmp_path):
    tile = make_tile().assign_attrs(unknown=None, flag=True, names=["a"])
    export_tile(tile, tmp_path / "scene", ["metadata"], debug=True)
    stored = manager.open(tmp_path / "scene" / "darts_inference_debug.nc")
    assert set(tile.data_vars) <= set(stored.data_vars)
    np.testing.assert_allclose(stored["probabilities"], tile["probabilities"], atol=0.0051)


def test_a_debug_file_that_cannot_be_written_is_an_output_error(make_tile, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("NetCDF: HDF error")

    monkeypatch.setattr(export_module.manager, "to_netcdf", fail)
    message = f"cannot write {tmp_path / 'scene'}: darts_inference_debug.nc: NetCDF: HDF error. Choose another folder."
    with pytest.raises(OutputError, match=f"^{re.escape(message)}$"):
        export_tile(make_tile(), tmp_path / "scene", ["metadata"], debug=True)
    assert not list(tmp_path.iterdir())


def test_only_what_is_missing_is_added_to_a_folder(make_tile, tmp_path):
    folder = tmp_path / "scene"
    export_tile(make_tile(), folder, ["binarized", "extent", "ndvi"])
    (folder / "prediction_extent.parquet").unlink()
    (folder / "notes.txt").write_text("mine")
    before = contents(folder)
    export_tile(make_tile(seed=7), folder, ["binarized", "extent", "thumbnail"], debug=False)
    after = contents(folder)
    assert set(after) - set(before) == {"prediction_extent.parquet", "thumbnail.jpg"}
    assert {name: after[name] for name in before} == before
    assert [path.name for path in tmp_path.iterdir()] == ["scene"]


def test_only_products_with_a_missing_file_are_made(make_tile, tmp_path, monkeypatch):
    export_tile(make_tile(), tmp_path / "scene", ["ndvi", "binarized"])
    monkeypatch.setattr(export_module, "_export_binarized", None)
    export_tile(make_tile(), tmp_path / "scene", ["ndvi", "binarized", "extent"])
    assert missing_outputs(tmp_path / "scene", ["ndvi", "binarized", "extent"]) == "none"


def test_nothing_is_done_when_nothing_is_missing(make_tile, tmp_path, monkeypatch):
    export_tile(make_tile(), tmp_path / "scene", ["ndvi"])
    monkeypatch.setattr(export_module.TileProducts, "write", None)
    export_tile(make_tile(), tmp_path / "scene", ["ndvi"])


def test_overwrite_replaces_the_whole_folder(make_tile, tmp_path):
    export_tile(make_tile(), tmp_path / "scene", ["ndvi", "binarized"])
    export_tile(make_tile(seed=7), tmp_path / "scene", ["ndvi"], overwrite=True)
    assert [path.name for path in (tmp_path / "scene").iterdir()] == ["ndvi.tif"]
    with rasterio.open(tmp_path / "scene" / "ndvi.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), manager["ndvi"].encode(make_tile(seed=7)["ndvi"].values))


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failure_leaves_nothing_behind_and_what_was_there_alone(make_tile, tmp_path, monkeypatch, overwrite):
    export_tile(make_tile(), tmp_path / "scene", ["ndvi"])
    before = contents(tmp_path / "scene")

    def disk_is_full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", disk_is_full)
    for folder in ("scene", "other"):
        message = (
            f"cannot write {tmp_path / folder}: No space left on device. Free some space, or choose another folder."
        )
        with pytest.raises(OutputError, match=f"^{re.escape(message)}$"):
            export_tile(make_tile(), tmp_path / folder, ["ndvi", "binarized"], overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["scene"]
    assert contents(tmp_path / "scene") == before


def test_a_full_disk_is_one_clear_error(make_tile):
    """The kernel's own full disk: every write to it fails."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        full.write_bytes(export_module.raster_bytes(make_tile(), ["ndvi"]))


def test_a_folder_that_cannot_be_made_is_named(make_tile, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=re.escape(str(tmp_path / "file"))):
        export_tile(make_tile(), tmp_path / "file" / "scene", ["ndvi"])


def test_a_raster_that_gdal_cannot_make_is_one_clear_error(make_tile, tmp_path, monkeypatch):
    def fail(*_):
        raise CPLE_AppDefinedError(1, 1, "a bad day")

    monkeypatch.setattr("darts_export.raster._write_band", fail)
    message = "cannot make a raster of ndvi: a bad day. Leave it out of the export."
    with pytest.raises(OutputError, match=f"^{re.escape(message)}$"):
        export_tile(make_tile(), tmp_path / "scene", ["ndvi"])
    assert not list(tmp_path.iterdir())


def test_a_dtype_that_no_raster_can_hold_is_named(make_tile, tmp_path):
    tile = make_tile()
    tile["wave"] = tile["red"].astype("longdouble")
    with pytest.raises(DataError, match=r"^band wave is \w+, which no raster can hold. Convert it, e.g. to float32.$"):
        export_tile(tile, tmp_path / "scene", ["wave"])


def test_an_unknown_band_is_refused_before_anything_is_written(make_tile, tmp_path):
    with pytest.raises(
        ConfigError, match=r"^cannot export binarised \(did you mean binarized\?\); known are: probabilities, binarized"
    ):
        export_tile(make_tile(), tmp_path / "scene", ["ndvi", "binarised"])
    assert not (tmp_path / "scene").exists()


def test_missing_variables_are_named(make_tile, tmp_path):
    message = (
        "the tile lacks probabilities-b, so probabilities, optical cannot all be exported. "
        "Compute the missing bands or leave out what needs them."
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        export_tile(make_tile(models=("a",)), tmp_path / "scene", ["probabilities", "optical"], ["a", "b"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 30), (40, 2)])
def test_any_tile_size_works(make_tile, tmp_path, rows, columns):
    bands = [*PRODUCTS, "ndvi"]
    export_tile(make_tile(rows, columns), tmp_path / "scene", bands)
    assert missing_outputs(tmp_path / "scene", bands) == "none"


def test_thumbnail_is_a_jpeg(make_tile, tmp_path):
    export_tile(make_tile(), tmp_path / "scene", ["thumbnail"])
    assert cv2.imread(str(tmp_path / "scene" / "thumbnail.jpg")).shape[2] == 3
