"""Ground around slumps in metres: there and back again, at the antimeridian and near the pole."""

import numpy as np
import pyproj
import pytest
import shapely

from darts_postprocessing.inventory.plane import LONGLAT_CRS, to_plane
from darts_postprocessing.review.frames import Frame
from darts_utils.errors import DataError

TO_PLANE = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:6931", always_xy=True)
GEOD = pyproj.Geod(ellps="WGS84")


def square(longitude, latitude, side_m):
    """Return a square on the ground, cut at the antimeridian as inventories have it."""
    half = side_m / np.sqrt(2)
    longitudes, latitudes, _ = GEOD.fwd([longitude] * 4, [latitude] * 4, [45, 135, 225, 315], [half] * 4)
    corners = np.column_stack([longitudes, latitudes])
    if np.ptp(corners[:, 0]) < 180:
        return shapely.Polygon(corners)
    east = np.where(corners[:, :1] < 0, corners[:, :1] + 360, corners[:, :1])
    whole = shapely.Polygon(np.column_stack([east, corners[:, 1]]))
    west = shapely.intersection(whole, shapely.box(180, -90, 360, 90))
    return shapely.MultiPolygon(
        [
            shapely.intersection(whole, shapely.box(0, -90, 180, 90)),
            shapely.transform(west, lambda points: points - (360, 0)),
        ]
    )


@pytest.mark.parametrize("place", [(-132.1, 69.2), (180.0, 68.5), (-179.9995, 71.0), (31.0, 83.6)])
def test_an_outline_comes_back_as_it_went(place):
    given = square(*place, 180.0)
    frame = Frame.around(given)
    rings = frame.rings(given)
    assert abs(frame.latitude - place[1]) < 1e-5
    assert len(rings) == 1, "what is cut at the antimeridian is one on the page"
    points = np.array(rings[0][0])
    assert np.hypot(*points.T).max() == pytest.approx(180 / np.sqrt(2), abs=0.3)
    back = frame.outline(rings)
    before, after = to_plane([given, back], LONGLAT_CRS)
    assert shapely.symmetric_difference(before, after).area < 5.0
    assert -180 <= back.bounds[0] <= back.bounds[2] <= 180


def test_pictures_are_three_and_ten_times_as_wide():
    for side, close, wide in ((20.0, 250, 1500), (100.0, 300, 1500), (400.0, 1200, 4000), (4000.0, 12000, 20000)):
        frame = Frame.around(square(-132.0, 69.0, side))
        assert frame.side_m("close") == pytest.approx(close, rel=0.02)
        assert frame.side_m("wide") == pytest.approx(wide, rel=0.02)


@pytest.mark.parametrize("longitude", [-132.1, 20.0, 101.0, 180.0])
def test_the_ground_of_a_picture_has_its_corners_where_they_are_on_the_earth(longitude):
    frame = Frame.around(square(longitude, 69.0, 100.0))
    ground = frame.ground("close")
    half = frame.side_m("close") / 2
    assert ground.area == pytest.approx(4 * half**2, rel=1e-3)
    for azimuth in (45, 135, 225, 315):
        corner = GEOD.fwd(frame.longitude, frame.latitude, azimuth, (half - 0.5) * np.sqrt(2))[:2]
        beyond = GEOD.fwd(frame.longitude, frame.latitude, azimuth, (half + 0.5) * np.sqrt(2))[:2]
        near, far = (shapely.Point(TO_PLANE.transform(*one)) for one in (corner, beyond))
        assert ground.contains(near)
        assert not ground.contains(far)


def test_holes_and_several_parts_are_rings():
    outer = square(-132.0, 69.0, 300.0)
    holed = shapely.difference(outer, square(-132.0, 69.0, 100.0))
    frame = Frame.around(holed)
    assert [len(polygon) for polygon in frame.rings(holed)] == [2]
    assert len(frame.outline(frame.rings(holed)).interiors) == 1


@pytest.mark.parametrize(
    "drawn",
    [
        [], [[]], [[[]]], [[[[0, 0], [1, 1]]]], [[[[0, 0], [1, 0], [2, 0]]]], "text", {"a": 1}, 5, [[5]], [[["ab"]]],
        [[[[0, 0], [float("nan"), 1], [1, 0]]]], [[[[0, 0], [1e9, 0], [0, 1e9]]]],
        [[[[0, 0, 0], [1, 0, 0], [0, 1, 0]]]], [[[[0, 0], [10, 0], [0, 10]]] * 20_000],
    ],
)  # fmt: skip
def test_what_is_no_outline_is_refused_in_a_sentence(drawn):
    with pytest.raises(DataError, match="Draw it again"):
        Frame(-132.0, 69.0, 100.0).outline(drawn)


def test_an_outline_that_crosses_itself_is_mended():
    drawn = [[[[-50, -50], [50, 50], [50, -50], [-50, 50]]]]
    found = Frame(-132.0, 69.0, 100.0).outline(drawn)
    assert found.is_valid
    assert to_plane([found], LONGLAT_CRS)[0].area == pytest.approx(5000, rel=0.02)
