"""Cells of the plane, by which an inventory is worked out: memory is bounded by a cell and what reaches into it."""

from collections.abc import Sequence

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


def corner_of(cell: str) -> tuple[float, float]:
    """Return the least coordinates of a cell in the plane, by its name."""
    column, row = cell[1:].split("y")
    return int(column) * CELL_M, int(row) * CELL_M


def cells_under(bounds: Sequence[Bounds | None]) -> list[str]:
    """Return the names of all cells that some bounds reach into, in the order of their names."""
    names: set[str] = set()
    for left, bottom, right, top in (one for one in bounds if one is not None):
        columns, rows = (
            range(int(np.floor(low / CELL_M)), int(np.floor(high / CELL_M)) + 1)
            for low, high in ((left, right), (bottom, top))
        )
        names.update(cell_at(column * CELL_M, row * CELL_M) for column in columns for row in rows)
    return sorted(names)


def bounds_of(shapes: Array) -> Bounds | None:
    """Return the bounds of all shapes together, None where there are none."""
    if not len(shapes):
        return None
    left, bottom, right, top = (float(value) for value in shapely.total_bounds(shapes))
    return None if np.isnan(left) else (left, bottom, right, top)


class Index:
    """Finds which of many bounds come near others.

    Args:
        bounds: None for what covers nothing, which is near nothing.
    """

    def __init__(self, bounds: Sequence[Bounds | None]) -> None:
        self._tree = shapely.STRtree(_boxes(bounds))

    def near(self, bounds: Sequence[Bounds | None], reach: float = 0.0) -> Array:
        """Return the numbers of those that share ground with one of some others, or come within reach, rising."""
        found = self._tree.query(_boxes(bounds), predicate="dwithin", distance=reach)
        return np.unique(found[1])


def _boxes(bounds: Sequence[Bounds | None]) -> Array:
    return np.array([shapely.Polygon() if one is None else shapely.box(*one) for one in bounds], dtype=object)
