import sqlite3
import time
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from rasterio import Affine
from rasterio.features import rasterize

from darts_export.tables import geopackage_bytes, geoparquet_bytes
from darts_export.vector import object_statistics, observed_table, region_table, regions, segment_table, segments

DATE = datetime(2024, 7, 20, 20, 9, 9, tzinfo=UTC)
COLUMNS = ["Region_ID", "min", "max", "mean", "median", "std", "npixel", "geometry"]


@pytest.fixture
def as_bands(make_grid):
    def make(mask: np.ndarray, probabilities: np.ndarray | None = None) -> tuple[xr.DataArray, xr.DataArray]:
        coords = xr_coords(make_grid(*mask.shape))
        if probabilities is None:
            probabilities = np.full(mask.shape, 0.5, dtype=np.float32)
        return xr.DataArray(mask, coords, ("y", "x")), xr.DataArray(probabilities, coords, ("y", "x"))

    return make


def read_geopackage(frame: gpd.GeoDataFrame, folder: Path) -> gpd.GeoDataFrame:
    (folder / "a.gpkg").write_bytes(geopackage_bytes(frame, "a", date=DATE))
    return gpd.read_file(folder / "a.gpkg")


def picture(*rows: str) -> np.ndarray:
    return np.array([[character != "." for character in row] for row in rows])


def check_outlines(frame: gpd.GeoDataFrame, objects: xr.DataArray) -> None:
    """The outlines are valid, apart, and cover exactly the pixels of the mask."""
    assert frame.geometry.is_valid.all()
    assert set(frame.geom_type) <= {"Polygon", "MultiPolygon"}
    np.testing.assert_allclose(frame.area, 100 * frame["npixel"])
    burnt = np.zeros(objects.shape, dtype=np.int32)
    if len(frame):
        pairs = zip(frame.geometry, frame["Region_ID"], strict=True)
        burnt = rasterize(pairs, objects.shape, transform=objects.odc.geobox.affine, dtype="int32")
    np.testing.assert_array_equal(burnt > 0, objects)
    np.testing.assert_array_equal(np.bincount(burnt[burnt > 0], minlength=len(frame) + 1)[1:], frame["npixel"])


def test_pixels_that_touch_at_a_corner_make_one_valid_row(as_bands):
    objects, probabilities = as_bands(picture("##....", "..#...", ".#.#..", "..#...", ".....#"))
    frame = segments(objects, probabilities)
    assert list(frame["npixel"]) == [6, 1]
    check_outlines(frame, objects)


@pytest.mark.parametrize(
    "rows",
    [
        ("####", "#.##", "##.#", "####"),  # holes that touch each other
        ("###.", "#.#.", "####", ".#.#", "..##"),  # a ring that touches itself
        ("#####", "#...#", "#.#.#", "#...#", "#####"),  # an island in a lake
        (".###.", "##.##", "#.#.#", "##.##", ".###."),
        ("#.#", ".#.", "#.#"),
    ],
)
def test_awkward_shapes_are_valid(as_bands, rows):
    objects, probabilities = as_bands(picture(*rows))
    check_outlines(segments(objects, probabilities), objects)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.2, 0.8), st.integers(0, 2**32 - 1))
def test_every_object_of_any_mask_is_one_valid_row(rows, columns, density, seed):
    mask = np.random.default_rng(seed).random((rows, columns)) < density
    coords = xr_coords(GeoBox(mask.shape, Affine(10, 0, 4e5, 0, -10, 7e6), "EPSG:32608"))
    objects = xr.DataArray(mask, coords, ("y", "x"))
    frame = segments(objects, objects.astype("float32"))
    check_outlines(frame, objects)
    assert list(frame["Region_ID"]) == list(range(1, len(frame) + 1))


def test_statistics_are_those_of_numpy_in_percent(make_tile):
    tile = make_tile()
    frame = segments(tile["binarized_segmentation"], tile["probabilities"])
    assert len(frame) > 5
    assert list(frame.columns) == COLUMNS
    assert frame.crs.to_epsg() == 32608
    for _, row in frame.iterrows():
        inside = rasterize([row.geometry], tile["extent"].shape, transform=tile.odc.geobox.affine).astype(bool)
        values = tile["probabilities"].values[inside].astype(np.float64) * 100
        assert row["npixel"] == len(values)
        for name in ("min", "max", "mean", "median", "std"):
            assert row[name] == pytest.approx(getattr(np, name)(values), abs=1e-9)


def test_statistics_leave_out_nan_and_survive_objects_without_a_value():
    probabilities = np.float32([0.5, np.nan, np.nan, 0.75, 0.25])
    result = object_statistics(np.array([0, 0, 1, 2, 0]), probabilities, 3)
    np.testing.assert_array_equal(result["mean"], [37.5, np.nan, 75])
    np.testing.assert_array_equal(result["median"], [37.5, np.nan, 75])
    np.testing.assert_array_equal(result["min"], [25, np.nan, 75])
    np.testing.assert_array_equal(result["std"], [12.5, np.nan, 0])


def test_a_tile_without_objects_makes_empty_layers_with_the_same_schema(as_bands, tmp_path):
    empty, full = (segments(*as_bands(np.full((4, 5), value))) for value in (False, True))
    assert (len(empty), len(full)) == (0, 1)
    for frame in (empty, full):
        assert list(frame.columns) == COLUMNS
    assert empty.dtypes.equals(full.dtypes)
    read = [read_geopackage(frame, tmp_path) for frame in (empty, full)]
    assert list(read[0].columns) == list(read[1].columns) == COLUMNS
    assert read[0].crs == read[1].crs == full.crs
    assert list(gpd.read_parquet(BytesIO(geoparquet_bytes(empty))).columns) == COLUMNS


def test_tables_come_back_as_they_were(make_tile, tmp_path):
    tile = make_tile()
    frame = segments(tile["binarized_segmentation"], tile["probabilities"])
    parquet = gpd.read_parquet(BytesIO(geoparquet_bytes(frame)))
    geopackage = read_geopackage(frame, tmp_path)
    for read in (parquet, geopackage):
        assert read.crs == frame.crs
        np.testing.assert_array_equal(read["npixel"], frame["npixel"])
        np.testing.assert_array_equal(read["median"], frame["median"])
        assert read.geometry.geom_equals(frame.geometry).all()
    assert set(geopackage.geom_type) == {"MultiPolygon"}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 25), st.integers(1, 25), st.floats(0.05, 0.6), st.integers(0, 2**32 - 1))
def test_objects_are_numbered_as_opencv_numbers_them(rows, columns, density, seed):
    mask = np.random.default_rng(seed).random((rows, columns)) < density
    coords = xr_coords(GeoBox(mask.shape, Affine(10, 0, 4e5, 0, -10, 7e6), "EPSG:32608"))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    objects = xr.DataArray(mask, coords, ("y", "x"))
    frame = segments(objects, objects.copy(data=labels.astype(np.float32)))
    np.testing.assert_array_equal(frame["npixel"], stats[1:, cv2.CC_STAT_AREA])
    np.testing.assert_array_equal(frame["median"], 100 * frame["Region_ID"])
    corners = frame.bounds[["minx", "maxy"]].to_numpy()
    np.testing.assert_array_equal((corners - (4e5, 7e6)) / (10, -10), stats[1:, :2])


def test_statistics_of_an_object_with_minus_zero_and_equal_values():
    result = object_statistics(np.zeros(4, dtype=int), np.float32([0.5, -0.0, 0, 0.5]), 1)
    assert {name: float(value[0]) for name, value in result.items()} == {
        "min": 0, "max": 50, "mean": 25, "median": 25, "std": 25,
    }  # fmt: skip


def test_regions_are_numbered_by_their_first_pixel_row_by_row(as_bands):
    mask, _ = as_bands(picture("..#..", "#.#.#", "#....", "...#."))
    places = [frame_corner(geometry, mask) for geometry in regions(mask).geometry]
    assert places == [(0, 2), (1, 0), (1, 4), (3, 3)]


def frame_corner(geometry, mask: xr.DataArray) -> tuple[int, int]:
    """The upper left corner of an outline as row and column."""
    affine = mask.odc.geobox.affine
    return round((geometry.bounds[3] - affine.f) / affine.e), round((geometry.bounds[0] - affine.c) / affine.a)


def test_regions_are_the_outlines_of_a_mask(as_bands):
    mask, _ = as_bands(picture("###..", "#.#..", "###.#"))
    frame = regions(mask)
    assert list(frame["Region_ID"]) == [1, 2]
    assert sorted(frame.area) == [100, 800]
    assert regions(as_bands(np.zeros((2, 2), bool))[0]).empty


def test_ground_was_seen_where_quality_is_high_and_a_probability_known(make_tile):
    tile = make_tile()
    extent, quality = tile["extent"].values.copy(), np.full(tile["extent"].shape, 2, dtype=np.uint8)
    probabilities = np.full(extent.shape, 0.2, dtype=np.float32)
    extent[:], extent[:5] = True, False
    quality[:, :7], probabilities[20:23, 20:22] = 1, np.nan
    tile["extent"], tile["quality_data_mask"] = (("y", "x"), extent), (("y", "x"), quality)
    tile["probabilities"] = (("y", "x"), probabilities)
    pixel_m2 = abs(float(tile["x"][1] - tile["x"][0])) ** 2
    height, width = extent.shape
    table = observed_table(tile)
    assert table.geometry.area.sum() == pytest.approx(pixel_m2 * ((height - 5) * (width - 7) - 6))
    assert list(table.columns) == ["Region_ID", "area_m2", "image_id", "sensor", "acquired", "geometry"]
    whole = observed_table(tile.drop_vars("quality_data_mask"))
    assert whole.geometry.area.sum() == pytest.approx(pixel_m2 * ((height - 5) * width - 6))


TABLE_COLUMNS = [
    *COLUMNS[:-1], "cut", "area_m2", "image_id", "sensor", "acquired", "features_missing", "area_m2_t30", "area_m2_t45",
    "area_m2_t65", "area_m2_t80", "core_probability", "nodata_fraction", "snow_fraction", "water_fraction", "geometry",
]  # fmt: skip


def test_a_table_of_slumps_stands_alone(make_tile):
    tile = make_tile().assign_attrs(s2_tile_id="S2B_x", datetime="2024-07-20T20:09:09Z")
    objects = tile["binarized_segmentation"]
    cut = objects.values & (np.arange(objects.shape[1]) < 30)
    tile["cut_segmentation"] = (("y", "x"), cut)
    tile["features_missing"] = (("y", "x"), np.broadcast_to(np.arange(objects.shape[0])[:, None] < 40, objects.shape))
    table, plain = segment_table(tile), segments(objects, tile["probabilities"])
    assert list(table.columns) == TABLE_COLUMNS
    assert table[COLUMNS].equals(plain[COLUMNS])
    assert set(table["image_id"]) == {"S2B_x"}
    assert set(table["sensor"]) == {"sentinel2"}
    assert set(table["acquired"]) == {"2024-07-20"}
    np.testing.assert_allclose(table["area_m2"], plain.area, rtol=1e-3)
    assert not np.allclose(table["area_m2"], plain.area, rtol=1e-5)  # the projection has a scale
    for _, row in table.iterrows():
        inside = rasterize([row.geometry], objects.shape, transform=tile.odc.geobox.affine).astype(bool)
        assert row["cut"] == cut[inside].any()
        assert row["features_missing"] == pytest.approx(tile["features_missing"].values[inside].mean())


def test_of_several_models_the_largest_share_of_missing_features_counts(as_bands):
    objects, probabilities = as_bands(picture("####", "####"))
    left, top = np.zeros((2, 4), dtype=bool), np.zeros((2, 4), dtype=bool)
    left[:, :1], top[0] = True, True
    bands = {"features_missing": left | top, "features_missing-a": left, "features_missing-b": top}
    tile = xr.Dataset({"binarized_segmentation": objects, "probabilities": probabilities})
    tile = tile.assign({name: (("y", "x"), band) for name, band in bands.items()})
    assert segment_table(tile)["features_missing"].tolist() == [0.5]  # and not the 5 of 8 where either lacks something
    own = tile.assign({"binarized_segmentation-a": objects, "probabilities-a": probabilities})
    assert segment_table(own, "-a")["features_missing"].tolist() == [0.25]


def test_what_a_tile_does_not_tell_is_null(as_bands):
    objects, probabilities = as_bands(picture("##", "##"))
    table = segment_table(xr.Dataset({"binarized_segmentation": objects, "probabilities": probabilities}))
    assert table[["cut", "sensor", "acquired", "features_missing"]].isna().all(axis=None)
    types = {field.name: str(field.type) for field in pq.read_schema(BytesIO(geoparquet_bytes(table)))}
    assert types["cut"] == "bool"
    assert "null" not in types.values()


def test_the_extent_says_its_area_and_image(make_tile):
    tile = make_tile().assign_attrs(planet_scene_id="20170831_172754_101c")
    table = region_table(tile, "extent")
    assert list(table.columns) == ["Region_ID", "area_m2", "image_id", "sensor", "acquired", "geometry"]
    assert table["sensor"].tolist() == ["planet"]
    assert table["area_m2"].sum() == pytest.approx(100 * tile["extent"].values.sum(), rel=1e-3)


def test_files_say_what_made_them_and_hold_no_time_of_export(make_tile, tmp_path):
    table, metadata = segment_table(make_tile()), {"DARTS_fingerprint": "ab" * 32, "threshold": 0.5}
    made = []
    for _ in range(2):
        made.append(
            (geopackage_bytes(table, "prediction_segments", metadata, date=DATE), geoparquet_bytes(table, metadata))
        )
        time.sleep(1.1)
    assert made[0] == made[1]
    file = tmp_path / "any name.gpkg"
    file.write_bytes(made[0][0])
    about = pyogrio.read_info(file)
    assert about["layer_name"] == "prediction_segments"
    assert about["dataset_metadata"] == {"DARTS_fingerprint": "ab" * 32, "threshold": "0.5"}
    with sqlite3.connect(file) as database:
        changed = database.execute("select last_change from gpkg_contents").fetchall()
    database.close()
    assert changed == [("2024-07-20T20:09:09.000Z",)]
    about = pq.read_metadata(BytesIO(made[0][1]))
    assert about.metadata[b"DARTS_fingerprint"] == b"ab" * 32
    assert about.row_group(0).column(0).compression == "ZSTD"
    assert b'"covering"' in about.metadata[b"geo"]
    assert gpd.read_parquet(BytesIO(made[0][1])).geometry.geom_equals(table.geometry).all()


def test_gdal_has_its_own_clock_again_afterwards(make_tile):
    geopackage_bytes(segment_table(make_tile()), "a", date=DATE)
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None
