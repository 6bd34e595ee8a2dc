"""Tasselled-cap trends on the grid of a tile, made where they are read: on their own grid they take a third."""

from collections.abc import Sequence
from functools import cached_property

import cv2
import numpy as np
from odc.geo.geobox import GeoBox

from darts_preprocessing.blocks import Block, for_each_block
from darts_preprocessing.resampling.warp import BLOCK_PX, Nodes, Source, Warp, nodes_of, resample, source_window
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.lazy import Remembered

_OVERSHOOT = 0.28125
"""What cubic convolution takes away of its neighbours beside a pixel, at most: (1.25^2 - 1) / 2."""

_AROUND = np.ones((5, 5), dtype=np.uint8)
"""Holds the sixteen pixels that are weighted, on whichever side of the middle a position lies."""


class TrendWindows:
    """Trends of any window of a tile, as a warp of the whole of it gives them.

    Args:
        names: Bands of the source.
        source: The trends on their own grid, (band, y, x) uint8; where all are 0 there is no data.
        grid: The grid of the tile.
    """

    def __init__(self, names: Sequence[str], source: Source, grid: GeoBox) -> None:
        self.shape: tuple[int, int] = (grid.shape[0], grid.shape[1])
        self._names = tuple(names)
        self._warp = Warp.of(source, grid, "cubic", fill=0)
        self._nodes: dict[tuple[int, int], Nodes] = {}

    def read(self, band: str, rows: slice, columns: slice) -> Array:
        """Return a window of a band, (y, x) uint8; 0 where there is no data."""
        made: Array = self._shared(rows, columns)[self._names.index(band)]
        return made

    def holes(self) -> Array:
        """Return where all trends are 0, which stands for none: (y, ceil(x / 8)) uint8, a bit a pixel."""
        holes = np.zeros((self.shape[0], -(-self.shape[1] // 8)), dtype=np.uint8)

        def fill(block: Block) -> None:
            if not self._is_full(block):
                first = block.columns.start // 8  # blocks begin at whole bytes
                bits = np.packbits((self._piece(block) == 0).all(axis=0), axis=1)
                holes[block.rows, first : first + bits.shape[1]] = bits

        for_each_block(fill, self.shape, BLOCK_PX)
        return holes

    @cached_property
    def _shared(self) -> Remembered[Array]:
        return Remembered(self._window)

    def _window(self, rows: slice, columns: slice) -> Array:
        """Return all bands of a window, (band, y, x) uint8."""
        window = Block(rows=rows, columns=columns)
        out = np.empty((len(self._names), *window.shape), dtype=np.uint8)
        for piece in window.pieces(BLOCK_PX):
            into = piece.moved(-rows.start, -columns.start)
            out[:, into.rows, into.columns] = self._piece(piece)
        return out

    def _piece(self, piece: Block) -> Array:
        """Return all bands of a window that lies in one block, (band, y, x) uint8."""
        nodes, corner = self._nodes_around(piece)
        inner = piece.moved(-corner.rows.start, -corner.columns.start)
        top, left = (part.start // nodes.step * nodes.step for part in (inner.rows, inner.columns))
        part = Block(rows=slice(top, inner.rows.stop), columns=slice(left, inner.columns.stop))
        target = np.empty((len(self._names), *part.shape), dtype=np.uint8)
        resample(self._warp, nodes.part(part), target)
        return target[:, inner.rows.start - top :, inner.columns.start - left :]

    def _nodes_around(self, piece: Block) -> tuple[Nodes, Block]:
        """Return the nodes of the block that a window lies in, and the block."""
        rows, columns = (
            slice(first := part.start // BLOCK_PX * BLOCK_PX, min(first + BLOCK_PX, length))
            for part, length in zip((piece.rows, piece.columns), self.shape, strict=True)
        )
        key = rows.start, columns.start
        if key not in self._nodes:  # two threads may find them both, and find the same
            self._nodes[key] = nodes_of(self._warp, self._warp.grid[rows, columns])
        return self._nodes[key], Block(rows=rows, columns=columns)

    def _is_full(self, block: Block) -> bool:
        """Tell whether it is sure, without a warp, that a trend is above 0 wherever one looks in a block."""
        nodes, _ = self._nodes_around(block)
        source = self._warp.source
        height, width = source.values.shape[1:]
        if not (_is_within(nodes.rows, height) and _is_within(nodes.columns, width)):
            return False
        values = source.values[:, *source_window(self._warp, nodes)]
        if source.is_missing(values).any():
            return False
        return bool(np.logical_or.reduce([_stays_above_0(band) for band in values]).all())


def _stays_above_0(band: Array) -> Array:
    """Return (y, x) bool, True where cubic convolution of a uint8 band gives at least 1 whatever the position."""
    lowest, highest = cv2.erode(band, _AROUND).astype(np.float32), cv2.dilate(band, _AROUND)
    above: Array = lowest * (1 + _OVERSHOOT) - highest * _OVERSHOOT >= 1
    return above


def _is_within(positions: Array, length: int) -> bool:
    return bool((positions >= 0).all() and (positions < length).all())
