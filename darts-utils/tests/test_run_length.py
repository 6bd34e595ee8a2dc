import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_utils.rasters import run_length as module
from darts_utils.rasters.run_length import connected_components, run_length_decode, run_length_encode


def picture(*rows: str) -> np.ndarray:
    return np.array([[character != "." for character in row] for row in rows])


def slow_labels(mask: np.ndarray, *, diagonal: bool) -> np.ndarray:
    """Objects by flood fill from each pixel in reading order: from 0 on, and -1 where the mask is False."""
    labels = np.full(mask.shape, -1)
    number = 0
    for seed in zip(*np.nonzero(mask), strict=True):
        todo = [seed] if labels[seed] < 0 else []
        while todo:
            y, x = todo.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and labels[y, x] < 0:
                labels[y, x] = number
                steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if diagonal or 0 in (dy, dx)]
                todo.extend((y + dy, x + dx) for dy, dx in steps)
        number = labels.max() + 1
    return labels


masks = st.builds(
    lambda rows, columns, density, seed: np.random.default_rng(seed).random((rows, columns)) < density,
    st.integers(1, 17),
    st.integers(1, 14),
    st.sampled_from([0, 0.2, 0.4, 0.6, 0.9, 1]),
    st.integers(0, 2**32 - 1),
)


def test_runs_are_the_stretches_of_each_row():
    stretches = run_length_encode(picture("##.#", "....", "####", "#..."))
    assert stretches.stride == 5
    assert stretches.starts.tolist() == [0, 3, 10, 15]
    assert stretches.lengths.tolist() == [2, 1, 4, 1]
    assert stretches.pixels().tolist() == [0, 1, 3, 8, 9, 10, 11, 12]
    assert stretches.at(np.array([1, 3, 13])).tolist() == [0, 1, 2]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(masks, st.booleans())
def test_labels_are_those_of_a_flood_fill_in_reading_order(mask, diagonal):
    stretches = run_length_encode(mask)
    labels, n_objects = connected_components(stretches, diagonal=diagonal)
    expected = slow_labels(mask, diagonal=diagonal)
    assert n_objects == expected.max() + 1
    np.testing.assert_array_equal(stretches.pixels(), np.flatnonzero(mask))
    np.testing.assert_array_equal(np.repeat(labels, stretches.lengths), expected[mask])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(masks, st.integers(0, 2**32 - 1))
def test_a_mask_of_some_runs_has_their_pixels_only(mask, seed):
    stretches = run_length_encode(mask)
    kept = np.random.default_rng(seed).random(len(stretches.starts)) < 0.5
    expected = np.zeros(mask.size, dtype=bool)
    expected[stretches.pixels(np.flatnonzero(kept))] = True
    np.testing.assert_array_equal(run_length_decode(stretches, kept, mask.shape).ravel(), expected)
    np.testing.assert_array_equal(run_length_decode(stretches, np.ones_like(kept), mask.shape), mask)


@pytest.mark.parametrize("limits", [{"_BLOCK_ROWS": 3}, {"_STRETCHES_AT_ONCE": 4}, {"_INDICES_OF_INT32": 9}])
def test_blocks_batches_and_wide_numbers_change_nothing(monkeypatch, limits):
    mask = np.random.default_rng(5).random((40, 31)) < 0.45
    plain = run_length_encode(mask)
    labels, n_objects = connected_components(plain, diagonal=True)
    for name, value in limits.items():
        monkeypatch.setattr(module, name, value)
    stretches = run_length_encode(mask)
    np.testing.assert_array_equal(stretches.starts, plain.starts)
    np.testing.assert_array_equal(stretches.ends, plain.ends)
    np.testing.assert_array_equal(connected_components(stretches, diagonal=True)[0], labels)
    assert connected_components(stretches, diagonal=True)[1] == n_objects > 5
    np.testing.assert_array_equal(
        run_length_decode(stretches, labels > 2, mask.shape), run_length_decode(plain, labels > 2, mask.shape)
    )
    assert stretches.starts.dtype == (np.int64 if "_INDICES_OF_INT32" in limits else np.int32)


def test_a_spiral_and_a_comb_are_one_object():
    spiral = picture("#######", "......#", "#####.#", "#...#.#", "#.###.#", "#.....#", "#######")
    comb = picture("#.#.#.#.#", "#.#.#.#.#", "#########")
    for mask in (spiral, comb, comb[::-1]):
        assert connected_components(run_length_encode(mask), diagonal=False)[1] == 1


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (1, 1)])
def test_an_empty_mask_has_no_runs(shape):
    stretches = run_length_encode(np.zeros(shape, dtype=bool))
    assert len(stretches.starts) == len(stretches.pixels()) == 0
    assert connected_components(stretches, diagonal=True)[1] == 0
    assert not run_length_decode(stretches, np.zeros(0, dtype=bool), shape).any()
