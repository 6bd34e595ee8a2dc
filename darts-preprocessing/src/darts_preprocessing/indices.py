"""Spectral indices of the optical bands."""

from functools import partial

import numpy as np
import xarray as xr

from darts_preprocessing.blocks import HOST_BLOCK_PX, Block, for_each_block
from darts_utils.errors import DataError
from darts_utils.machine.jit import compiled
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.lazy import lazy_band


def calculate_ndvi(tile: xr.Dataset, *, lazy: bool = False) -> xr.DataArray:
    """Return the normalised difference vegetation index, (nir - red) / (nir + red).

    Args:
        tile: Holds `red` and `nir`, (y, x) float32 surface reflectance, NaN where unknown. Both are clipped to 0..1
            first, because atmospheric correction leaves small negative values over water and shadow.
        lazy: Whether values are only made where they are read, anew each time.

    Returns:
        (y, x) float32 from -1 to 1, dimensionless; NaN where a band is NaN or both are 0.
        Method: Tucker (1979), doi:10.1016/0034-4257(79)90013-0.

    Raises:
        DataError: If a band is missing.
    """
    missing = [name for name in ("red", "nir") if name not in tile]
    if missing:
        raise DataError(f"NDVI needs the bands red and nir, but the tile lacks {' and '.join(missing)}. Load them.")
    attributes = {"long_name": "Normalised difference vegetation index", "units": "1"}
    red, nir = tile["red"].variable, tile["nir"].variable
    ndvi = lazy_band(partial(_window, red, nir), (red.shape[0], red.shape[1]), "float32", attributes)
    return xr.DataArray(ndvi if lazy else ndvi.load(), coords=tile["red"].coords, name="ndvi")


def _window(red: xr.Variable, nir: xr.Variable, rows: slice, columns: slice) -> Array:
    return _ndvi(red[rows, columns].values, nir[rows, columns].values)


def _ndvi(red: Array, nir: Array) -> Array:
    """Return the index of two (y, x) float32 arrays."""
    out = np.empty(red.shape, dtype=np.float32)

    def compute(block: Block) -> None:
        window = (block.rows, block.columns)
        _write_ndvi(red[window], nir[window], out[window])

    for_each_block(compute, (red.shape[0], red.shape[1]), HOST_BLOCK_PX)
    return out


@compiled()
def _write_ndvi(red: Array, nir: Array, out: Array) -> None:
    zero, one = np.float32(0), np.float32(1)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            r, n = red[row, column], nir[row, column]
            r = zero if r < zero else (one if r > one else r)  # which keeps NaN
            n = zero if n < zero else (one if n > one else n)
            out[row, column] = (n - r) / (n + r)
