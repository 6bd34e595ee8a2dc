"""How much of a footprint is covered, wherever on Earth it lies."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

from darts_acquisition.catalog.coverage import Coverage


def in_degrees(x, y, width, height, crs="EPSG:32608"):
    """Return a rectangle of metres in degrees, edges cut finely because they bend."""
    box = shapely.segmentize(shapely.box(x, y, x + width, y + height), height / 50)
    return gpd.GeoSeries([box], crs=crs).to_crs("EPSG:4326").iloc[0]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.7, 1.0])
def test_a_share_is_that_of_the_ground(share):
    """At 70 degrees north a degree of longitude is a third of one of latitude, and rectangles lean."""
    footprint = in_degrees(520_000, 7_750_000, 24_000, 24_000)
    scene = in_degrees(450_000, 7_700_000, 70_000 + 24_000 * share, 110_000)
    assert Coverage(footprint).of(scene) == pytest.approx(share, abs=2e-4)


def test_degrees_are_not_the_measure():
    """Of a footprint from 60 to 84 degrees north the southern half of the latitudes is most of the ground."""
    footprint, south = shapely.box(0, 60, 10, 84), shapely.box(0, 60, 10, 72)
    of_sphere = [np.sin(np.radians(degrees)) for degrees in (60, 72, 84)]
    expected = (of_sphere[1] - of_sphere[0]) / (of_sphere[2] - of_sphere[0])
    assert expected > 0.65
    assert Coverage(footprint).of(south) == pytest.approx(expected, abs=2e-3)


EAST, WEST = shapely.box(179, 68, 180, 69), shapely.box(-180, 68, -179, 69)
ACROSS = shapely.union_all([EAST, WEST])
JUMPING = shapely.Polygon([(179, 68), (-179, 68), (-179, 69), (179, 69)])


@pytest.mark.parametrize(
    ("scene", "share"),
    [(EAST, 0.5), (WEST, 0.5), (ACROSS, 1), (JUMPING, 1), (shapely.box(179.5, 60, 180, 80), 0.25)],
)
def test_footprints_may_cross_the_antimeridian(scene, share):
    assert Coverage(ACROSS).of(scene) == pytest.approx(share, abs=1e-6)


def test_footprints_may_hold_the_pole():
    footprint, half = shapely.box(-180, 89, 180, 90), shapely.box(-90, 88, 90, 90)
    assert Coverage(footprint).of(half) == pytest.approx(0.5, abs=1e-3)


def test_crossed_outlines_are_repaired():
    crossed = shapely.Polygon([(0, 60), (1, 61), (1, 60), (0, 61)])
    assert not crossed.is_valid
    assert Coverage(shapely.box(0, 60, 1, 61)).of(crossed) == pytest.approx(0.5, abs=0.01)


def test_what_lies_elsewhere_covers_nothing():
    """The antipode of the map's middle, where its projection ends, is no exception."""
    footprint = shapely.box(-137, 69, -136, 70)
    for elsewhere in (shapely.box(14, 48, 15, 49), shapely.box(43, -70, 44, -69), shapely.Polygon()):
        assert Coverage(footprint).of(elsewhere) == 0
