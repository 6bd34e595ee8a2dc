"""Objects of a mask as runs of True pixels along its rows: their cost grows with the objects, not with the image."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from darts_utils.strips import row_strips

type Array = np.ndarray[Any, np.dtype[Any]]

_STRIP_ROWS = 64
_RUNS_AT_ONCE = 65_536
_PLACES_OF_INT32 = 2**31


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The runs of True pixels of a mask, in reading order.

    A place is row * stride + column. A row has one column more than the mask, so that runs of two rows never meet.
    """

    stride: int
    starts: Array
    """(run,) int32, or int64 for an image beyond 2^31 places: the place of the first pixel."""
    ends: Array
    """(run,) likewise: the place after the last pixel."""

    @property
    def lengths(self) -> Array:
        """(run,) number of pixels."""
        return self.ends - self.starts

    def at(self, places: Array) -> Array:
        """Return the number of the run that has the pixel at each place, int64; each must have one."""
        return np.searchsorted(self.starts, places, side="right") - 1

    def pixels(self, runs: slice | Array = slice(None)) -> Array:
        """Return the index of each pixel of some runs in the flat mask, int64."""
        starts, lengths = self.starts[runs], self.lengths[runs]
        first = starts - starts // self.stride  # a flat mask lacks the column that places have
        before = np.cumsum(lengths) - lengths
        return np.repeat(first - before, lengths) + np.arange(lengths.sum())


def runs_of(mask: Array) -> Runs:
    """Return the runs of a (y, x) bool mask."""
    height, width = mask.shape
    stride = width + 1
    dtype = np.int32 if (height + 1) * stride < _PLACES_OF_INT32 else np.int64
    padded = np.zeros((min(_STRIP_ROWS, height), stride), dtype=bool)
    changes = [np.empty(0, dtype=dtype)]
    for rows in row_strips(height, _STRIP_ROWS):
        strip = padded[: rows.stop - rows.start]
        strip[:, :width] = mask[rows]
        changes.append((_changes(strip.ravel()) + rows.start * stride).astype(dtype))
    places = np.concatenate(changes)
    return Runs(stride=stride, starts=places[::2].copy(), ends=places[1::2].copy())


def mask_of(runs: Runs, kept: Array, shape: tuple[int, int]) -> Array:
    """Return the (y, x) bool mask of the runs that are kept.

    Args:
        runs: The runs of a mask.
        kept: (run,) bool.
        shape: Of the mask.
    """
    mask = np.zeros(shape, dtype=bool)
    starts = runs.starts // runs.stride
    for rows in row_strips(shape[0], _STRIP_ROWS):  # few pixels at once, also where all ground is one object
        first, after = np.searchsorted(starts, [rows.start, rows.stop])
        mask.ravel()[runs.pixels(first + np.flatnonzero(kept[first:after]))] = True
    return mask


def label_runs(runs: Runs, *, diagonal: bool) -> tuple[Array, int]:
    """Return which object each run belongs to, and how many objects there are.

    Args:
        runs: The runs of a mask.
        diagonal: Whether pixels that touch at a corner belong together (8-connected objects), or only those that
            share an edge (4-connected).

    Returns:
        (run,) int64 from 0 on, numbered by the first pixel of each object in reading order.
    """
    n_runs = len(runs.starts)
    parents = np.arange(n_runs)
    seams = [(parents[:0], parents[:0])]
    for start in range(0, n_runs, _RUNS_AT_ONCE):  # in portions, because noise has as many contacts as pixels
        portion = slice(start, min(start + _RUNS_AT_ONCE, n_runs))
        below, above = _contacts(runs, portion, int(diagonal))
        inside = above >= start
        parents[portion] = start + _joined(
            np.arange(portion.stop - start), below[inside] - start, above[inside] - start
        )
        seams.append((below[~inside], above[~inside]))
    parents = _joined(parents, *np.concatenate(seams, axis=1))
    is_first = parents == np.arange(n_runs)
    return (np.cumsum(is_first) - 1)[parents], int(is_first.sum())


def _changes(flat: Array) -> Array:
    """Return where a flat strip that ends with False changes: starts and ends of runs in turns."""
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return np.concatenate([[0], changes]) if flat[0] else changes


def _contacts(runs: Runs, lower: slice, reach: int) -> tuple[Array, Array]:
    """Return pairs of runs, one of `lower` and one of the row above it, that overlap or lie `reach` columns apart."""
    first = np.searchsorted(runs.ends, runs.starts[lower] - (runs.stride + reach), side="right")
    after = np.searchsorted(runs.starts, runs.ends[lower] - (runs.stride - reach), side="left")
    number = after - first
    below = np.repeat(np.arange(lower.start, lower.start + len(number)), number)
    above = np.arange(len(below)) + np.repeat(first - (np.cumsum(number) - number), number)
    return below, above


def _joined(parents: Array, ones: Array, others: Array) -> Array:
    """Return the smallest run that each run is connected with, from what is known so far and pairs in contact.

    Every round hangs roots below smaller roots and then flattens the trees, so some rounds are enough for any shape.
    """
    while True:
        ones, others = parents[ones], parents[others]
        apart = ones != others
        if not apart.any():
            return parents
        ones, others = ones[apart], others[apart]
        np.minimum.at(parents, np.maximum(ones, others), np.minimum(ones, others))
        while not np.array_equal(flatter := parents[parents], parents):
            parents = flatter
