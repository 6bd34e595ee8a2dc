"""Ground that several outlines agree on, for many slumps at once."""

import numpy as np
import shapely

from darts_postprocessing.inventory import robust
from darts_utils.rasters.arrays import Array

_NOTHING = shapely.Polygon()


def unions(shapes: Array, groups: Array, n_groups: int) -> Array:
    """Return the union of the shapes of each group, (group,) polygons and multipolygons, empty for a group of none.

    Args:
        shapes: (shape,) valid polygons and multipolygons of a plane.
        groups: (shape,) the group of each, from 0 on.
        n_groups: How many groups there are.
    """
    found = np.full(n_groups, _NOTHING, dtype=object)
    if not len(shapes):
        return found
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    numbers, sizes = groups[order][starts], np.diff(starts, append=len(order))
    found[numbers[sizes == 1]] = shapes[order[starts[sizes == 1]]]
    for number, start, size in zip(numbers[sizes > 1], starts[sizes > 1], sizes[sizes > 1], strict=True):
        found[number] = robust.union_all(shapes[order[start : start + size]])
    return found


def seen_by_at_least(shapes: Array, groups: Array, needed: Array) -> Array:
    """Return the ground of each group that lies in at least so many of its shapes.

    Worked out for all groups together, shape after shape: what lies in k of the shapes so far is what did before, and
    what did in k - 1 and lies in this one too.

    Args:
        shapes: (shape,) valid polygons and multipolygons of a plane.
        groups: (shape,) the group of each, from 0 on.
        needed: (group,) in how many shapes ground must lie, from 1 on.

    Returns:
        (group,) polygons and multipolygons, empty where there is no such ground.
    """
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups, minlength=len(needed)).astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    levels = int(needed.max(initial=0))
    in_k = np.full((levels + 1, len(needed)), _NOTHING, dtype=object)
    for position in range(int(sizes.max(initial=0))):
        has = np.flatnonzero(sizes > position)
        here = shapes[order[starts[has] + position]]
        for level in range(min(levels, position + 1), 0, -1):
            counts = needed[has] >= level
            at, added = has[counts], here[counts]
            if level > 1:
                added = robust.intersection(in_k[level - 1, at], added)
            in_k[level, at] = robust.union(in_k[level, at], added)
    return _areas_only(in_k[needed, np.arange(len(needed))])


def _areas_only(shapes: Array) -> Array:
    """Return shapes without lines and points, which outlines that only touch have in common."""
    mixed = shapely.get_type_id(shapes) == shapely.GeometryType.GEOMETRYCOLLECTION
    lower = (shapely.get_dimensions(shapes) < 2) & ~shapely.is_empty(shapes)
    shapes = shapes.copy()
    shapes[lower | shapely.is_empty(shapes)] = _NOTHING
    for index in np.flatnonzero(mixed & ~lower):
        parts = shapely.get_parts(shapes[index])
        shapes[index] = robust.union_all(parts[shapely.get_dimensions(parts) == 2])
    return shapes
