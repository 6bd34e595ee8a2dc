"""Patches of a tile, read by all cores into the batches of networks."""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice, pairwise
from queue import SimpleQueue

import numpy as np
import torch

from darts_segmentation.model_input import BandStack
from darts_segmentation.network import Batch
from darts_segmentation.patches import Patch, PatchGrid
from darts_utils.machine.cpu import usable_cores
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import row_blocks

type PatchBatch = tuple[list[Patch], Batch]

_BLOCK_ROWS = 256
"""Rows that a core reads at once: a few megabytes a band, which stay in its cache from step to step."""


class PatchLoader:
    """Reads the patches of a grid, `size` at once, leaving out those without any valid pixel.

    While a device still reads one batch, the next one is written into another buffer; cores take turns.

    Args:
        stack: The bands of the tile.
        grid: Its patches.
        optical: The sets of optical bands that some network needs.
        size: Patches of a batch, at most.
        pin: Whether batches lie in memory that a device can read by itself.
    """

    def __init__(
        self, stack: BandStack, grid: PatchGrid, optical: Collection[frozenset[str]], size: int, *, pin: bool
    ) -> None:
        self._stack = stack
        self._grid = grid
        self._optical = tuple(optical)
        self._size = min(size, len(grid))
        self._pin = pin
        self._scratch: SimpleQueue[Array] = SimpleQueue()
        self._last: _Read | None = None

    def __iter__(self) -> Iterator[PatchBatch]:
        """Yield the patches of each batch and the batch, which holds until the next one is asked for.

        For a device the next one is read meanwhile, and a batch is overwritten only while the next but one is read:
        copies may still be under way until then. Where cores compute they all do, and read when they have done so.
        """
        patches = iter(self._grid)
        for _ in range(usable_cores()):  # used again and again: new memory takes longer to get than to fill
            self._scratch.put(np.empty((len(self._stack.bands), *self._block_shape), dtype=np.float32))
        with ThreadPoolExecutor(usable_cores()) as pool:
            yield from self._ahead(patches, pool) if self._pin else self._in_turn(patches, pool)

    def _in_turn(self, patches: Iterator[Patch], pool: ThreadPoolExecutor) -> Iterator[PatchBatch]:
        buffer = self._buffer()
        while loaded := self._next(buffer, patches, pool):
            yield loaded

    def _ahead(self, patches: Iterator[Patch], pool: ThreadPoolExecutor) -> Iterator[PatchBatch]:
        buffers = cycle([self._buffer() for _ in range(3)])
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self._next, next(buffers), patches, pool)
            while loaded := coming.result():
                coming = ahead.submit(self._next, next(buffers), patches, pool)
                yield loaded

    def _next(self, buffer: "_Buffer", patches: Iterator[Patch], pool: ThreadPoolExecutor) -> PatchBatch | None:
        """Return the next patches with their batch, None if there are no more."""
        filled = self._fill(buffer, patches, pool)
        return (filled, buffer.batch(len(filled))) if filled else None

    @property
    def _block_shape(self) -> tuple[int, int]:
        height, width = self._grid.patch_shape
        return min(height, _BLOCK_ROWS), width

    def _buffer(self) -> "_Buffer":
        shape = (self._size, *self._grid.patch_shape)
        return _Buffer(
            inputs=torch.empty((*shape, len(self._stack.bands)), pin_memory=self._pin),
            valid={key: torch.empty(shape, dtype=torch.bool, pin_memory=self._pin) for key in self._optical},
        )

    def _fill(self, buffer: "_Buffer", patches: Iterator[Patch], pool: ThreadPoolExecutor) -> list[Patch]:
        """Fill a buffer with the next patches that have a valid pixel, and return them."""
        filled: list[Patch] = []
        while len(filled) < self._size and (chosen := list(islice(patches, self._size - len(filled)))):
            first = len(filled)
            for place, (patch, seen) in enumerate(zip(chosen, self._read(buffer, chosen, first, pool), strict=True)):
                self._last = _Read(patch, buffer, len(filled)) if seen else None
                if seen:
                    buffer.move(first + place, len(filled))
                    filled.append(patch)
        return filled

    def _read(self, buffer: "_Buffer", patches: Sequence[Patch], first: int, pool: ThreadPoolExecutor) -> list[bool]:
        """Read patches into the places from `first` on, block by block; return which have a valid pixel.

        Columns that a patch shares with the one before are copied from there. So the patches of a block of rows are
        read one after the other, unless there are more cores than blocks.
        """
        blocks = list(row_blocks(self._grid.patch_shape[0], _BLOCK_ROWS))
        each = [_Read(patch, buffer, first + index) for index, patch in enumerate(patches)]
        if usable_cores() > len(blocks):
            work = [(one, rows, None) for one in each for rows in blocks]
            seen = list(pool.map(lambda given: self._read_block(*given), work))
            return [any(seen[start : start + len(blocks)]) for start in range(0, len(seen), len(blocks))]

        def read_all(rows: slice) -> list[bool]:
            return [self._read_block(one, rows, before) for before, one in pairwise([self._last, *each]) if one]

        return [any(of_patch) for of_patch in zip(*pool.map(read_all, blocks), strict=True)]

    def _read_block(self, one: "_Read", rows: slice, before: "_Read | None") -> bool:
        """Read some rows of a patch, of which some columns may be there already; return if a pixel is valid."""
        shared = 0 if before is None else one.patch.shares_with(before.patch)
        if before is not None and shared:
            one.copy(before, rows, shared)
        inputs, masks = one.views(rows)
        scratch = self._scratch.get()
        try:
            rest = {key: mask[:, shared:] for key, mask in masks.items()}
            seen = self._stack.read(one.patch.from_column(shared), rows, inputs[:, shared:], rest, scratch)
        finally:
            self._scratch.put(scratch)
        return seen or any(bool(mask[:, :shared].any()) for mask in masks.values())


@dataclass(frozen=True)
class _Read:
    """A patch and where it is in memory."""

    patch: Patch
    buffer: "_Buffer"
    place: int

    def views(self, rows: slice) -> tuple[Array, dict[frozenset[str], Array]]:
        """Return (y, x, band) inputs, and (y, x) masks, of some rows."""
        masks = {key: mask.numpy()[self.place, rows] for key, mask in self.buffer.valid.items()}
        return self.buffer.inputs.numpy()[self.place, rows], masks

    def copy(self, before: "_Read", rows: slice, shared: int) -> None:
        """Take the first columns from the last ones of another patch."""
        inputs, masks = self.views(rows)
        others, of_other = before.views(rows)
        inputs[:, :shared] = others[:, -shared:]
        for key, mask in masks.items():
            mask[:, :shared] = of_other[key][:, -shared:]


@dataclass(frozen=True, kw_only=True)
class _Buffer:
    """Room for a batch."""

    inputs: torch.Tensor
    """(place, y, x, band) float32."""
    valid: dict[frozenset[str], torch.Tensor]
    """(place, y, x) bool each."""

    def move(self, source: int, target: int) -> None:
        if source != target:
            for tensor in (self.inputs, *self.valid.values()):
                tensor[target] = tensor[source]

    def batch(self, size: int) -> Batch:
        """Return the first patches; inputs are 0 already where no network sees anything."""
        valid = {key: mask[:size] for key, mask in self.valid.items()}
        masks = list(valid.values())
        same = all(torch.equal(masks[0], mask) for mask in masks[1:])
        return Batch(inputs=self.inputs[:size].permute(0, 3, 1, 2), valid={} if same else valid)
