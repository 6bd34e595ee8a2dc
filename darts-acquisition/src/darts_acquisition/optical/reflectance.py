"""Digital numbers as surface reflectance, at once or where they are read."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from darts_utils.rasters.arrays import Array
from darts_utils.rasters.lazy import Remembered, lazy_band
from darts_utils.rasters.packed import Packed


def reflectance(
    numbers: Array,
    scale: float,
    offset: float,
    attributes: Mapping[str, Any],
    *,
    lazy: bool,
    missing: Array | None = None,
    nodata: int = 0,
) -> xr.Variable:
    """Return numbers * scale + offset.

    Args:
        numbers: (y, x) of any type.
        scale: Reflectance of a step.
        offset: Reflectance at 0.
        attributes: Of the variable, beside its unit.
        lazy: Whether the numbers are kept, compressed to about a third of the memory of reflectance, and converted
            where they are read, anew each time.
        missing: (y, x) bool, where there is no data; without it that is where the numbers are `nodata`.
        nodata: Number that stands for no data.

    Returns:
        (y, x) float32, NaN = no data.
    """
    kept = Packed(numbers) if lazy else numbers
    convert = partial(_converted, kept, missing, scale=np.float32(scale), offset=np.float32(offset), nodata=nodata)
    shape, described = (numbers.shape[0], numbers.shape[1]), {**attributes, "units": "Reflectance", "nodata": np.nan}
    if lazy:  # a patch of a band is read again where an index is made of it
        return lazy_band(Remembered(convert), shape, "float32", described, takes_steps=True)
    return lazy_band(convert, shape, "float32", described, takes_steps=True).load()


def _converted(
    numbers: Array | Packed,
    missing: Array | None,
    rows: slice,
    columns: slice,
    *,
    scale: np.float32,
    offset: np.float32,
    nodata: int,
) -> Array:
    window = numbers[rows, columns]
    values = np.empty(window.shape, dtype=np.float32)
    np.multiply(window, scale, out=values, casting="unsafe")
    values += offset
    values[window == nodata if missing is None else missing[rows, columns]] = np.nan
    return values
