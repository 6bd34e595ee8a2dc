"""Overlays of outlines that nearly coincide, as those of one slump in many images do.

The library computes them in floating point, which rarely but surely fails where edges are almost the same. What fails
is computed once more on a grid of a millimetre, which fails more rarely still, for slivers that vanish there; then the
shapes themselves are moved onto it before. Each pair alone, so that what becomes of it does not depend on what it is
worked out together with.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import shapely
from shapely.errors import GEOSException

from darts_utils.rasters.arrays import Array

GRID_M = 1e-3


def intersection(one: Array, other: Array) -> Array:
    """Return what each shape of the plane shares with another one, (shape,)."""
    return _each(shapely.intersection, one, other)


def union(one: Array, other: Array) -> Array:
    """Return each shape of the plane together with another one, (shape,)."""
    return _each(shapely.union, one, other)


def difference(one: Array, other: Array) -> Array:
    """Return each shape of the plane without another one, (shape,)."""
    return _each(shapely.difference, one, other)


def union_all(shapes: Sequence[Any] | Array) -> Any:
    """Return shapes of the plane as one."""
    try:
        return shapely.union_all(shapes)
    except GEOSException:
        pass
    try:
        return shapely.union_all(shapes, grid_size=GRID_M)
    except GEOSException:
        return shapely.union_all(shapely.set_precision(shapes, GRID_M))


def _each(operation: Callable[..., Any], one: Array, other: Array) -> Array:
    try:
        found: Array = operation(one, other)
    except GEOSException:
        pairs = zip(*np.broadcast_arrays(one, other), strict=True)
        found = np.array([_alone(operation, *pair) for pair in pairs], dtype=object)
    return found


def _alone(operation: Callable[..., Any], one: Any, other: Any) -> Any:
    try:
        return operation(one, other)
    except GEOSException:
        pass
    try:
        return operation(one, other, grid_size=GRID_M)
    except GEOSException:
        return operation(shapely.set_precision(one, GRID_M), shapely.set_precision(other, GRID_M))
