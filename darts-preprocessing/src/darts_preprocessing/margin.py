"""Whether elevation reaches as far beyond a tile as what is made of it."""

import logging
import math

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.warp import transform

from darts_preprocessing.resampling.warp import KERNEL_PX, gdal_crs
from darts_utils.grid import pixel_size_m
from darts_utils.rasters.arrays import Array

logger = logging.getLogger(__name__)

_POINTS = 33
"""Points an edge of the tile, for its lines bend from CRS to CRS."""


def warn_if_short(elevation: GeoBox, tile: GeoBox, halo_px: int, tile_id: str) -> None:
    """Warn where elevation ends nearer to a tile than terrain reaches: ground beyond counts as unknown.

    Args:
        elevation: Grid of the elevation.
        tile: Grid of the tile.
        halo_px: By how many pixels of the tile terrain reaches beyond it.
        tile_id: What to call the tile.
    """
    if elevation == tile.pad(halo_px):
        return  # aligned before, where it was looked at
    given_m, needed_m, cell_m = margins_m(elevation, tile, halo_px)
    if given_m < needed_m:
        logger.warning(
            "elevation reaches %.0f m beyond %s, but %.0f m are needed for terrain and relative elevation at its edges;"
            " load it with a margin of %d pixels (buffer)",
            given_m,
            tile_id,
            needed_m,
            math.ceil(needed_m / cell_m),
        )


def margins_m(elevation: GeoBox, tile: GeoBox, halo_px: int) -> tuple[float, float, float]:
    """Return how far elevation reaches beyond a tile, how far it should, and its pixel size, in metres of the tile.

    The first is that of the side where it is least, below 0 where elevation leaves out a part of the tile. The second
    is the halo and what cubic convolution reads beyond it.
    """
    columns, rows = _outline_px(elevation, tile)
    height, width = elevation.shape
    pixel_m = pixel_size_m(tile)
    steps_px = np.hypot(np.diff(columns), np.diff(rows)).sum()
    cell_m = 2 * sum(tile.shape) * pixel_m / steps_px
    given_px = min(columns.min(), rows.min(), width - columns.max(), height - rows.max())
    return float(given_px * cell_m), halo_px * pixel_m + KERNEL_PX * max(cell_m, pixel_m), float(cell_m)


def _outline_px(elevation: GeoBox, tile: GeoBox) -> tuple[Array, Array]:
    """Return columns and rows of the closed outline of a tile, in pixels of the elevation from its corner."""
    height, width = tile.shape
    along, back = np.linspace(0, 1, _POINTS), np.linspace(1, 0, _POINTS)
    zeros, ones = np.zeros(_POINTS), np.ones(_POINTS)
    right = np.concatenate([along, ones, back, zeros]) * width
    down = np.concatenate([zeros, along, ones, back]) * height
    x, y = transform(gdal_crs(tile), gdal_crs(elevation), *_moved(tile.affine, right, down))
    return _moved(~elevation.affine, np.asarray(x), np.asarray(y))


def _moved(affine: Affine, x: Array, y: Array) -> tuple[Array, Array]:
    a, b, c, d, e, f = affine[:6]
    return a * x + b * y + c, d * x + e * y + f
