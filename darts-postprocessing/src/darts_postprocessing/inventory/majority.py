"""Ground that most looks call slump, and which looks saw a slump."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely

from darts_postprocessing.inventory import robust
from darts_postprocessing.inventory.overlay import seen_by_at_least, unions
from darts_utils.rasters.arrays import Array

_NOTHING = shapely.Polygon()
_GRID_M = 1e-4
"""Lines of several images meet on a grid as fine as this: far below a pixel, far above what rounding moves them by."""
HALF = 0.5
"""A look saw a slump if it saw at least this part of it; ground is slump if at least this part of its looks say so."""


@dataclass(frozen=True, kw_only=True)
class Sightings:
    """Which images saw which slumps: one row a slump and image whose observed ground, or whose objects, meet it."""

    slumps: Array
    """(sighting,) number of the slump, in rising order."""
    images: Array
    """(sighting,) number of the image."""
    hits: Array
    """(sighting,) what the image calls slump there, empty where nothing."""
    is_hit: Array
    """(sighting,) bool, whether it does."""
    seen: Array
    """(sighting,) the ground of the slump that the image saw; None where it saw all of it."""
    saw_half: Array
    """(sighting,) bool."""


def sightings_of(outlines: Array, objects: Array, slumps: Array, images: Array, looks: Array) -> Sightings:
    """Return which images saw which slumps.

    An image saw the ground of its own objects, also where its observed ground (of high quality) does not reach.

    Args:
        outlines: (slump,) maximum extents, in an equal-area plane.
        objects: (object,) outlines of the objects that they consist of.
        slumps: (object,) the slump of each.
        images: (object,) the image of each.
        looks: (image,) the observed ground of each image.
    """
    n_images = len(looks)
    pairs, of_pair = np.unique(slumps * n_images + images, return_inverse=True)
    hits = unions(objects, of_pair, len(pairs))
    looked, at = meeting(outlines, looks, "intersects")
    keys = np.union1d(pairs, looked * n_images + at)
    of_slump, of_image = np.divmod(keys, max(n_images, 1))
    hit_at = np.searchsorted(keys, pairs)
    all_hits = np.full(len(keys), _NOTHING, dtype=object)
    all_hits[hit_at] = hits
    is_hit = np.zeros(len(keys), dtype=bool)
    is_hit[hit_at] = True
    seen, saw_half = _seen(outlines[of_slump], looks[of_image], all_hits)
    return Sightings(slumps=of_slump, images=of_image, hits=all_hits, is_hit=is_hit, seen=seen, saw_half=saw_half)


def meeting(grounds: Array, looks: Array, predicate: Literal["intersects", "covers"]) -> tuple[Array, Array]:
    """Return the numbers of grounds, in rising order, and of looks that intersect or cover them.

    Looks are asked, not grounds: what is asked is prepared, and the border of a clouded image has 100,000 corners.
    """
    of_look, at = shapely.STRtree(grounds).query(looks, predicate=predicate)
    order = np.lexsort((of_look, at))
    return at[order], of_look[order]


def _seen(outlines: Array, looks: Array, hits: Array) -> tuple[Array, Array]:
    """Return what of outlines was seen, None where all, and whether it is at least half."""
    shapely.prepare(looks)
    whole = shapely.covers(looks, outlines)
    seen = np.full(len(outlines), None, dtype=object)
    saw_half = whole.copy()
    part = np.flatnonzero(~whole)
    seen[part] = robust.union(robust.intersection(looks[part], outlines[part]), hits[part])
    saw_half[part] = shapely.area(seen[part]) >= HALF * shapely.area(outlines[part])
    return seen, saw_half


def seen_by_any(grounds: Array, looks: Array, own: Array) -> tuple[Array, Array]:
    """Return which ground the looks of a year saw together, and which share of it.

    Args:
        grounds: (ground,) polygons and multipolygons of the plane.
        looks: (look,) the ground that each image saw.
        own: (ground,) what of it was called slump in the year, which was seen in any case.

    Returns:
        (ground,) polygons and multipolygons, None where all of it was seen; and (ground,) float64 from 0 to 1.
    """
    seen, share = np.full(len(grounds), None, dtype=object), np.ones(len(grounds))
    in_part = np.ones(len(grounds), dtype=bool)
    in_part[meeting(grounds, looks, "covers")[0]] = False
    rest = np.flatnonzero(in_part)
    at, of_look = meeting(grounds[rest], looks, "intersects")
    pieces = robust.intersection(grounds[rest][at], looks[of_look])
    owners = np.concatenate([at, np.arange(len(rest))])
    seen[rest] = unions(np.concatenate([pieces, own[rest]]), owners, len(rest))
    share[rest] = np.minimum(shapely.area(seen[rest]) / shapely.area(grounds[rest]), 1)
    return seen, share


def majority_ground(outlines: Array, found: Sightings) -> Array:
    """Return the ground of each slump that at least half of the looks at it call slump.

    Where some looks saw only a part of a slump, each piece of ground is judged by those that saw it.

    Args:
        outlines: (slump,) maximum extents, in a plane.
        found: Which images saw them.

    Returns:
        (slump,) polygons and multipolygons, empty where there is no such ground.
    """
    n_slumps = len(outlines)
    n_looks = np.bincount(found.slumps, minlength=n_slumps)
    in_parts = np.zeros(n_slumps, dtype=bool)
    in_parts[found.slumps[[seen is not None for seen in found.seen]]] = True
    result = outlines.copy()
    # of one look or two, one is half: all ground that any of them calls slump is that of the outline
    judged = np.flatnonzero(~in_parts & (n_looks > 2))
    place = np.full(n_slumps, -1)
    place[judged] = np.arange(len(judged))
    rows = np.flatnonzero(found.is_hit & (place[found.slumps] >= 0))
    needed = np.ceil(n_looks[judged] * HALF).astype(np.int64)
    result[judged] = seen_by_at_least(found.hits[rows], place[found.slumps[rows]], needed)
    for slump in np.flatnonzero(in_parts & (n_looks > 1)):
        result[slump] = _by_piece(outlines[slump], found, np.flatnonzero(found.slumps == slump))
    return result


def _by_piece(outline: shapely.Geometry, found: Sightings, rows: Array) -> shapely.Geometry:
    """Return the majority ground of a slump that some looks saw in part, piece by piece of what they cut it into."""
    hits = found.hits[rows]
    seen = np.array([outline if seen is None else seen for seen in found.seen[rows]], dtype=object)
    boundaries = shapely.boundary(np.concatenate([[outline], hits, seen]))
    lines = shapely.union_all(boundaries, grid_size=_GRID_M)  # those that nearly coincide would enclose nothing
    pieces = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    points = shapely.point_on_surface(pieces)
    n_hits = shapely.contains(hits[:, None], points).sum(axis=0)
    n_looks = shapely.contains(seen[:, None], points).sum(axis=0)
    return robust.union_all(pieces[(n_hits >= HALF * n_looks) & (n_hits > 0)])
