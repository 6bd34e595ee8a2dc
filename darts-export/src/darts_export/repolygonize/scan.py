"""One pass over a raster of percents that keeps the runs of candidates and what their statistics need, no pixels."""

from dataclasses import dataclass

import cv2
import numpy as np

from darts_export.repolygonize.percents import Blocks
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.run_length import RunLengthEncoding, connected_components, run_length_encode

LEVELS = 101
"""Whole percents from 0 to 100."""
_INDICES_OF_INT32 = 2**31
_NEIGHBOURS = np.ones((3, 3), dtype=np.uint8)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many pixels of each percent there are, of parts of objects: what of an object lies in one block of rows."""

    places: Array
    """(entry,) int64, flat index of a pixel of the part."""
    percents: Array
    """(entry,) uint8, from 0 to 100."""
    numbers: Array
    """(entry,) int64, pixels of that percent in that part."""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What is left of a raster. Flat indices are row * stride + column, as in `RunLengthEncoding`."""

    shape: tuple[int, int]
    stretches: RunLengthEncoding
    """The candidates."""
    counts: Counts
    cut: Array
    """(pixel,) int64, flat indices of candidates on the border of the raster or beside ground without data."""


def scan(blocks: Blocks, shape: tuple[int, int], threshold_percent: float, nodata: int) -> Scan:
    """Return the candidates of a raster, those strictly above a threshold; its pixels are seen block by block.

    Args:
        blocks: Rows from top to bottom without a gap, and their (y, x) uint8 values.
        shape: Rows and columns of the raster.
        threshold_percent: From 0 to 100.
        nodata: Code of pixels without data.
    """
    stride = shape[1] + 1
    dtype = np.int32 if (shape[0] + 1) * stride < _INDICES_OF_INT32 else np.int64
    starts, ends, counts, cut = [np.empty(0, dtype)], [np.empty(0, dtype)], [_count(*_NOTHING)], [np.empty(0, np.int64)]
    above = np.empty((0, shape[1]), dtype=np.uint8)
    for rows, values in blocks:
        mask = _candidates(values, threshold_percent, nodata)
        stretches, offset = run_length_encode(mask), rows.start * stride
        starts.append((stretches.starts.astype(np.int64) + offset).astype(dtype))
        ends.append((stretches.ends.astype(np.int64) + offset).astype(dtype))
        counts.append(_count(stretches, values[mask], offset))
        seen = np.concatenate([above, values])
        cut.append(_beside_nodata(seen, threshold_percent, nodata, rows.start - len(above)))
        cut.append(_on_border(mask, rows.start, shape))
        above = values[-1:].copy()
    whole = RunLengthEncoding(stride=stride, starts=np.concatenate(starts), ends=np.concatenate(ends))
    return Scan(shape=shape, stretches=whole, counts=_joined(counts), cut=np.unique(np.concatenate(cut)))


_NOTHING = (run_length_encode(np.zeros((1, 1), dtype=bool)), np.empty(0, dtype=np.uint8), 0)


def _candidates(values: Array, threshold_percent: float, nodata: int) -> Array:
    is_candidate: Array = (values > threshold_percent) & (values != nodata)
    return is_candidate


def _count(stretches: RunLengthEncoding, percents: Array, offset: int) -> Counts:
    """Return the counts of a block, by connected components within it.

    Args:
        stretches: Its candidates.
        percents: Their values in reading order.
        offset: Flat index of its first pixel in the raster.
    """
    labels, _ = connected_components(stretches, diagonal=True)
    keys, numbers = np.unique(np.repeat(labels, stretches.lengths) * LEVELS + percents, return_counts=True)
    first = stretches.starts[np.unique(labels, return_index=True)[1]].astype(np.int64)
    return Counts(
        places=first[keys // LEVELS] + offset,
        percents=(keys % LEVELS).astype(np.uint8),
        numbers=numbers.astype(np.int64),
    )


def _joined(counts: list[Counts]) -> Counts:
    return Counts(
        places=np.concatenate([one.places for one in counts]),
        percents=np.concatenate([one.percents for one in counts]),
        numbers=np.concatenate([one.numbers for one in counts]),
    )


def _beside_nodata(values: Array, threshold_percent: float, nodata: int, top: int) -> Array:
    """Return the flat indices of candidates that touch a pixel without data, at edges or corners.

    Each block is looked at with the last row of the one above, so that both sides of every seam are seen.
    """
    unknown = values == nodata
    if not unknown.any():
        return np.empty(0, dtype=np.int64)
    near = cv2.dilate(unknown.view(np.uint8), _NEIGHBOURS).view(bool)
    y, x = np.nonzero(near & _candidates(values, threshold_percent, nodata))
    return np.asarray((y + top) * (values.shape[1] + 1) + x)


def _on_border(mask: Array, top: int, shape: tuple[int, int]) -> Array:
    """Return the flat indices of candidates of a block in the outermost rows and columns of the raster."""
    height, width = shape
    is_outer = np.zeros(mask.shape, dtype=bool)
    is_outer[:, [0, -1]] = True
    for row in {0, height - 1} & set(range(top, top + len(mask))):
        is_outer[row - top] = True
    y, x = np.nonzero(is_outer & mask)
    return np.asarray((y + top) * (width + 1) + x)
