"""Blocks with halos: a full scene is worked on piece by piece, so that only results are held whole."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from darts_utils.machine.cpu import usable_cores
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.packed import Packed
from darts_utils.rasters.row_blocks import pieces

HOST_BLOCK_PX = 512
"""Edge of a block in host memory: its float32 working arrays (1 MB each) stay in the cache of a core."""

ROW_BLOCK_ROWS = 256
"""Rows of a block of whole rows, for compiled loops, which take long rows best and hold no working arrays."""

DEVICE_BLOCK_PX = 2048
"""Edge of a block on a device: large enough to keep it busy, small enough to bound its memory."""

_SMALL_PX = 2**20
"""Less than this is done at once by the thread that asks, which in most cases is one of several that ask."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A rectangle of the output, in pixels; the source reaches further, by a halo on each side."""

    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def within(self, window: "Block") -> "Block":
        """Return this block of a window in the pixels that the window is counted in."""
        return self.moved(window.rows.start, window.columns.start)

    def moved(self, down: int, right: int) -> "Block":
        """Return the block that lies so many pixels further down and to the right."""
        rows, columns = (
            slice(part.start + by, part.stop + by) for part, by in ((self.rows, down), (self.columns, right))
        )
        return Block(rows=rows, columns=columns)

    def pieces(self, block_px: int) -> Iterator["Block"]:
        """Return what it has in common with each block of a `split` of the whole, without overlap."""
        for rows in pieces(self.rows, block_px):
            for columns in pieces(self.columns, block_px):
                yield Block(rows=rows, columns=columns)

    def read(self, source: Array | Packed, source_halo: int, halo: int) -> Array:
        """Return the block and `halo` pixels around it as float32, NaN beyond the source.

        The output pixel (0, 0) lies at (source_halo, source_halo) of the source.
        """
        top, bottom = self.rows.start + source_halo - halo, self.rows.stop + source_halo + halo
        left, right = self.columns.start + source_halo - halo, self.columns.stop + source_halo + halo
        height, width = source.shape
        inside = source[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
        if inside.shape == (bottom - top, right - left):
            return inside
        window = np.full((bottom - top, right - left), np.nan, dtype=np.float32)
        y, x = max(-top, 0), max(-left, 0)
        window[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
        return window

    def read_rows(self, source: Array | Packed, source_halo: int, halo: int) -> tuple[Array, int]:
        """Return what `read` does within whole rows of memory, and at which of their columns it begins."""
        top, left = self.rows.start + source_halo - halo, self.columns.start + source_halo - halo
        height, width = self.shape[0] + 2 * halo, self.shape[1] + 2 * halo
        inside = top >= 0 and left >= 0 and top + height <= source.shape[0] and left + width <= source.shape[1]
        if inside and isinstance(source, np.ndarray) and source.flags.c_contiguous:
            return source[top : top + height], left
        return np.ascontiguousarray(self.read(source, source_halo, halo)), 0


def whole(shape: tuple[int, int]) -> Block:
    """Return all of a (rows, columns) shape as one block."""
    return Block(rows=slice(0, shape[0]), columns=slice(0, shape[1]))


def split(shape: tuple[int, int], block_px: int, width_px: int | None = None) -> Iterator[Block]:
    """Return blocks that cover a (rows, columns) shape without overlap.

    Args:
        shape: What to cover.
        block_px: Pixels of a side, at most.
        width_px: Columns of a block where they shall not be as many as its rows.
    """
    height, width = shape
    step = block_px if width_px is None else width_px
    for top in range(0, height, block_px):
        for left in range(0, width, step):
            yield Block(rows=slice(top, min(top + block_px, height)), columns=slice(left, min(left + step, width)))


def for_each_block(
    function: Callable[[Block], None], shape: tuple[int, int], block_px: int, width_px: int | None = None
) -> None:
    """Call a function with each block of a `split`, on as many threads as this process may use cores."""
    blocks = split(shape, block_px, width_px)
    if shape[0] * shape[1] <= _SMALL_PX:
        for block in blocks:
            function(block)
        return
    with ThreadPoolExecutor(max_workers=usable_cores()) as pool:
        for _ in pool.map(function, blocks):
            pass  # fetching a result raises the error of its block
