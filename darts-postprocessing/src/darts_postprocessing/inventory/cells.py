"""Cells of the plane, by which an inventory is worked out: memory is bounded by a cell and what reaches into it."""

import numpy as np
import shapely

from darts_utils.rasters.arrays import Array

CELL_M = 100_000.0
"""Edge of a cell; about that of a Sentinel-2 tile."""

type Bounds = tuple[float, float, float, float]
"""Left, bottom, right and top in metres of the plane."""


def cell_at(x: float, y: float) -> str:
    """Return the name of the cell of a place in the plane, such as `x-12y+003`: its column and row from the pole."""
    return f"x{int(np.floor(x / CELL_M)):+04d}y{int(np.floor(y / CELL_M)):+04d}"


def bounds_of(shapes: Array) -> Bounds | None:
    """Return the bounds of all shapes together, None where there are none."""
    if not len(shapes):
        return None
    left, bottom, right, top = (float(value) for value in shapely.total_bounds(shapes))
    return None if np.isnan(left) else (left, bottom, right, top)


def meet(one: Bounds | None, other: Bounds | None, reach: float = 0.0) -> bool:
    """Return whether bounds share ground, or come as near as `reach` metres."""
    if one is None or other is None:
        return False
    return (
        one[0] <= other[2] + reach
        and other[0] <= one[2] + reach
        and one[1] <= other[3] + reach
        and other[1] <= one[3] + reach
    )
