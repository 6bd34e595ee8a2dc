"""Metres, pixels and true north."""

import numpy as np
import pyproj
import pytest
from odc.geo.geobox import GeoBox

from darts_utils.errors import GridError
from darts_utils.grid import convergence_at_centre, grid_convergence, metres_to_pixels, pixel_size_m


def box(crs, x, y, resolution=10, size=(30, 50)):
    return GeoBox.from_bbox((x, y, x + size[1] * resolution, y + size[0] * resolution), crs, resolution=resolution)


def test_pixel_size_of_a_metric_grid():
    assert pixel_size_m(box("EPSG:32608", 500_000, 7_700_000, 3)) == 3


@pytest.mark.parametrize(
    ("geobox", "message"),
    [
        (GeoBox.from_bbox((0, 60, 1, 61), "EPSG:4326", resolution=0.1), "a projected CRS in metres is needed"),
        (GeoBox.from_bbox((0, 0, 90, 90), "EPSG:32608", shape=(9, 3)), "square, north-up pixels are needed"),
        (box("EPSG:32608", 500_000, 7_700_000).flipy(), "square, north-up pixels are needed"),
    ],
)
def test_other_grids_are_refused(geobox, message):
    with pytest.raises(GridError, match=message):
        pixel_size_m(geobox)


@pytest.mark.parametrize(
    ("length_m", "pixel_m", "pixels"), [(100, 10, 10), (100, 3, 34), (101, 10, 11), (0, 10, 0), (0.3, 0.1, 3)]
)
def test_metres_are_rounded_up_to_pixels(length_m, pixel_m, pixels):
    assert metres_to_pixels(length_m, pixel_m) == pixels


def test_negative_lengths_are_refused():
    with pytest.raises(GridError, match=r"length -1 m must not be negative and pixel size 10 m must be positive\."):
        metres_to_pixels(-1, 10)


@pytest.mark.parametrize("crs", ["EPSG:32608", "EPSG:32633"])
@pytest.mark.parametrize("x", [300_000, 500_000, 690_000])
def test_convergence_equals_that_of_proj_in_utm(crs, x):
    geobox = box(crs, x, 7_760_000)
    lon, lat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x + 250, 7_760_000 + 150)
    # PROJ counts the angle from true to grid north, so the sign is the other way round
    expected = -pyproj.Proj(crs).get_factors(lon, lat).meridian_convergence
    assert convergence_at_centre(geobox) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("lon", [-135, -45, 0, 45, 170])
def test_convergence_in_polar_stereographic_is_the_longitude_from_the_central_meridian(lon):
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3413", always_xy=True).transform(lon, 72)
    geobox = box("EPSG:3413", round(x / 10) * 10 - 250, round(y / 10) * 10 - 150)
    difference = convergence_at_centre(geobox) - -(lon + 45)
    assert (difference + 180) % 360 - 180 == pytest.approx(0, abs=0.02)


def test_convergence_of_a_part_equals_that_part_of_the_whole():
    geobox = box("EPSG:3413", -2_000_000, 300_000, size=(700, 900))
    whole = grid_convergence(geobox)
    assert whole.shape == (700, 900)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(grid_convergence(geobox[100:230, 40:55]), whole[100:230, 40:55], atol=2e-3)


def test_convergence_of_one_pixel():
    assert grid_convergence(box("EPSG:32608", 400_000, 7_700_000, size=(1, 1))).shape == (1, 1)
