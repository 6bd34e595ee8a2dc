"""Auxiliary layers brought onto the grid of the optical bands."""

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from darts_preprocessing.resampling.warp import Source, warp
from darts_preprocessing.trends import TrendWindows
from darts_utils.errors import DataError
from darts_utils.machine.devices import DeviceSpec, decide_device
from darts_utils.rasters.arrays import Array
from darts_utils.tile import geobox_of

if TYPE_CHECKING:
    import torch

TCVIS_BANDS = ("tc_brightness", "tc_greenness", "tc_wetness")


def align_dem(ds_arcticdem: xr.Dataset, geobox: GeoBox, device: DeviceSpec = "cpu") -> Array:
    """Return the elevation on another grid, resampled by cubic convolution.

    Args:
        ds_arcticdem: Holds `dem`, (y, x) float32 in metres, NaN where unknown, on its own grid.
        geobox: The grid wanted, with whatever padding the caller needs.
        device: Where to resample: compiled code in host memory, torch on a GPU, which differs by its rounding.

    Returns:
        (y, x) float32 in metres, NaN where unknown. A pixel near a hole is the weighted mean of the known cells.
        Method: Keys (1981), doi:10.1109/TASSP.1981.1163711.

    Raises:
        DataError: If `dem` is missing.
        GridError: If the dataset has no georeference.
    """
    dem = _band(ds_arcticdem, "dem").astype(np.float32, copy=False)
    if geobox_of(ds_arcticdem) == geobox:
        return dem
    source = Source(values=dem[None], grid=geobox_of(ds_arcticdem), is_missing=_is_nan)
    out = np.empty((1, *geobox.shape), dtype=np.float32)
    return warp(source, out, geobox, "cubic", fill=np.nan, device=_gpu(device))[0]


def align_dem_mask(ds_arcticdem: xr.Dataset, geobox: GeoBox) -> Array:
    """Return where the DEM was measured, by nearest neighbour.

    Args:
        ds_arcticdem: Holds `arcticdem_data_mask`, (y, x) uint8, 1 = data, on its own grid.
        geobox: The grid wanted.

    Returns:
        (y, x) uint8, 1 = data; 0 beyond the dataset.

    Raises:
        DataError: If the mask is missing.
        GridError: If the dataset has no georeference.
    """
    mask = _band(ds_arcticdem, "arcticdem_data_mask").astype(np.uint8, copy=False)
    if geobox_of(ds_arcticdem) == geobox:
        return mask
    source = Source(values=mask[None], grid=geobox_of(ds_arcticdem), is_missing=_is_zero)
    out = np.empty((1, *geobox.shape), dtype=np.uint8)
    return warp(source, out, geobox, "nearest", fill=0)[0]


def align_tcvis(
    ds_tcvis: xr.Dataset, geobox: GeoBox, bands: Collection[str], device: DeviceSpec = "cpu"
) -> dict[str, Array]:
    """Return tasseled-cap trends on another grid, resampled by cubic convolution.

    Args:
        ds_tcvis: Holds the bands, (y, x) uint8; where all of them are 0 there is no data.
        geobox: The grid wanted.
        bands: Which bands to align.
        device: Where to resample, see `align_dem`.

    Returns:
        (y, x) uint8 for each band asked for, rounded to nearest and kept within 0..255; 0 where there is no data.
        Method: Keys (1981), doi:10.1109/TASSP.1981.1163711.

    Raises:
        DataError: If a band is missing.
        GridError: If the dataset has no georeference.
    """
    names, source = _trends(ds_tcvis, bands)
    out = [np.empty(geobox.shape, dtype=np.uint8) for _ in names]
    warp(source, out, geobox, "cubic", fill=0, device=_gpu(device))
    return {name: band for name, band in zip(names, out, strict=True) if name in bands}


def trend_windows(ds_tcvis: xr.Dataset, geobox: GeoBox, bands: Collection[str]) -> TrendWindows:
    """Return what makes windows of the same trends, where they are read."""
    return TrendWindows(*_trends(ds_tcvis, bands), geobox)


def _trends(ds_tcvis: xr.Dataset, bands: Collection[str]) -> tuple[list[str], Source]:
    names = [name for name in TCVIS_BANDS if name in bands or name in ds_tcvis]
    stack = np.stack([_band(ds_tcvis, name).astype(np.uint8, copy=False) for name in names])
    return names, Source(values=stack, grid=geobox_of(ds_tcvis), is_missing=_is_zero)


def _band(dataset: xr.Dataset, name: str) -> Array:
    if name not in dataset:
        present = ", ".join(map(str, dataset.data_vars))
        raise DataError(f"the auxiliary data lacks the band {name}; it has {present}. Load it again.")
    band = dataset[name]
    values: Array = band.transpose(*band.odc.spatial_dims).values
    return values


def _gpu(device: DeviceSpec) -> "torch.device | None":
    """Return the device that is asked for, None for host memory."""
    chosen = decide_device(device)
    return None if chosen.type == "cpu" else chosen


def _is_nan(values: Array) -> Array:
    """Return where the only band of (band, y, x) is NaN."""
    return np.isnan(values[0])


def _is_zero(values: Array) -> Array:
    """Return where all bands of (band, y, x) are 0."""
    is_zero: Array = (values == 0).all(axis=0)
    return is_zero
