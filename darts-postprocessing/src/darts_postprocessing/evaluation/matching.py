"""Which predicted outline is which reference outline."""

from dataclasses import dataclass

import numpy as np
import shapely

from darts_postprocessing.inventory import robust
from darts_utils.objects.matching import match_one_to_one
from darts_utils.rasters.arrays import Array

ENOUGH = 0.2
"""Part of the smaller outline that two must share to count for a split or a merge."""
_ROUNDING = 1e-9
"""Coordinates are moved between CRSs: a share that is right at a limit must not fall below it by rounding."""


@dataclass(frozen=True, kw_only=True)
class Overlaps:
    """All pairs of a prediction and a reference that share ground, one row a pair."""

    predictions: Array
    """(pair,) int64, rows of predictions."""
    references: Array
    """(pair,) int64, rows of references."""
    iou: Array
    """(pair,) float64, shared area by the area of both together, above 0 to 1."""
    of_smaller: Array
    """(pair,) float64, shared area by the area of the smaller one, above 0 to 1."""


def overlaps_of(predictions: Array, references: Array) -> Overlaps:
    """Return the pairs of outlines that share ground; those that only touch do not.

    Args:
        predictions: (prediction,) valid polygons and multipolygons in an equal-area plane.
        references: (reference,) the same.
    """
    left, right = shapely.STRtree(references).query(predictions, predicate="intersects")
    shared = shapely.area(robust.intersection(predictions[left], references[right]))
    left, right, shared = left[shared > 0], right[shared > 0], shared[shared > 0]
    area_left, area_right = shapely.area(predictions)[left], shapely.area(references)[right]
    return Overlaps(
        predictions=left,
        references=right,
        iou=shared / (area_left + area_right - shared),
        of_smaller=shared / np.minimum(area_left, area_right),
    )


def matched_pairs(overlaps: Overlaps, at: float) -> Array:
    """Return which pairs are matches: each outline in one at most, with the largest sum of IoU there can be.

    Args:
        overlaps: All pairs that share ground.
        at: Only pairs of at least this IoU may match.

    Returns:
        (match,) int64, ascending: rows of `overlaps`.
    """
    allowed = np.flatnonzero(overlaps.iou >= at - _ROUNDING)
    kept = match_one_to_one(overlaps.predictions[allowed], overlaps.references[allowed], overlaps.iou[allowed])
    return allowed[kept]


def split_and_merged(overlaps: Overlaps, n_predictions: int, n_references: int) -> tuple[Array, Array]:
    """Return which references are split and which predictions are merged.

    Args:
        overlaps: All pairs that share ground; those that share at least `ENOUGH` of the smaller one count.
        n_predictions: How many predictions there are.
        n_references: How many references there are.

    Returns:
        (reference,) bool, whether two or more predictions lie on it, and (prediction,) bool, whether it lies on two
        or more references.
    """
    counts = overlaps.of_smaller >= ENOUGH - _ROUNDING
    on_reference = np.bincount(overlaps.references[counts], minlength=n_references)
    on_prediction = np.bincount(overlaps.predictions[counts], minlength=n_predictions)
    return on_reference >= 2, on_prediction >= 2
