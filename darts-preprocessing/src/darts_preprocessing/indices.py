"""Spectral indices of the optical bands: registered in `darts_utils.bands.INDICES`, each made by a function here."""

from collections.abc import Callable
from functools import partial
from importlib import import_module

import numpy as np
import xarray as xr

from darts_preprocessing.blocks import HOST_BLOCK_PX, Block, for_each_block
from darts_utils.bands import INDICES
from darts_utils.errors import DataError
from darts_utils.machine.jit import compiled
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.lazy import lazy_band


def ndvi(red: Array, nir: Array) -> Array:
    """Return the normalised difference vegetation index, (nir - red) / (nir + red).

    Args:
        red: (y, x) float32 surface reflectance, NaN where unknown.
        nir: Likewise, of the near infrared.

    Returns:
        (y, x) float32 from -1 to 1, dimensionless; NaN where a band is NaN or both are 0. Both are clipped to 0..1
        first, because atmospheric correction leaves small negative values over water and shadow.
        Method: Tucker (1979), doi:10.1016/0034-4257(79)90013-0.
    """
    return _normalised_difference(nir, red)


def ndwi(green: Array, nir: Array) -> Array:
    """Return the normalised difference water index, (green - nir) / (green + nir).

    Args:
        green: (y, x) float32 surface reflectance, NaN where unknown.
        nir: Likewise, of the near infrared.

    Returns:
        (y, x) float32 from -1 to 1, dimensionless, above 0 over most open water; NaN where a band is NaN or both are 0.
        Both are clipped to 0..1 first, as for `ndvi`.
        Method: McFeeters (1996), doi:10.1080/01431169608948714.
    """
    return _normalised_difference(green, nir)


def gndvi(green: Array, nir: Array) -> Array:
    """Return the green normalised difference vegetation index, (nir - green) / (nir + green).

    Args:
        green: (y, x) float32 surface reflectance, NaN where unknown.
        nir: Likewise, of the near infrared.

    Returns:
        (y, x) float32 from -1 to 1, dimensionless; NaN where a band is NaN or both are 0. Both are clipped to 0..1
        first, as for `ndvi`. Method: Gitelson et al. (1996), doi:10.1016/S0034-4257(96)00072-7.
    """
    return _normalised_difference(nir, green)


def calculate_ndvi(tile: xr.Dataset, *, lazy: bool = False) -> xr.DataArray:
    """Return the normalised difference vegetation index of a tile, see `ndvi`.

    Args:
        tile: Holds `red` and `nir`, (y, x) float32 surface reflectance, NaN where unknown.
        lazy: Whether values are only made where they are read, anew each time.

    Returns:
        (y, x) float32 from -1 to 1, dimensionless; NaN where a band is NaN or both are 0.

    Raises:
        DataError: If a band is missing.
    """
    return calculate_index(tile, "ndvi", lazy=lazy)


def calculate_index(tile: xr.Dataset, name: str, *, lazy: bool = False) -> xr.DataArray:
    """Return a spectral index of a tile, (y, x) float32, NaN where it is unknown.

    Args:
        tile: Holds the optical bands that the index is made of, (y, x) float32 surface reflectance, NaN where unknown.
        name: Name of the index, one of `darts_utils.bands.INDICES`.
        lazy: Whether values are only made where they are read, anew each time.

    Raises:
        DataError: If a band is missing.
    """
    index = INDICES[name]
    missing = [band for band in index.inputs if band not in tile]
    if missing:
        raise DataError(
            f"{name.upper()} needs the bands {' and '.join(index.inputs)}, but the tile lacks {' and '.join(missing)}. "
            "Load them."
        )
    bands = [tile[band].variable for band in index.inputs]
    make = partial(_window, _function(index.function), bands)
    attributes = {"long_name": index.long_name, "units": index.units}
    values = lazy_band(make, (bands[0].shape[0], bands[0].shape[1]), "float32", attributes)
    return xr.DataArray(values if lazy else values.load(), coords=tile[index.inputs[0]].coords, name=name)


def _function(place: str) -> Callable[..., Array]:
    module, _, name = place.partition(":")
    function: Callable[..., Array] = getattr(import_module(module), name)
    return function


def _window(function: Callable[..., Array], bands: list[xr.Variable], rows: slice, columns: slice) -> Array:
    return function(*(band[rows, columns].values for band in bands))


def _normalised_difference(one: Array, other: Array) -> Array:
    """Return (one - other) / (one + other) of two (y, x) float32 arrays, each clipped to 0..1 first."""
    out = np.empty(one.shape, dtype=np.float32)

    def compute(block: Block) -> None:
        window = (block.rows, block.columns)
        _write_normalised_difference(one[window], other[window], out[window])

    for_each_block(compute, (one.shape[0], one.shape[1]), HOST_BLOCK_PX)
    return out


@compiled()
def _write_normalised_difference(one: Array, other: Array, out: Array) -> None:
    low, high = np.float32(0), np.float32(1)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            a, b = one[row, column], other[row, column]
            a = low if a < low else (high if a > high else a)  # which keeps NaN
            b = low if b < low else (high if b > high else b)
            out[row, column] = (a - b) / (a + b)
