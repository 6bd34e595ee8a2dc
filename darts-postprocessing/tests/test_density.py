"""Ground and slumps added up over cells, regions and latitudes."""

import json
import shutil

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
import shapely.affinity
from hypothesis import given, settings
from hypothesis import strategies as st
from mapped_tiles import write_tile
from shapely.geometry import box

from darts_postprocessing.density.density import densities
from darts_postprocessing.density.regions import Regions
from darts_postprocessing.density.sums import DEGREES, GRIDS, ground_by, told
from darts_postprocessing.inventory.build import build, retrack
from darts_postprocessing.inventory.cells import cells_under, corner_of
from darts_utils.crs import EQUAL_AREA
from darts_utils.errors import DataError
from darts_utils.objects.geodesy import ground_areas_m2

AT = (-1_700_000.0, 1_600_000.0)
"""A corner of a cell of 100 km in the plane."""


def square(x0, y0, x1, y1):
    """Return a rectangle in kilometres from the corner."""
    return box(AT[0] + 1000 * x0, AT[1] + 1000 * y0, AT[0] + 1000 * x1, AT[1] + 1000 * y1)


def sums_of(ground, probability):
    """Return the sums that a tile over whole kilometres with one probability has."""
    left, bottom, right, top = (int(edge // 1000) for edge in ground.bounds)
    return [(x, y, 1e6, 1e6 * probability) for x in range(left, right) for y in range(bottom, top)]


@pytest.fixture
def make(tmp_path):
    def tile(name, day, ground, probability=None, slumps=(), **more):
        density = None if probability is None else sums_of(ground, probability)
        return write_tile(
            tmp_path / "tiles", name, day, list(slumps), extent=ground, crs=EQUAL_AREA, density=density, **more
        )

    return tile


@pytest.fixture
def of_year(tmp_path):
    def density(year=2024, **more):
        build([tmp_path / "tiles"], tmp_path / "inventory")
        (found,) = densities(tmp_path / "inventory", [year], **more)
        return found

    return density


def total(table, name):
    return table[name].sum(skipna=False)


def test_what_is_expected_is_the_mean_over_the_looks_of_a_place(make, of_year):
    make("one", "2024-07-01", square(0, 0, 20, 10), 0.02)
    make("two", "2024-08-01", square(10, 0, 30, 10), 0.04)
    found = of_year()
    cells = found.by_cell["10km"]
    column, row = int(AT[0] // 10_000), int(AT[1] // 10_000)
    assert list(cells.index) == [(row, column), (row, column + 1), (row, column + 2)]
    assert cells["observed_m2"].tolist() == pytest.approx([1e8] * 3)
    assert cells["n_looks"].tolist() == pytest.approx([1, 2, 1])
    assert cells["expected_m2"].tolist() == pytest.approx([2e6, 3e6, 4e6])
    looks = found.looks
    assert len(looks) == 300
    assert looks["observed_m2"].unique() == pytest.approx([1e6])
    assert sorted(looks["n_looks"].unique()) == [1, 2]


def test_a_kilometre_is_weighted_by_what_each_look_saw_of_it(make, of_year):
    make("whole", "2024-07-01", square(0, 0, 1, 1), 0.10)
    tile = make("half", "2024-08-01", square(0, 0, 0.5, 1))
    sums = pd.DataFrame({"x": [-1700], "y": [1600], "observed_m2": [5e5], "expected_m2": [5e5 * 0.40]})
    sums.astype({"x": "int32", "y": "int32"}).to_parquet(tile / "prediction_density.parquet")
    looks, cells = of_year().looks, of_year().by_cell["10km"]
    assert looks["n_looks"].tolist() == pytest.approx([1.5])
    assert cells["expected_m2"].tolist() == pytest.approx([1e6 * (0.10 + 0.5 * 0.40) / 1.5])


def test_ground_across_cells_of_100_km_is_whole(make, of_year):
    make("one", "2024-07-01", square(-15, -5, 15, 5), 0.01)
    found = of_year()
    assert total(found.by_cell["10km"], "observed_m2") == pytest.approx(300e6)
    assert total(found.by_cell["10km"], "expected_m2") == pytest.approx(3e6)


@pytest.mark.parametrize("spoil", ["older", "not calibrated"])
def test_nothing_is_expected_where_no_tile_tells_it(make, of_year, spoil):
    make("one", "2024-07-01", square(0, 0, 10, 10), 0.02)
    other = make("two", "2024-08-01", square(5, 0, 20, 10), None if spoil == "older" else 0.5)
    if spoil == "not calibrated":
        record = json.loads((other / "darts_inference.json").read_text())
        (other / "darts_inference.json").write_text(json.dumps({**record, "DARTS_calibrated": False}))
    cells = of_year().by_cell["10km"]
    assert cells["expected_m2"].tolist() == pytest.approx([2e6, np.nan], nan_ok=True)
    assert cells["observed_m2"].tolist() == pytest.approx([1e8, 1e8])


def test_ground_that_was_not_seen_does_not_count(make, of_year):
    make("one", "2024-07-01", square(0, 0, 10, 10), observed=square(0, 0, 10, 4))
    cells = of_year().by_cell["10km"]
    assert cells["observed_m2"].tolist() == pytest.approx([4e7])


def test_slumps_count_where_their_middles_lie_with_majority_areas_and_tiers(make, of_year):
    slumps = [square(9.95, 1, 10.15, 1.1), square(3, 3, 3.1, 3.1), square(4, 4, 4.1, 4.2)]
    make("one", "2024-07-01", square(0, 0, 20, 10), 0.01, slumps, core_probability=[0.99, 0.4, 0.1])
    cells = of_year().by_cell["10km"]
    assert cells["n_slumps"].tolist() == [2, 1]
    assert cells["area_m2"].tolist() == pytest.approx([3e4, 2e4], rel=1e-4)
    assert cells[["n_high", "n_medium", "n_low"]].to_numpy().tolist() == [[0, 0, 1], [1, 0, 0]]
    assert cells["area_high_m2"].tolist() == pytest.approx([0, 2e4], rel=1e-4)


def test_all_ways_of_adding_up_agree(make, of_year):
    slump = square(3, 3, 3.1, 3.1)
    make("one", "2024-07-01", square(-40, -30, 35, 28), 0.003, [slump])
    west = shapely.segmentize(square(-60, -60, 0, 60), 1000)  # its sides are bent in degrees
    layer = gpd.GeoDataFrame({"shapeName": ["west"]}, geometry=[west], crs=EQUAL_AREA)
    found = of_year(regions=Regions(layer, "shapeName", "regions"))
    tables = [*found.by_cell.values(), found.by_latitude, found.by_region]
    assert len(tables) == 4
    for name in ("observed_m2", "expected_m2", "n_slumps", "area_m2"):
        sums = [total(table, name) for table in tables]
        assert sums == pytest.approx([sums[0]] * 4)
    assert found.by_region.loc["west", "observed_m2"] == pytest.approx(40 * 58 * 1e6)
    assert found.by_region.loc["No Region", "n_slumps"] == 1
    assert len(found.by_cell["half-degree"]) > len(found.by_latitude) > 1


def test_the_area_of_a_cell_of_half_a_degree_is_that_on_the_ellipsoid():
    """Every kilometre of a large piece of the plane, shared among the cells of degrees."""
    y, x = np.mgrid[1500:1640, -1800:-1660]
    ground = pd.DataFrame({"x": x.ravel(), "y": y.ravel(), "observed_m2": 1e6, "looks_m2": 1e6, "expected_m2": 0.0})
    found = told([ground_by(ground, DEGREES.groups, DEGREES.parts)])
    row, column = found["observed_m2"].idxmax()
    whole = shapely.segmentize(shapely.box(column / 2, row / 2, column / 2 + 0.5, row / 2 + 0.5), 0.01)
    exact = ground_areas_m2([whole], "EPSG:4326")[0]
    assert found["observed_m2"].max() == pytest.approx(exact, rel=2e-3)


def test_180_degrees_east_are_180_degrees_west():
    row, column = DEGREES.groups(np.array([0.0, 1000.0, -1000.0]), np.array([2e6, 2e6, 2e6]))
    assert sorted(column) == [-360, -360, 359]
    assert len(set(row)) == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_grids_lose_and_double_nothing(seed):
    rng = np.random.default_rng(seed)
    places = pd.DataFrame(rng.integers(-3000, 3000, (40, 2)), columns=["x", "y"]).drop_duplicates()
    ground = places.assign(observed_m2=rng.random(len(places)), looks_m2=1.0, expected_m2=rng.random(len(places)))
    for grid in GRIDS:
        found = told([ground_by(ground, grid.groups, grid.parts)])
        assert found["observed_m2"].sum() == pytest.approx(ground["observed_m2"].sum())
        assert found["expected_m2"].sum() == pytest.approx(ground["expected_m2"].sum())


def test_sums_stay_when_slumps_are_made_again_and_go_with_their_tile(make, of_year, tmp_path):
    make("one", "2024-07-01", square(0, 0, 10, 10), 0.02)
    make("two", "2024-07-02", square(0, 0, 10, 10), 0.04)
    assert total(of_year().by_cell["10km"], "expected_m2") == pytest.approx(3e6)
    retrack(tmp_path / "inventory", {"min_looks": 2})
    (again,) = densities(tmp_path / "inventory", [2024])
    assert total(again.by_cell["10km"], "expected_m2") == pytest.approx(3e6)
    shutil.rmtree(tmp_path / "tiles" / "two")
    assert total(of_year().by_cell["10km"], "expected_m2") == pytest.approx(2e6)


def test_a_year_in_which_nothing_was_seen_is_empty(make, of_year):
    make("one", "2024-07-01", square(0, 0, 10, 10), observed=shapely.Polygon())
    found = of_year()
    assert [len(table) for table in (*found.by_cell.values(), found.by_latitude, found.looks)] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("layer", "line"),
    [
        (gpd.GeoDataFrame({"name": ["a"]}, geometry=[box(0, 0, 1, 1)], crs=4326), "no column shapeName, but name"),
        (gpd.GeoDataFrame({"shapeName": ["a"]}, geometry=[None], crs=4326), "has no polygons"),
        (gpd.GeoDataFrame({"shapeName": ["a"]}, geometry=[shapely.Point(0, 70)], crs=4326), "has no polygons"),
        (gpd.GeoDataFrame({"shapeName": ["a"]}, geometry=[box(0, 70, 1, 71).exterior], crs=4326), "has no polygons"),
    ],
)
def test_a_layer_that_tells_no_regions_is_refused(layer, line):
    with pytest.raises(DataError, match=line):
        Regions(layer, "shapeName", "my.gpkg")


CHUKOTKA = box(170, 66, 190, 71)
"""Across the antimeridian."""


@pytest.mark.parametrize(
    ("shape", "crs"),
    [
        (CHUKOTKA, 4326),
        (shapely.MultiPolygon([box(170, 66, 180, 71), box(-180, 66, -170, 71)]), 4326),
        (shapely.affinity.translate(CHUKOTKA, -360), 4326),
        *((shapely.segmentize(CHUKOTKA, 0.1), crs) for crs in (3413, 32660, 6931)),
    ],
)
def test_a_region_across_the_antimeridian_is_where_it_is_in_any_crs(shape, crs):
    if crs != 4326:
        (shape,) = transformed_points(shape, 4326, crs)
    regions = Regions(gpd.GeoDataFrame({"n": ["Chukotka"]}, geometry=[shape], crs=crs), "n", "regions")
    inside = [(179.99, 69), (-179.99, 69), (180, 67), (171, 70.999), (-171, 66.001)]
    outside = [(-134, 69), (0, 69), (169.9, 69), (-169.9, 69), (179, 71.001), (-179, 65.999)]
    points = gpd.GeoSeries.from_xy(*zip(*inside, *outside, strict=True), crs=4326).to_crs(EQUAL_AREA)
    (names,) = regions.groups(points.x.to_numpy(), points.y.to_numpy())
    assert names.tolist() == ["Chukotka"] * len(inside) + ["No Region"] * len(outside)


def transformed_points(shape, source, target):
    """Return a shape with each of its points moved, whatever becomes of the lines between them."""
    move = pyproj.Transformer.from_crs(source, target, always_xy=True).transform
    return [shapely.transform(shape, lambda points: np.column_stack(move(points[:, 0], points[:, 1])))]


def test_rows_that_are_no_polygons_are_no_regions():
    shapes = [None, shapely.Point(5, 65), shapely.Polygon(), box(0, 60, 10, 70)]
    regions = Regions(gpd.GeoDataFrame({"n": list("abcd")}, geometry=shapes, crs=4326), "n", "regions")
    points = gpd.GeoSeries.from_xy([5, 20], [65, 65], crs=4326).to_crs(EQUAL_AREA)
    assert regions.groups(points.x.to_numpy(), points.y.to_numpy())[0].tolist() == ["d", "No Region"]


def test_a_border_along_a_parallel_stays_there_and_the_whole_world_is_a_region():
    layer = gpd.GeoDataFrame(
        {"n": ["north", "world"]}, geometry=[box(-150, 70, -100, 80), box(-180, -90, 180, 90)], crs=4326
    )
    points = gpd.GeoSeries.from_xy([-125, -125], [70.00001, 69.99999], crs=4326).to_crs(EQUAL_AREA)
    regions = Regions(layer, "n", "regions")
    assert regions.groups(points.x.to_numpy(), points.y.to_numpy())[0].tolist() == ["north", "world"]


def test_a_place_on_a_border_is_in_one_region():
    shapes = [box(0, 70, 10, 80), box(10, 70, 20, 80), box(5, 60, 15, 70)]
    regions = Regions(gpd.GeoDataFrame({"n": ["a", "b", "c"]}, geometry=shapes, crs=4326), "n", "regions")
    points = gpd.GeoSeries.from_xy([10, 10, 5, 30], [75, 70, 65, 75], crs=4326).to_crs(EQUAL_AREA)
    assert regions.groups(points.x.to_numpy(), points.y.to_numpy())[0].tolist()[1:] in (
        ["a", "c", "No Region"], ["c", "c", "No Region"], ["b", "c", "No Region"],
    )  # fmt: skip


def test_cells_under_bounds_are_named_and_found_again():
    assert cells_under([(-150_000.0, 20_000.0, 10_000.0, 30_000.0), None]) == ["x+000y+000", "x-001y+000", "x-002y+000"]
    assert corner_of("x-012y+003") == (-1_200_000.0, 300_000.0)
