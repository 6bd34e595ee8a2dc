"""Whole scenes some hundred rows at a time: temporary arrays of all of one take gigabytes."""

from collections.abc import Iterator

ROWS = 512


def row_strips(height: int, rows: int = ROWS) -> Iterator[slice]:
    """Yield the rows of an image from top to bottom, so many at a time, the last ones fewer.

    Args:
        height: Rows of the image.
        rows: Rows of a strip.
    """
    return (slice(start, min(start + rows, height)) for start in range(0, height, rows))
