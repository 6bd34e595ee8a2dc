"""The plane in which an inventory compares outlines: equal-area, over all of the north, without a seam.

Overlaps are compared as areas, so the plane must not distort them; and slumps on the antimeridian or on the border of
two UTM zones must not be torn. `EQUAL_AREA` does both.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely

from darts_utils.crs import EQUAL_AREA, LONGLAT, transformer
from darts_utils.errors import DataError
from darts_utils.rasters.arrays import Array

PLANE_CRS = pyproj.CRS(EQUAL_AREA)
"""For tables: made once, for each takes a millisecond."""
LONGLAT_CRS = pyproj.CRS(LONGLAT)


def to_plane(shapes: Any, crs: Any) -> Array:
    """Return shapes in the plane, valid, without coordinates of height.

    Args:
        shapes: (shape,) polygons and multipolygons; what is invalid is repaired by the rule of odd and even crossings.
        crs: What their coordinates are in, as pyproj takes it.

    Returns:
        (shape,) polygons and multipolygons in `EQUAL_AREA`.

    Raises:
        DataError: If a coordinate is no number, or off the map.
    """
    moved = _transformed(np.asarray(shapes, dtype=object), crs, PLANE_CRS)
    corners, owners = shapely.get_coordinates(moved, return_index=True)
    wrong = owners[~np.isfinite(corners).all(axis=1)]
    if len(wrong):
        raise DataError(f"outline {wrong[0]} has coordinates that are no numbers or off the map. Correct or remove it.")
    broken = ~shapely.is_valid(moved)
    if broken.any():
        moved[broken] = _areal(shapely.make_valid(moved[broken]))
    for index in np.flatnonzero(_is_cut_in_two(moved)):  # their sides at 180 and -180 degrees differ by rounding
        moved[index] = shapely.union_all(shapely.set_precision(shapely.get_parts(moved[index]), _ROUNDING_M))
    return moved


def straightened(shapes: Any, crs: Any) -> Array:
    """Return shapes with corners added to their long edges, so that these stay where they are in another CRS too.

    What is straight in one CRS is curved in another: a parallel, for one.

    Args:
        shapes: (shape,) of any kind.
        crs: What their coordinates are in; in degrees without any latitude near the south pole, which has no place in
            the plane.
    """
    shapes = np.asarray(shapes, dtype=object)
    crs = pyproj.CRS(crs)
    if not crs.is_geographic:
        return np.asarray(shapely.segmentize(shapes, _LONGEST_EDGE_M), dtype=object)
    south = shapely.bounds(shapes).reshape(-1, 4)[:, 1] < _SOUTHERNMOST
    northern = shapes.copy()
    if south.any():
        left, _, right, top = shapely.total_bounds(shapes)
        northern[south] = shapely.intersection(
            shapely.make_valid(shapes[south]), shapely.box(left, _SOUTHERNMOST, right, top)
        )
    return np.asarray(shapely.segmentize(northern, _LONGEST_EDGE_DEGREES), dtype=object)


def to_degrees(shapes: Any) -> Array:
    """Return shapes of the plane as longitude and latitude, those across the antimeridian cut along it.

    Args:
        shapes: (shape,) polygons and multipolygons in `EQUAL_AREA`.

    Returns:
        (shape,) polygons and multipolygons in EPSG:4326, with longitudes from -180 to 180 degrees.
    """
    shapes = np.asarray(shapes, dtype=object)
    crossing = shapely.intersects(shapes, _ANTIMERIDIAN)
    moved = _transformed(shapes, PLANE_CRS, LONGLAT_CRS)
    for index in np.flatnonzero(crossing):
        moved[index] = _cut_in_two(shapes[index])
    return moved


def centroids(shapes: Array) -> tuple[Array, Array]:
    """Return longitude and latitude of the centroids of shapes of the plane, (shape,) float64 in degrees each."""
    points = shapely.centroid(shapes)
    transform = transformer(PLANE_CRS, LONGLAT).transform
    longitudes, latitudes = transform(shapely.get_x(points), shapely.get_y(points))
    return np.asarray(longitudes, dtype=np.float64), np.asarray(latitudes, dtype=np.float64)


_ANTIMERIDIAN = shapely.LineString([(0, 0), (0, 9_030_000)])
"""In the plane: from the pole upwards, to the equator."""
_BESIDE = 9_100_000
_LONGEST_EDGE_M = 1000.0
_LONGEST_EDGE_DEGREES = 0.02
"""With edges of these lengths borders are off by some centimetres."""
_SOUTHERNMOST = -89.0
_ROUNDING_M = 1e-3


def _is_cut_in_two(shapes: Array) -> Array:
    """Tell which shapes of the plane have several parts and lie at the antimeridian, as degrees leave them."""
    return (shapely.get_num_geometries(shapes) > 1) & shapely.dwithin(shapes, _ANTIMERIDIAN, _ROUNDING_M)


def _cut_in_two(shape: Any) -> Any:
    """Return a shape of the plane in degrees: its part west of the antimeridian (180) and that east of it (-180)."""
    parts = []
    for left, right, edge in ((0, _BESIDE, 180.0), (-_BESIDE, 0, -180.0)):
        part = shapely.intersection(shape, shapely.box(left, -_BESIDE, right, _BESIDE))
        (moved,) = _transformed(np.array([part], dtype=object), PLANE_CRS, LONGLAT_CRS)
        parts.append(shapely.transform(moved, lambda points, edge=edge: _on_the_side(points, edge)))
    return _areal(np.array([shapely.union_all(parts)], dtype=object))[0]


def _on_the_side(points: Array, edge: float) -> Array:
    """Return points whose longitudes are of the sign of an edge where they lie on it."""
    on_it = np.abs(np.abs(points[:, 0]) - 180) < 1e-9
    return np.column_stack([np.where(on_it, edge, points[:, 0]), points[:, 1]])


def _transformed(shapes: Array, source: Any, target: Any) -> Array:
    """Return shapes in another CRS; one call for all points, because each call has its cost."""
    if _is_same(source, target):
        return shapely.force_2d(shapes)
    transform = transformer(source, target).transform
    moved: Array = shapely.transform(
        shapely.force_2d(shapes), lambda points: np.column_stack(transform(points[:, 0], points[:, 1]))
    )
    return moved


@lru_cache(maxsize=64)
def _is_same(one: Any, other: Any) -> bool:
    return bool(pyproj.CRS(one) == pyproj.CRS(other))


def _areal(shapes: Array) -> Array:
    """Return what of each shape has an area, as a polygon or multipolygon."""
    parts, owners = shapely.get_parts(shapes, return_index=True)
    has_area = shapely.get_dimensions(parts) == 2
    result = np.empty(len(shapes), dtype=object)
    result[:] = shapely.Polygon()
    for owner in np.unique(owners[has_area]):
        result[owner] = shapely.union_all(parts[has_area & (owners == owner)])
    return result
