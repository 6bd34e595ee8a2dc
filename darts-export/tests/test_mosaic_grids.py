"""Grids of mosaics: where cells lie, what they are called, and which of them images reach into."""

import math

import numpy as np
import pyproj
import pytest
import shapely
from odc.geo.geobox import GeoBox
from rasterio import Affine

from darts_export.publish.grids import Cell, MercatorGrid, mercator_grid, mercator_zoom, nearest_size_m, polar_grid
from darts_utils.errors import ConfigError
from darts_utils.names import name_fault

POLAR, MERCATOR = polar_grid(10), mercator_grid(12)
CORNERS = [Cell(column, row) for column in (-1, 0) for row in (-1, 0)]
TO_PLANE = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:6931", always_xy=True)


def tile_at(longitude: float, latitude: float, crs: str, edge_px=366, size=300.0) -> GeoBox:
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(longitude, latitude)
    half = edge_px / 2 * size
    return GeoBox((edge_px, edge_px), Affine(size, 0, x - half, 0, -size, y + half), crs)


def message(function, *arguments) -> str:
    with pytest.raises(ConfigError) as raised:
        function(*arguments)
    return str(raised.value)


@pytest.mark.parametrize(("size", "edge"), [(10, 9600), (3, 32000), (30, 3200), (4.8, 20000), (96000 / 9601, 9601)])
def test_pixels_of_a_polar_grid_divide_its_cells(size, edge):
    pixels = polar_grid(size).pixels_of(Cell(-18, 16))
    assert pixels.shape == (edge, edge)
    assert pixels.extent.boundingbox == pytest.approx((-18 * 96000, 16 * 96000, -17 * 96000, 17 * 96000))


@pytest.mark.parametrize(
    ("size", "near"),
    [(7, "6.4 or 7.5"), (4.77, "4 or 4.8"), (0.5, "2"), (2000, "1000"), (-3, "2"), (math.nan, "2"), (math.inf, "1000")],
)
def test_other_sizes_of_pixels_are_refused_with_near_ones_that_do(size, near):
    assert message(polar_grid, size) == (
        f"pixel_size_m is {size:g} but must be from 2 to 1000 and divide a cell of 96000 m. Give {near}."
    )


@pytest.mark.parametrize(
    ("size", "near"), [(10, 10), (3, 3), (3.125, 3.125), (10.0000001, 10), (3.7, 96_000 / 25_946), (0.5, 2)]
)
def test_any_pixels_of_images_have_a_grid_that_is_as_fine(size, near):
    assert nearest_size_m(size) == near
    assert polar_grid(nearest_size_m(size)).pixel_size_m == pytest.approx(near)


def test_names_of_cells_are_equally_long_and_names_of_files_and_addresses():
    polar = [POLAR.name_of(Cell(column, row)) for column in (-94, -1, 0, 93) for row in (-12, 0, 3)]
    mercator = [MERCATOR.name_of(Cell(column, row)) for column in (0, 127) for row in (3, 100)]
    assert (polar[0], polar[-1], mercator[-1]) == ("x-094y-012", "x0093y0003", "z07x000127y000100")
    for names in (polar, mercator):
        assert {len(name) for name in names} == {len(names[0])}
        assert len(set(names)) == len(names)
        assert all(name_fault(name) is None and "+" not in name for name in names)


def test_grids_are_named_by_their_pixels():
    assert [grid.name for grid in (POLAR, polar_grid(2.5), MERCATOR)] == ["polar-10m", "polar-2.5m", "mercator-z12"]


def test_pixels_of_a_mercator_cell_are_those_of_the_tiles_in_it():
    world = 2 * math.pi * 6378137
    pixels = MERCATOR.pixels_of(Cell(70, 30))
    assert pixels.shape == (8192, 8192)
    assert pixels.affine.a == pytest.approx(world / 256 / 2**12, rel=1e-15)
    corner = (-world / 2 + 70 * world / 2**7, world / 2 - 30 * world / 2**7)
    assert (pixels.affine.c, pixels.affine.f) == pytest.approx(corner, rel=1e-14)
    last = MERCATOR.pixels_of(Cell(127, 127)).extent.boundingbox
    assert (last.right, last.bottom) == pytest.approx((world / 2, -world / 2), rel=1e-14)


@pytest.mark.parametrize(("size", "latitude", "zoom"), [(10, 0, 14), (10, 69.5, 12), (3, 69.5, 14), (1000, 0, 9)])
def test_the_zoom_level_is_that_of_the_nearest_size(size, latitude, zoom):
    assert mercator_zoom(size, latitude) == zoom


@pytest.mark.parametrize(
    ("size", "latitude"), [(0, 70), (-1, 70), (math.nan, 70), (10, 85.1), (10, -90), (10, math.nan)]
)
def test_where_there_is_no_zoom_level_it_is_said(size, latitude):
    assert message(mercator_zoom, size, latitude) == (
        f"there is no zoom level for pixels of {size:g} m at a latitude of {latitude:g} degrees. Give a size above 0 "
        "and a latitude below 85.05, or take the polar grid."
    )


@pytest.mark.parametrize("zoom", [8, 25])
def test_zoom_levels_without_cells_are_refused(zoom):
    assert message(mercator_grid, zoom) == f"zoom is {zoom} but must be from 9 to 24. Correct it."


@pytest.mark.parametrize("cell", [*CORNERS, Cell(0, 20), Cell(-1, 20), Cell(-18, 16), Cell(25, -30)])
def test_a_footprint_is_the_cell_and_neither_cut_nor_stretched(cell):
    """Drawn on the plane again it is the cell; in degrees it reaches from one of its meridians to the other."""
    outline = POLAR.footprint_of(cell)
    assert outline.is_valid
    assert outline.exterior.is_ccw
    longitudes, latitudes = shapely.get_coordinates(outline).T
    on_plane = shapely.Polygon(np.stack(TO_PLANE.transform(longitudes, latitudes), axis=-1)).buffer(0)
    square = shapely.box(cell.column, cell.row, cell.column + 1, cell.row + 1)
    assert (
        shapely.hausdorff_distance(
            on_plane.boundary, shapely.affinity.scale(square, *[96e3] * 2, origin=(0, 0)).boundary
        )
        < 1
    )
    assert np.ptp(longitudes) <= 90
    inside = np.random.default_rng(0).uniform(0, 96e3, (500, 2)) + 96e3 * np.array([cell.column, cell.row])
    in_degrees = TO_PLANE.transform(*inside.T, direction="INVERSE")
    assert shapely.contains_xy(outline.buffer(0.05), *in_degrees).all()


def test_footprints_around_the_pole_reach_it_on_both_of_their_meridians():
    bounds = {cell: POLAR.footprint_of(cell).bounds for cell in CORNERS}
    assert {cell: (west, east, north) for cell, (west, _, east, north) in bounds.items()} == {
        Cell(-1, -1): (-90, 0, 90),
        Cell(-1, 0): (-180, -90, 90),
        Cell(0, -1): (0, 90, 90),
        Cell(0, 0): (90, 180, 90),
    }


def test_footprints_of_mercator_cells_are_boxes_that_cover_the_world():
    grid = MercatorGrid(9)
    boxes = [grid.footprint_of(Cell(column, row)) for column in range(16) for row in range(16)]
    whole = shapely.union_all(boxes)
    assert whole.bounds == (-180, -85.051129, 180, 85.051129)
    assert sum(one.area for one in boxes) == pytest.approx(360 * 2 * 85.051129)
    assert all(one.exterior.is_ccw for one in boxes)


def seen_by_pixels(grid, ground: GeoBox) -> set[Cell]:
    """Return in which cells middles of pixels of an image lie."""
    columns, rows = np.meshgrid(np.arange(ground.shape[1]) + 0.5, np.arange(ground.shape[0]) + 0.5)
    move = pyproj.Transformer.from_crs(str(ground.crs), grid.crs, always_xy=True)
    x, y = move.transform(*(ground.affine @ (columns, rows)))
    origin = grid.pixels_of(Cell(0, 0)).extent.boundingbox
    edge = origin.right - origin.left
    column = np.floor((x - origin.left) / edge)
    row = np.floor((y - origin.bottom) / edge) if grid is POLAR else np.floor((origin.top - y) / edge)
    on_grid = np.isfinite(x) & np.isfinite(y)
    return {Cell(int(one), int(other)) for one, other in set(zip(column[on_grid], row[on_grid], strict=True))}


@pytest.mark.parametrize(
    ("longitude", "latitude", "crs"),
    [
        (-135, 69.5, "EPSG:32608"),
        (180, 69, "EPSG:32660"),
        (-179.5, 66, "EPSG:32601"),
        (100, 76, "EPSG:3413"),
        (20, 89.9, "EPSG:32633"),
        (20, 84.9, "EPSG:32633"),
        (-70, -53, "EPSG:32719"),
    ],
)
@pytest.mark.parametrize("grid", [POLAR, MERCATOR], ids=["polar", "mercator"])
def test_an_image_reaches_into_the_cells_in_which_its_pixels_lie(grid, longitude, latitude, crs):
    ground = tile_at(longitude, latitude, crs)
    needed = {cell for cell in seen_by_pixels(grid, ground) if grid is POLAR or 0 <= cell.row < 128}
    cells = grid.cells_under(ground, "an image")
    assert needed <= set(cells)
    assert cells == sorted(set(cells))
    assert len(set(cells) - needed) <= 2  # those that it touches with its edge


def test_an_image_at_the_antimeridian_reaches_into_the_first_and_the_last_column():
    columns = {cell.column for cell in MERCATOR.cells_under(tile_at(180, 69, "EPSG:32660"), "an image")}
    assert columns == {0, 1, 126, 127} & columns
    assert {0, 127} <= columns


def test_an_image_around_the_pole_reaches_into_all_columns_and_not_beyond_the_grid():
    around = GeoBox((300, 300), Affine(10_000, 0, -1_500_000, 0, -10_000, 1_500_000), "EPSG:3413")
    cells = MERCATOR.cells_under(around, "an image")
    assert {cell.column for cell in cells} == set(range(128))
    assert min(cell.row for cell in cells) == 0
    assert seen_by_pixels(MERCATOR, around) - set(cells) == {
        cell for cell in seen_by_pixels(MERCATOR, around) if cell.row < 0
    }
