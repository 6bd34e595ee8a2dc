"""Holes of objects, found from the gaps between the runs of pixels, and closed where they are small."""

import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from darts_export.polygonize import polygonize
from darts_utils.objects.geodesy import ground_areas_m2
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.run_length import RunLengthEncoding, connected_components


def without_small_holes(stretches: RunLengthEncoding, grid: GeoBox, close_holes_m2: float) -> RunLengthEncoding:
    """Return a mask whose small holes are closed.

    A hole is ground that is connected by edges of pixels and does not reach the border of the raster. Its size is that
    of all within its outer ring: objects in a hole that is closed become part of the one around it.

    Args:
        stretches: The encoded mask.
        grid: Where it lies.
        close_holes_m2: Holes that are smaller are closed, in square metres, geodesic on WGS84; one of that size stays.
    """
    if close_holes_m2 == 0 or not len(stretches.starts):
        return stretches
    holes, numbers = _holes(stretches, *grid.shape)
    if not len(numbers):
        return stretches
    rings = shapely.get_exterior_ring(polygonize(holes, numbers, grid))
    is_small = ground_areas_m2(shapely.polygons(rings), str(grid.crs)) < close_holes_m2
    return _filled(stretches, _some(holes, is_small[numbers]))


def _holes(stretches: RunLengthEncoding, height: int, width: int) -> tuple[RunLengthEncoding, Array]:
    """Return the gaps that belong to holes, and the number of the hole of each, from 0 on."""
    gaps = _gaps(stretches, height, width)
    labels, number = connected_components(gaps, diagonal=False)
    rows, columns = np.divmod(gaps.starts, gaps.stride)
    at_border = (rows == 0) | (rows == height - 1) | (columns == 0) | (columns + gaps.lengths == width)
    is_hole = np.ones(number, dtype=bool)
    is_hole[labels[at_border]] = False
    kept = is_hole[labels]
    return _some(gaps, kept), (np.cumsum(is_hole) - 1)[labels[kept]]


def _gaps(stretches: RunLengthEncoding, height: int, width: int) -> RunLengthEncoding:
    """Return the encoding of the pixels that a mask lacks."""
    dtype = stretches.starts.dtype
    left = (np.arange(height, dtype=np.int64) * stretches.stride).astype(dtype)
    starts = np.sort(np.concatenate([left, stretches.ends]))
    ends = np.sort(np.concatenate([stretches.starts, left + dtype.type(width)]))
    return _some(RunLengthEncoding(stride=stretches.stride, starts=starts, ends=ends), starts < ends)


def _some(stretches: RunLengthEncoding, kept: Array) -> RunLengthEncoding:
    return RunLengthEncoding(stride=stretches.stride, starts=stretches.starts[kept], ends=stretches.ends[kept])


def _filled(stretches: RunLengthEncoding, more: RunLengthEncoding) -> RunLengthEncoding:
    """Return the encoding of two masks that have no pixel in common."""
    starts = np.concatenate([stretches.starts, more.starts])
    ends = np.concatenate([stretches.ends, more.ends])
    # where one ends and the other starts is neither
    return RunLengthEncoding(
        stride=stretches.stride, starts=np.setdiff1d(starts, ends), ends=np.setdiff1d(ends, starts)
    )
