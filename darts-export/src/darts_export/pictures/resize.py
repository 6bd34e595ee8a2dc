"""Bands and masks at the size of a picture."""

import math
from itertools import pairwise

import cv2
import numpy as np
import xarray as xr

from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import row_blocks

_ROWS = 256
"""Read at once: a picture needs little of a band, and not all of it as float32."""


def resize_band(whole: xr.Variable, shape: tuple[int, int]) -> Array:
    """Return a float32 band at another size, the mean of the known pixels, NaN where none is."""
    step = max(1, whole.shape[0] // (2 * shape[0]))  # every other pixel is enough for a mean, and a full scene is large
    band = whole[::step, ::step]
    way = cv2.INTER_AREA if band.shape[0] > shape[0] else cv2.INTER_NEAREST
    narrow = [_narrowed(band[rows].values, shape[1], way) for rows in row_blocks(len(band), _ROWS)]
    total, share = (
        cv2.resize(np.concatenate(parts), shape[::-1], interpolation=way) for parts in zip(*narrow, strict=True)
    )
    with np.errstate(invalid="ignore"):  # 0/0 is NaN on purpose
        return np.where(share > 0.25, total / share, np.float32(np.nan))


def _narrowed(rows: Array, width: int, way: int) -> tuple[Array, Array]:
    """Return some rows at another width: the mean with 0 for unknown pixels, and the share of known ones."""
    known = np.isfinite(rows)
    given = np.where(known, rows, np.float32(0)), known.astype(np.float32)
    total, share = (cv2.resize(values, (width, len(rows)), interpolation=way) for values in given)
    return total, share


def resize_mask(mask: xr.DataArray, shape: tuple[int, int]) -> Array:
    """Return a bool band at another size, uint8 1 where it has a True pixel or a share of one."""
    values = np.ascontiguousarray(mask.values).view(np.uint8)
    if values.shape[0] <= shape[0]:
        return cv2.resize(values, shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(_any_of_rows(_any_of_rows(values, shape[0]).T, shape[1]).T)


def _any_of_rows(values: Array, n_rows: int) -> Array:
    """Return (row, x) uint8 with so many rows, 1 where one of the rows that a new row meets is 1."""
    edges = [row * len(values) / n_rows for row in range(n_rows + 1)]
    rows = [slice(int(top), math.ceil(bottom)) for top, bottom in pairwise(edges)]
    return np.stack([np.bitwise_or.reduce(values[row], axis=0) for row in rows])
