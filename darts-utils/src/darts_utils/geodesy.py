"""Areas on the ellipsoid, which no map projection distorts."""

from typing import Any

import numpy as np
import pyproj
import shapely

type Array = np.ndarray[Any, np.dtype[Any]]

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
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform
    on_globe = shapely.transform(np.asarray(shapes, dtype=object), to_degrees, interleaved=False)
    return np.array([abs(_WGS84.geometry_area_perimeter(shape)[0]) for shape in on_globe], dtype=np.float64)
