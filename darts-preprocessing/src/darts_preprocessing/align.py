"""Auxiliary layers brought onto the grid of the optical bands."""

from collections.abc import Collection

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from darts_preprocessing.blocks import Array
from darts_preprocessing.warp import Source, warp
from darts_utils.errors import DataError
from darts_utils.tile import geobox_of

TCVIS_BANDS = ("tc_brightness", "tc_greenness", "tc_wetness")


def align_dem(ds_arcticdem: xr.Dataset, geobox: GeoBox) -> Array:
    """Return the elevation on another grid, resampled by cubic convolution.

    Args:
        ds_arcticdem: Holds `dem`, (y, x) float32 in metres, NaN where unknown, on its own grid.
        geobox: The grid wanted, with whatever padding the caller needs.

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
    source = Source(values=dem[None], grid=geobox_of(ds_arcticdem), nodata=np.nan, is_missing=np.isnan)
    out = np.empty((1, *geobox.shape), dtype=np.float32)
    return warp(source, out, geobox, Resampling.cubic, missing=np.nan, dtype="float32")[0]


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
    source = Source(values=mask[None], grid=geobox_of(ds_arcticdem), nodata=0, is_missing=_is_zero)
    out = np.empty((1, *geobox.shape), dtype=np.uint8)
    return warp(source, out, geobox, Resampling.nearest, missing=0, dtype="uint8")[0]


def align_tcvis(ds_tcvis: xr.Dataset, geobox: GeoBox, bands: Collection[str]) -> dict[str, Array]:
    """Return tasseled-cap trends on another grid, resampled by cubic convolution.

    Args:
        ds_tcvis: Holds the bands, (y, x) uint8; where all of them are 0 there is no data.
        geobox: The grid wanted.
        bands: Which bands to align.

    Returns:
        (y, x) uint8 for each band asked for, rounded to nearest and kept within 0..255; 0 where there is no data.
        Method: Keys (1981), doi:10.1109/TASSP.1981.1163711.

    Raises:
        DataError: If a band is missing.
        GridError: If the dataset has no georeference.
    """
    names = [name for name in TCVIS_BANDS if name in bands or name in ds_tcvis]
    stack = np.stack([_band(ds_tcvis, name).astype(np.uint8, copy=False) for name in names])
    source = Source(values=stack, grid=geobox_of(ds_tcvis), nodata=0, is_missing=_is_zero)
    out = [np.empty(geobox.shape, dtype=np.uint8) for _ in names]
    # int16, because GDAL raises a valid 0 to 1 where 0 also means no data; its -1 is clipped to 0
    warp(source, out, geobox, Resampling.cubic, missing=-1, dtype="int16")
    return {name: layer for name, layer in zip(names, out, strict=True) if name in bands}


def _band(dataset: xr.Dataset, name: str) -> Array:
    if name not in dataset:
        present = ", ".join(map(str, dataset.data_vars))
        raise DataError(f"the auxiliary data lacks the band {name}; it has {present}. Load it again.")
    band = dataset[name]
    values: Array = band.transpose(*band.odc.spatial_dims).values
    return values


<<<<<<< HEAD
def _is_zero(values: Array) -> Array:
    """Return where all bands of (band, y, x) are 0."""
    is_zero: Array = (values == 0).all(axis=0)
    return is_zero
=======
def _warp(
    source: Array,
    source_grid: GeoBox,
    target: Array,
    grid: GeoBox,
    resampling: Resampling,
    nodata: tuple[float, float],
) -> Array:
    """Fill a (band, y, x) array by GDAL on all cores and return it; `nodata` is that of the source and the target.

    A source pixel has no data where all bands say so.
    """
    x_scale, y_scale = _resampling_factors(source_grid, grid)
    reproject(
        source,
        target,
        src_transform=source_grid.affine,
        src_crs=gdal_crs(source_grid),
        src_nodata=nodata[0],
        dst_transform=grid.affine,
        dst_crs=gdal_crs(grid),
        dst_nodata=nodata[1],
        resampling=resampling,
        num_threads=usable_cores(),
        warp_mem_limit=_WARP_MEMORY_MB,
        tolerance=WARP_TOLERANCE_PX,
        xscale=x_scale,
        yscale=y_scale,
    )
    return target


def _resampling_factors(source_grid: GeoBox, grid: GeoBox) -> tuple[float, float]:
    """Return how many target pixels there are to a source pixel along x and y of the source, at most 1.

    Below 1, GDAL widens its kernel so that fine detail is averaged. Left alone, it takes the factor from the bounding
    boxes of each chunk, which turned grids enlarge: the terrain would be smoothed more the further a scene lies from
    the central meridian of the DEM.
    """
    height, width = grid.shape
    points = [(width / 2, height / 2), (width / 2 + 1, height / 2), (width / 2, height / 2 + 1)]
    xs, ys = zip(*(_apply(grid.affine, x, y) for x, y in points), strict=True)
    xs, ys = transform(gdal_crs(grid), gdal_crs(source_grid), xs, ys)
    columns, rows = np.transpose([_apply(~source_grid.affine, x, y) for x, y in zip(xs, ys, strict=True)])
    return _factor(np.hypot(*(columns[1:] - columns[0]))), _factor(np.hypot(*(rows[1:] - rows[0])))


def _factor(source_pixels: float) -> float:
    """Return the factor for a target pixel that spans so many source pixels; the scale of a projection is no change."""
    return 1.0 if source_pixels < 1.1 else float(1 / source_pixels)


def _apply(affine: Affine, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = affine[:6]
    return a * x + b * y + c, d * x + e * y + f


def gdal_crs(grid: GeoBox) -> CRS:
    """Return the CRS of a grid as rasterio wants it."""
    assert grid.crs is not None  # geobox_of refuses grids without one
    return CRS.from_wkt(grid.crs.to_wkt())
>>>>>>> 70bc80222cacc4dd50afd48ac1983d1ea281a121
