"""Parts of arrays that are stored in chunks, read a chunk a core at a time."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any, Protocol

import numpy as np

from darts_utils.machine.cpu import usable_cores
from darts_utils.machine.memory import own_pages
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import pieces


class Chunked(Protocol):
    """A stored (y, x) array, such as one of zarr."""

    @property
    def chunks(self) -> tuple[int, ...]:
        """Rows and columns of a chunk."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its values."""
        ...

    def __getitem__(self, window: tuple[slice, slice]) -> Any:
        """Return the values of a window."""
        ...


def read_chunks(array: Chunked, rows: slice, columns: slice) -> Array:
    """Return a window of a stored array, (y, x), straight into place.

    Asked for the whole window, zarr decodes all of its chunks first, which take as much memory again.

    Args:
        array: The array.
        rows: Which rows, from a start to a stop.
        columns: Which columns.
    """
    out = own_pages((rows.stop - rows.start, columns.stop - columns.start), array.dtype)

    def read(part: tuple[slice, slice]) -> None:
        down, across = part
        into = out[down.start - rows.start : down.stop - rows.start]
        into[:, across.start - columns.start : across.stop - columns.start] = array[part]

    height, width = array.chunks
    with ThreadPoolExecutor(usable_cores()) as pool:
        for _ in pool.map(read, product(pieces(rows, height), pieces(columns, width))):
            pass  # fetching a result raises the error of its chunk
    return out
