"""Outlines of masks and objects, with statistics of each object."""

from io import BytesIO
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.features import shapes

from darts_utils.tile import geobox_of

type Array = np.ndarray[Any, np.dtype[Any]]

STATISTICS = ("min", "max", "mean", "median", "std")


def segments(objects: xr.DataArray, probabilities: xr.DataArray) -> gpd.GeoDataFrame:
    """Return one row for each object of a mask, with its outline and statistics of the probabilities in it.

    Args:
        objects: (y, x) bool, True = slump.
        probabilities: (y, x) float32 from 0 to 1; NaN is left out of the statistics.

    Returns:
        `Region_ID` int32 from 1 on, `min`, `max`, `mean`, `median` and `std` (of all pixels, not of a sample) float64
        in percent, `npixel` int64 and the geometry, in the CRS of the tile. Pixels that touch at edges or corners are
        one object; its outline is valid, as a MultiPolygon where parts touch at corners only.
    """
    mask = np.ascontiguousarray(objects.values, dtype=np.uint8)
    n_labels, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    percent = probabilities.values.ravel()[(pixels := np.flatnonzero(mask))].astype(np.float64) * 100
    columns: dict[str, Array] = {"Region_ID": np.arange(1, n_labels, dtype=np.int32)}
    columns |= object_statistics(labels.ravel()[pixels], percent, n_labels - 1)
    columns["npixel"] = stats[1:, cv2.CC_STAT_AREA].astype(np.int64)
    grid = geobox_of(objects)
    return gpd.GeoDataFrame(columns, geometry=_outlines(labels, mask, n_labels - 1, grid), crs=str(grid.crs))


def regions(mask: xr.DataArray) -> gpd.GeoDataFrame:
    """Return one row for each connected part of a (y, x) bool mask: `Region_ID` int32 from 1 on, and its outline."""
    values = np.ascontiguousarray(mask.values, dtype=np.uint8)
    grid = geobox_of(mask)
    outlines, _ = _polygons(values, values, grid)
    columns = {"Region_ID": np.arange(1, len(outlines) + 1, dtype=np.int32)}
    return gpd.GeoDataFrame(columns, geometry=outlines, crs=str(grid.crs))


def geopackage_bytes(frame: gpd.GeoDataFrame) -> bytes:
    """Return a table as a GeoPackage; made in memory, because GDAL does not reliably report a full disk."""
    buffer = BytesIO()
    # one geometry type for all rows: a layer without rows must have the schema of one with rows
    frame.to_file(buffer, driver="GPKG", engine="pyogrio", promote_to_multi=True, geometry_type="MultiPolygon")
    return buffer.getvalue()


def geoparquet_bytes(frame: gpd.GeoDataFrame) -> bytes:
    """Return a table as GeoParquet."""
    buffer = BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def object_statistics(labels: Array, values: Array, n_objects: int) -> dict[str, Array]:
    """Return min, max, mean, median and std of the values of each object.

    One sort puts the values of each object side by side in rising order; there is no loop over objects.

    Args:
        labels: (pixel,) number of the object that each value belongs to, from 1 to `n_objects`.
        values: (pixel,) float64; NaN is left out.
        n_objects: How many objects there are.

    Returns:
        (n_objects,) float64 each; NaN for an object without a value.
    """
    known = np.isfinite(values)
    objects, values = labels[known] - 1, values[known]
    order = np.lexsort((values, objects))
    objects, values = objects[order], values[order]
    count = np.bincount(objects, minlength=n_objects)
    first = np.cumsum(count) - count
    filled = count > 0
    result = {name: np.full(n_objects, np.nan) for name in STATISTICS}
    start, number = first[filled], count[filled]
    result["min"][filled], result["max"][filled] = values[start], values[start + number - 1]
    result["median"][filled] = (values[start + (number - 1) // 2] + values[start + number // 2]) / 2
    result["mean"][filled] = np.bincount(objects, values, n_objects)[filled] / number
    deviation = values - result["mean"][objects]  # in a second pass: a difference of squares would lose digits
    result["std"][filled] = np.sqrt(np.bincount(objects, deviation**2, n_objects)[filled] / number)
    return result


def _outlines(labels: Array, mask: Array, n_objects: int, grid: GeoBox) -> Array:
    """Return the outline of each object, in the order of the labels."""
    areas, owners = _polygons(labels, mask, grid)
    order = np.argsort(owners, kind="stable")
    areas, owners = areas[order], owners[order].astype(np.intp) - 1
    alone = np.bincount(owners, minlength=n_objects)[owners] == 1
    outlines = np.empty(n_objects, dtype=object)
    outlines[owners[alone]] = areas[alone]
    joined, index = np.unique(owners[~alone], return_inverse=True)
    if len(joined):
        outlines[joined] = shapely.multipolygons(areas[~alone], indices=index)
    return outlines


def _polygons(values: Array, mask: Array, grid: GeoBox) -> tuple[Array, Array]:
    """Return the outlines of the 4-connected areas of equal value within the mask, and the value of each.

    Asked for 8-connected areas, GDAL makes rings that cross themselves at corners; these are always valid.
    """
    found = list(shapes(values, mask=mask, connectivity=4, transform=grid.affine))
    outlines = np.empty(len(found), dtype=object)
    outlines[:] = [shapely.Polygon(shape["coordinates"][0], shape["coordinates"][1:]) for shape, _ in found]
    return outlines, np.array([value for _, value in found], dtype=np.float64)
