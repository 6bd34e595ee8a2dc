"""Where the patches of a tile lie, and how much each of their pixels counts where they overlap.

A grid of patches is the product of two axes, so it holds a few numbers a row or column of patches whatever the size of
the tile. The blending window is separable too, and normalised along each axis: no map of weights is ever needed.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from darts_utils.errors import ConfigError
from darts_utils.machine.jit import compiled
from darts_utils.parameters import check_overlap
from darts_utils.rasters.arrays import Array

_ALL = slice(None)


@dataclass(frozen=True, kw_only=True)
class Patching:
    """How a tile is cut into patches."""

    patch_size: int = 1024
    """Edge length of a patch in pixels; rounded up to what the networks accept, usually a multiple of 32."""
    overlap: int = 16
    """Pixels that neighbouring patches share at least."""
    batch_size: int = 8
    """Patches that go through the network at once."""
    reflection: int = 0
    """Pixels by which the tile is mirrored at its edges, at least, before it is cut."""

    def __post_init__(self) -> None:
        for name, lowest in (("patch_size", 1), ("overlap", 0), ("batch_size", 1), ("reflection", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < lowest:
                raise ConfigError(f"{name} is {value!r} but must be a whole number of at least {lowest}.")
        check_overlap(self.overlap, self.patch_size)


@dataclass(frozen=True, kw_only=True)
class Span:
    """One patch along one axis."""

    source: Array | slice
    """Which pixels of the tile the patch reads: a slice where they follow one another, else their indices."""
    target: slice
    """Pixels of the tile that the patch writes."""
    written: slice
    """The pixels of the patch that belong there."""
    weights: Array
    """(written,) float32, above 0: the share of this patch in each pixel; the shares of all patches add up to 1."""


@dataclass(frozen=True, kw_only=True)
class Patch:
    """One patch of a grid: its rows and its columns."""

    rows: Span
    columns: Span

    def shares_with(self, before: "Patch") -> int:
        """Return how many of its first columns are the last ones of the patch before, of the same rows; 0 if none."""
        here, there = self.columns.source, before.columns.source
        if self.rows is not before.rows or not (isinstance(here, slice) and isinstance(there, slice)):
            return 0
        return max(0, there.stop - here.start) if there.start <= here.start else 0

    def from_column(self, number: int) -> "Patch":
        """Return what to read of it without some of its first columns."""
        if number == 0:
            return self
        source = self.columns.source
        rest = slice(source.start + number, source.stop) if isinstance(source, slice) else source[number:]
        return replace(self, columns=replace(self.columns, source=rest))

    def read(self, band: xr.Variable, part: slice = _ALL) -> Array:
        """Return the (y, x) pixels of a band under some rows of the patch; beyond the tile it is mirrored."""
        values: Array = band[_picked(self.rows.source, part), self.columns.source].values
        return values

    def add_to(self, total: Array, values: Array) -> None:
        """Add the patch's (y, x) values, times its share in each pixel, to a whole tile in place."""
        part = np.asarray(values)[self.rows.written, self.columns.written]
        _add_shares(total[self.rows.target, self.columns.target], part, self.rows.weights, self.columns.weights)


@compiled()
def _add_shares(total: Array, values: Array, down: Array, across: Array) -> None:
    """Add values times the product of two weights, in one pass over both arrays."""
    for row in range(len(down)):
        for column in range(len(across)):
            total[row, column] += values[row, column] * across[column] * down[row]


@dataclass(frozen=True, kw_only=True)
class PatchGrid:
    """All patches of a tile, row by row."""

    rows: tuple[Span, ...]
    columns: tuple[Span, ...]
    patch_shape: tuple[int, int]
    """(y, x) pixels of every patch."""
    left_out: frozenset[int] = frozenset()
    """Numbers of those that are not computed."""

    def __len__(self) -> int:
        """Return the number of patches, but for those that are left out."""
        return len(self.rows) * len(self.columns) - len(self.left_out)

    def __iter__(self) -> Iterator[Patch]:
        """Iterate over the patches, but for those that are left out."""
        return (patch for number, patch in enumerate(self._all()) if number not in self.left_out)

    def without(self, is_left_out: Callable[[slice, slice], bool]) -> "PatchGrid":
        """Return the grid without the patches of whose rows and columns in the tile something is true."""
        found = (
            number
            for number, patch in enumerate(self._all())
            if number not in self.left_out and is_left_out(patch.rows.target, patch.columns.target)
        )
        return replace(self, left_out=self.left_out.union(found))

    def blank_left_out(self, total: Array) -> None:
        """Set all that patches that are left out would have written to NaN."""
        for number, patch in enumerate(self._all()):
            if number in self.left_out:
                total[patch.rows.target, patch.columns.target] = np.nan

    def _all(self) -> Iterator[Patch]:
        return (Patch(rows=rows, columns=columns) for rows in self.rows for columns in self.columns)


def patch_grid(
    shape: tuple[int, int], patching: Patching, multiple: int = 32, origin: tuple[int, int] = (0, 0)
) -> PatchGrid:
    """Return patches that cover every pixel of a tile.

    A network that halves its resolution five times sees a place differently when it is moved by anything but a multiple
    of 32 pixels. So all patches begin at such multiples, counted on the map: they agree with one another where they
    overlap, and with those of any other cut of the same ground. What they reach beyond the tile shows it mirrored: bars
    of zeros are nothing that a network has learned from, and would spoil what it says of the ground beside them.

    Args:
        shape: (y, x) pixels of the tile.
        patching: Size, overlap and mirroring.
        multiple: Patch sizes are rounded up to a multiple of this. A tile that is about as large as a patch, or
            smaller, gets one just large enough for it.
        origin: Row and column of the tile's first pixel on the map, counted in pixels from anywhere fixed.
    """
    (rows, height), (columns, width) = (
        _plan_axis(length, patching, multiple, first) for length, first in zip(shape, origin, strict=True)
    )
    return PatchGrid(rows=rows, columns=columns, patch_shape=(height, width))


def blending_window(length: int) -> Array:
    """Return how much each pixel along a patch counts before normalising: sin^2, highest in the middle, above 0.

    Two patches cross-fade smoothly, and the outermost pixels, which the network saw with little around them, hardly
    count wherever another patch saw them better.

    Returns:
        (length,) float64, 0 < window <= 1.
    """
    return np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2


def patch_starts(length: int, patch: int, overlap: int, multiple: int = 1) -> Array:
    """Return where patches begin so that they cover a length, as few as possible and evenly spread.

    They begin at multiples, unless the overlap leaves no room for that.

    Args:
        length: Pixels to cover, a multiple of `multiple`.
        patch: Length of a patch, a multiple of `multiple`.
        overlap: Pixels that neighbours share at least.
        multiple: Unit in which patches are placed.

    Returns:
        Ascending int64 from 0 to `length - patch`.
    """
    if length <= patch:
        return np.zeros(1, dtype=np.int64)
    unit = multiple if patch - overlap >= multiple else 1
    steps, step = (length - patch) // unit, (patch - overlap) // unit
    return unit * np.rint(np.linspace(0, steps, 1 + math.ceil(steps / step))).astype(np.int64)


def _plan_axis(length: int, patching: Patching, multiple: int, origin: int) -> tuple[tuple[Span, ...], int]:
    """Return the patches along one axis and their length."""
    before = patching.reflection + (origin - patching.reflection) % multiple
    padded = _round_up(before + length + patching.reflection, multiple)
    patch = _round_up(patching.patch_size, multiple)
    if padded <= patch + multiple:  # a tile just as large as a patch stays one patch, wherever it lies on the map
        patch = padded
    index = np.pad(np.arange(length), (before, padded - length - before), mode="reflect" if length > 1 else "edge")
    starts = patch_starts(padded, patch, patching.overlap, multiple)
    shares = _shares(starts, patch, padded)
    own = slice(before, before + length)
    return tuple(_span(index, own, int(start), share) for start, share in zip(starts, shares, strict=True)), patch


def _round_up(value: int, multiple: int) -> int:
    return math.ceil(value / multiple) * multiple


def _shares(starts: Array, patch: int, length: int) -> list[Array]:
    """Return the share of each patch in each of its pixels, float64."""
    window = blending_window(patch)
    total = np.zeros(length)
    for start in starts:
        total[start : start + patch] += window
    return [window / total[start : start + patch] for start in starts]


def _picked(source: Array | slice, part: slice) -> Array | slice:
    """Return part of what a slice without a step, or an array of indices, picks."""
    if not isinstance(source, slice):
        return source[part]
    start, stop, _ = part.indices(source.stop - source.start)
    return slice(source.start + start, source.start + stop)


def _span(index: Array, own: slice, start: int, share: Array) -> Span:
    source = index[start : start + len(share)]
    first, last = max(start, own.start), min(start + len(share), own.stop)
    written = slice(first - start, max(first, last) - start)
    consecutive = bool(np.all(np.diff(source) == 1))
    return Span(
        source=slice(int(source[0]), int(source[-1]) + 1) if consecutive else source,
        target=slice(first - own.start, max(first, last) - own.start),
        written=written,
        weights=share[written].astype(np.float32),
    )
