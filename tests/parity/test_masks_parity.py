"""NDVI, erosion and labelling against numpy, scipy and scikit-image."""

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import binary_erosion, gaussian_filter
from skimage.measure import label
from skimage.morphology import disk

from darts_postprocessing import binarize, erode_mask, prepare_export
from darts_preprocessing.indices import ndvi


@pytest.fixture
def valid() -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(420, 333)), 6)
    return noise > np.percentile(noise, 8)


def objects_of(candidates: np.ndarray, min_size: int) -> np.ndarray:
    """Objects by scikit-image: label, and drop the small ones."""
    labels = label(candidates, connectivity=2)
    counts = np.bincount(labels.ravel())
    return (labels > 0) & (counts[labels] >= min_size)


def test_ndvi_agrees_with_numpy_exactly():
    red, nir = np.random.default_rng(1).uniform(-0.1, 1.1, (2, 700, 531)).astype(np.float32)
    r, n = np.clip(red, 0, 1), np.clip(nir, 0, 1)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(ndvi(red, nir), (n - r) / (n + r))


@pytest.mark.parametrize("radius", [1, 3, 10, 15, 16, 34])
def test_erosion_agrees_with_scipy_and_the_disk_of_scikit_image_exactly(valid, radius):
    ours = erode_mask(xr.DataArray(valid, dims=("y", "x")), radius, edge_size=0).values
    np.testing.assert_array_equal(ours, binary_erosion(valid, disk(radius), border_value=1))


@pytest.mark.parametrize(("min_size", "sigma"), [(1, 1), (32, 3), (200, 6)])
def test_objects_agree_with_scikit_image_exactly(valid, min_size, sigma):
    noise = gaussian_filter(np.random.default_rng(2).normal(size=valid.shape), sigma)
    probs = ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)
    probs[100:110, 200:230] = np.nan
    threshold = float(np.nanpercentile(probs, 85))
    ours = binarize(xr.DataArray(probs, dims=("y", "x")), threshold, min_size, xr.DataArray(valid, dims=("y", "x")))
    expected = objects_of((probs > threshold) & valid, min_size)
    assert expected.any()
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("edge", [None, 0, 20])
def test_prepared_tile_agrees_with_the_plain_composition(valid, level, edge):
    rng = np.random.default_rng(3)
    quality = np.where(valid, 2, rng.integers(0, 2, valid.shape)).astype(np.uint8)
    noise = gaussian_filter(rng.normal(size=valid.shape), 4)
    probs = ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)
    tile = xr.Dataset({"probabilities": (("y", "x"), probs), "quality_data_mask": (("y", "x"), quality)})
    ours = prepare_export(tile, 0.6, 7, 40, level, edge_erosion_size=edge)
    extent = np.ones_like(valid) if level == 0 else binary_erosion(quality >= level, disk(7), border_value=1)
    cut = 7 if edge is None else edge
    inside = np.zeros_like(valid)
    inside[cut : valid.shape[0] - cut, cut : valid.shape[1] - cut] = True
    extent &= inside
    np.testing.assert_array_equal(ours["extent"], extent)
    np.testing.assert_array_equal(ours["binarized_segmentation"], objects_of((probs > 0.6) & extent, 40))
    np.testing.assert_array_equal(ours["probabilities"], np.where(extent, probs, np.float32(np.nan)))
