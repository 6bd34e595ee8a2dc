"""What scores are summed from: one row a hit, a miss, a false object, a matched pair, a piece of ground."""

from collections.abc import Mapping
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts_postprocessing.evaluation.boundaries import boundary_distances
from darts_postprocessing.evaluation.layers import names_in
from darts_postprocessing.evaluation.matching import Overlaps, split_and_merged
from darts_postprocessing.inventory import robust
from darts_postprocessing.inventory.dissolve import groups_of
from darts_postprocessing.inventory.overlay import unions
from darts_utils.crs import EQUAL_AREA
from darts_utils.objects.geodesy import ground_areas_m2
from darts_utils.rasters.arrays import Array

SIZES = ("<500", "500-2000", "2000-5000", "5000-20000", ">20000")
"""Classes of area in m2; 500, 2000 and 5000 belong to the class above, 20000 to the one below."""


@dataclass(frozen=True, kw_only=True)
class Items:
    """Tables of things that count; each has `block size`, and `region` and `tier` where layers tell them."""

    cases: Mapping[float, pd.DataFrame]
    """By IoU: `tp fp fn` of each object."""
    parts: pd.DataFrame
    """`split` of each reference, `merged` of each prediction."""
    pairs: pd.DataFrame
    """Of each match, numbered from 0 on: `pairs difference squared absolute reference`."""
    distances: Array
    """(point,) float64 metres, of the points along boundaries of matches."""
    of_pair: Array
    """(point,) int64, the match of each; millions of points have no places of their own in memory."""


def size_classes(areas_m2: Array) -> Array:
    """Return the class in `SIZES` of each area, (object,) text."""
    numbers = np.digitize(areas_m2, (500, 2000, 5000)) + (areas_m2 > 20000)
    return np.array(SIZES, dtype=object)[numbers]


def items_of(
    predictions: gpd.GeoDataFrame,
    references: gpd.GeoDataFrame,
    overlaps: Overlaps,
    pairs: Mapping[float, Array],
    matched_at: float,
) -> Items:
    """Return what scores are summed from.

    Args:
        predictions: Objects in the plane with `area_m2 block`, and `region tier` where they are told.
        references: The same, without `tier`.
        overlaps: All pairs that share ground.
        pairs: By IoU, which of them are matches.
        matched_at: The IoU of the matches whose areas and boundaries are compared.
    """
    left, right = _places(predictions), _places(references)
    split, merged = split_and_merged(overlaps, len(left), len(right))
    matched = pairs[matched_at]
    rows, partners = overlaps.predictions[matched], overlaps.references[matched]
    distances, owners = boundary_distances(
        predictions.geometry.to_numpy()[rows], references.geometry.to_numpy()[partners]
    )
    return Items(
        cases={iou: _cases(left, right, overlaps, chosen) for iou, chosen in pairs.items()},
        parts=pd.concat([right.assign(split=split * 1, merged=0), left.assign(split=0, merged=merged * 1)]),
        pairs=_pairs(right, partners, predictions["area_m2"].to_numpy()[rows], references["area_m2"].to_numpy()),
        distances=distances,
        of_pair=owners,
    )


def _places(table: gpd.GeoDataFrame) -> pd.DataFrame:
    """Return where and what each object is, all as text."""
    places = pd.DataFrame({"block": table["block"].to_numpy(), "size": size_classes(table["area_m2"].to_numpy())})
    named = {column: names_in(table, column) for column in ("region", "tier") if column in table}
    return places.assign(**named)


def _cases(left: pd.DataFrame, right: pd.DataFrame, overlaps: Overlaps, matched: Array) -> pd.DataFrame:
    """Return one row a reference and one a false object; a hit is where its reference is, and of its own tier."""
    rows, partners = overlaps.predictions[matched], overlaps.references[matched]
    hits = np.zeros(len(right), dtype=np.int64)
    hits[partners] = 1
    found = right.assign(tp=hits, fp=0, fn=1 - hits)
    if "tier" in left:
        tiers = np.full(len(right), "", dtype=object)
        tiers[partners] = left["tier"].to_numpy()[rows]
        found["tier"] = tiers
    alone = np.ones(len(left), dtype=bool)
    alone[rows] = False
    return pd.concat([found, left[alone].assign(tp=0, fp=1, fn=0)])


def _pairs(right: pd.DataFrame, partners: Array, predicted: Array, references: Array) -> pd.DataFrame:
    difference = predicted - references[partners]
    return (
        right.iloc[partners]
        .reset_index(drop=True)
        .assign(
            pairs=1,
            difference=difference,
            squared=difference**2,
            absolute=np.abs(difference),
            reference=references[partners],
        )
    )


def ground_of(predictions: Array, references: Array) -> tuple[pd.DataFrame, Array]:
    """Return the ground of both layers, one row a piece that hangs together.

    Args:
        predictions: (prediction,) polygons and multipolygons in the plane; empty ones are left out.
        references: (reference,) the same.

    Returns:
        `predicted reference both` float64, geodesic m2 of the ground of either and of both; and (piece,) a point in
        each piece.
    """
    shapes = np.concatenate([predictions, references])
    is_reference = np.arange(len(shapes)) >= len(predictions)
    kept = ~shapely.is_empty(shapes)
    shapes, is_reference = shapes[kept], is_reference[kept]
    pieces = groups_of(len(shapes), *shapely.STRtree(shapes).query(shapes, predicate="intersects"))
    n_pieces = int(pieces.max(initial=-1)) + 1
    left = unions(shapes[~is_reference], pieces[~is_reference], n_pieces)
    right = unions(shapes[is_reference], pieces[is_reference], n_pieces)
    grounds = {"predicted": left, "reference": right, "both": robust.intersection(left, right)}
    areas = pd.DataFrame({name: ground_areas_m2(ground, EQUAL_AREA) for name, ground in grounds.items()})
    return areas, shapely.point_on_surface(np.where(shapely.is_empty(right), left, right))
