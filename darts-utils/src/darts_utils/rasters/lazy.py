"""Bands that are made where they are read, so that a scene of them takes no memory of its own."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from darts_utils.rasters.arrays import Array

type ReadWindow = Callable[[slice, slice], Array]
"""Returns the (y, x) values in some rows and columns, given as slices with a start and a stop."""

_SMALL_PX = 2**20
"""Of larger windows nothing is remembered."""


def lazy_band(
    read: ReadWindow,
    shape: tuple[int, int],
    dtype: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    takes_steps: bool = False,
) -> xr.Variable:
    """Return a variable on (y, x) whose values are made anew each time some are read.

    Indexing with slices and numbers stays lazy; `.values` of the result makes just that window. Loading the variable
    (`.load()`) makes it an ordinary one.

    Args:
        read: Makes a window.
        shape: Rows and columns of the whole.
        dtype: What `read` returns.
        attributes: Of the variable.
        takes_steps: Whether the slices for `read` may have steps, so that of every fifth row only those are made.
    """
    values = indexing.LazilyIndexedArray(_Computed(read, shape, np.dtype(dtype), takes_steps=takes_steps))
    return xr.Variable(("y", "x"), values, attributes)


class Remembered[T]:
    """Makes something of windows, but not the same small one twice in a row in one thread.

    Args:
        make: Makes it of some rows and columns, given as slices.
    """

    def __init__(self, make: Callable[[slice, slice], T]) -> None:
        self._make = make
        self._last = threading.local()

    def __call__(self, rows: slice, columns: slice) -> T:
        """Return it for some rows and columns, given as slices with a start and a stop.

        Arrays of small windows are read-only, as whoever asks next gets the same.
        """
        if getattr(self._last, "window", None) == (rows, columns):
            known: T = self._last.made
            return known
        made = self._make(rows, columns)
        if (rows.stop - rows.start) * (columns.stop - columns.start) <= _SMALL_PX:
            if isinstance(made, np.ndarray):
                made.flags.writeable = False
            self._last.window, self._last.made = (rows, columns), made
        return made

    def __reduce__(self) -> "tuple[type[Remembered[T]], tuple[Callable[[slice, slice], T]]]":
        """Leave what is remembered behind when this is sent to another process."""
        return Remembered, (self._make,)


class _Computed(BackendArray):
    """What xarray asks for windows; the names of the attributes are its own."""

    def __init__(self, read: ReadWindow, shape: tuple[int, int], dtype: np.dtype[Any], *, takes_steps: bool) -> None:
        self._read = read
        self._takes_steps = takes_steps
        self.shape = shape
        self.dtype = dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._window)

    def _window(self, key: tuple[int | slice, ...]) -> Array:
        rows, columns = key
        if self._takes_steps and isinstance(rows, slice) and isinstance(columns, slice):
            return self._read(
                *(slice(*part.indices(length)) for part, length in zip((rows, columns), self.shape, strict=True))
            )
        (rows, inner_rows), (columns, inner_columns) = (
            _bounds(part, length) for part, length in zip(key, self.shape, strict=True)
        )
        if rows.stop <= rows.start or columns.stop <= columns.start:
            return np.empty(self.shape, dtype=self.dtype)[key]
        values: Array = self._read(rows, columns)[inner_rows, inner_columns]
        return values


def _bounds(key: int | slice, length: int) -> tuple[slice, int | slice]:
    """Return the smallest slice without a step that holds what an index picks, and what to pick from it."""
    if not isinstance(key, slice):
        position = range(length)[key]
        return slice(position, position + 1), 0
    picked = range(length)[key]
    if not picked:
        return slice(0, 0), slice(0, 0)
    first, last = min(picked[0], picked[-1]), max(picked[0], picked[-1])
    return slice(first, last + 1), slice(None) if picked.step == 1 else slice(None, None, picked.step)
