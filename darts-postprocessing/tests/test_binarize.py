import re

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_postprocessing import binarize
from darts_postprocessing.binarize import Slumps, find_slumps
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


def found(candidates: np.ndarray, valid: np.ndarray, min_size: int = 1, *, drop: bool = False) -> Slumps:
    """Objects of probabilities that are 0.9 at candidates and 0.1 elsewhere."""
    probs = np.where(candidates, 0.9, 0.1).astype(np.float32)
    return find_slumps(probs, valid, 0.5, min_size, drop_cut_objects=drop)


def test_pixels_that_touch_at_a_corner_are_one_object():
    candidates = picture("##....", "..#...", ".....#")
    slumps = found(candidates, np.ones_like(candidates), 3)
    np.testing.assert_array_equal(slumps.objects, picture("##....", "..#...", "......"))
    assert slumps.n_objects == 1


def test_an_object_that_the_mask_cuts_stays_with_the_part_inside_and_is_marked():
    candidates = picture("........", ".##.....", "...####.", "........", "........")
    valid = picture("########", "########", "#####..#", "########", "########")
    slumps = found(candidates, valid)
    np.testing.assert_array_equal(slumps.objects, candidates & valid)
    np.testing.assert_array_equal(slumps.cut, candidates & valid)
    assert slumps.n_objects == 1


def test_cut_objects_go_whole_if_asked_for():
    candidates = picture("........", ".##.....", "...####.", "........", ".#......", "........")
    valid = picture("########", "########", "#####..#", "########", "########", "########")
    slumps = found(candidates, valid, drop=True)
    np.testing.assert_array_equal(
        slumps.objects, picture("........", "........", "........", "........", ".#......", "........")
    )
    assert slumps.n_objects == 1
    assert not slumps.cut.any()


def test_the_size_of_a_cut_object_is_that_of_the_part_inside():
    candidates = picture("........", ".#####..", "........", "........")
    valid = picture("########", "##....##", "########", "########")
    assert found(candidates, valid, 1).n_objects == 1
    assert found(candidates, valid, 2).n_objects == 0


def test_an_object_beside_ground_under_cloud_with_a_low_probability_is_whole():
    candidates = picture("........", "..##....", "........", "........")
    valid = picture("########", "####..##", "########", "########")
    assert not found(candidates, valid).cut.any()


def test_an_object_beside_ground_of_unknown_probability_is_cut():
    probs = np.where(picture("......", ".##...", "......"), 0.9, 0.1).astype(np.float32)
    probs[1, 3] = np.nan
    valid = picture("######", "###.##", "######")
    assert find_slumps(probs, valid, 0.5, 1).cut.sum() == 2
    assert not find_slumps(probs, np.ones_like(valid), 0.5, 1).cut.any()  # a hole inside the extent cuts nothing


@pytest.mark.parametrize("border", [(0, 2), (4, 2), (2, 0), (2, 5)])
def test_an_object_on_the_outermost_row_or_column_of_the_tile_is_cut(border):
    candidates = np.zeros((5, 6), dtype=bool)
    candidates[border] = True
    assert found(candidates, np.ones_like(candidates)).cut.sum() == 1


@pytest.mark.parametrize("border", [(1, 3), (5, 3), (3, 2), (3, 6)])
def test_an_object_on_the_outermost_row_or_column_of_the_extent_is_cut(border):
    candidates, valid = np.zeros((8, 9), dtype=bool), np.zeros((8, 9), dtype=bool)
    valid[1:6, 2:7] = True
    candidates[border] = True
    assert found(candidates, valid).cut.sum() == 1
    candidates[border], candidates[3, 4] = False, True
    assert found(candidates, valid).cut.sum() == 0


def test_probability_must_exceed_the_threshold_and_nan_does_not():
    probs = xr.DataArray(np.float32([[0.5, np.nan, 0.51, 0.49]]), dims=("y", "x"))
    slumps = binarize(probs, 0.5, 1, xr.ones_like(probs))
    np.testing.assert_array_equal(slumps, [[False, False, True, False]])
    assert slumps.dtype == bool


def test_an_object_of_exactly_the_smallest_size_stays():
    probs = xr.DataArray(np.float32([[0.9, 0.9, 0, 0.9]]), dims=("y", "x"))
    np.testing.assert_array_equal(binarize(probs, 0.5, 2, xr.ones_like(probs)), [[True, True, False, False]])


def slow_slumps(probs: np.ndarray, valid: np.ndarray, size: int) -> list[tuple[set[tuple[int, int]], bool]]:
    """Objects by the definition of the contract, pixel by pixel, with whether each is cut."""
    rows, columns = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))

    def ends_unseen(y: int, x: int) -> bool:
        if y in (0, len(valid) - 1, rows[0], rows[-1]) or x in (0, valid.shape[1] - 1, columns[0], columns[-1]):
            return True
        window = (slice(y - 1, y + 2), slice(x - 1, x + 2))
        return bool((~valid[window] & ((probs[window] > 0.5) | np.isnan(probs[window]))).any())

    objects = [pixels for pixels in slow_objects((probs > 0.5) & valid) if len(pixels) >= size]
    return [(pixels, any(ends_unseen(*pixel) for pixel in pixels)) for pixels in objects]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 14), st.integers(1, 14), st.integers(0, 6), st.integers(0, 2**32 - 1), st.booleans())
def test_slumps_are_those_of_the_definition(rows, columns, size, seed, drop):
    rng = np.random.default_rng(seed)
    probs, valid = rng.uniform(0.1, 0.85, (rows, columns)).astype(np.float32), rng.random((rows, columns)) > 0.1
    probs[rng.random((rows, columns)) < 0.05] = np.nan
    expected = [(pixels, cut) for pixels, cut in slow_slumps(probs, valid, size) if not (drop and cut)]
    objects, cuts = np.zeros_like(valid), np.zeros_like(valid)
    for pixels, cut in expected:
        index = tuple(np.transpose(list(pixels)))
        objects[index], cuts[index] = True, cut
    slumps = find_slumps(probs, valid, 0.5, size, drop_cut_objects=drop)
    np.testing.assert_array_equal(slumps.objects, objects)
    np.testing.assert_array_equal(slumps.cut, cuts)
    assert slumps.n_objects == len(expected)


def test_a_scene_of_several_row_blocks_is_cut_like_one_block():
    rng = np.random.default_rng(4)
    probs, valid = rng.random((1100, 9)).astype(np.float32), rng.random((1100, 9)) > 0.2
    slumps, cuts = find_slumps(probs, valid, 0.5, 1), np.zeros_like(valid)
    for pixels, cut in slow_slumps(probs, valid, 1):
        cuts[tuple(np.transpose(list(pixels)))] = cut
    np.testing.assert_array_equal(slumps.cut, cuts)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(threshold):
    probs = xr.DataArray(np.zeros((2, 2), np.float32), dims=("y", "x"))
    message = f"the binarization threshold is {threshold} but must be within 0..1. Set it to e.g. 0.5."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        binarize(probs, threshold, 1, probs)
