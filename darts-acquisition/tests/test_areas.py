"""Areas of interest in any CRS, with holes, over the antimeridian and the pole."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import Transformer
from shapely import MultiPolygon, Point, Polygon, box

from darts_acquisition.catalog.areas import area_of_interest
from darts_utils.errors import ConfigError


def frame(*shapes, crs="EPSG:4326"):
    return gpd.GeoDataFrame(geometry=list(shapes), crs=crs)


def test_all_rows_and_parts_count_and_holes_stay_open():
    ring = Polygon(box(0, 60, 10, 70).exterior.coords, [box(4, 64, 6, 66).exterior.coords])
    area = area_of_interest(frame(MultiPolygon([ring, box(20, 60, 21, 61)]), box(30, 60, 31, 61)))
    assert area.area == pytest.approx(100 - 4 + 1 + 1)
    assert not area.contains(Point(5, 65))


@pytest.mark.parametrize(
    "crossing",
    [box(179, 66, 182, 67), box(-181, 66, -178, 67), Polygon([(179, 66), (-178, 66), (-178, 67), (179, 67)])],
)
def test_the_antimeridian_is_cut(crossing):
    area = area_of_interest(frame(crossing))
    assert area.equals(shapely.union(box(179, 66, 180, 67), box(-180, 66, -178, 67)))


def test_the_whole_arctic_stays_whole():
    assert area_of_interest(frame(box(-180, 60, 180, 80))).equals(box(-180, 60, 180, 80))


@pytest.mark.parametrize("centre", [(0.0, 0.0), (-1_500_000.0, 1_400_000.0), (900_000.0, -2_000_000.0)])
def test_polar_polygons_hold_the_same_ground(centre):
    """The oracle asks the projected polygon about points, the other way round."""
    polygon = Point(centre).buffer(700_000).difference(Point(centre[0] + 200_000, centre[1]).buffer(150_000))
    area = area_of_interest(frame(polygon, crs="EPSG:3413"))
    rng = np.random.default_rng(3)
    longitudes, latitudes = rng.uniform(-180, 180, 20_000), rng.uniform(55, 90, 20_000)
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:3413", always_xy=True).transform(longitudes, latitudes)
    inside = shapely.contains_xy(polygon, x, y)
    near_edge = shapely.distance(shapely.points(x, y), polygon.boundary) < 3_000
    assert inside.sum() > 100
    assert ((shapely.contains_xy(area, longitudes, latitudes) == inside) | near_edge).all()


def test_long_straight_edges_are_bent():
    """The middle of a projected edge lies where the projection says, not between its ends."""
    area = area_of_interest(frame(box(-2_000_000, -2_000_000, -500_000, -500_000), crs="EPSG:3413"))
    degrees = Transformer.from_crs("EPSG:3413", "EPSG:4326", always_xy=True)
    for inside, outside in [
        ((-1_250_000, -520_000), (-1_250_000, -480_000)),
        ((-1_980_000, -900_000), (-2_020_000, -900_000)),
    ]:
        assert area.contains(Point(degrees.transform(*inside)))
        assert not area.contains(Point(degrees.transform(*outside)))


def test_a_utm_square_over_the_antimeridian():
    area = area_of_interest(frame(box(600_000, 7_400_000, 700_000, 7_500_000), crs="EPSG:32660"))
    assert shapely.get_num_geometries(area) == 2
    assert area.bounds[0] == -180
    assert area.bounds[2] == 180
    assert area.area < 5


def test_an_outline_may_be_simplified():
    detailed = Point(500_000, 7_700_000).buffer(50_000, quad_segs=500)
    plain = area_of_interest(frame(detailed, crs="EPSG:32608"))
    simple = area_of_interest(frame(detailed, crs="EPSG:32608"), 1000)
    assert shapely.get_num_coordinates(simple) < shapely.get_num_coordinates(plain) / 4
    assert shapely.symmetric_difference(plain, simple).area < 0.05 * plain.area


def test_an_area_is_read_from_a_file_and_not_changed(tmp_path):
    given = frame(box(500_000, 7_700_000, 510_000, 7_710_000), crs="EPSG:32608")
    given.to_file(tmp_path / "area.gpkg")
    before = given.copy()
    assert area_of_interest(str(tmp_path / "area.gpkg")).equals(area_of_interest(given))
    assert before.equals(given)


def test_a_self_crossing_polygon_is_repaired():
    bow = Polygon([(0, 60), (2, 62), (2, 60), (0, 62)])
    assert area_of_interest(frame(bow)).area == pytest.approx(2)


@pytest.mark.parametrize(
    ("shapes", "crs", "message"),
    [
        (
            [box(0, 0, 1, 1)],
            None,
            "the area of interest has no coordinate reference system. Set one, such as EPSG:4326.",
        ),
        ([], "EPSG:4326", "the area of interest holds no polygon. Give at least one."),
        ([None, Polygon()], "EPSG:4326", "the area of interest holds no polygon. Give at least one."),
        (
            [Point(1, 1), box(0, 0, 1, 1)],
            "EPSG:4326",
            "the area of interest holds Point but must hold polygons only. Buffer or remove them.",
        ),
        (
            [Polygon([(0, 0), (1, 1), (2, 2)])],
            "EPSG:4326",
            "the area of interest has no area. Give polygons with an inside.",
        ),
    ],
)
def test_what_is_no_area_is_refused(shapes, crs, message):
    with pytest.raises(ConfigError) as caught:
        area_of_interest(frame(*shapes, crs=crs))
    assert str(caught.value) == message


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(ConfigError) as caught:
        area_of_interest(tmp_path / "none.gpkg")
    assert str(caught.value) == f"the area of interest {tmp_path}/none.gpkg does not exist. Give a file with polygons."
    (tmp_path / "text.gpkg").write_text("hello")
    with pytest.raises(
        ConfigError, match=r"the area of interest .*text\.gpkg cannot be read \(.*\)\. Give a file with"
    ):
        area_of_interest(tmp_path / "text.gpkg")
