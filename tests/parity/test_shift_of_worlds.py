"""Planet and Sentinel-2 images of a sample world: their shift is found through clouds, and none between two worlds."""

from functools import cache

import cv2
import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts.demo.world.make import make_world
from darts.demo.world.planet import image_on, orthotile_of, scene_of, udm2_of
from darts_acquisition.optical.quality import SCL_QUALITY
from darts_preprocessing import align_offset

BANDS = ("blue", "green", "red", "nir")


@cache
def world(seed):
    return make_world(seed, 160)


@cache
def planet(seed, kind):
    """Reflectance, where it may be used, and the grid of a Planet image."""
    image = {"orthotile": orthotile_of, "scene": scene_of}[kind](world(seed))
    bands, classes = image_on(world(seed), image)
    return bands, udm2_of(classes)[0] == 1, image.grid


def clear(seed):
    table = np.zeros(256, dtype=np.uint8)
    table[list(SCL_QUALITY)] = list(SCL_QUALITY.values())
    return table[world(seed).classes] == 2


def moved(image, x, y):
    """Return an image resampled as if its content lay (x, y) pixels right and down."""
    matrix = np.float32([[1, 0, x], [0, 1, y]])
    return cv2.warpAffine(image, matrix, image.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


@pytest.mark.parametrize("kind", ["orthotile", "scene"])
@pytest.mark.parametrize(("seed", "x", "y"), [(4, 1.3, -2.6), (5, 1.3, -2.6), (4, 0.0, 0.0), (6, -8.45, 5.2)])
def test_the_shift_is_found_to_a_fifth_of_a_pixel(kind, seed, x, y):
    bands, usable, fine = planet(seed, kind)
    grid = world(seed).place.geobox
    seen = cv2.erode(clear(seed).astype(np.uint8), np.ones((5, 5)))
    mask = moved(seen.astype(np.float32), x, y) > 0.99
    for band in (1, 2, 3):
        image = moved(np.nan_to_num(world(seed).reflectance[band]), x, y)
        shift = align_offset(wrap_xr(image, grid), wrap_xr(bands[band], fine), moving_mask=mask, reference_mask=usable)
        assert shift.reliable, shift.reason
        assert (shift.x_px, shift.y_px) == pytest.approx((x, y), abs=0.2), BANDS[band]
        assert (shift.x_m, shift.y_m) == pytest.approx((10 * x, -10 * y), abs=2)
        assert shift.ssim_improvement > 0.2 or (x, y) == (0, 0)


def test_worlds_without_their_masks_are_full_of_clouds():
    """The masks of the test above matter: there is something to mask."""
    assert all(0.02 < 1 - clear(seed).mean() < 0.5 for seed in (4, 5, 6))


@pytest.mark.parametrize("seed", [4, 5, 6, 7])
def test_another_world_has_no_shift(seed):
    grid = world(seed).place.geobox
    for other in {4, 5, 6, 7} - {seed}:
        bands, usable, fine = planet(other, "orthotile")
        here = GeoBox(fine.shape, Affine(3.125, 0, grid.affine.c, 0, -3.125, grid.affine.f), grid.crs)
        for band in (1, 3):
            image, reference = wrap_xr(world(seed).reflectance[band], grid), wrap_xr(bands[band], here)
            shift = align_offset(image, reference, moving_mask=clear(seed), reference_mask=usable)
            assert not shift.reliable
            assert shift.reason.startswith(("no shift", "the images do not agree", "the shift of"))
