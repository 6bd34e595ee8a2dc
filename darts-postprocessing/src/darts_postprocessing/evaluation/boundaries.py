"""How far apart the boundaries of matched outlines are."""

import numpy as np
import shapely

from darts_utils.rasters.arrays import Array

STEP_M = 1.0
"""Points along a boundary are at most this far apart."""
_PAIRS_AT_ONCE = 500
"""Points are objects in memory, of some 100 bytes each."""


def boundary_distances(first: Array, second: Array) -> tuple[Array, Array]:
    """Return how far the boundaries of pairs of outlines are apart, metre by metre, both ways.

    Each point along the first boundary has a distance to the nearest point of the second one, and the other way round.
    Holes have boundaries too. Distances are those of the plane, which stretches or shrinks them by 2.5 % at 65 degrees
    north and less towards the pole.

    Args:
        first: (pair,) polygons and multipolygons in `EQUAL_AREA`.
        second: (pair,) the same.

    Returns:
        (point,) float64 metres, and (point,) int64, the pair of each.
    """
    distances, owners = [np.empty(0)], [np.empty(0, dtype=np.int64)]
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        for here, there in ((first[part], second[part]), (second[part], first[part])):
            points, of_point = points_along(here)
            distances.append(shapely.distance(shapely.points(points), shapely.boundary(there)[of_point]))
            owners.append(of_point + start)
    return np.concatenate(distances), np.concatenate(owners)


def points_along(shapes: Array, step_m: float = STEP_M) -> tuple[Array, Array]:
    """Return points at equal distances along the boundary of each outline.

    Args:
        shapes: (shape,) polygons and multipolygons of a plane.
        step_m: Longest distance between two points of a ring.

    Returns:
        (point, 2) x and y, and (point,) int64, the shape of each.
    """
    polygons, of_polygon = shapely.get_parts(shapes, return_index=True)
    rings, of_ring = shapely.get_rings(polygons, return_index=True)
    if not len(rings):
        return np.empty((0, 2)), np.empty(0, dtype=np.int64)
    corners, of_corner = shapely.get_coordinates(rings, return_index=True)
    steps = np.hypot(*np.diff(corners, axis=0, prepend=corners[:1]).T)
    steps[np.diff(of_corner, prepend=0) != 0] = 0  # from one ring to the next is no way along a boundary
    way = np.cumsum(steps)
    lengths = np.bincount(of_corner, steps)
    numbers = np.maximum(np.ceil(lengths / step_m), 1).astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    owners = np.repeat(np.arange(len(rings)), numbers)
    place = np.arange(len(owners)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    at = starts[owners] + (place + 0.5) * (lengths / numbers)[owners]
    points = np.column_stack([np.interp(at, way, corners[:, 0]), np.interp(at, way, corners[:, 1])])
    return points, of_polygon[of_ring[owners]]
