import re

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_preprocessing import calculate_ndvi, calculate_spyndex
from darts_preprocessing.indices import calculate_index, ndvi, ndwi
from darts_utils.bands import INDICES, manager
from darts_utils.errors import ConfigError, DataError


def test_ndvi_follows_its_formula_on_reflectance_clipped_to_0_1():
    red = np.array([[0.1, -0.05, 0.0, np.nan, 0.3, 1.4]], dtype=np.float32)
    nir = np.array([[0.3, 0.20, 0.0, 0.2, -0.1, 0.5]], dtype=np.float32)
    expected = [[0.5, 1.0, np.nan, np.nan, -1.0, (0.5 - 1) / 1.5]]
    np.testing.assert_allclose(ndvi(red, nir), np.float32(expected), rtol=1e-6)


def test_ndwi_follows_its_formula_on_reflectance_clipped_to_0_1():
    green = np.array([[0.3, 0.20, 0.0, 0.2, -0.1, 1.5]], dtype=np.float32)
    nir = np.array([[0.1, -0.05, 0.0, np.nan, 0.3, 0.5]], dtype=np.float32)
    expected = [[0.5, 1.0, np.nan, np.nan, -1.0, (1 - 0.5) / 1.5]]
    np.testing.assert_allclose(ndwi(green, nir), np.float32(expected), rtol=1e-6)


BLUE, GREEN, RED, NIR = np.float32(
    [[0.05, -0.1, 0.1, 0.3], [0.08, 0.2, 0.4, 0.1], [0.1, 0.3, np.nan, 0.2], [0.3, 1.7, 0.5, 0]]
)
BY_HAND = {
    "gndvi": [0.22 / 0.38, 0.8 / 1.2, 0.1 / 0.9, -1],
    "savi": [1.5 * 0.2 / 0.9, 1.5 * 0.7 / 1.8, np.nan, 1.5 * -0.2 / 0.7],
    "evi": [2.5 * 0.2 / (0.3 + 0.6 - 0.375 + 1), 2.5 * 0.7 / 3.8, np.nan, -0.5 / (1.2 - 2.25 + 1)],
    "vari": [-0.02 / 0.13, -0.1 / 0.5, np.nan, np.nan],
    "tgi": [-0.5 * (190 * 0.02 - 120 * 0.05), -0.5 * (190 * 0.1 - 120 * 0.3), np.nan, -0.5 * (190 * 0.1 + 120 * 0.1)],
}
"""Of reflectance clipped to 0..1; in the last place VARI has a divisor of 0, and EVI one of -0.05."""


@pytest.mark.parametrize("name", BY_HAND)
def test_other_indices_follow_their_formulas(name, monkeypatch):
    monkeypatch.setattr("darts_preprocessing.formulas.HOST_BLOCK_PX", 3)
    values = {"blue": BLUE, "green": GREEN, "red": RED, "nir": NIR}
    tile = xr.Dataset({band: (("y", "x"), values[band][None]) for band in INDICES[name].inputs})
    expected = np.clip(BY_HAND[name], *manager[name].valid_range)
    np.testing.assert_allclose(calculate_index(tile, name).values[0], expected, rtol=2e-5)
    np.testing.assert_array_equal(calculate_spyndex(tile, name.upper()), calculate_index(tile, name))


def test_any_index_of_the_catalogue_that_our_bands_make_is_at_hand():
    tile = xr.Dataset({"green": (("y", "x"), GREEN[None]), "red": (("y", "x"), RED[None])})
    made = calculate_spyndex(tile, "NGRDI")
    assert (made.name, made.dtype) == ("ngrdi", np.float32)
    np.testing.assert_allclose(made[0], [-0.02 / 0.18, -0.1 / 0.5, np.nan, -0.1 / 0.3], rtol=1e-5)
    with pytest.raises(
        ConfigError, match=r"NBR is made of N, S2 \(in the letters of spyndex\), but tiles have blue, green"
    ):
        calculate_spyndex(tile, "NBR")
    with pytest.raises(ConfigError, match="spyndex has no index 'nothing'"):
        calculate_spyndex(tile, "nothing")
    with pytest.raises(DataError, match=r"MSAVI needs red and nir, but the tile lacks nir. Load them."):
        calculate_spyndex(tile, "MSAVI")


@pytest.mark.parametrize("name", INDICES)
def test_each_index_is_a_band_like_any_other(name):
    rng = np.random.default_rng(3)
    bands = {band: (("y", "x"), rng.uniform(-0.1, 1, (6, 9)).astype(np.float32)) for band in INDICES[name].inputs}
    made = calculate_index(xr.Dataset(bands), name)
    assert (made.name, made.dtype, made.dims) == (name, np.float32, ("y", "x"))
    low, high = manager[name].valid_range
    assert float(made.min()) >= low
    assert float(made.max()) <= high
    decoded = manager[name].decode(manager[name].encode(made.values))
    np.testing.assert_allclose(decoded, made.values, atol=manager[name].scale)
    assert made.attrs["long_name"] == INDICES[name].long_name


def test_ndvi_agrees_with_numpy_over_many_blocks(monkeypatch):
    monkeypatch.setattr("darts_preprocessing.indices.HOST_BLOCK_PX", 7)
    red, nir = np.random.default_rng(0).uniform(0.01, 1, (2, 23, 40)).astype(np.float32)
    np.testing.assert_array_equal(ndvi(red, nir), (nir - red) / (nir + red))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.floats(-1, 2, width=32), st.floats(-1, 2, width=32))
def test_ndvi_stays_within_its_range_and_turns_sign_when_the_bands_are_swapped(a, b):
    red, nir = np.float32([[a]]), np.float32([[b]])
    there, back = ndvi(red, nir)[0, 0], ndvi(nir, red)[0, 0]
    assert np.isnan(there) or -1 <= there <= 1
    np.testing.assert_allclose(there, -back)


def test_a_missing_band_is_named():
    tile = xr.Dataset({"red": (("y", "x"), np.zeros((2, 2), np.float32))})
    message = "NDVI needs the bands red and nir, but the tile lacks nir. Load them."
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        calculate_ndvi(tile)


@pytest.mark.parametrize("name", [name for name, index in INDICES.items() if index.difference is not None])
def test_an_index_that_says_it_is_a_normalised_difference_is_one(name):
    """Augmentations of training make it anew from changed reflectance, by what it says."""
    index = INDICES[name]
    rng = np.random.default_rng(1)
    bands = {band: rng.uniform(-0.1, 1.2, (20, 30)).astype(np.float32) for band in index.inputs}
    one, other = (bands[band].clip(0, 1).astype(float) for band in index.difference)
    tile = xr.Dataset({band: (("y", "x"), values) for band, values in bands.items()})
    made = calculate_index(tile, name).values
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(made, (one - other) / (one + other), atol=1e-6)
