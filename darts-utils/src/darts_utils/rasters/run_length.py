"""Masks in run-length encoding, and their connected components: the cost grows with the objects, not with the image."""

from dataclasses import dataclass

import numpy as np

from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import row_blocks

_BLOCK_ROWS = 64
_STRETCHES_AT_ONCE = 65_536
_INDICES_OF_INT32 = 2**31


@dataclass(frozen=True, kw_only=True)
class RunLengthEncoding:
    """A mask as the stretches of True pixels of its rows, in reading order.

    A flat index is row * stride + column. A row has one column more than the mask, so that stretches of two rows never
    meet.
    """

    stride: int
    starts: Array
    """(stretch,) int32, or int64 for an image beyond 2^31 pixels: flat index of the first pixel."""
    ends: Array
    """(stretch,) likewise: flat index behind the last pixel."""

    @property
    def lengths(self) -> Array:
        """(stretch,) number of pixels."""
        return self.ends - self.starts

    def at(self, flat_indices: Array) -> Array:
        """Return the number of the stretch that has the pixel at each flat index, int64; each must have one."""
        return np.searchsorted(self.starts, flat_indices, side="right") - 1

    def pixels(self, stretches: slice | Array = slice(None)) -> Array:
        """Return where the pixels of some stretches are in the raveled mask, which lacks the column more, int64."""
        starts, lengths = self.starts[stretches], self.lengths[stretches]
        first = starts - starts // self.stride
        before = np.cumsum(lengths) - lengths
        return np.repeat(first - before, lengths) + np.arange(lengths.sum())


def run_length_encode(mask: Array) -> RunLengthEncoding:
    """Return the encoding of a (y, x) bool mask."""
    height, width = mask.shape
    stride = width + 1
    dtype = np.int32 if (height + 1) * stride < _INDICES_OF_INT32 else np.int64
    padded = np.zeros((min(_BLOCK_ROWS, height), stride), dtype=bool)
    changes = [np.empty(0, dtype=dtype)]
    for rows in row_blocks(height, _BLOCK_ROWS):
        block = padded[: rows.stop - rows.start]
        block[:, :width] = mask[rows]
        changes.append((_changes(block.ravel()) + rows.start * stride).astype(dtype))
    flat_indices = np.concatenate(changes)
    return RunLengthEncoding(stride=stride, starts=flat_indices[::2].copy(), ends=flat_indices[1::2].copy())


def run_length_decode(stretches: RunLengthEncoding, kept: Array, shape: tuple[int, int]) -> Array:
    """Return the (y, x) bool mask of the stretches that are kept.

    Args:
        stretches: An encoded mask.
        kept: (stretch,) bool.
        shape: Of the mask.
    """
    mask = np.zeros(shape, dtype=bool)
    starts = stretches.starts // stretches.stride
    for rows in row_blocks(shape[0], _BLOCK_ROWS):  # few pixels at once, also where all ground is one object
        first, after = np.searchsorted(starts, [rows.start, rows.stop])
        mask.ravel()[stretches.pixels(first + np.flatnonzero(kept[first:after]))] = True
    return mask


def connected_components(stretches: RunLengthEncoding, *, diagonal: bool) -> tuple[Array, int]:
    """Return which object each stretch belongs to, and how many objects there are.

    Args:
        stretches: An encoded mask.
        diagonal: Whether pixels that touch at a corner belong together (8-connected objects), or only those that
            share an edge (4-connected).

    Returns:
        (stretch,) int64 from 0 on, numbered by the first pixel of each object in reading order.
    """
    n_stretches = len(stretches.starts)
    parents = np.arange(n_stretches)
    seams = [(parents[:0], parents[:0])]
    for start in range(0, n_stretches, _STRETCHES_AT_ONCE):  # in batches, because noise has as many contacts as pixels
        batch = slice(start, min(start + _STRETCHES_AT_ONCE, n_stretches))
        below, above = _contacts(stretches, batch, int(diagonal))
        inside = above >= start
        parents[batch] = start + _joined(np.arange(batch.stop - start), below[inside] - start, above[inside] - start)
        seams.append((below[~inside], above[~inside]))
    parents = _joined(parents, *np.concatenate(seams, axis=1))
    is_first = parents == np.arange(n_stretches)
    return (np.cumsum(is_first) - 1)[parents], int(is_first.sum())


def _changes(flat: Array) -> Array:
    """Return where a flat block that ends with False changes: starts and ends of stretches in turns."""
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return np.concatenate([[0], changes]) if flat[0] else changes


def _contacts(stretches: RunLengthEncoding, lower: slice, reach: int) -> tuple[Array, Array]:
    """Return pairs of a stretch of `lower` and one of the row above that overlap or lie `reach` columns apart."""
    first = np.searchsorted(stretches.ends, stretches.starts[lower] - (stretches.stride + reach), side="right")
    after = np.searchsorted(stretches.starts, stretches.ends[lower] - (stretches.stride - reach), side="left")
    number = after - first
    below = np.repeat(np.arange(lower.start, lower.start + len(number)), number)
    above = np.arange(len(below)) + np.repeat(first - (np.cumsum(number) - number), number)
    return below, above


def _joined(parents: Array, ones: Array, others: Array) -> Array:
    """Return the smallest stretch that each stretch is connected with, from what is known so far and pairs in contact.

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
