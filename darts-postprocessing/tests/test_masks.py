import re

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_postprocessing import erode_mask
from darts_postprocessing.masks import cut_edges, erode_by_disk, is_out_of_extent
from darts_utils.errors import ConfigError
from darts_utils.rasters.row_blocks import row_blocks


def slow_erosion(valid: np.ndarray, radius: int) -> np.ndarray:
    """The definition: every invalid cell takes the disk around it along."""
    y, x = np.indices(valid.shape)
    eroded = valid.copy()
    for row, column in np.argwhere(valid == 0):
        eroded[(y - row) ** 2 + (x - column) ** 2 <= radius**2] = 0
    return eroded


@pytest.mark.parametrize("radius", [0, 1, 2, 5, 10, 15, 16, 20, 33])
def test_erosion_takes_exactly_a_disk_around_each_invalid_cell(radius):
    rng = np.random.default_rng(radius)
    valid = (rng.random((97, 120)) > 0.001).astype(np.uint8)
    np.testing.assert_array_equal(erode_by_disk(valid, radius), slow_erosion(valid, radius))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_both_ways_to_erode_agree(radius, seed):
    valid = (np.random.default_rng(seed).random((60, 45)) > 0.003).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("darts_postprocessing.masks._LARGEST_FOOTPRINT_PX", 0)
        by_distance = erode_by_disk(valid, radius)
        patch.setattr("darts_postprocessing.masks._LARGEST_FOOTPRINT_PX", 99)
        by_footprint = erode_by_disk(valid, radius)
    np.testing.assert_array_equal(by_distance, by_footprint)


@pytest.mark.parametrize("radius", [3, 15, 16, 40])
def test_blocks_erode_like_the_whole(monkeypatch, radius):
    valid = (np.random.default_rng(radius).random((97, 150)) > 0.0005).astype(np.uint8)
    whole = erode_by_disk(valid, radius)
    monkeypatch.setattr("darts_postprocessing.masks.row_blocks", lambda length: row_blocks(length, 16))
    np.testing.assert_array_equal(erode_by_disk(valid, radius), whole)
    assert 0 < whole.sum() < valid.sum()


@pytest.mark.parametrize("radius", [5, 30])
def test_cells_outside_of_the_image_count_as_valid(radius):
    assert erode_by_disk(np.ones((20, 30), np.uint8), radius).all()


def test_a_mask_without_valid_cells_stays_so():
    assert not erode_by_disk(np.zeros((20, 30), np.uint8), 20).any()


@pytest.mark.parametrize(("edge_size", "cut"), [(None, 3), (0, 0), (1, 1), (7, 7)])
def test_edge_size_none_is_as_size_and_zero_is_zero(edge_size, cut):
    mask = xr.DataArray(np.ones((20, 31), np.uint8), dims=("y", "x"))
    eroded = erode_mask(mask, 3, edge_size=edge_size).values
    expected = np.zeros((20, 31), np.uint8)
    expected[cut : 20 - cut, cut : 31 - cut] = 1
    np.testing.assert_array_equal(eroded, expected)


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_erosion_keeps_dtype_and_coordinates_and_leaves_its_input_alone(dtype):
    mask = xr.DataArray(np.ones((9, 8), dtype), dims=("y", "x"), coords={"y": np.arange(9.0), "x": np.arange(8.0)})
    before = mask.copy(deep=True)
    eroded = erode_mask(mask, 2)
    assert eroded.dtype == dtype
    assert eroded.coords.equals(mask.coords)
    xr.testing.assert_identical(mask, before)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (4, 4)])
def test_an_edge_as_wide_as_the_tile_leaves_nothing(shape):
    assert not erode_mask(xr.DataArray(np.ones(shape, bool), dims=("y", "x")), 0, edge_size=2).any()


def test_negative_sizes_are_refused():
    mask = xr.DataArray(np.ones((3, 3), bool), dims=("y", "x"))
    with pytest.raises(ConfigError, match=f"^{re.escape('size is -1 px but must not be negative. Set 0 for none.')}$"):
        erode_mask(mask, -1, edge_size=0)
    with pytest.raises(ConfigError, match=r"^edge_size is -2 px but must not be negative\. Set 0 for none\.$"):
        erode_mask(mask, 1, edge_size=-2)


@pytest.mark.parametrize("level", [1, 2])
def test_a_window_is_out_of_the_extent_only_if_no_pixel_in_it_or_beside_it_is_in(level):
    rng, found = np.random.default_rng(level), []
    for number in range(300):
        quality = rng.choice(3, (60, 70), p=[0.02, 0.03, 0.95]).astype(np.uint8)
        quality[: rng.integers(0, 60), : rng.integers(0, 70)] = 0
        radius, edge_px = (int(size) for size in rng.integers(0, 6, 2))
        extent = cut_edges(erode_by_disk((quality >= level).view(np.uint8), radius), edge_px)
        (top, bottom), (left, right) = (sorted(rng.choice(length, 2, replace=False)) for length in (60, 70))
        around = extent[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1]
        out = is_out_of_extent(
            quality, slice(top, bottom), slice(left, right), level=level, radius=radius, edge_px=edge_px
        )
        assert not (out and around.any()), number
        found.append((out, not around.any()))
    told, true = np.array(found).T
    assert 20 < told.sum() <= true.sum()
    assert told.sum() > 0.5 * true.sum(), "most of them are found"
