"""Annotated slumps as rasters: 0 background, 1 slump, 2 not to be learned from."""

from typing import Any

import geopandas as gpd
import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from darts_utils.errors import DataError
from darts_utils.rasters.arrays import Array

type Vectors = gpd.GeoDataFrame | gpd.GeoSeries

BACKGROUND, SLUMP, IGNORED = 0, 1, 2
HIGH_QUALITY = 2


def burn_labels(
    geobox: GeoBox,
    labels: Vectors,
    extent: Vectors | None = None,
    quality: np.ndarray[Any, np.dtype[Any]] | None = None,
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the labels on a grid.

    Args:
        geobox: The grid.
        labels: Outlines of slumps, in any CRS; may be empty.
        extent: Outline of the ground that was searched for slumps, in any CRS. None: all of the grid.
        quality: (y, x) uint8 on the grid: 0 invalid, 1 low, 2 high quality. None: all of high quality.

    Returns:
        (y, x) uint8: 1 where the centre of a pixel lies in an outline, 2 where it lies outside the extent or the
        quality is not high, else 0.

    Raises:
        DataError: If outlines have no CRS.
    """
    burned = _inside(geobox, labels, "labels").astype(np.uint8) * np.uint8(SLUMP)
    if extent is not None:
        burned[~_inside(geobox, extent, "extent")] = IGNORED
    if quality is not None:
        burned[quality != HIGH_QUALITY] = IGNORED
    return burned


def _inside(geobox: GeoBox, outlines: Vectors, what: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return (y, x) bool, where the centre of a pixel lies in one of some outlines."""
    if outlines.crs is None:
        raise DataError(f"the {what} have no CRS, so where they lie is unknown. Set it with set_crs().")
    on_grid = outlines.geometry.to_crs(str(geobox.crs))
    shapes = [shape for shape in on_grid if shape is not None and not shape.is_empty]
    if not shapes:
        return np.zeros(geobox.shape, dtype=bool)
    # GDAL takes the pixels whose centre is inside, as long as all_touched is off
    burned: Array = rasterize(shapes, out_shape=tuple(geobox.shape), transform=geobox.affine, dtype="uint8")
    return burned.astype(bool)
