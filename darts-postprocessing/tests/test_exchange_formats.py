"""Layers as files of other programs, read again with GDAL, sqlite and a reader of XML."""

import json
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from inventory_cases import rectangle, square

from darts_postprocessing.exchange import formats
from darts_postprocessing.exchange.arts_schema import COLUMNS
from darts_postprocessing.exchange.formats import FORMATS, write_layers
from darts_postprocessing.exchange.qgis_style import TIER_COLOURS, rows_in, style_qml
from darts_postprocessing.exchange.shapefile_names import SHAPEFILE_NAMES, short_names
from darts_postprocessing.inventory.plane import to_degrees
from darts_postprocessing.inventory.tracking import STATUSES
from darts_utils.crs import EQUAL_AREA
from darts_utils.errors import ConfigError, DataError, OutputError

LEVEL_1 = [
    "object_id", "image_id", "sensor", "acquired", "year", "model_ids", "area_m2", "perimeter_m", "centroid_lon",
    "centroid_lat", "mean_probability", "max_probability", "core_probability", "area_m2_t30", "area_m2_t45",
    "area_m2_t65", "area_m2_t80", "tier", "cut", "features_missing", "nodata_fraction", "snow_fraction",
    "water_fraction", "npixel",
]  # fmt: skip
LEVEL_2 = [
    "slump_id", "year", "n_looks", "n_hits", "agreement", "first_acquired", "last_acquired", "area_m2",
    "area_majority_m2", "area_low_m2", "area_high_m2", "perimeter_m", "mean_probability", "max_probability", "tier",
]  # fmt: skip
TRACKS = [
    "slump_id", "first_year", "last_year", "n_years", "area_first_m2", "area_last_m2", "growth_m2_per_year",
    "growth_low", "growth_high", "status", "merged_into", "split_from",
]  # fmt: skip
SHAPES = (square(0, 0, 100), shapely.union(square(500, 0, 100), square(700, 0, 50)), square(900, 0, 30))
ACROSS = rectangle(2_000_000 - 60, 1_000_000, 2_000_000 + 40, 1_000_100)
"""On the antimeridian: x of the plane from -60 to 40 m."""


def slumps_layer(**more):
    columns = {
        "slump_id": ["a", "b", "ø"],
        "n_looks": np.array([3, 2, 1], dtype=np.int64),
        "mean_probability": [0.25, np.nan, 0.75],
        "cut": pd.array([True, None, False], dtype="boolean"),
        "first_acquired": pd.array(["2021-07-01", None, "2021-08-02"], dtype="string"),
        "seen": pd.to_datetime(["2021-07-01", None, "2021-08-02"]),
        "model_ids": [["m1", "m2"], ["m1"], ["m1"]],
        "tier": ["high", "low", None],
        "geometry_majority": gpd.GeoSeries([shape.buffer(-5) for shape in SHAPES], crs=EQUAL_AREA),
        **more,
    }
    return gpd.GeoDataFrame(columns, geometry=list(SHAPES), crs=EQUAL_AREA)


def tracks_layer():
    return gpd.GeoDataFrame({"slump_id": ["a"], "growth_m2_per_year": [12.5]}, geometry=[SHAPES[0]], crs=EQUAL_AREA)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_geopackage_holds_all_layers_and_the_majority_as_one_of_its_own(tmp_path):
    file = tmp_path / "inventory.gpkg"
    assert write_layers(file, {"slumps": slumps_layer(), "tracks": tracks_layer()}, "geopackage") == [file]
    assert names_in(tmp_path) == ["inventory.gpkg"]
    layers = gpd.list_layers(file)
    assert layers["name"].tolist() == ["slumps", "slumps_majority", "tracks", "layer_styles"]
    assert layers["geometry_type"].tolist()[:3] == ["MultiPolygon"] * 3
    slumps, majority = (gpd.read_file(file, layer=name) for name in ("slumps", "slumps_majority"))
    assert slumps.crs == majority.crs == EQUAL_AREA
    given = slumps_layer()
    assert shapely.equals(slumps.geometry, given.geometry).all()
    assert shapely.equals(majority.geometry, given["geometry_majority"]).all()
    for frame in (slumps, majority):
        assert "geometry_majority" not in frame
        assert frame["slump_id"].tolist() == ["a", "b", "ø"]
        assert frame["cut"].astype(object).where(frame["cut"].notna(), None).tolist() == [True, None, False]
        assert frame["model_ids"].tolist() == ["m1,m2", "m1", "m1"]
        assert frame["mean_probability"].isna().tolist() == [False, True, False]


def test_each_layer_has_a_style_that_is_valid_xml(tmp_path):
    file = tmp_path / "inventory.gpkg"
    write_layers(file, {"slumps": slumps_layer(), "tracks": tracks_layer()}, "geopackage")
    with closing(sqlite3.connect(file)) as database:
        database.row_factory = sqlite3.Row
        rows = database.execute("SELECT * FROM layer_styles").fetchall()
        kind = database.execute("SELECT data_type FROM gpkg_contents WHERE table_name = 'layer_styles'").fetchone()[0]
    assert kind == "attributes"
    assert [row["f_table_name"] for row in rows] == ["slumps", "slumps_majority", "tracks"]
    for row in rows:
        told = (row["f_table_catalog"], row["f_table_schema"], row["f_geometry_column"], row["styleSLD"])
        assert told == ("", "", "geom", "")
        assert row["useAsDefault"] == 1
        assert row["update_time"]
        renderer = ET.fromstring(row["styleQML"]).find("renderer-v2")
        categories = [(one.get("value"), one.get("symbol")) for one in renderer.iter("category")]
        symbols = {one.get("name"): one for one in renderer.iter("symbol")}
        if row["f_table_name"] == "tracks":
            assert (renderer.get("type"), categories, len(symbols)) == ("singleSymbol", [], 1)
            continue
        assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "tier")
        assert [value for value, _ in categories] == ["high", "medium", "low", ""]
        for value, symbol in categories:
            colours = {one.get("name"): one.get("value") for one in symbols[symbol].iter("Option") if one.get("name")}
            rgb = ",".join(str(int(TIER_COLOURS[value][at : at + 2], 16)) for at in (1, 3, 5))
            assert colours["color"].startswith(f"{rgb},")
            assert colours == {one.get("k"): one.get("v") for one in symbols[symbol].iter("prop")}


@pytest.mark.parametrize(
    ("columns", "attribute", "values"),
    [
        (["slump_id", "kind"], "kind", ["gained", "lost"]),
        (["slump_id", "status"], "status", list(STATUSES)),
        (["slump_id"], None, []),
    ],
)
def test_what_is_gained_and_lost_and_each_status_has_a_colour_of_its_own(columns, attribute, values):
    renderer = ET.fromstring(style_qml(columns).partition("\n")[2]).find("renderer-v2")
    assert renderer.get("attr") == attribute
    assert [one.get("value") for one in renderer.iter("category")] == values
    colours = [one.get("v") for one in renderer.iter("prop") if one.get("k") == "color"]
    assert len(set(colours)) == max(len(values), 1)


def test_a_style_begins_with_the_type_that_qgis_asks_for():
    assert style_qml(["tier"]).startswith("<!DOCTYPE qgis>\n<qgis ")


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="GDAL's programs are not here")
def test_gdal_reads_geopackage_and_shapefile_without_a_word_of_complaint(tmp_path):
    write_layers(tmp_path / "a.gpkg", {"slumps": slumps_layer()}, "geopackage")
    (shapefile,) = write_layers(tmp_path / "shapes", {"slumps": slumps_layer()}, "shapefile")
    for file in (tmp_path / "a.gpkg", shapefile):
        done = subprocess.run(["ogrinfo", "-so", "-al", str(file)], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        assert "Feature Count: 3" in done.stdout
        assert "ERROR" not in done.stdout


def test_geojson_is_rfc_7946(tmp_path):
    file = tmp_path / "slumps.geojson"
    assert write_layers(file, {"slumps": slumps_layer()}, "geojson") == [file]
    told = json.loads(file.read_text(encoding="utf-8"))
    assert told["type"] == "FeatureCollection"
    assert "crs" not in told
    assert [feature["type"] for feature in told["features"]] == ["Feature"] * 3
    assert [feature["geometry"]["type"] for feature in told["features"]] == ["Polygon", "MultiPolygon", "Polygon"]
    properties = [feature["properties"] for feature in told["features"]]
    assert properties[1] == {
        "slump_id": "b", "n_looks": 2, "mean_probability": None, "cut": None, "first_acquired": None, "seen": None,
        "model_ids": "m1", "tier": "low",
    }  # fmt: skip
    assert (properties[0]["cut"], properties[0]["seen"], properties[2]["slump_id"]) == (True, "2021-07-01", "ø")
    expected = to_degrees(SHAPES)
    for feature, shape in zip(told["features"], expected, strict=True):
        found = shapely.geometry.shape(feature["geometry"])
        assert found.is_valid
        assert shapely.hausdorff_distance(found, shape) < 1e-7
        assert all(polygon.exterior.is_ccw for polygon in shapely.get_parts(found))
        digits = [value for point in shapely.get_coordinates(found) for value in point]
        assert digits == [round(value, 7) for value in digits]


def test_geojson_is_cut_along_the_antimeridian(tmp_path):
    assert ACROSS.bounds[0] < 0 < ACROSS.bounds[2]
    layer = gpd.GeoDataFrame({"slump_id": ["a"]}, geometry=[ACROSS], crs=EQUAL_AREA)
    (file,) = write_layers(tmp_path / "across.geojson", {"slumps": layer}, "geojson")
    (feature,) = json.loads(file.read_text())["features"]
    parts = shapely.get_parts(shapely.geometry.shape(feature["geometry"]))
    bounds = sorted(part.bounds for part in parts)
    assert len(bounds) == 2
    assert (bounds[0][0], bounds[1][2]) == (-180, 180)
    assert all(east - west < 1 for west, _, east, _ in bounds)
    (table,) = write_layers(tmp_path / "across.csv", {"slumps": layer}, "csv")
    assert abs(pd.read_csv(table)["centroid_lon"].iloc[0]) == pytest.approx(180, abs=1e-3)


def test_rounding_makes_no_geojson_invalid(tmp_path):
    """Seven decimals put the tip of the notch on the edge below it."""
    notch = np.array([(0, 0), (1e-3, 0), (1e-3, 1e-3), (5e-4, 4e-9), (0, 1e-3)])
    layer = gpd.GeoDataFrame(
        {"slump_id": ["a"]}, geometry=[shapely.Polygon(notch + np.array([-135, 69]))], crs="EPSG:4326"
    )
    assert layer.is_valid.all()
    (file,) = write_layers(tmp_path / "a.geojson", {"slumps": layer}, "geojson")
    assert shapely.geometry.shape(json.loads(file.read_text())["features"][0]["geometry"]).is_valid


def test_csv_holds_centroids_and_all_but_geometry(tmp_path):
    (file,) = write_layers(tmp_path / "slumps.csv", {"slumps": slumps_layer()}, "csv")
    lines = file.read_bytes().decode().split("\n")
    assert lines[0].startswith("centroid_lon,centroid_lat,slump_id,n_looks,")
    assert "geometry" not in lines[0]
    assert lines[1].endswith(',a,3,0.25,True,2021-07-01,2021-07-01,"m1,m2",high')
    read = pd.read_csv(file)
    centres = shapely.get_coordinates(shapely.centroid(to_degrees(SHAPES)))
    assert np.abs(read[["centroid_lon", "centroid_lat"]].to_numpy() - centres).max() < 1e-5


def test_csv_keeps_centroids_that_are_there(tmp_path):
    layer = slumps_layer(centroid_lat=[1.0, 2.0, 3.0], centroid_lon=[4.0, 5.0, 6.0])
    read = pd.read_csv(write_layers(tmp_path / "slumps.csv", {"slumps": layer}, "csv")[0])
    assert list(read.columns[:3]) == ["centroid_lon", "centroid_lat", "slump_id"]
    assert read["centroid_lon"].tolist() == [4.0, 5.0, 6.0]
    assert len(set(read.columns)) == len(read.columns) == 10


def test_every_column_has_a_name_of_its_own_in_a_shapefile():
    for columns in (LEVEL_1, LEVEL_2, TRACKS, COLUMNS):
        names = [SHAPEFILE_NAMES[column] for column in columns]
        assert len({name.lower() for name in names}) == len(columns)
    assert max(map(len, SHAPEFILE_NAMES.values())) <= 10
    assert len(set(SHAPEFILE_NAMES.values())) == len(SHAPEFILE_NAMES)  # also of level 2 with its tracks
    assert all(name.isascii() and name.isidentifier() for name in SHAPEFILE_NAMES.values())


@pytest.mark.parametrize("columns", [LEVEL_1, LEVEL_2, TRACKS, LEVEL_2 + TRACKS[1:], COLUMNS])
def test_gdal_cuts_no_name_in_a_shapefile(tmp_path, columns):
    layer = gpd.GeoDataFrame({name: [1.5] for name in columns}, geometry=[SHAPES[0]], crs=EQUAL_AREA)
    (file,) = write_layers(tmp_path / "shapes", {"slumps": layer}, "shapefile")
    assert list(gpd.read_file(file).columns) == [*(SHAPEFILE_NAMES[name] for name in columns), "geometry"]


def test_a_shapefile_keeps_values(tmp_path):
    (file,) = write_layers(tmp_path / "shapes", {"slumps": slumps_layer()}, "shapefile")
    assert names_in(tmp_path / "shapes") == [f"slumps.{end}" for end in ("cpg", "dbf", "prj", "shp", "shx")]
    assert (tmp_path / "shapes" / "slumps.cpg").read_text() == "UTF-8"
    read = gpd.read_file(file)
    assert read["slump_id"].tolist() == ["a", "b", "ø"]
    assert read["cut"].fillna(-1).tolist() == [1, -1, 0]
    assert read["n_looks"].tolist() == [3, 2, 1]
    assert read["first_acq"].fillna("").tolist() == read["seen"].fillna("").tolist() == ["2021-07-01", "", "2021-08-02"]
    assert read["mean_prob"].fillna(-1).tolist() == [0.25, -1, 0.75]
    assert read.crs.to_epsg() == 6931
    assert shapely.equals(read.geometry, slumps_layer().geometry).all()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["is_far_too_long"], "the column is_far_too_long cannot be in a Shapefile: names there have at most 10 ASCII "
         "characters. Rename it, leave it out, or write a GeoPackage."),
        (["fläche"], "the column fläche cannot be in a Shapefile: names there have at most 10 ASCII characters. Rename "
         "it, leave it out, or write a GeoPackage."),
        (["area_low_m2", "Area_Low"], "the columns area_low_m2 and Area_Low would both be Area_Low in a Shapefile. "
         "Rename one of them, or write a GeoPackage."),
    ],
)  # fmt: skip
def test_names_that_a_shapefile_cannot_take_are_told(columns, message):
    with pytest.raises(DataError) as caught:
        short_names(columns)
    assert str(caught.value) == message


def test_text_that_a_shapefile_would_cut_is_refused(tmp_path):
    fits, too_long = "ø" * 127, "ø" * 127 + "x"
    write_layers(tmp_path / "shapes", {"slumps": slumps_layer(note=["a", None, fits])}, "shapefile")
    assert gpd.read_file(tmp_path / "shapes" / "slumps.shp")["note"].iloc[2] == fits
    with pytest.raises(DataError) as caught:
        write_layers(tmp_path / "shapes", {"slumps": slumps_layer(note=["a", None, too_long])}, "shapefile")
    assert str(caught.value) == (
        "note of row 2 of slumps has 255 bytes, and a Shapefile takes 254. Shorten it, leave the column out, or write "
        "a GeoPackage."
    )


@pytest.mark.parametrize(("file_format", "name"), list(zip(FORMATS, ["a.gpkg", "a", "a", "a"], strict=True)))
def test_layers_without_rows_are_written(tmp_path, file_format, name):
    target = tmp_path / name
    (file, *_) = write_layers(target, {"slumps": slumps_layer().iloc[:0]}, file_format)
    read = pd.read_csv(file) if file_format == "csv" else gpd.read_file(file, layer="slumps")
    assert len(read) == 0
    if file_format == "geopackage":
        assert gpd.list_layers(file)["geometry_type"].tolist()[:2] == ["MultiPolygon"] * 2
    if file_format != "geojson":  # which has no schema
        assert len(read.columns) >= 9


def test_rows_without_a_geometry_are_written(tmp_path):
    layer = slumps_layer()
    layer.loc[[1], "geometry"] = gpd.GeoSeries([None], index=[1], crs=EQUAL_AREA)
    for file_format, name in zip(FORMATS, ("a.gpkg", "a.geojson", "a", "a.csv"), strict=True):
        (file, *_) = write_layers(tmp_path / name, {"slumps": layer}, file_format)
        read = pd.read_csv(file) if file_format == "csv" else gpd.read_file(file, layer=0)
        missing = read["centroid_lon"].isna() if file_format == "csv" else read.geometry.isna()
        assert missing.tolist() == [False, True, False]


def test_several_layers_go_into_a_folder_which_is_replaced(tmp_path):
    layers = {"slumps": slumps_layer(), "tracks": tracks_layer()}
    for file_format, end in (("geojson", "geojson"), ("csv", "csv"), ("shapefile", "shp")):
        folder = tmp_path / file_format
        files = [folder / f"slumps.{end}", folder / f"tracks.{end}"]
        assert write_layers(folder, layers, file_format) == files
        assert write_layers(folder, {"tracks": tracks_layer()}, file_format) == files[1:]
        assert {path.stem for path in folder.iterdir()} == {"tracks"}


def test_a_folder_with_other_things_is_not_replaced(tmp_path):
    (tmp_path / "thesis.docx").write_text("years of work")
    for file_format in ("geojson", "csv", "shapefile"):
        with pytest.raises(OutputError) as caught:
            write_layers(tmp_path, {"slumps": slumps_layer()}, file_format)
        assert str(caught.value) == (
            f"{tmp_path} holds other things, such as thesis.docx, and is not replaced. Choose a new folder."
        )
    assert names_in(tmp_path) == ["thesis.docx"]


@pytest.mark.parametrize(
    ("file_format", "name"), list(zip(FORMATS, ["a.gpkg", "a.geojson", "a", "a.csv"], strict=True))
)
def test_what_fails_leaves_what_was_there(tmp_path, monkeypatch, file_format, name):
    target = tmp_path / name
    write_layers(target, {"slumps": slumps_layer()}, file_format)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gpd.GeoDataFrame, "to_file", fail)
    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OutputError) as caught:
        write_layers(target, {"slumps": slumps_layer().iloc[:1]}, file_format)
    assert str(caught.value) == (
        f"cannot write {target}: No space left on device. Free some space, or choose another folder."
    )
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_geopackage_that_lost_rows_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "rows_in", lambda file: {"slumps": 2})
    with pytest.raises(OutputError, match=r"a\.gpkg: not all rows are in the file\."):
        write_layers(tmp_path / "a.gpkg", {"slumps": slumps_layer()}, "geopackage")
    assert names_in(tmp_path) == []


def test_categories_are_written_as_their_values(tmp_path):
    layer = slumps_layer(tier=pd.Categorical(["high", "low", None]))
    for file_format, name in zip(FORMATS, ("a.gpkg", "a.geojson", "a", "a.csv"), strict=True):
        (file, *_) = write_layers(tmp_path / name, {"slumps": layer}, file_format)
        read = pd.read_csv(file) if file_format == "csv" else gpd.read_file(file, layer=0)
        assert read["tier"].fillna("").tolist() == ["high", "low", ""]


def test_a_geopackage_that_is_damaged_is_not_kept(tmp_path, monkeypatch):
    file = tmp_path / "a.gpkg"
    write_layers(file, {"slumps": slumps_layer()}, "geopackage")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE more (a)")
        database.execute("INSERT INTO more VALUES (NULL)")
        database.execute("PRAGMA writable_schema = ON")  # what is there contradicts what is said of it
        database.execute("UPDATE sqlite_schema SET sql = 'CREATE TABLE more (a NOT NULL)' WHERE name = 'more'")
    with pytest.raises(OSError, match=r"^the file is damaged \("):
        rows_in(file)

    def fail(file, changed):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(formats, "add_styles", fail)
    with pytest.raises(OutputError, match=r"^cannot write .*b\.gpkg: database or disk is full\."):
        write_layers(tmp_path / "b.gpkg", {"slumps": slumps_layer()}, "geopackage")
    assert names_in(tmp_path) == ["a.gpkg"]


def test_the_layers_given_stay_as_they_are(tmp_path):
    layer = slumps_layer()
    for file_format, name in zip(FORMATS, ("a.gpkg", "a.geojson", "a", "a.csv"), strict=True):
        write_layers(tmp_path / name, {"slumps": layer}, file_format)
    pd.testing.assert_frame_equal(layer, slumps_layer())


def test_mistakes_are_told(tmp_path):
    one, two = {"slumps": slumps_layer()}, {"slumps": slumps_layer(), "tracks": tracks_layer()}
    cases = [
        ("a.gpkg", one, "geopackages",
         "the format 'geopackages' is none of geopackage, geojson, shapefile, csv. Did you mean geopackage? Use one."),
        ("a.gpk", one, "geopackage", "'a.gpk' is no name of a GeoPackage. Give one that ends in .gpkg."),
        ("a.csv", two, "csv", "2 layers do not go into one file a.csv. Give the name of a folder."),
        ("a.shp", one, "shapefile",
         "a Shapefile is several files, but 'a.shp' names one. Give the name of a folder."),
        ("a.csv", {}, "csv", "there is no layer to write. Give at least one."),
        ("a", {"a": tracks_layer(), "A": tracks_layer()}, "csv",
         "layers differ only in capital letters: a, A. Rename one of them."),
        ("a.gpkg", {**one, "slumps_majority": tracks_layer()}, "geopackage",
         "two layers would be called slumps_majority: geometry_majority of slumps is one. Rename the other."),
        ("a.csv", {"slumps": slumps_layer().set_crs(None, allow_override=True)}, "csv",
         "the layer slumps has no CRS, so nobody could tell where it is. Set it."),
        ("a.csv", {"../slumps": slumps_layer()}, "csv",
         "'../slumps' cannot name a layer: it begins with a dot. Use letters, digits, '_', '-', '.'."),
    ]  # fmt: skip
    for name, layers, file_format, message in cases:
        with pytest.raises((ConfigError, DataError)) as caught:
            write_layers(tmp_path / name, layers, file_format)
        assert str(caught.value) == message
    assert names_in(tmp_path) == []


def test_equal_layers_give_equal_geopackages_dated_by_the_newest_image(tmp_path):
    layer = slumps_layer(last_acquired=["2021-07-01", None, "2022-08-02"])
    for name in ("one", "two"):
        write_layers(tmp_path / f"{name}.gpkg", {"slumps": layer, "tracks": tracks_layer()}, "geopackage")
        time.sleep(0.01)
    assert (tmp_path / "one.gpkg").read_bytes() == (tmp_path / "two.gpkg").read_bytes()
    with closing(sqlite3.connect(tmp_path / "one.gpkg")) as database:
        changed = database.execute("SELECT DISTINCT last_change FROM gpkg_contents").fetchall()
        styled = database.execute("SELECT DISTINCT update_time FROM layer_styles").fetchall()
    assert changed == styled == [("2022-08-02T00:00:00.000Z",)]


def test_what_layers_were_made_of_travels_with_them(tmp_path):
    origin = {"DARTS_version": "0.2.0", "DARTS_models": "a b"}
    layers = {"slumps": slumps_layer(), "tracks": tracks_layer()}
    (file,) = write_layers(tmp_path / "a.gpkg", layers, "geopackage", origin)
    assert pyogrio.read_info(file, layer="slumps")["dataset_metadata"] == origin
    first = file.read_bytes()
    write_layers(file, layers, "geopackage", origin)
    assert file.read_bytes() == first, "equal layers give equal bytes"
    *_, beside = write_layers(tmp_path / "b.csv", {"slumps": slumps_layer()}, "csv", origin)
    assert beside == tmp_path / "b.csv.origin.json"
    assert json.loads(beside.read_text()) == origin
