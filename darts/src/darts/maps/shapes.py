"""Outlines as few whole numbers as a page has room for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

_TOLERANCES_M = (5.0, 10.0, 20.0, 40.0, 80.0)

type Rings = list[list[int]]
"""Each ring as `x0 y0 dx1 dy1 dx2 dy2 ...`, metres."""


def compact(shapes: Sequence[shapely.Geometry | None], most_numbers: int, *, coarsest_m: float = 1e9) -> list[Rings]:
    """Return shapes as rings of whole metres, simplified no more than it takes to keep within a budget.

    Args:
        shapes: In a plane, in metres.
        most_numbers: How many numbers all rings may have together. Where that is not enough, shapes become points:
            rings of two numbers.
        coarsest_m: Beyond this tolerance shapes become points at once.
    """
    array = np.asarray([shape if shape is not None else shapely.Polygon() for shape in shapes], dtype=object)
    for tolerance in (tolerance for tolerance in _TOLERANCES_M if tolerance <= coarsest_m):
        simple = shapely.simplify(array, tolerance, preserve_topology=True)
        if 2 * int(shapely.get_num_coordinates(simple).sum()) <= most_numbers:
            return [_rings(shape) for shape in simple]
    return [_point(shape) for shape in array]


def _rings(shape: Any) -> Rings:
    rings = []
    for polygon in shapely.get_parts(shape):
        if shapely.get_type_id(polygon) == shapely.GeometryType.POLYGON and not polygon.is_empty:
            rings += [_steps(shapely.get_coordinates(ring)) for ring in (polygon.exterior, *polygon.interiors)]
    return rings


def _steps(points: np.ndarray[Any, np.dtype[np.float64]]) -> list[int]:
    """Return the first point, and from each to the next."""
    whole = np.rint(points[:-1]).astype(np.int64)  # the last point is the first again
    steps: list[int] = np.vstack([whole[:1], np.diff(whole, axis=0)]).ravel().tolist()
    return steps


def _point(shape: Any) -> Rings:
    if shape.is_empty:
        return []
    centre = shape.representative_point()
    return [[round(centre.x), round(centre.y)]]
