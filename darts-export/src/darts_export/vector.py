"""Outlines of masks and objects, with statistics of each object."""

from io import BytesIO
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr

from darts_export.outlines import outlines
from darts_utils.runs import Runs, label_runs, runs_of
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
    grid = geobox_of(objects)
    runs = runs_of(objects.values)
    parts, _ = label_runs(runs, diagonal=False)
    labels, n_objects = _numbered(runs)
    values = probabilities.values.ravel()[runs.pixels()]
    columns: dict[str, Array] = {"Region_ID": np.arange(1, n_objects + 1, dtype=np.int32)}
    columns |= object_statistics(np.repeat(labels, runs.lengths), values, n_objects)
    columns["npixel"] = np.bincount(labels, runs.lengths, n_objects).astype(np.int64)
    owners = labels[np.unique(parts, return_index=True)[1]]
    shapes = _collected(outlines(runs, parts, grid), owners, n_objects)
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=str(grid.crs))


def regions(mask: xr.DataArray) -> gpd.GeoDataFrame:
    """Return one row for each part of a (y, x) bool mask that is connected by edges of pixels.

    Returns:
        `Region_ID` int32 from 1 on, by the first pixel of each part row by row, and the outline as a valid Polygon.
    """
    grid = geobox_of(mask)
    runs = runs_of(mask.values)
    parts, n_parts = label_runs(runs, diagonal=False)
    columns = {"Region_ID": np.arange(1, n_parts + 1, dtype=np.int32)}
    return gpd.GeoDataFrame(columns, geometry=outlines(runs, parts, grid), crs=str(grid.crs))


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


def object_statistics(labels: Array, probabilities: Array, n_objects: int) -> dict[str, Array]:
    """Return min, max, mean, median and std of the probabilities of each object, in percent.

    One sort puts the values of each object side by side in rising order; there is no loop over objects.

    Args:
        labels: (pixel,) number of the object that each value belongs to, from 0 on.
        probabilities: (pixel,) float32 from 0 on; NaN is left out.
        n_objects: How many objects there are.

    Returns:
        (n_objects,) float64 each; NaN for an object without a value.
    """
    objects, values = _sorted(labels, probabilities)
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


def _sorted(labels: Array, probabilities: Array) -> tuple[Array, Array]:
    """Return labels and known values in percent, float64, by label and then by value.

    Both are packed into one number, because numpy sorts whole numbers ten times as fast as pairs. The bits of numbers
    from 0 on rise with them.
    """
    known = np.isfinite(probabilities)
    bits = (probabilities[known].astype(np.float32) + np.float32(0)).view(np.uint32)  # adding 0 makes -0 to 0
    packed = np.sort((labels[known].astype(np.uint64) << 32) | bits)
    values = packed.astype(np.uint32).view(np.float32)
    return (packed >> 32).astype(np.intp), values.astype(np.float64) * 100


def _numbered(runs: Runs) -> tuple[Array, int]:
    """Return which object each run belongs to, from 0 on, and how many there are.

    They are numbered by their first block of 2 x 2 pixels row by row, as OpenCV does: earlier releases used it.
    """
    labels, n_objects = label_runs(runs, diagonal=True)
    rows, columns = np.divmod(runs.starts, runs.stride)
    first_blocks = np.full(n_objects, np.iinfo(np.int64).max)
    np.minimum.at(first_blocks, labels, (rows // 2).astype(np.int64) * runs.stride + columns // 2)
    numbers = np.empty(n_objects, dtype=np.intp)
    numbers[np.argsort(first_blocks)] = np.arange(n_objects)
    return numbers[labels], n_objects


def _collected(areas: Array, owners: Array, n_objects: int) -> Array:
    """Return the outline of each object from those of its parts, which belong to `owners`."""
    order = np.argsort(owners, kind="stable")
    areas, owners = areas[order], owners[order]
    alone = np.bincount(owners, minlength=n_objects)[owners] == 1
    shapes = np.empty(n_objects, dtype=object)
    shapes[owners[alone]] = areas[alone]
    joined, index = np.unique(owners[~alone], return_inverse=True)
    if len(joined):
        shapes[joined] = shapely.multipolygons(areas[~alone], indices=index)
    return shapes
