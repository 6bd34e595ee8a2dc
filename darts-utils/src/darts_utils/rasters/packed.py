"""Bands kept compressed in memory: of a scene that waits for its turn, much is read once or twice only."""

from typing import Any

import numpy as np
from numcodecs.blosc import Blosc

from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import for_each_row_block, pieces, row_blocks

_BLOCK_ROWS, _BLOCK_COLUMNS = 128, 512
"""A block fits into the cache of a core, and windows of patches take little more than they need of the blocks."""
_CODEC = Blosc(cname="lz4", clevel=5, shuffle=Blosc.BITSHUFFLE)
"""Unpacks several gigabytes a second and core. Digital numbers take some 60 % of their memory, classes a few."""


class Packed:
    """A (y, x) array in compressed blocks. Indexing it with two slices unpacks a new array of just that window.

    Args:
        values: The array; it is copied, on all cores.
    """

    def __init__(self, values: Array) -> None:
        self.shape: tuple[int, int] = (values.shape[0], values.shape[1])
        self.dtype: np.dtype[Any] = values.dtype
        self._blocks: dict[tuple[int, int], bytes] = {}

        def pack(rows: slice) -> None:
            for columns in row_blocks(self.shape[1], _BLOCK_COLUMNS):
                block = np.ascontiguousarray(values[rows, columns])
                self._blocks[rows.start // _BLOCK_ROWS, columns.start // _BLOCK_COLUMNS] = _CODEC.encode(block)

        for_each_row_block(pack, self.shape[0], _BLOCK_ROWS)

    @property
    def nbytes(self) -> int:
        """Memory that it takes, in bytes."""
        return sum(map(len, self._blocks.values()))

    def __getitem__(self, window: tuple[slice, slice]) -> Array:
        """Return the (y, x) values of a window, whose slices may have steps, as a new array."""
        (top, bottom, down), (left, right, across) = (
            part.indices(length) for part, length in zip(window, self.shape, strict=True)
        )
        out = np.empty((max(bottom - top, 0), max(right - left, 0)), dtype=self.dtype)
        for rows in pieces(slice(top, bottom), _BLOCK_ROWS):
            into = out[rows.start - top : rows.stop - top]
            for columns in pieces(slice(left, right), _BLOCK_COLUMNS):
                block = self._unpacked(rows.start // _BLOCK_ROWS, columns.start // _BLOCK_COLUMNS)
                inner = block[_within(rows, _BLOCK_ROWS), _within(columns, _BLOCK_COLUMNS)]
                into[:, columns.start - left : columns.stop - left] = inner
        return out[::down, ::across]

    def window(self, rows: slice, columns: slice) -> Array:
        """Return the same, for those who call functions."""
        return self[rows, columns]

    def _unpacked(self, row: int, column: int) -> Array:
        height = min(_BLOCK_ROWS, self.shape[0] - row * _BLOCK_ROWS)
        content = np.frombuffer(_CODEC.decode(self._blocks[row, column]), dtype=self.dtype)
        return content.reshape(height, -1)


def _within(part: slice, length: int) -> slice:
    """Return a part of a block in pixels from its beginning."""
    start = part.start % length
    return slice(start, start + part.stop - part.start)
