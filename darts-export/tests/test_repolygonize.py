import tracemalloc
from pathlib import Path

import geopandas as gpd
import geopandas.testing
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from rasterio.windows import Window

from darts_export.export import export_tile
from darts_export.repolygonize.histograms import Histograms
from darts_export.repolygonize.percents import blocks_of, opened
from darts_export.repolygonize.rules import Outlining
from darts_export.repolygonize.scan import Counts, Scan, scan
from darts_export.repolygonize.table import outlined, simplified
from darts_export.repolygonize.tiles import find_rasters, origin_of, places_for, polygonize_raster
from darts_export.vector import segments
from darts_utils.errors import ConfigError, DataError, GridError, MissingDataError
from darts_utils.objects.core_mean import core_mean
from darts_utils.objects.geodesy import ground_areas_m2

STATISTICS = ["min", "max", "mean", "median", "std"]
COLUMNS = [
    "Region_ID", *STATISTICS, "npixel", "cut", "area_m2", "area_m2_t65", "area_m2_t80", "core_probability", "geometry",
]  # fmt: skip


def ruled(**given: float) -> Outlining:
    return Outlining(**{"threshold": 0.5, "min_area_m2": 0, "close_holes_m2": 0, "simplify_m": 0} | given)


def scanned(percents: np.ndarray, threshold: float = 0.5, rows: int = 1000) -> Scan:
    blocks = ((slice(top, top + rows), percents[top : top + rows]) for top in range(0, len(percents), rows))
    return scan(blocks, percents.shape, ruled(threshold=threshold).threshold_percent, 255)


def noise(seed: int, shape: tuple[int, int] = (61, 47), nodata: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 101, (shape[0] // 3 + 1, shape[1] // 3 + 1)).repeat(3, axis=0).repeat(3, axis=1)
    percents = np.clip(coarse[: shape[0], : shape[1]] + rng.integers(-20, 21, shape), 0, 100).astype(np.uint8)
    percents[rng.random(shape) < nodata] = 255
    return percents


def pictured(*rows: str) -> np.ndarray:
    levels = {"#": 90, ".": 10, "x": 255}
    return np.array([[levels[character] for character in row] for row in rows], dtype=np.uint8)


def plain(percents: np.ndarray, grid: GeoBox, threshold: float) -> gpd.GeoDataFrame:
    """What the export of a run would make of these percents."""
    probabilities = np.where(percents == 255, np.nan, percents / 100).astype(np.float32)
    mask = (percents > round(100 * threshold)) & (percents != 255)
    coords = xr_coords(grid)
    return segments(xr.DataArray(mask, coords, ("y", "x")), xr.DataArray(probabilities, coords, ("y", "x")))


@pytest.mark.parametrize("threshold", [0.5, 0.29, 0.57, 0.0, 1.0])
def test_polygons_are_those_of_a_run_at_the_same_threshold(make_grid, threshold):
    for seed in range(6):
        percents = noise(seed)
        grid = make_grid(*percents.shape)
        made = outlined(scanned(percents, threshold), grid, ruled(threshold=threshold))
        wanted = plain(percents, grid, threshold)
        assert list(made.columns) == COLUMNS
        assert made.crs == wanted.crs
        np.testing.assert_array_equal(made["Region_ID"], wanted["Region_ID"])
        np.testing.assert_array_equal(made["npixel"], wanted["npixel"])
        np.testing.assert_array_equal(shapely.normalize(made.geometry), shapely.normalize(wanted.geometry))
        np.testing.assert_allclose(made[STATISTICS], wanted[STATISTICS], atol=1e-4)
        np.testing.assert_allclose(made["area_m2"], ground_areas_m2(wanted.geometry.values, str(grid.crs)))


@pytest.mark.parametrize("rows", [1, 2, 7, 60])
def test_where_blocks_end_changes_nothing(make_grid, rows):
    percents = noise(7)
    whole = outlined(scanned(percents), make_grid(*percents.shape), ruled(close_holes_m2=500))
    parts = outlined(scanned(percents, rows=rows), make_grid(*percents.shape), ruled(close_holes_m2=500))
    assert len(whole) > 5
    assert whole["cut"].any()
    assert not whole["cut"].all()
    geopandas.testing.assert_geodataframe_equal(whole, parts)


def test_statistics_of_whole_percents_are_exact(make_grid):
    rng = np.random.default_rng(3)
    owners, percents = rng.integers(0, 9, 4000), rng.integers(0, 101, 4000).astype(np.uint8)
    owners[:9], percents[owners == 8] = np.arange(9), 77
    ones = np.ones(4000, dtype=np.int64)
    found = Histograms.of(Counts(places=owners, percents=percents, numbers=ones), owners, 9)
    made, cores = found.statistics(), found.core_probabilities()
    for number in range(9):
        values = percents[owners == number].astype(np.float64)
        wanted = [values.min(), values.max(), values.mean(), np.median(values), values.std()]
        np.testing.assert_allclose([made[name][number] for name in STATISTICS], wanted)
        assert cores[number] == pytest.approx(core_mean(values / 100))
        assert found.sizes_above(65)[number] == (values > 65).sum()


def test_the_core_of_objects_of_any_size_is_that_of_all_pixels(make_grid):
    for size in range(1, 30):
        percents = np.random.default_rng(size).integers(51, 101, size).astype(np.uint8)
        owners = np.zeros(size, dtype=np.int64)
        counts = Counts(places=owners, percents=percents, numbers=np.ones(size, dtype=np.int64))
        assert Histograms.of(counts, owners, 1).core_probabilities()[0] == pytest.approx(core_mean(percents / 100))


def test_areas_above_other_thresholds_are_parts_of_the_object(make_grid):
    percents = np.full((5, 6), 10, dtype=np.uint8)
    percents[2, 1:5] = [60, 66, 80, 81]
    (row,) = outlined(scanned(percents), make_grid(5, 6), ruled()).itertuples()
    assert row.area_m2_t65 == pytest.approx(row.area_m2 * 3 / 4)
    assert row.area_m2_t80 == pytest.approx(row.area_m2 / 4)


def test_an_object_at_the_border_or_beside_no_data_is_cut(make_grid):
    percents = pictured(
        "#..........",
        "...#.......",
        ".....#....#",
        "......x....",
        "..#........",
        "........#..",
        ".#.........",
        "..x......#.",
        "...........",
        "....#......",
    )
    for rows in (1, 3, 4, 10):
        made = outlined(scanned(percents, rows=rows), make_grid(*percents.shape), ruled())
        tops = {
            tuple(shapely.get_coordinates(shape)[0]): cut for shape, cut in zip(made.geometry, made["cut"], strict=True)
        }
        assert len(tops) == 9
        affine = make_grid(*percents.shape).affine
        cut = {(round((affine.f - y) / 10), round((x - affine.c) / 10)) for (x, y), is_cut in tops.items() if is_cut}
        assert cut == {(0, 0), (2, 5), (2, 10), (6, 1), (9, 4)}


def test_small_holes_are_closed_with_what_lies_in_them(make_grid):
    percents = pictured(
        ".............",
        ".#######.###.",
        ".#.#...#.#.#.",
        ".###.#.#.###.",
        ".#.#...#.....",
        ".#######..#..",
        ".........#.#.",
        "..........#..",
    )
    grid = make_grid(*percents.shape)
    pixel = ground_areas_m2([shapely.box(*grid[:1, :1].boundingbox.bbox)], str(grid.crs))[0]
    sizes = {}
    for close, count in {"none": 0, "one pixel": 1.5 * pixel, "nine": 9.5 * pixel}.items():
        made = outlined(scanned(percents), grid, ruled(close_holes_m2=count))
        assert made.geometry.is_valid.all()
        np.testing.assert_allclose(made.area, 100 * made["npixel"])
        sizes[close] = list(made["npixel"])
    assert sizes == {"none": [24, 8, 1, 4], "one pixel": [26, 9, 1, 5], "nine": [35, 9, 5]}
    row = outlined(scanned(percents), grid, ruled(close_holes_m2=9.5 * pixel)).iloc[0]
    assert (row["min"], row["mean"]) == (90, 90), "statistics are of the pixels above the threshold"


def test_a_bay_at_the_border_of_the_raster_is_no_hole(make_grid):
    percents = pictured("#.#..", "###..", "...##", "...#.", "...##")
    made = outlined(scanned(percents), make_grid(5, 5), ruled(close_holes_m2=1e6))
    assert list(made["npixel"]) == [10]


def test_small_objects_go_and_one_of_the_size_stays(make_grid):
    percents = pictured("......", ".##.#.", ".##...", "......", ".#####")
    grid = make_grid(*percents.shape)
    everything = outlined(scanned(percents), grid, ruled())
    smallest = sorted(everything["area_m2"])[1]
    made = outlined(scanned(percents), grid, ruled(min_area_m2=smallest))
    assert list(made["npixel"]) == [4, 5]
    assert list(made["Region_ID"]) == [1, 2]
    assert len(outlined(scanned(percents), grid, ruled(min_area_m2=smallest + 1e-3))) == 1


def test_simplified_outlines_are_valid_near_and_have_fewer_corners(make_grid):
    percents = noise(11, (150, 170))
    grid = make_grid(*percents.shape)
    exact = outlined(scanned(percents), grid, ruled())
    for tolerance in (5, 15, 40):
        made = outlined(scanned(percents), grid, ruled(simplify_m=tolerance))
        assert made.geometry.is_valid.all()
        assert not made.geometry.is_empty.any()
        assert shapely.get_num_coordinates(made.geometry).sum() < shapely.get_num_coordinates(exact.geometry).sum()
        assert shapely.hausdorff_distance(made.geometry.values, exact.geometry.values).max() <= 2 * tolerance
        np.testing.assert_allclose(made["area_m2"], ground_areas_m2(made.geometry.values, str(grid.crs)))
        np.testing.assert_array_equal(made["npixel"], exact["npixel"])


def test_an_outline_that_simplifying_would_break_stays_as_it_was(make_grid, monkeypatch):
    shapes = np.array([shapely.box(0, 0, 10, 10), shapely.box(20, 0, 30, 10)])
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    monkeypatch.setattr(shapely, "simplify", lambda *given, **more: np.array([bow, shapes[1]]))
    assert list(simplified(shapes, make_grid(9, 9), 5)) == list(shapes)


def test_degrees_are_not_simplified_in_metres():
    grid = GeoBox((3, 3), rasterio.Affine(0.1, 0, -130, 0, -0.1, 70), "EPSG:4326")
    with pytest.raises(GridError) as caught:
        outlined(scanned(pictured("...", ".#.", "...")), grid, ruled(simplify_m=5))
    assert str(caught.value) == (
        "outlines are simplified in metres, but the grid is in EPSG:4326, but a projected CRS in metres is needed. "
        "Reproject it, e.g. to UTM."
    )


@pytest.mark.parametrize("percents", [pictured("...", "..."), pictured("xxx"), pictured("#"), pictured("##", "##")])
def test_nothing_and_everything_work(make_grid, percents):
    made = outlined(scanned(percents), make_grid(*percents.shape), ruled(close_holes_m2=100, simplify_m=5))
    assert list(made.columns) == COLUMNS
    assert len(made) == int((percents == 90).any())
    assert made["cut"].dtype == bool
    assert made["cut"].all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"threshold": 50}, "threshold is 50 but must be from 0 to 1. Set it to e.g. 0.5."),
        ({"threshold": float("nan")}, "threshold is nan but must be from 0 to 1. Set it to e.g. 0.5."),
        ({"min_area_m2": -1}, "min_area_m2 is -1 but must be a number of at least 0. Correct it."),
        ({"simplify_m": float("inf")}, "simplify_m is inf but must be a number of at least 0. Correct it."),
    ],
)
def test_wrong_values_are_refused(given, message):
    with pytest.raises(ConfigError) as caught:
        ruled(**given)
    assert str(caught.value) == message


def write(path: Path, percents: np.ndarray, grid: GeoBox | None = None, **more: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = percents.shape
    place = {} if grid is None else {"transform": grid.affine, "crs": str(grid.crs)}
    profile = {"height": height, "width": width, "count": 1, "dtype": percents.dtype, "nodata": 255} | place | more
    with rasterio.open(path, "w", driver="GTiff", **profile) as file:
        file.write(percents, 1)
    return path


def polygons(path: Path, out: Path, **given: float) -> gpd.GeoDataFrame:
    ((target, raster),) = places_for(find_rasters([path]), out).items()
    polygonize_raster(raster, target, ruled(**given))
    return gpd.read_parquet(target)


def test_a_tile_of_a_run_gets_the_objects_of_the_run(make_tile, tmp_path):
    tile = make_tile()
    tile["probabilities"] = tile["probabilities"].round(2)
    tile["binarized_segmentation"] = (tile["probabilities"] * 100).round() > 50
    tile.attrs["s2_tile_id"] = tile.attrs["tile_id"]
    said = {
        "DARTS_fingerprint": "f",
        "DARTS_models": "m abc",
        "DARTS_tile_id": "T",
        "DARTS_binarization_threshold": 0.5,
    }
    said |= {"s2_tile_id": tile.attrs["s2_tile_id"], "acquired": "2024-07-20", "sensor": "sentinel2"}
    bands = ("probabilities", "polygonized", "observed", "extent", "metadata")
    export_tile(tile, tmp_path / "run" / "T", bands, metadata=said)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    made = polygons(tmp_path / "run", tmp_path / "new")
    wanted = gpd.read_parquet(tmp_path / "run" / "T" / "prediction_segments.parquet")
    assert len(made) > 10
    assert set(made.columns) <= set(wanted.columns)
    same = ["Region_ID", "npixel", "image_id", "sensor", "acquired", "geometry"]
    geopandas.testing.assert_geodataframe_equal(made[same], wanted[same])
    exact = [*STATISTICS, "area_m2", "area_m2_t65", "area_m2_t80", "core_probability"]
    np.testing.assert_allclose(made[exact], wanted[exact], atol=1e-4)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    files = {path.name for path in (tmp_path / "new" / "T").iterdir()}
    assert files == {"prediction_segments.parquet", "prediction_observed.parquet", "prediction_extent.parquet"}
    tags = pq.read_metadata(tmp_path / "new" / "T" / "prediction_segments.parquet").metadata
    assert tags[b"DARTS_models"] == b"m abc"
    assert tags[b"DARTS_binarization_threshold"] == b"0.5"
    assert tags[b"DARTS_polygonize"] == b"threshold 0.5, min_area_m2 0, close_holes_m2 0, simplify_m 0"
    assert b"DARTS_fingerprint" not in tags


def test_what_nobody_tells_of_an_image_is_null_or_its_name(make_grid, tmp_path):
    percents = pictured("...", ".#.", "...")
    grid = make_grid(3, 3)
    made = polygons(write(tmp_path / "mosaic.tif", percents, grid), tmp_path / "new")
    assert list(made["image_id"]) == ["mosaic"]
    assert made[["sensor", "acquired"]].isna().all(axis=None)
    assert (tmp_path / "new" / "mosaic" / "prediction_segments.parquet").is_file()
    assert origin_of({}, "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418")["acquired"] == "2024-07-20"


def test_tiles_are_found_wherever_they_lie_and_once(make_grid, tmp_path):
    percents, grid = pictured("#"), make_grid(1, 1)
    for name in ("run/a", "run/deep/b", "run/.hidden", "c"):
        write(tmp_path / name / "probabilities.tif", percents, grid)
    found = find_rasters(
        [tmp_path / "run", tmp_path / "run" / "a", tmp_path / "c", tmp_path / "c" / "probabilities.tif"]
    )
    (tmp_path / "empty").mkdir()
    assert [str(one.name) for one in found] == ["c", "a", "deep/b"]
    with pytest.raises(
        MissingDataError, match=r"^there is no probabilities.tif in .*empty. Export tiles with `--export-"
    ):
        find_rasters([tmp_path / "empty"])
    with pytest.raises(
        ConfigError, match=r"^there is no .*nowhere. Name the results folder of a run, a tile, or a prob"
    ):
        find_rasters([tmp_path / "nowhere"])
    for other in ("x", "y"):
        write(tmp_path / other / "same" / "probabilities.tif", percents, grid)
    both = find_rasters([tmp_path / "x", tmp_path / "y"])
    with pytest.raises(
        ConfigError, match=r"would both be .*same/prediction_segments.parquet. Do one at a time, with an"
    ):
        places_for(both, tmp_path / "new")


def test_polygons_of_a_run_are_never_replaced(make_grid, tmp_path):
    raster = write(tmp_path / "run" / "a" / "probabilities.tif", pictured("#"), make_grid(1, 1))
    tile = find_rasters([tmp_path / "run"])
    (target,) = places_for(tile, None)
    assert target == raster.with_name("prediction_segments.parquet")
    target.write_bytes(b"mine")
    assert places_for(tile, None) == {}
    with pytest.raises(ConfigError) as caught:
        places_for(tile, tmp_path / "run")
    assert str(caught.value) == f"{target} was made by a run, and is not replaced. Name another folder with --out."
    elsewhere = write(tmp_path / "mosaic.tif", pictured("#"), make_grid(1, 1))
    with pytest.raises(
        ConfigError, match=r"is no probabilities.tif of a tile. Name a folder for its polygons with --out"
    ):
        places_for(find_rasters([elsewhere]), None)


def test_a_tile_gets_no_polygons_of_another_threshold_than_it_says(make_grid, tmp_path):
    write(tmp_path / "a" / "probabilities.tif", pictured("#"), make_grid(1, 1))
    (tmp_path / "a" / "darts_inference.json").write_text('{"DARTS_binarization_threshold": 0.5}')
    ((target, raster),) = places_for(find_rasters([tmp_path]), None).items()
    with pytest.raises(ConfigError) as caught:
        polygonize_raster(raster, target, ruled(threshold=0.3))
    assert str(caught.value) == (
        f"the tile {tmp_path / 'a'} says that its threshold is 0.5, and polygons at 0.3 would be taken for those. Name "
        "another folder with --out."
    )
    assert polygonize_raster(raster, target, ruled()) == 1
    assert target.is_file()


def test_a_raster_that_cannot_be_used_is_one_line(make_grid, tmp_path):
    percents, grid = noise(1, (300, 300)), make_grid(300, 300)
    damaged = write(tmp_path / "damaged.tif", percents, grid, compress="LZW")
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    (tmp_path / "text.tif").write_text("no raster")
    write(tmp_path / "nowhere.tif", percents, transform=grid.affine)
    write(tmp_path / "no-place.tif", percents, crs="EPSG:32608")
    write(tmp_path / "float.tif", percents.astype(np.float32), grid)
    write(tmp_path / "bytes.tif", np.where(percents == 255, 180, percents).astype(np.uint8), grid)
    wanted = {
        "damaged": (DataError, "cannot be read ("),
        "text": (DataError, "Map the tile again, or copy it again."),
        "nowhere": (GridError, "has no coordinate reference system. Download it again, or assign one."),
        "no-place": (GridError, "has no place on the map: its transform is missing. Copy it again."),
        "float": (
            DataError,
            "has bands of float32 and not one of whole percent (uint8). Name the probabilities.tif of",
        ),
        "bytes": (DataError, "holds 180, which is no percent. Name the probabilities.tif of a tile."),
    }
    for name, (kind, message) in wanted.items():
        with pytest.raises(kind) as caught:
            polygons(tmp_path / f"{name}.tif", tmp_path / "new")
        assert str(caught.value).startswith(str(tmp_path / f"{name}.tif")), name
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_memory_grows_with_the_objects_and_not_with_the_raster(make_grid, tmp_path):
    size = 8000
    path = tmp_path / "large.tif"
    profile = {"height": size, "width": size, "count": 1, "dtype": "uint8", "nodata": 255, "tiled": True}
    grid = make_grid(size, size)
    with rasterio.open(
        path, "w", driver="GTiff", compress="LZW", transform=grid.affine, crs=str(grid.crs), **profile
    ) as file:
        for top in range(0, size, 800):
            rows = np.zeros((800, size), dtype=np.uint8)
            rows[100::400, 100::400] = 70
            rows[:, 4000:4010] = 80  # an object through all blocks
            file.write(rows, 1, window=Window(0, top, size, 800))
    tracemalloc.start()
    try:
        with opened(path) as source:
            made = outlined(scan(blocks_of(source), source.shape, 50, 255), grid, ruled(close_holes_m2=500))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(made) == 20 * 20 + 1
    assert made["npixel"].max() == 10 * size
    assert peak < size * size / 3, f"{peak / 1e6:.0f} MB for a raster of {size * size / 1e6:.0f} MB"
