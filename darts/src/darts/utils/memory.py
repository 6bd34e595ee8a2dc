"""Giving freed memory back to the system."""

import ctypes
import gc
from contextlib import suppress


def give_back() -> None:
    """Free what only cycles of references hold, and give the system back what the allocator keeps for later.

    After the stages of a Planet orthotile that was more than 1 GB: xarray's objects refer to each other, and the
    allocator keeps the small blocks that rasters are decoded in, of which arrays of a whole tile cannot be made.
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
