"""What the allocator of the C library does with freed memory; only glibc can be told."""

import ctypes
import gc
import math
import mmap
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from darts_utils.rasters.arrays import Array

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_PATCH_PX = 1024
_MOST_BYTES = 2**31 - 1
"""The library takes a whole number of 32 bits."""
_LARGEST_KEPT_BYTES = 2**28
"""Layers of a network for a patch of 1024 pixels are smaller, whole bands of a scene larger."""
_LARGE_BYTES = 2**26
"""Arrays of so much get pages of their own. Work on so much is worth the tenth of a second that having freed memory
really free takes."""


def keep_freed(patch_px: int = 1024) -> None:
    """Let freed blocks wait for the next that asks, in all threads, for the rest of the process.

    Else every layer of a network gets new pages from the system, filled with zeros one by one, and loses them at once:
    half the time of a network on the CPU. `give_back` frees them between stages.

    Args:
        patch_px: Edge of the patches that networks see: of 1024 pixels blocks of up to 256 MiB wait.
    """
    largest = min(_LARGEST_KEPT_BYTES * max(patch_px, _PATCH_PX) ** 2 // _PATCH_PX**2, _MOST_BYTES)
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, largest)
        libc.mallopt(_M_TRIM_THRESHOLD, min(2 * largest, _MOST_BYTES))
        libc.mallopt(_M_ARENA_MAX, 1)  # those of other threads than the first cannot hold large blocks


def own_pages(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return a new array, as `numpy.empty` does, whose memory the system has back as soon as nobody refers to it.

    Whole bands are for the allocator what it keeps: their memory would stay between what was got after them.
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if n_bytes < _LARGE_BYTES or not hasattr(mmap, "MAP_PRIVATE"):
        return np.empty(shape, dtype=dtype)
    pages = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError, AttributeError):
        pages.madvise(mmap.MADV_HUGEPAGE)  # as numpy asks for its own
    return np.frombuffer(pages, dtype=dtype).reshape(shape)


_had_large_work: deque[bool] = deque(maxlen=1)
"""Holds something once this process gave memory back."""


@contextmanager
def spared_from_search() -> Iterator[None]:
    """Let `give_back` look only at objects that are made from here on, for cycles of references.

    The modules of a run are a million objects: to look at them took 0.3 s after every stage, in which nothing else ran.
    """
    if _had_large_work:  # of which something may be left in cycles, that would stay until the end
        gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()  # or the interpreter would end without them, of which some libraries complain


def give_back() -> None:
    """Free what only cycles of references hold, and give the system back what the allocator keeps for later.

    After the stages of a Planet orthotile that was more than 1 GB: xarray's objects refer to each other, and the
    allocator keeps the small blocks that rasters are decoded in, of which arrays of a whole tile cannot be made.
    """
    _had_large_work.append(True)
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def give_back_after(n_bytes: int) -> None:
    """Do as `give_back` after a piece of work, if it was a large one, measured by its arrays in bytes."""
    if n_bytes > _LARGE_BYTES:
        give_back()
