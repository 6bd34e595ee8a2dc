"""A shift between two images is found to a fraction of a pixel, or not trusted."""

import cv2
import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_preprocessing import Shift, align_offset
from darts_utils.errors import ConfigError, DataError, GridError

FINE = 4
"""Pixels of the reference in one of the image, along each side."""


def grid(height, width, pixel=10.0, left=500_000, top=7_700_000, crs="EPSG:32608"):
    return GeoBox((height, width), Affine(pixel, 0, left, 0, -pixel, top), crs)


def ground(rng, shape, roughness=1.5):
    """Return random ground of unit variance, rougher at small scales the lower the exponent."""
    radius = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :])
    radius[0, 0] = 1
    rough = np.fft.ifft2(np.fft.fft2(rng.normal(size=shape)) / radius**roughness).real
    return rough / rough.std()


def moved(image, x, y):
    """Return a periodic image moved right and down, exactly, in the frequency domain."""
    phase = np.fft.fftfreq(image.shape[1])[None, :] * x + np.fft.fftfreq(image.shape[0])[:, None] * y
    return np.fft.ifft2(np.fft.fft2(image) * np.exp(-2j * np.pi * phase)).real


def averaged(image):
    height, width = (length // FINE for length in image.shape)
    return image.reshape(height, FINE, width, FINE).mean(axis=(1, 3))


def pair(seed, x, y, *, shape=(150, 190), noise=0.0, gain=1.0, offset=0.0):
    """Return an image whose content lies (x, y) pixels right and down of that of a finer reference."""
    rng = np.random.default_rng(seed)
    fine = ground(rng, (FINE * shape[0], FINE * shape[1]))
    image = averaged(moved(fine, FINE * x, FINE * y))
    detail = (image - cv2.GaussianBlur(image, (0, 0), 3)).std()
    image = gain * (image + noise * detail * rng.normal(size=image.shape)) + offset
    as_float = image.astype(np.float32), fine.astype(np.float32)
    return wrap_xr(as_float[0], grid(*shape)), wrap_xr(as_float[1], grid(*fine.shape, pixel=10 / FINE))


def blobs(seed, shape, share):
    """Return where clouds are not, so that they cover a share of an image."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(60, 60)).astype(np.float32), (0, 0), 4)
    noise = cv2.resize(noise, shape[::-1])
    return noise > np.quantile(noise, share)


SHIFTS = [(1.3, -2.6), (0, 0), (0.5, 0.5), (-0.25, 3.75), (-11.4, 7.2), (21.1, -22.3)]


@pytest.mark.parametrize(("x", "y"), SHIFTS)
def test_shifts_are_found_to_a_fraction_of_a_pixel(x, y):
    shift = align_offset(*pair(1, x, y))
    assert shift.reliable, shift.reason
    assert (shift.x_px, shift.y_px) == pytest.approx((x, y), abs=0.05)
    assert (shift.x_m, shift.y_m) == pytest.approx((10 * shift.x_px, -10 * shift.y_px))
    assert shift.reliability > 0.8
    assert shift.ssim_improvement > 0.1 or (x, y) == (0, 0)


@pytest.mark.parametrize(
    ("given", "clouds", "within"),
    [
        ({"noise": 0.2}, 0.0, 0.1),
        ({"noise": 0.5}, 0.0, 0.2),
        ({"gain": 0.2, "offset": 0.4}, 0.0, 0.05),
        ({"gain": 900, "offset": -5000, "noise": 0.2}, 0.3, 0.1),
        ({}, 0.3, 0.1),
        ({"noise": 0.2}, 0.5, 0.2),
        ({"shape": (100, 230)}, 0.0, 0.05),
        ({"shape": (420, 400), "noise": 0.5}, 0.4, 0.2),
    ],
)
def test_neither_noise_nor_clouds_nor_units_matter(given, clouds, within):
    """Clouds differ in both images, are bright, and reach a little beyond nothing: all of them is masked."""
    image, reference = pair(2, 1.3, -2.6, **given)
    clear, clear_reference = blobs(3, image.shape, clouds), blobs(4, reference.shape, clouds / 2)
    image = image.where(clear, image.max() * 3)
    reference = reference.where(clear_reference, 50)
    masks = {"moving_mask": clear, "reference_mask": wrap_xr(clear_reference.astype(np.uint8), reference.odc.geobox)}
    shift = align_offset(image, reference, **masks)
    assert shift.reliable, shift.reason
    assert (shift.x_px, shift.y_px) == pytest.approx((1.3, -2.6), abs=within)


def test_missing_data_is_masked_without_being_told():
    image, reference = pair(5, 1.3, -2.6)
    clear, clear_reference = blobs(6, image.shape, 0.3), blobs(7, reference.shape, 0.2)
    masked = align_offset(image, reference, moving_mask=clear, reference_mask=clear_reference)
    assert align_offset(image.where(clear), reference.where(clear_reference)) == masked
    assert masked.reliable


@pytest.mark.parametrize("same_place", [True, False])
def test_the_outline_of_a_mask_is_no_content(same_place):
    """A mask that lies at the same place in both images must not pull the shift towards zero."""
    image, reference = pair(8, 2.4, 1.7)
    clear = blobs(9, image.shape, 0.4)
    fine = np.kron(clear if same_place else blobs(10, image.shape, 0.4), np.ones((FINE, FINE)))
    shift = align_offset(image.where(clear, 30), reference.where(fine > 0, 30), moving_mask=clear, reference_mask=fine)
    assert (shift.x_px, shift.y_px) == pytest.approx((2.4, 1.7), abs=0.1)


def test_the_shift_is_in_metres_of_the_image_whatever_the_grid_of_the_reference():
    """The reference is turned by six degrees against the image, and coarsened by the reprojection."""
    image, reference = pair(11, 1.3, -2.6)
    turned = reference.odc.reproject("EPSG:32609", resolution=3, resampling="cubic")
    shift = align_offset(image, turned)
    assert shift.reliable
    assert (shift.x_m, shift.y_m) == pytest.approx((13, 26), abs=1)


def test_a_large_scene_is_compared_only_where_the_reference_lies():
    image, reference = pair(12, 1.3, -2.6)
    height, width = image.shape
    wide = np.random.default_rng(0).normal(size=(height + 600, width + 800)).astype(np.float32)
    wide[400 : 400 + height, 300 : 300 + width] = image
    large = wrap_xr(wide, grid(*wide.shape, left=500_000 - 3000, top=7_700_000 + 4000))
    shift = align_offset(large, reference)
    assert (shift.x_px, shift.y_px) == pytest.approx((1.3, -2.6), abs=0.05)


def test_going_there_and_back_is_no_shift():
    image, reference = pair(13, 3.3, -4.1)
    there = align_offset(image, reference)
    back = image.odc.geobox.translate_pix(-there.x_px, -there.y_px)
    shift = align_offset(wrap_xr(image.values, back), reference)
    assert (shift.x_px, shift.y_px) == pytest.approx((0, 0), abs=0.02)


def test_nothing_is_changed():
    image, reference = pair(14, 1, 1)
    mask = blobs(15, image.shape, 0.3)
    before = image.copy(deep=True), reference.copy(deep=True), mask.copy()
    align_offset(image, reference, moving_mask=mask)
    assert image.identical(before[0])
    assert reference.identical(before[1])
    np.testing.assert_array_equal(mask, before[2])


def unrelated(seed):
    """Return two images of different ground: any roughness, size and gaps, half of the time the same gaps."""
    rng = np.random.default_rng([99, seed])
    shape = (int(rng.integers(70, 200)), int(rng.integers(70, 200)))
    roughness, share = float(rng.choice([0, 1, 1.5, 2, 2.5, 3])), float(rng.choice([0, 0.2, 0.5]))
    images = [wrap_xr(ground(rng, shape, roughness).astype(np.float32), grid(*shape)) for _ in range(2)]
    masks = [blobs(seed + step * (seed % 2), shape, share) for step in (0, 1000)]
    return images, masks


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_unrelated_images_have_no_shift(first):
    reasons = []
    for seed in range(first, first + 10):
        images, masks = unrelated(seed)
        shift = align_offset(*images, moving_mask=masks[0], reference_mask=masks[1])
        assert shift == Shift(reliability=shift.reliability, reason=shift.reason), seed
        assert shift.reliability < 0.6
        reasons.append(shift.reason)
    assert any(reason.startswith("no shift stands out (reliability 0.") for reason in reasons)


NOTHING = "too little of both images is valid at the same place, or there is nothing on it to compare"


def flat(image, reference):
    return image * 0 + 0.3, reference, {}


def all_masked(image, reference):
    return image, reference, {"moving_mask": np.zeros(image.shape, dtype=bool)}


def hardly_any_overlap(image, reference):
    far = image.odc.geobox.translate_pix(image.shape[1] - 12, 0)
    return wrap_xr(image.values, far), reference, {}


def elsewhere(image, reference):
    return wrap_xr(image.values, image.odc.geobox.translate_pix(5000, 0)), reference, {}


def all_nan(image, reference):
    return image, reference * np.nan, {}


@pytest.mark.parametrize("spoil", [flat, all_masked, hardly_any_overlap, elsewhere, all_nan])
def test_where_there_is_nothing_to_compare_there_is_no_shift(spoil):
    image, reference, masks = spoil(*pair(16, 1.3, -2.6))
    assert align_offset(image, reference, **masks) == Shift(reason=NOTHING)


def test_noise_that_drowns_the_ground_is_not_trusted():
    shift = align_offset(*pair(17, 1.3, -2.6, noise=40))
    assert not shift.reliable
    assert shift.reason.startswith(("no shift", "the images do not agree"))


def test_a_negative_is_not_the_same_image():
    image, reference = pair(18, 1.3, -2.6)
    assert not align_offset(-image, reference).reliable


def test_a_shift_beyond_the_reach_is_not_trusted():
    shift = align_offset(*pair(19, 30, 20, shape=(260, 260)))
    assert (shift.reliable, shift.x_px, shift.x_m) == (False, 0, 0)
    assert shift.reason == "the shift of 36.1 px is beyond the reach of 32 px of a window of 128 px"
    assert align_offset(*pair(19, 30, 20, shape=(260, 260)), window=160).x_px == pytest.approx(30, abs=0.05)


def test_mistakes_are_named():
    image, reference = pair(20, 0, 0)
    with pytest.raises(ConfigError, match=r"^window is 16 px but must be at least 32\. Make it larger\.$"):
        align_offset(image, reference, window=16)
    with pytest.raises(DataError, match=r"^the moving image has the dims \('band', 'y', 'x'\) but must be one band"):
        align_offset(image.expand_dims("band"), reference)
    with pytest.raises(
        DataError, match=r"^the reference mask is \(3, 4\) but its image \(600, 760\)\. Give one on its"
    ):
        align_offset(image, reference, reference_mask=np.ones((3, 4)))
    with pytest.raises(GridError, match=r"^the tile has no georeference"):
        align_offset(image, xr.DataArray(reference.values, dims=("y", "x")))
    with pytest.raises(GridError, match=r"but a projected CRS in metres is needed\. Reproject it, e\.g\. to UTM\.$"):
        align_offset(image.odc.reproject("EPSG:4326"), reference)
