"""Whole scenes some hundred rows at a time: temporary arrays of all of one take gigabytes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from darts_utils.machine.cpu import usable_cores

ROWS = 512


def row_blocks(height: int, rows: int = ROWS) -> Iterator[slice]:
    """Yield the rows of an image from top to bottom, so many at a time, the last ones fewer.

    Args:
        height: Rows of the image.
        rows: Rows of a block.
    """
    return (slice(start, min(start + rows, height)) for start in range(0, height, rows))


def pieces(part: slice, length: int) -> Iterator[slice]:
    """Yield what some pixels along an axis have in common with each block of it, which begin at multiples of a length.

    Args:
        part: The pixels, from a start to a stop.
        length: Pixels of a block.
    """
    for start in range(part.start // length * length, part.stop, length):
        yield slice(max(part.start, start), min(part.stop, start + length))


def for_each_row_block(function: Callable[[slice], None], height: int, rows: int = ROWS) -> None:
    """Call a function with the rows of each block, on as many threads as this process may use cores."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        for _ in pool.map(function, row_blocks(height, rows)):
            pass  # fetching a result raises the error of its block
