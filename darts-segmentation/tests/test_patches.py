import re

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_segmentation.patches import Patching, blending_window, patch_grid, patch_starts
from darts_utils.errors import ConfigError

sizes = st.integers(1, 200)
origins = st.tuples(st.integers(-50, 50), st.integers(-50, 50))


@st.composite
def patchings(draw) -> Patching:
    patch_size = draw(st.integers(1, 70))
    return Patching(
        patch_size=patch_size,
        overlap=draw(st.integers(0, patch_size - 1)),
        reflection=draw(st.sampled_from([0, 0, 1, 5, 40])),
    )


@settings(deadline=None, max_examples=150)
@given(height=sizes, width=sizes, patching=patchings(), multiple=st.sampled_from([1, 8, 32]), origin=origins)
def test_shares_add_up_to_one_in_every_pixel_of_any_tile(height, width, patching, multiple, origin):
    grid = patch_grid((height, width), patching, multiple, origin)
    total = np.zeros((height, width), dtype=np.float32)
    for patch in grid:
        patch.add_to(total, np.ones(grid.patch_shape, dtype=np.float32))
    np.testing.assert_allclose(total, 1, atol=1e-5)
    assert all(size % multiple == 0 for size in grid.patch_shape)


@settings(deadline=None, max_examples=150)
@given(height=sizes, width=sizes, patching=patchings(), multiple=st.sampled_from([1, 8, 32]), origin=origins)
def test_a_patch_reads_the_pixels_that_it_writes(height, width, patching, multiple, origin):
    grid = patch_grid((height, width), patching, multiple, origin)
    band = np.arange(height * width, dtype=np.float32).reshape(height, width)
    for patch in grid:
        values = patch.read(xr.Variable(("y", "x"), band))
        assert values.shape == grid.patch_shape
        written = values[patch.rows.written, patch.columns.written]
        np.testing.assert_array_equal(written, band[patch.rows.target, patch.columns.target])


@pytest.mark.parametrize(
    ("length", "patch", "overlap", "multiple", "starts"),
    [
        (100, 32, 8, 1, [0, 23, 45, 68]),
        (32, 32, 8, 1, [0]),
        (33, 32, 8, 1, [0, 1]),
        (20, 32, 8, 1, [0]),
        (96, 32, 0, 1, [0, 32, 64]),
        (96, 32, 0, 32, [0, 32, 64]),
        (320, 128, 16, 32, [0, 96, 192]),
        (352, 128, 16, 32, [0, 64, 160, 224]),
        (96, 64, 60, 32, [0, 4, 8, 12, 16, 20, 24, 28, 32]),
        (11008, 1024, 256, 32, [768 * i for i in range(13)] + [9984]),
    ],
)
def test_patches_start_evenly_spread_at_multiples_and_as_few_as_possible(length, patch, overlap, multiple, starts):
    assert patch_starts(length, patch, overlap, multiple).tolist() == starts


@given(length=st.integers(1, 300), patch=st.integers(1, 40), multiple=st.sampled_from([1, 8, 32]), data=st.data())
def test_neighbours_share_at_least_the_overlap(length, patch, multiple, data):
    length, patch = length * multiple, patch * multiple
    overlap = data.draw(st.integers(0, patch - 1))
    starts = patch_starts(length, patch, overlap, multiple)
    assert starts[0] == 0
    assert starts[-1] == max(length - patch, 0)
    assert np.diff(starts).max(initial=0) <= patch - overlap


@pytest.mark.parametrize(("reflection", "origin"), [(0, (0, 0)), (0, (-7, 30)), (3, (5, 9))])
def test_beyond_its_edge_a_tile_is_mirrored(reflection, origin):
    """Bars of zeros are nothing that a network has learned from."""
    grid = patch_grid((20, 25), Patching(patch_size=64, overlap=2, reflection=reflection), 16, origin)
    (patch,) = grid
    band = np.arange(500, dtype=np.float32).reshape(20, 25)
    before = [reflection + (first - reflection) % 16 for first in origin]
    after = [full - length - first for full, length, first in zip(grid.patch_shape, band.shape, before, strict=True)]
    assert max(before + after) > 0
    padded = np.pad(band, list(zip(before, after, strict=True)), mode="reflect")
    np.testing.assert_array_equal(patch.read(xr.Variable(("y", "x"), band)), padded)


@settings(deadline=None, max_examples=100)
@given(length=st.integers(1, 300), origin=st.integers(-1000, 1000), reflection=st.sampled_from([0, 3, 40]))
def test_patches_begin_at_multiples_on_the_map(length, origin, reflection):
    patching = Patching(patch_size=64, overlap=10, reflection=reflection)
    grid = patch_grid((length, length), patching, 32, (origin, origin))
    for span in grid.rows:
        begin = origin + span.target.start - span.written.start
        assert span.weights.size == 0 or begin % 32 == 0


def test_a_tile_as_large_as_a_patch_stays_one_patch():
    grid = patch_grid((64, 50), Patching(patch_size=64, overlap=10), 32, (7, 9))
    (patch,) = grid
    assert grid.patch_shape == (96, 64)
    assert patch.rows.written == slice(7, 71)
    assert patch.columns.written == slice(9, 59)


def test_the_window_is_symmetric_positive_and_weak_at_the_border():
    window = blending_window(64)
    np.testing.assert_allclose(window, window[::-1])
    assert 0 < window[0] < 0.001
    assert window.max() <= 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"patch_size": 64, "overlap": 64},
            "overlap is 64 px but must be below patch_size (64 px). Lower overlap or raise patch_size.",
        ),
        ({"patch_size": 0}, "patch_size is 0 but must be a whole number of at least 1."),
        ({"overlap": -1}, "overlap is -1 but must be a whole number of at least 0."),
        ({"batch_size": 0}, "batch_size is 0 but must be a whole number of at least 1."),
        ({"reflection": 1.5}, "reflection is 1.5 but must be a whole number of at least 0."),
    ],
)
def test_illegal_parameters_are_named_with_their_value(parameters, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Patching(**parameters)
