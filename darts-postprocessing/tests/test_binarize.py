import re

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_postprocessing import binarize
from darts_postprocessing.binarize import keep_whole_objects
from darts_utils.errors import ConfigError


def picture(*rows: str) -> np.ndarray:
    return np.array([[character != "." for character in row] for row in rows])


def slow_objects(candidates: np.ndarray) -> list[set[tuple[int, int]]]:
    """8-connected objects by flood fill."""
    left = set(map(tuple, np.argwhere(candidates).tolist()))
    objects = []
    while left:
        todo, found = [left.pop()], set()
        while todo:
            y, x = todo.pop()
            found.add((y, x))
            for neighbour in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if neighbour in left:
                    left.remove(neighbour)
                    todo.append(neighbour)
        objects.append(found)
    return objects


def test_pixels_that_touch_at_a_corner_are_one_object():
    candidates = picture("##....", "..#...", ".....#")
    kept, n_objects = keep_whole_objects(candidates, np.ones_like(candidates), 3)
    np.testing.assert_array_equal(kept, picture("##....", "..#...", "......"))
    assert n_objects == 1


def test_an_object_with_one_pixel_outside_of_the_mask_goes_whole():
    candidates = picture("####..", "......", "..####")
    valid = picture("######", "######", "#####.")
    np.testing.assert_array_equal(keep_whole_objects(candidates, valid, 0)[0], picture("####..", "......", "......"))


def test_probability_must_exceed_the_threshold_and_nan_does_not():
    probs = xr.DataArray(np.float32([[0.5, np.nan, 0.51, 0.49]]), dims=("y", "x"))
    slumps = binarize(probs, 0.5, 1, xr.ones_like(probs))
    np.testing.assert_array_equal(slumps, [[False, False, True, False]])
    assert slumps.dtype == bool


def test_an_object_of_exactly_the_smallest_size_stays():
    probs = xr.DataArray(np.float32([[0.9, 0.9, 0, 0.9]]), dims=("y", "x"))
    np.testing.assert_array_equal(binarize(probs, 0.5, 2, xr.ones_like(probs)), [[True, True, False, False]])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 14), st.integers(1, 14), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_kept_pixels_are_those_of_the_definition(rows, columns, size, seed):
    rng = np.random.default_rng(seed)
    candidates, valid = rng.random((rows, columns)) > 0.6, rng.random((rows, columns)) > 0.1
    whole = [
        pixels for pixels in slow_objects(candidates) if len(pixels) >= size and all(valid[pixel] for pixel in pixels)
    ]
    expected = np.zeros_like(candidates)
    for pixels in whole:
        expected[tuple(np.transpose(list(pixels)))] = True
    kept, n_objects = keep_whole_objects(candidates, valid, size)
    np.testing.assert_array_equal(kept, expected)
    assert n_objects == len(whole)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(threshold):
    probs = xr.DataArray(np.zeros((2, 2), np.float32), dims=("y", "x"))
    message = f"the binarization threshold is {threshold} but must be within 0..1. Set it to e.g. 0.5."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        binarize(probs, threshold, 1, probs)
