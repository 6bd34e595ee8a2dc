import numpy as np
import pyproj
import pytest
import shapely
import shapely.affinity

from darts_utils.objects.geodesy import ground_areas_m2


def test_an_area_is_that_of_an_equal_area_projection():
    shape = shapely.box(400_000, 7_700_000, 402_000, 7_701_000).difference(
        shapely.box(400_500, 7_700_200, 400_700, 7_700_900)
    )
    to_laea = pyproj.Transformer.from_crs("EPSG:32608", "EPSG:6931", always_xy=True).transform
    dense = shapely.segmentize(shape, 10)
    expected = shapely.transform(dense, to_laea, interleaved=False).area
    assert ground_areas_m2([shape], "EPSG:32608") == pytest.approx([expected], rel=1e-6)


def test_a_map_in_web_mercator_is_wrong_by_the_square_of_its_scale():
    square = shapely.box(-15_000_000, 11_000_000, -14_990_000, 11_010_000)
    latitude = pyproj.Transformer.from_crs(3857, 4326, always_xy=True).transform(-15_000_000, 11_005_000)[1]
    share = ground_areas_m2([square], "EPSG:3857")[0] / square.area
    assert share == pytest.approx(np.cos(np.radians(latitude)) ** 2, rel=0.01)


def test_a_shape_across_the_antimeridian_is_small():
    square = shapely.box(700_000, 7_700_000, 820_000, 7_701_000)  # zone 60, across 180 degrees
    assert ground_areas_m2([square], "EPSG:32660") == pytest.approx([square.area], rel=0.003)


def test_areas_of_many_shapes_are_those_of_the_geodesic_library_one_by_one():
    rng = np.random.default_rng(3)
    shapes = [
        shapely.union_all([shapely.box(x, y, x + 300, y + 200) for x, y in 4e5 + rng.uniform(0, 900, (5, 2))])
        .difference(shapely.box(4e5 + 300, 4e5 + 300, 4e5 + 400, 4e5 + 350))
        for _ in range(40)
    ]  # fmt: skip
    assert {shape.geom_type for shape in shapes} == {"Polygon", "MultiPolygon"}
    moved = [shapely.affinity.translate(shape, 0, 7_300_000) for shape in shapes]
    to_degrees = pyproj.Transformer.from_crs(32608, 4326, always_xy=True).transform
    globe = pyproj.Geod(ellps="WGS84")
    oriented = [shapely.orient_polygons(shapely.transform(shape, to_degrees, interleaved=False)) for shape in moved]
    expected = [globe.geometry_area_perimeter(shape)[0] for shape in oriented]
    np.testing.assert_allclose(ground_areas_m2(moved, "EPSG:32608"), expected, rtol=1e-12)


def test_no_shapes_have_no_areas():
    assert ground_areas_m2([], "EPSG:32608").shape == (0,)
