"""Which objects of a year are one slump: those that overlap, and those that the border of two images cuts apart."""

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from darts_postprocessing.inventory import robust
from darts_utils.errors import ConfigError
from darts_utils.rasters.arrays import Array

MIN_OVERLAP = 0.2
_TOUCHING = 0.5
"""Two cut objects touch if they are at most this many pixels apart: grids of two images do not fit to the digit."""


def check_min_overlap(min_overlap: float) -> None:
    """Refuse a share that is none.

    Raises:
        ConfigError: If it is not above 0 and at most 1.
    """
    if not 0 < min_overlap <= 1:
        raise ConfigError(f"min_overlap is {min_overlap} but must be above 0 and at most 1. Set it to {MIN_OVERLAP}.")


def same_slump_pairs(
    shapes: Array, cut: Array, images: Array, pixels_m: Array, min_overlap: float = MIN_OVERLAP
) -> tuple[Array, Array]:
    """Return pairs of objects of a year that are parts of one slump.

    Args:
        shapes: (object,) outlines in an equal-area plane, in metres.
        cut: (object,) bool, whether the border of its image or of what was seen in it cuts an object.
        images: (object,) number of its image.
        pixels_m: (object,) edge of a pixel of its image, in metres.
        min_overlap: Two objects overlap if they share at least this part of the smaller one.

    Returns:
        (pair,) int64 each, the first smaller than the second, in rising order.

    Raises:
        ConfigError: If the share is not above 0 and at most 1.
    """
    check_min_overlap(min_overlap)
    tree = shapely.STRtree(shapes)
    first, second = _ordered(*tree.query(shapes, predicate="intersects"))
    overlap, _ = share_enough(shapes[first], shapes[second], min_overlap)
    touching = _touching_pairs(shapes, cut, images, pixels_m)
    pairs = np.unique(np.concatenate([np.stack([first[overlap], second[overlap]]), touching], axis=1), axis=1)
    return pairs[0], pairs[1]


def share_enough(one: Array, other: Array, min_overlap: float) -> tuple[Array, Array]:
    """Return whether outlines share enough ground, pair by pair, and how much they share.

    Args:
        one: (pair,) outlines in an equal-area plane.
        other: (pair,) outlines.
        min_overlap: The part of the smaller one that they must share.

    Returns:
        (pair,) bool, and (pair,) float64 in square metres of the plane. What only touches shares nothing.
    """
    shared = shapely.area(robust.intersection(one, other))
    smaller = np.minimum(shapely.area(one), shapely.area(other))
    return (shared >= min_overlap * smaller) & (shared > 0), shared


def _touching_pairs(shapes: Array, cut: Array, images: Array, pixels_m: Array) -> Array:
    """Return (2, pair) objects of different images that are both cut and meet there."""
    at = np.flatnonzero(cut)
    if not len(at):
        return np.empty((2, 0), dtype=np.int64)
    reach = _TOUCHING * pixels_m[at]
    first, second = _ordered(*shapely.STRtree(shapes[at]).query(shapes[at], predicate="dwithin", distance=reach.max()))
    near = shapely.distance(shapes[at[first]], shapes[at[second]]) <= np.maximum(reach[first], reach[second])
    kept = near & (images[at[first]] != images[at[second]])
    return np.stack([at[first[kept]], at[second[kept]]])


def _ordered(first: Array, second: Array) -> tuple[Array, Array]:
    """Return each pair of different things once, the smaller number first."""
    kept = first < second
    return first[kept].astype(np.int64), second[kept].astype(np.int64)


def groups_of(n_objects: int, first: Array, second: Array) -> Array:
    """Return which slump each object belongs to, (object,) int64 from 0 on, numbered by their first objects.

    Args:
        n_objects: How many objects there are.
        first: (pair,) objects that belong together with `second`, directly; the rest follows.
        second: (pair,) objects.
    """
    links = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(n_objects, n_objects))
    _, found = connected_components(links, directed=False)
    _, firsts, labels = np.unique(found, return_index=True, return_inverse=True)
    numbers = np.empty(len(firsts), dtype=np.int64)
    numbers[np.argsort(firsts)] = np.arange(len(firsts))
    return numbers[labels]
