"""Areas and perimeters on the ellipsoid, which no map projection distorts."""

from typing import Any

import numpy as np
import pyproj
import shapely

from darts_utils.crs import LONGLAT, transformer
from darts_utils.rasters.arrays import Array

_WGS84 = pyproj.Geod(ellps="WGS84")


def ground_areas_m2(shapes: Any, crs: Any) -> Array:
    """Return the area of each shape on the ground, (shape,) float64 in square metres, geodesic on WGS84.

    Edges become geodesics between their ends, holes count as outside, and a shape may cross the antimeridian.

    Args:
        shapes: (shape,) polygons and multipolygons of shapely.
        crs: What their coordinates are in, as pyproj takes it.

    Returns:
        The areas. Method: Karney (2013), doi:10.1007/s00190-012-0578-z.
    """
    shapes = np.asarray(shapes, dtype=object)
    rings, owners, is_outer = _rings_of(shapes)
    areas = np.where(is_outer, 1, -1) * _measured(rings, crs)[0]
    return np.bincount(owners, areas, len(shapes)) if len(shapes) else np.empty(0)


def ground_perimeters_m(shapes: Any, crs: Any) -> Array:
    """Return the length of the outlines of each shape on the ground, those of holes with them.

    Args:
        shapes: (shape,) polygons and multipolygons of shapely.
        crs: What their coordinates are in, as pyproj takes it.

    Returns:
        (shape,) float64 in metres, along geodesics on WGS84. Method: Karney (2013), doi:10.1007/s00190-012-0578-z.
    """
    shapes = np.asarray(shapes, dtype=object)
    rings, owners, _ = _rings_of(shapes)
    return np.bincount(owners, _measured(rings, crs)[1], len(shapes)) if len(shapes) else np.empty(0)


def _rings_of(shapes: Array) -> tuple[Array, Array, Array]:
    """Return the rings of shapes, (ring,) the shape that each belongs to, and whether it is an outer one."""
    polygons, owners = shapely.get_parts(shapes, return_index=True)
    rings, of_polygon = shapely.get_rings(polygons, return_index=True)
    is_outer = np.diff(of_polygon, prepend=-1) > 0  # the outer ring of a polygon comes first
    return rings, owners[of_polygon], is_outer


def _measured(rings: Array, crs: Any) -> Array:
    """Return (2, ring) area inside each closed ring, and its length.

    The geodesic library is asked ring by ring, which is what takes time.
    """
    to_degrees = transformer(crs, LONGLAT).transform
    x, y = shapely.get_coordinates(rings).T
    longitude, latitude = to_degrees(x, y)
    ends = np.cumsum(shapely.get_num_coordinates(rings))
    parts = zip(np.split(longitude, ends[:-1]), np.split(latitude, ends[:-1]), strict=True) if len(rings) else ()
    found = [_WGS84.polygon_area_perimeter(*part) for part in parts]
    return np.abs(np.array(found, dtype=np.float64).reshape(-1, 2)).T
