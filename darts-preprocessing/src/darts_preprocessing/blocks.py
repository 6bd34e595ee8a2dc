"""Blocks with halos: a full scene is worked on piece by piece, so that only results are held whole."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

type Array = np.ndarray[Any, np.dtype[Any]]

HOST_BLOCK_PX = 512
"""Edge of a block in host memory: its float32 working arrays (1 MB each) stay in the cache of a core."""

STENCIL_BLOCK_PX = 192
"""Edge of a block for chains of many cheap operations. Their temporary arrays are so small that the allocator keeps
them; at 512 pixels it gave them back to the system each time, and page faults took two thirds of the time."""

DEVICE_BLOCK_PX = 2048
"""Edge of a block on a device: large enough to keep it busy, small enough to bound its memory."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A rectangle of the output, in pixels; the input reaches `margin` pixels further on each side."""

    rows: slice
    columns: slice

    def read(self, source: Array, margin: int, halo: int) -> Array:
        """Return the block and `halo` pixels around it as float32, NaN beyond the source.

        The output pixel (0, 0) lies at (margin, margin) of the source.
        """
        top, bottom = self.rows.start + margin - halo, self.rows.stop + margin + halo
        left, right = self.columns.start + margin - halo, self.columns.stop + margin + halo
        height, width = source.shape
        inside = source[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
        if inside.shape == (bottom - top, right - left):
            return inside
        window = np.full((bottom - top, right - left), np.nan, dtype=np.float32)
        y, x = max(-top, 0), max(-left, 0)
        window[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
        return window


def split(shape: tuple[int, int], block_px: int) -> Iterator[Block]:
    """Return blocks of at most `block_px` pixels a side that cover a (rows, columns) shape without overlap."""
    height, width = shape
    for top in range(0, height, block_px):
        for left in range(0, width, block_px):
            yield Block(rows=slice(top, min(top + block_px, height)), columns=slice(left, min(left + block_px, width)))


def for_each_block(function: Callable[[Block], None], shape: tuple[int, int], block_px: int) -> None:
    """Call a function with each block, on as many threads as this process may use cores."""
    with ThreadPoolExecutor(max_workers=usable_cores()) as pool:
        for _ in pool.map(function, split(shape, block_px)):
            pass  # fetching a result raises the error of its block


def usable_cores() -> int:
    """Return the number of cores that this process may use, affinity and container limits taken into account."""
    return max(
        1, min(cv2.getNumberOfCPUs(), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1024)
    )
