"""Rasters brought onto another grid by GDAL, block by block on all cores.

GDAL is three to seven times slower where it must look for missing values. So it is told of them only in blocks that
have some; all others take its plain path.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject, transform

from darts_preprocessing.blocks import Array, Block, for_each_block

TOLERANCE_PX = 0.001
"""Largest error of the transform between grids, which GDAL interpolates along each row; 0.05 is hardly faster."""

_BLOCK_PX = 1024
_NODES = 9
"""Points along each side of a block that are projected to find the part of the source that it needs."""
_KERNEL_PX = 2
"""Reach of cubic convolution; nearest neighbour has less."""
_SPARE_PX = 3
"""For the bend of the edges of a block between the points, and for what interpolated transforms miss."""

type IsMissing = Callable[[Array], Array]
"""Returns where a (band, y, x) source has no data, as bool that broadcasts to (y, x)."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is warped."""

    values: Array
    """(band, y, x)."""
    grid: GeoBox
    nodata: float
    """Pixels have no data where all bands say so."""
    is_missing: IsMissing


@dataclass(frozen=True, kw_only=True)
class _Warp:
    """What all blocks share."""

    source: Source
    source_crs: CRS
    grid: GeoBox
    crs: CRS
    factors: tuple[float, float]
    resampling: Resampling
    missing: float
    dtype: str


def warp(
    source: Source, out: Sequence[Array] | Array, grid: GeoBox, resampling: Resampling, *, missing: float, dtype: str
) -> Sequence[Array] | Array:
    """Fill (y, x) arrays, one a band, and return them.

    Args:
        source: What is warped.
        out: Where to; values of another type than `dtype` are clipped to its range.
        grid: The grid of `out`.
        resampling: How.
        missing: Value of target pixels that see no source pixel with data, in `dtype`.
        dtype: Type in which GDAL works where data is missing; it must hold `missing`.
    """
    source_crs, crs = gdal_crs(source.grid), gdal_crs(grid)
    shared = _Warp(
        source=source,
        source_crs=source_crs,
        grid=grid,
        crs=crs,
        factors=_resampling_factors(source.grid, source_crs, grid, crs),
        resampling=resampling,
        missing=missing,
        dtype=dtype,
    )
    for_each_block(partial(_warp_block, shared, out), (grid.shape[0], grid.shape[1]), _BLOCK_PX)
    return out


def _warp_block(shared: _Warp, out: Sequence[Array] | Array, block: Block) -> None:
    grid = shared.grid[block.rows, block.columns]
    rows, columns, is_inside = _source_window(shared, grid)
    values = np.ascontiguousarray(shared.source.values[:, rows, columns])
    holds_all = is_inside and not shared.source.is_missing(values).any()
    target = np.full((len(out), *grid.shape), *((0, out[0].dtype) if holds_all else (shared.missing, shared.dtype)))
    if values.size:
        reproject(
            values,
            target,
            src_transform=shared.source.grid[rows, columns].affine,
            src_crs=shared.source_crs,
            src_nodata=None if holds_all else shared.source.nodata,
            dst_transform=grid.affine,
            dst_crs=shared.crs,
            dst_nodata=None if holds_all else shared.missing,
            resampling=shared.resampling,
            num_threads=1,  # the blocks are on all cores already
            tolerance=TOLERANCE_PX,
            xscale=shared.factors[0],
            yscale=shared.factors[1],
        )
    for layer, part in zip(out, target, strict=True):
        if part.dtype != layer.dtype:
            np.clip(part, np.iinfo(layer.dtype).min, np.iinfo(layer.dtype).max, out=part)
        layer[block.rows, block.columns] = part


def _source_window(shared: _Warp, grid: GeoBox) -> tuple[slice, slice, bool]:
    """Return rows and columns of the source that a block needs, and whether the source has all of them."""
    height, width = grid.shape
    x, y = np.meshgrid(np.linspace(0, width, _NODES), np.linspace(0, height, _NODES))
    xs, ys = transform(shared.crs, shared.source_crs, *(part.ravel() for part in _apply(grid.affine, x, y)))
    columns, rows = _apply(~shared.source.grid.affine, np.asarray(xs), np.asarray(ys))
    (first_row, last_row), (first_column, last_column) = (
        _reach(positions, factor) for positions, factor in zip((rows, columns), shared.factors[::-1], strict=True)
    )
    source_height, source_width = shared.source.values.shape[1:]
    is_inside = first_row >= 0 and first_column >= 0 and last_row <= source_height and last_column <= source_width
    return _clipped(first_row, last_row, source_height), _clipped(first_column, last_column, source_width), is_inside


def _reach(positions: Array, factor: float) -> tuple[float, float]:
    """Return the first and last pixel that a kernel at positions reads; no end where a position is unknown."""
    if not np.isfinite(positions).all():
        return -math.inf, math.inf
    margin = math.ceil(_KERNEL_PX / factor) + _SPARE_PX
    return math.floor(positions.min()) - margin, math.ceil(positions.max()) + margin


def _clipped(first: float, last: float, length: int) -> slice:
    start, stop = (int(min(max(end, 0), length)) for end in (first, last))
    return slice(start, max(start, stop))


def _resampling_factors(source_grid: GeoBox, source_crs: CRS, grid: GeoBox, crs: CRS) -> tuple[float, float]:
    """Return how many target pixels there are to a source pixel along x and y of the source, at most 1.

    Below 1, GDAL widens its kernel so that fine detail is averaged. Left alone, it takes the factor from the bounding
    boxes of each chunk, which turned grids enlarge: the terrain would be smoothed more the further a scene lies from
    the central meridian of the DEM.
    """
    height, width = grid.shape
    x, y = np.array([width / 2, width / 2 + 1, width / 2]), np.array([height / 2, height / 2, height / 2 + 1])
    xs, ys = transform(crs, source_crs, *_apply(grid.affine, x, y))
    columns, rows = _apply(~source_grid.affine, np.asarray(xs), np.asarray(ys))
    return _factor(np.hypot(*(columns[1:] - columns[0]))), _factor(np.hypot(*(rows[1:] - rows[0])))


def _factor(source_pixels: float) -> float:
    """Return the factor for a target pixel that spans so many source pixels; the scale of a projection is no change."""
    return 1.0 if source_pixels < 1.1 else float(1 / source_pixels)


def _apply(affine: Affine, x: Array, y: Array) -> tuple[Array, Array]:
    a, b, c, d, e, f = affine[:6]
    return a * x + b * y + c, d * x + e * y + f


def gdal_crs(grid: GeoBox) -> CRS:
    """Return the CRS of a grid as rasterio wants it."""
    assert grid.crs is not None  # geobox_of refuses grids without one
    return CRS.from_wkt(grid.crs.to_wkt())
