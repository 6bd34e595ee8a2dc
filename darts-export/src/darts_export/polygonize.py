"""Outlines of objects, found by following the edges of their pixels and nothing else."""

from dataclasses import dataclass

import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from darts_utils.rasters.arrays import Array
from darts_utils.rasters.run_length import RunLengthEncoding


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """The horizontal sides of all outlines in reading order; each leads on with the object at its left hand."""

    tails: Array
    """(side,) flat index where the side begins: row * stride + column, of the lines between pixels."""
    heads: Array
    """(side,) flat index where it ends."""
    nexts: Array
    """(side,) the side that follows in the ring, beyond a vertical one."""

    @property
    def has_ground_below(self) -> Array:
        """(side,) whether the object is below the side, and not above it."""
        return self.heads < self.tails


@dataclass(frozen=True, kw_only=True)
class _Rings:
    """Closed rings of sides, each from its topmost side on, the leftmost of these."""

    sides: Array
    """(side,) all sides, ring by ring, in the order in which the ring passes them."""
    starts: Array
    """(ring,) index of the first of them."""

    @property
    def lengths(self) -> Array:
        """(ring,) number of sides."""
        return np.diff(self.starts, append=len(self.sides))


def polygonize(stretches: RunLengthEncoding, components: Array, grid: GeoBox) -> Array:
    """Return the outline of each 4-connected component of a mask.

    Args:
        stretches: The encoded mask.
        components: (stretch,) number of the component that each stretch belongs to, from 0 on without a gap.
        grid: Where the mask lies.

    Returns:
        (component,) valid shapely polygons, with vertices at corners only. No ring meets itself: where a hole touches
        the outside or another hole at a corner, it is a ring of its own.
    """
    sides = _sides(stretches, components)
    rings = _rings(sides.nexts)
    leads = rings.sides[rings.starts]
    is_shell = sides.has_ground_below[leads]
    left = np.minimum(sides.tails[leads], sides.heads[leads])
    ring_components = components[stretches.at(left - np.where(is_shell, 0, stretches.stride))]
    order = np.lexsort((leads, ~is_shell, ring_components))
    lengths = 2 * rings.lengths[order] + 1  # two corners a side, and the first one again
    corners = _corners(sides, rings, order, is_shell[order])
    rings_before = np.concatenate([[0], np.cumsum(np.bincount(ring_components))])
    corners_before = np.concatenate([[0], np.cumsum(lengths)])
    points = _coordinates(corners, stretches.stride, grid)
    return shapely.from_ragged_array(shapely.GeometryType.POLYGON, points, (corners_before, rings_before))


def _sides(stretches: RunLengthEncoding, components: Array) -> _Sides:
    """Return the horizontal sides of all outlines.

    Corners are where the vertical sides of pixels end. Two that follow each other on a line between rows are the ends
    of a horizontal side, two that follow each other on a line between columns those of a vertical side. Where pixels
    touch only at their corners, two corners share a flat index.
    """
    edges = np.stack([stretches.starts, stretches.ends], axis=1).ravel()  # vertical sides of pixels, by upper end
    ends = np.concatenate([edges, edges + stretches.stride])
    order = np.argsort(ends, kind="stable")  # of two at an index, the one that leads down comes first
    flat_indices, leads_down, edge = ends[order], order < len(edges), order % max(len(edges), 1)
    is_left = edge % 2 == 0  # the object is right of the edge
    first = np.flatnonzero(flat_indices[1:] == flat_indices[:-1])
    straight = first[is_left[first] == is_left[first + 1]]
    touching = first[is_left[first] != is_left[first + 1]]
    # the corner left of the touching point continues upwards or downwards, the one right of it the other way
    below, above = edge[touching], edge[touching + 1]
    one_component = components[below // 2] == components[above // 2]
    falls = is_left[touching]  # the pixels lie to the upper left and to the lower right
    ground_below = leads_down == is_left
    leads_down[touching] = falls == one_component
    leads_down[touching + 1] = falls != one_component
    kept = np.ones(len(flat_indices), dtype=bool)
    kept[straight] = kept[straight + 1] = False
    return _linked(flat_indices[kept], leads_down[kept], ground_below[kept][::2], stretches.stride)


def _linked(flat_indices: Array, leads_down: Array, ground_below: Array, stride: int) -> _Sides:
    """Return the horizontal sides between corners in reading order."""
    height = int(flat_indices[-1]) // stride + 1 if len(flat_indices) else 1
    rows, columns = np.divmod(flat_indices.astype(np.int64), stride)
    order = np.argsort(2 * (columns * height + rows) + leads_down)
    opposite = np.empty_like(order)
    opposite[order[::2]], opposite[order[1::2]] = order[1::2], order[::2]
    left = np.arange(0, len(flat_indices), 2)
    heads, tails = left + ~ground_below, left + ground_below
    return _Sides(tails=flat_indices[tails], heads=flat_indices[heads], nexts=opposite[heads] // 2)


def _rings(nexts: Array) -> _Rings:
    """Return the cycles of a permutation, by doubling the reach of every element until it spans its cycle."""
    n_sides = len(nexts)
    leads, reach = np.arange(n_sides), nexts
    while not np.array_equal(smaller := np.minimum(leads, leads[reach]), leads):
        leads, reach = smaller, reach[reach]
    is_last = leads[nexts] == nexts
    reach, to_last = np.where(is_last, np.arange(n_sides), nexts), (~is_last).astype(np.int64)
    while (further := to_last[reach]).any():
        to_last, reach = to_last + further, reach[reach]
    lengths = np.bincount(leads, minlength=n_sides)
    ends = np.cumsum(lengths)
    sides = np.empty_like(nexts)
    sides[ends[leads] - 1 - to_last] = np.arange(n_sides)
    return _Rings(sides=sides, starts=(ends - lengths)[lengths > 0])


def _corners(sides: _Sides, rings: _Rings, order: Array, is_shell: Array) -> Array:
    """Return the flat indices of corners, ring by ring in an order; each begins and ends at its upper left corner."""
    lengths = 2 * rings.lengths[order]
    along = np.arange(lengths.sum() + len(order)) - np.repeat(np.cumsum(lengths + 1) - lengths - 1, lengths + 1)
    # the first side of a shell leads to that corner, that of a hole away from it
    corner = (along + np.repeat(is_shell, lengths + 1)) % np.repeat(lengths, lengths + 1)
    side = rings.sides[np.repeat(rings.starts[order], lengths + 1) + corner // 2]
    return np.where(corner % 2 == 0, sides.tails[side], sides.heads[side])


def _coordinates(flat_indices: Array, stride: int, grid: GeoBox) -> Array:
    """Return (point, xy) float64 coordinates of flat indices."""
    rows, columns = np.divmod(flat_indices, stride)
    a, b, c, d, e, f = grid.affine[:6]
    return np.stack([c + columns * a + rows * b, f + columns * d + rows * e], axis=1)
