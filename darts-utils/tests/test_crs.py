"""Coordinate reference systems and grids that files and services bring along."""

import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from darts_utils.crs import LONGLAT, checked_crs, checked_grid, outline_on, transformed
from darts_utils.errors import DataError, GridError

LOCAL = 'LOCAL_CS["unknown",UNIT["metre",1]]'
ENGINEERING = (
    'ENGCRS["Undefined Cartesian SRS",EDATUM["Unknown"],CS[Cartesian,2],AXIS["(E)",east,ORDER[1],'
    'LENGTHUNIT["metre",1]],AXIS["(N)",north,ORDER[2],LENGTHUNIT["metre",1]]]'
)
UTM = (10, 0, 5e5, 0, -10, 7.8e6)


@pytest.fixture
def gpd():
    return pytest.importorskip("geopandas", reason="geopandas is there with the packages that read vectors")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "it has no coordinate reference system. Download it again, or assign one."),
        ("", "it has no coordinate reference system. Download it again, or assign one."),
        ("nonsense", "it has the CRS 'nonsense', which cannot be read. Assign one such as UTM."),
        (5, "it has the CRS 5, which cannot be read. Assign one such as UTM."),
        ([1], "it has the CRS [1], which cannot be read. Assign one such as UTM."),
        ({}, "it has the CRS {}, which cannot be read. Assign one such as UTM."),
        (
            LOCAL,
            "it has the CRS 'unknown', which is Engineering CRS, neither geographic nor projected. "
            "Assign the one that it was made in.",
        ),
        (
            ENGINEERING,
            "it has the CRS 'Undefined Cartesian SRS', which is Engineering CRS, neither geographic nor projected. "
            "Assign the one that it was made in.",
        ),
        (
            "EPSG:4978",
            "it has the CRS 'WGS 84', which is Geocentric CRS, neither geographic nor projected. "
            "Assign the one that it was made in.",
        ),
        (
            "EPSG:5773",
            "it has the CRS 'EGM96 height', which is Vertical CRS, neither geographic nor projected. "
            "Assign the one that it was made in.",
        ),
        (
            "IAU_2015:49910",
            "it has the CRS 'Mars (2015) - Sphere / Ocentric / Equirectangular, clon = 0..., which cannot be turned "
            "into longitude and latitude. Assign the one that it was made in.",
        ),
    ],
)
def test_a_crs_that_says_nothing_of_places_on_earth_is_one_line(given, message):
    with pytest.raises(GridError) as caught:
        checked_crs(given, "it")
    assert str(caught.value) == message


@pytest.mark.parametrize("given", ["EPSG:32608", 3413, 4326, "EPSG:32608+5773"])
def test_a_sound_crs_is_returned(given):
    assert checked_crs(given, "it").projected == (given != 4326)


def test_the_crs_of_a_raster_is_taken():
    rasterio_crs = pytest.importorskip("rasterio.crs", reason="rasterio is there with the packages that read rasters")
    assert checked_crs(rasterio_crs.CRS.from_epsg(32608), "it").projected


def test_a_grid_is_made_of_what_is_said_of_it():
    assert checked_grid([5, 7], UTM, "EPSG:32608", "it") == GeoBox((5, 7), Affine(*UTM), "EPSG:32608")


@pytest.mark.parametrize(
    ("shape", "transform"),
    [
        (None, UTM), ("57", UTM), ((5,), UTM), ((5, 0), UTM), ((5, -7), UTM), ((5.5, 7), UTM), ((1e300, 7), UTM),
        ((5, 7), None), ((5, 7), "x"), ((5, 7), UTM[:5]), ((5, 7), (0,) * 6), ((5, 7), (float("nan"), *UTM[1:])),
        ((5, 7), (None, *UTM[1:])),
    ],
)  # fmt: skip
def test_a_grid_of_nonsense_is_one_line(shape, transform):
    with pytest.raises(GridError, match=r"^it has a grid of .* which is none\. Fetch or copy it again\.$"):
        checked_grid(shape, transform, "EPSG:32608", "it")


def test_a_grid_off_the_map_is_one_line():
    grid = checked_grid((5, 7), (10, 0, 5e50, 0, -10, 7e50), "EPSG:32608", "it")
    with pytest.raises(GridError, match=r"^it lies off the map of its CRS 'WGS 84 / UTM zone 8N'\. Assign the "):
        outline_on(grid, "EPSG:3413", "it", npoints=4)


def test_outlines_off_the_map_become_none_and_the_others_are_transformed(gpd):
    shapes = [shapely.box(5e5, 7e6, 6e5, 7.1e6), shapely.box(-1e8, 0, 1e8, 1e8), None, shapely.Polygon()]
    for outlines in (gpd.GeoSeries(shapes, crs=32608), gpd.GeoDataFrame(geometry=shapes, crs=32608)):
        moved = transformed(outlines, LONGLAT, "it").geometry
        assert moved.crs == LONGLAT
        assert moved[0].bounds == pytest.approx((-135, 63.1, -132.9, 64.1), abs=0.1)
        assert (moved[1], moved[2], moved[3].is_empty) == (None, None, True)


@pytest.mark.parametrize("crs", [LOCAL, ENGINEERING, "EPSG:4978"])
def test_outlines_in_an_unusable_crs_are_one_line(gpd, crs):
    with pytest.raises(DataError, match=r"^it has the CRS '.*', which is "):
        transformed(gpd.GeoSeries([shapely.box(0, 0, 1, 1)], crs=crs), LONGLAT, "it")
