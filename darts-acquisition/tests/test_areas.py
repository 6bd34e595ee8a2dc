"""Areas of interest in any CRS, with holes, over the antimeridian and the pole."""

import logging

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
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


KML = """<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2"><Document><name>sites</name>{}</Document></kml>"""


def folder(name, west, south):
    ring = " ".join(f"{x},{y},0" for x, y in box(west, south, west + 1, south + 1).exterior.coords)
    return (
        f"<Folder><name>{name}</name><Placemark><Polygon><outerBoundaryIs><LinearRing><coordinates>{ring}"
        "</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark></Folder>"
    )


def test_every_folder_of_a_kml_file_counts_also_those_of_one_name(tmp_path):
    path = tmp_path / "sites.kml"
    empty = "<Folder><name>nothing yet</name></Folder>"
    path.write_text(KML.format(folder("west", -140, 69) + folder("west", -130, 69) + empty + folder("east", -120, 72)))
    area = area_of_interest(path)
    assert area.equals(shapely.union_all([box(-140, 69, -139, 70), box(-130, 69, -129, 70), box(-120, 72, -119, 73)]))


def test_every_layer_of_a_geopackage_counts_in_its_own_crs_but_styles_and_tables_do_not(tmp_path, caplog):
    path = tmp_path / "two.gpkg"
    frame(box(-140, 69, -139, 70)).to_file(path, layer="west")
    frame(box(-120, 72, -119, 73)).to_crs(3857).to_file(path, layer="east")
    frame(box(0, 0, 50, 50)).to_file(path, layer="layer_styles")
    pyogrio.write_dataframe(pd.DataFrame({"site": ["a"]}), path, layer="table", append=True)
    with caplog.at_level(logging.INFO):
        area = area_of_interest(path)
    assert area.area == pytest.approx(2)
    assert caplog.messages == [
        f"{path}: 2 rows in 2 layers, 0 without a shape, 0 with an invalid outline that is mended"
    ]


def test_every_row_is_accounted_for(tmp_path, caplog):
    path = tmp_path / "area.gpkg"
    frame(box(0, 60, 1, 61), None, Polygon(), Polygon([(0, 60), (2, 62), (2, 60), (0, 62)])).to_file(path)
    area_of_interest(path)
    assert caplog.messages == [
        f"{path}: 4 rows in 1 layers, 2 without a shape, 1 with an invalid outline that is mended"
    ]


@pytest.mark.parametrize("name", ["area.parquet", "area.PARQUET", "area.csv", "area.CSV", "area.geojson", "area.fgb"])
def test_an_area_may_be_of_other_kinds(tmp_path, name):
    shape = box(-140, 69, -139, 70)
    if name.lower().endswith("parquet"):
        frame(shape).to_parquet(tmp_path / name)
    elif name.lower().endswith("csv"):
        rows = f"id;WKT\r\n1;{shape.wkt}\r\n" if name == "area.csv" else f'wkt_geom\n"{shape.wkt}"\n'
        (tmp_path / name).write_bytes(rows.encode("utf-16" if name == "area.csv" else "utf-8"))
    else:
        frame(shape).to_file(tmp_path / name)
    assert area_of_interest(tmp_path / name).equals(shape)


def test_rows_of_a_csv_file_without_an_outline_are_counted(tmp_path, caplog):
    path = tmp_path / "area.csv"
    path.write_text(f'id,WKT\n1,"{box(-140, 69, -139, 70).wkt}"\n2,\n')
    assert area_of_interest(path).equals(box(-140, 69, -139, 70))
    assert [record.message for record in caplog.records] == [
        f"{path}: 2 rows in 1 layers, 1 without a shape, 0 with an invalid outline that is mended"
    ]


ENGINEERING = 'ENGCRS["site",EDATUM["u"],CS[Cartesian,2],AXIS["(E)",east],AXIS["(N)",north],LENGTHUNIT["metre",1]]'


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda path: pd.DataFrame({"lon": [1], "lat": [2]}).to_csv(path, index=False),
            "the area of interest {path} has no column WKT with outlines, only lon, lat. Give a file with polygons.",
        ),
        (
            lambda path: path.write_text("WKT\nPOLYGON((no\n"),
            "the area of interest {path} cannot be read (ParseException: Expected number but encountered word: 'no'). "
            "Give a file with polygons.",
        ),
    ],
)
def test_a_csv_file_that_is_no_area_is_one_line(tmp_path, make, message):
    path = tmp_path / "area.csv"
    make(path)
    with pytest.raises(ConfigError) as caught:
        area_of_interest(path)
    assert str(caught.value) == message.format(path=path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda path: pyogrio.write_dataframe(pd.DataFrame({"a": ["x"]}), path),
            "the area of interest {path} holds tables without shapes. Give a file with polygons.",
        ),
        (
            frame(box(5e5, 7.7e6, 5.1e5, 7.71e6), crs=ENGINEERING).to_file,
            "{path} has the CRS 'site', which is Engineering CRS, neither geographic nor projected. "
            "Assign the one that it was made in.",
        ),
        (
            frame(box(-1e8, 0, 1e8, 1e8), crs=32608).to_file,
            "{path} has coordinates that are not on the map of its CRS 'WGS 84 / UTM zone 8N'. Assign the right one.",
        ),
        (
            frame(box(5e5, 7.7e6, 5.1e5, 7.71e6)).to_file,
            "{path} has coordinates that are not on the map of its CRS 'WGS 84'. Assign the right one.",
        ),
        (
            lambda path: path.write_text("\n<OGRVRTDataSource><OGRVRTLayer/></OGRVRTDataSource>"),
            "the area of interest {path} only names other files or services. Give the file that holds the shapes. "
            "Give a file with polygons.",
        ),
    ],
)
def test_a_geopackage_that_is_no_area_is_one_line(tmp_path, make, message):
    path = tmp_path / "area.gpkg"
    make(path)
    with pytest.raises(ConfigError) as caught:
        area_of_interest(path)
    assert str(caught.value) == message.format(path=path)


def test_points_in_one_of_several_layers_are_named_with_it(tmp_path):
    path = tmp_path / "area.gpkg"
    frame(box(0, 60, 1, 61)).to_file(path, layer="sites")
    frame(Point(1, 60)).to_file(path, layer="pins")
    with pytest.raises(ConfigError) as caught:
        area_of_interest(path)
    assert str(caught.value) == f"layer pins of {path} holds Point but must hold polygons only. Buffer or remove them."
