"""Digital numbers as surface reflectance, at once or where they are read."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from darts_utils.lazy import lazy_band

type Array = np.ndarray[Any, np.dtype[Any]]


def reflectance(
    numbers: Array, scale: float, offset: float, attributes: Mapping[str, Any], *, lazy: bool
) -> xr.Variable:
    """Return numbers * scale + offset.

    Args:
        numbers: (y, x) of any type, 0 = no data.
        scale: Reflectance of a step.
        offset: Reflectance at 0.
        attributes: Of the variable, beside its unit.
        lazy: Whether the numbers are kept, often half as large, and converted where they are read, anew each time.

    Returns:
        (y, x) float32, NaN = no data.
    """
    convert = partial(_converted, numbers, np.float32(scale), np.float32(offset))
    band = lazy_band(convert, (numbers.shape[0], numbers.shape[1]), "float32", {**attributes, "units": "Reflectance"})
    return band if lazy else band.load()


def _converted(numbers: Array, scale: np.float32, offset: np.float32, rows: slice, columns: slice) -> Array:
    window = numbers[rows, columns]
    values = np.empty(window.shape, dtype=np.float32)
    np.multiply(window, scale, out=values, casting="unsafe")
    values += offset
    values[window == 0] = np.nan
    return values
