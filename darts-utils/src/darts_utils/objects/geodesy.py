"""Areas on the ellipsoid, which no map projection distorts."""

from typing import Any

import numpy as np
import pyproj
import shapely

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
    polygons, owners = shapely.get_parts(shapes, return_index=True)
    rings, of_polygon = shapely.get_rings(polygons, return_index=True)
    is_outer = np.diff(of_polygon, prepend=-1) > 0  # the outer ring of a polygon comes first
    areas = np.where(is_outer, 1, -1) * _ring_areas_m2(rings, crs)
    return np.bincount(owners[of_polygon], areas, len(shapes)) if len(shapes) else np.empty(0)


def _ring_areas_m2(rings: Array, crs: Any) -> Array:
    """Return the area inside each closed ring; the geodesic library is asked ring by ring, which is what takes time."""
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform
    x, y = shapely.get_coordinates(rings).T
    longitude, latitude = to_degrees(x, y)
    ends = np.cumsum(shapely.get_num_coordinates(rings))
    parts = zip(np.split(longitude, ends[:-1]), np.split(latitude, ends[:-1]), strict=True) if len(rings) else ()
    return np.array([abs(_WGS84.polygon_area_perimeter(*part)[0]) for part in parts])
