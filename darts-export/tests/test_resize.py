import numpy as np
import xarray as xr

from darts_export.pictures.resize import resize_band, resize_mask


def test_unknown_ground_does_not_darken_its_neighbours():
    band = np.full((40, 40), 0.3, dtype=np.float32)
    band[:, ::3] = np.nan
    band[:8] = np.nan
    small = resize_band(xr.Variable(("y", "x"), band), (10, 10))
    assert np.isnan(small[:2]).all()
    np.testing.assert_allclose(small[2:], 0.3, rtol=1e-5)


def test_a_single_pixel_survives_the_shrinking(make_tile):
    tile = make_tile(1000, 900)
    tile["extent"][:] = False
    tile["extent"][500, 450] = True
    assert resize_mask(tile["extent"], (90, 81)).sum() >= 1


def test_a_shrunk_mask_is_true_where_any_of_its_pixels_is():
    mask = np.random.default_rng(0).random((100, 77)) < 0.05
    small = resize_mask(xr.DataArray(mask, dims=("y", "x")), (30, 23))
    expected = np.zeros((30, 23), dtype=np.uint8)
    for y, x in np.argwhere(mask):
        bottom, right = -(-30 * (y + 1) // 100), -(-23 * (x + 1) // 77)
        expected[30 * y // 100 : bottom, 23 * x // 77 : right] = 1
    np.testing.assert_array_equal(small, expected)
