"""Scores of predicted outlines against reference outlines."""

from collections.abc import Iterator
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts_postprocessing.evaluation.bootstrap import Estimate, estimates, quantile_estimates
from darts_postprocessing.evaluation.items import SIZES, Items, ground_of, items_of
from darts_postprocessing.evaluation.layers import (
    RegionsOf,
    Searched,
    blocks_of,
    names_in,
    outlines_in_plane,
    searched_ground,
    without_background,
)
from darts_postprocessing.evaluation.matching import matched_pairs, overlaps_of
from darts_postprocessing.evaluation.measures import AREAS, GROUND, OBJECTS, PRECISION
from darts_postprocessing.inventory.slumps import TIERS
from darts_utils.crs import EQUAL_AREA
from darts_utils.objects.geodesy import ground_areas_m2
from darts_utils.rasters.arrays import Array

IOUS = (0.1, 0.3, 0.5)
MATCHED_AT = 0.3
"""IoU from which on two outlines are the same slump, where one number has to do."""
_BOUNDARY = {"boundary_median_m": 0.5, "boundary_p95_m": 0.95}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How good predicted outlines are."""

    scores: pd.DataFrame
    """One row a group and score; see `evaluate`."""
    predictions: gpd.GeoDataFrame
    """The predictions that count, in `EQUAL_AREA`."""
    references: gpd.GeoDataFrame
    """The references that count, in `EQUAL_AREA`."""
    searched: gpd.GeoDataFrame | None
    """The ground that was searched, in `EQUAL_AREA`; None: everywhere."""
    places: str
    """Column of both tables with the places that were resampled: `region` or `block`."""

    @property
    def n_places(self) -> int:
        """How many of these places have a prediction or a reference."""
        return len({*self.predictions[self.places], *self.references[self.places]})


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Things that are scored together."""

    name: str
    places: str
    """Column of the places that are resampled."""
    column: str | None = None
    """Column that says what belongs to the group; None: all."""
    value: str = ""

    def of(self, items: pd.DataFrame) -> pd.DataFrame:
        return items if self.column is None else items[items[self.column] == self.value]


def evaluate(
    predictions: gpd.GeoDataFrame, references: gpd.GeoDataFrame, searched: gpd.GeoDataFrame | None = None
) -> Evaluation:
    """Return how good predicted outlines are, measured by reference outlines.

    Outlines are matched one to one, with the largest sum of IoU there can be, anew for each IoU from which on two may
    match. An object counts if its representative point lies in the searched area. Scores of ground compare all ground
    of both layers in the searched area, whatever object it belongs to, and count ground once where outlines overlap.

    Args:
        predictions: Polygons in any CRS; with a column `tier`, each tier has a precision.
        references: Polygons in any CRS. Rows with `Negative` in a column `TrainClass` (ARTS) are background.
        searched: Polygons in any CRS; without it everywhere was searched. A column `region` here, or else in the
            references, makes scores by region: a prediction is in the region of the searched polygon around it, or
            else of the nearest reference.

    Returns:
        `scores` with `group score` text and `iou value low high` float64. `iou` is the one from which on outlines
        match, NaN where none do. An undefined score (0 / 0) is NaN. `low` and `high` are the 95 % interval by
        resampling regions, or blocks of 10 km by 10 km of the plane where there are no regions and within a region;
        NaN for counts and where there are fewer than 4 places. Groups: `all`; `size:...` in m2 of the reference, for
        false objects their own; `tier:...` of predictions; `region:...`. A hit counts where its reference lies. Scores:

        - `tp fp fn precision recall f1` at each IoU; of a tier `tp fp precision`;
        - `area_iou area_precision area_recall` of ground, for `all` and regions;
        - `split` references that two or more predictions, and `merged` predictions that two or more references share
          20 % of the smaller one with; for tiers none of what follows;
        - `area_bias_m2` mean of predicted less reference area of matches at IoU 0.3, `area_bias_relative` its sum by
          that of the reference areas, `area_rmse_m2 area_mae_m2` its error;
        - `boundary_median_m boundary_p95_m` distance of the boundaries of matches, over all points along both.

        `predictions` and `references` have the columns of the layers, then `row` int64 (in the layer), `area_m2`
        float64 (geodesic), `block` and, where there are regions, `region` text, `match` Int64 (row of the partner in
        the other table, null without), `iou` float64 (with the partner, NaN without) and `outcome`: `hit` or `false`,
        `hit` or `missed`.

    Raises:
        DataError: If a layer has no outlines or CRS, or a row is no polygon.
    """
    ground = searched_ground(searched)
    predicted = outlines_in_plane(predictions, "predictions")
    reference = outlines_in_plane(references, "references")
    slumps = without_background(reference)
    regions = RegionsOf(ground, reference)
    left = _placed(_inside(predicted, ground), regions)
    right = _placed(_inside(slumps, ground), regions, are_references=True)
    overlaps = overlaps_of(left.geometry.to_numpy(), right.geometry.to_numpy())
    pairs = {iou: matched_pairs(overlaps, iou) for iou in IOUS}
    items = items_of(left, right, overlaps, pairs, MATCHED_AT)
    pieces = _ground(predicted, slumps, ground, regions)
    rows, partners, iou = (
        values[pairs[MATCHED_AT]] for values in (overlaps.predictions, overlaps.references, overlaps.iou)
    )
    places = "region" if regions.are_told else "block"
    return Evaluation(
        scores=_score_table(items, pieces, places),
        predictions=_with_outcome(left, rows, partners, iou, "false"),
        references=_with_outcome(right, partners, rows, iou, "missed"),
        searched=None if ground.polygons is None else gpd.GeoDataFrame(geometry=ground.polygons, crs=EQUAL_AREA),
        places=places,
    )


def _inside(table: gpd.GeoDataFrame, searched: Searched) -> gpd.GeoDataFrame:
    points = shapely.point_on_surface(table.geometry.to_numpy())
    return table[searched.holds(points)].reset_index(drop=True)


def _placed(table: gpd.GeoDataFrame, regions: RegionsOf, *, are_references: bool = False) -> gpd.GeoDataFrame:
    """Return objects with their area, block and, if any layer tells regions, region."""
    shapes = table.geometry.to_numpy()
    points = shapely.point_on_surface(shapes)
    # a column of predictions is no region: where a hit and a miss lie must be told by the same layer
    placed = table.drop(columns=[] if are_references else ["region"], errors="ignore")
    placed = placed.assign(area_m2=ground_areas_m2(shapes, EQUAL_AREA), block=blocks_of(points))
    if not regions.are_told:
        return placed
    keep = are_references and not regions.of_searched
    return placed.assign(region=names_in(table, "region") if keep else regions.at(points))


def _ground(
    predicted: gpd.GeoDataFrame, slumps: gpd.GeoDataFrame, searched: Searched, regions: RegionsOf
) -> pd.DataFrame:
    """Return the searched ground of both layers, one row a piece, with its block and region."""
    left, right = (searched.clipped(table.geometry.to_numpy()) for table in (predicted, slumps))
    pieces, points = ground_of(left, right)
    placed = pieces.assign(block=blocks_of(points))
    return placed.assign(region=regions.at(points)) if regions.are_told else placed


def _with_outcome(table: gpd.GeoDataFrame, rows: Array, partners: Array, iou: Array, alone: str) -> gpd.GeoDataFrame:
    match = pd.array([pd.NA] * len(table), dtype="Int64")
    match[rows] = partners
    shares = np.full(len(table), np.nan)
    shares[rows] = iou
    outcome = np.full(len(table), alone, dtype=object)
    outcome[rows] = "hit"
    return table.assign(match=match, iou=shares, outcome=outcome)


def _score_table(items: Items, ground: pd.DataFrame, places: str) -> pd.DataFrame:
    """Return the scores of all groups, one row a group, score and IoU."""
    rows: list[dict[str, str | float]] = []
    for group in _groups(items, places):
        rows += _of_objects(group, items)
        if group.column != "tier":
            rows += [*_of_parts(group, items), *_of_pairs(group, items)]
        if group.column in (None, "region"):
            rows += [_row(group, name, one) for name, one in estimates(group.of(ground), GROUND, group.places).items()]
    return pd.DataFrame(rows, columns=["group", "score", "iou", "value", "low", "high"])


def _groups(items: Items, places: str) -> Iterator[_Group]:
    yield _Group(name="all", places=places)
    yield from (_Group(name=f"size:{size}", places=places, column="size", value=size) for size in SIZES)
    cases = items.cases[MATCHED_AT]
    for column, resampled in (("tier", places), ("region", "block")):
        values = sorted(set(cases[column]) - {""}, key=_rank) if column in cases else []
        yield from (_Group(name=f"{column}:{one}", places=resampled, column=column, value=one) for one in values)


def _rank(name: str) -> tuple[int, str]:
    """Return the place of a tier or region in the table: tiers from the best on, then all others by name."""
    return -TIERS.index(name) if name in TIERS else 1, name


def _of_objects(group: _Group, items: Items) -> Iterator[dict[str, str | float]]:
    is_tier = group.column == "tier"
    for iou, cases in items.cases.items():
        here = group.of(cases)
        for count in ("tp", "fp") if is_tier else ("tp", "fp", "fn"):
            yield _row(group, count, Estimate(value=float(here[count].sum())), iou)
        for name, one in estimates(here, PRECISION if is_tier else OBJECTS, group.places).items():
            yield _row(group, name, one, iou)


def _of_parts(group: _Group, items: Items) -> Iterator[dict[str, str | float]]:
    here = group.of(items.parts)
    for count in ("split", "merged"):
        yield _row(group, count, Estimate(value=float(here[count].sum())))


def _of_pairs(group: _Group, items: Items) -> Iterator[dict[str, str | float]]:
    here = group.of(items.pairs)
    for name, one in estimates(here, AREAS, group.places).items():
        yield _row(group, name, one, MATCHED_AT)
    number = np.full(len(items.pairs), -1)
    number[here.index] = np.arange(len(here))
    owners = number[items.of_pair]
    distances, owners = items.distances[owners >= 0], owners[owners >= 0]
    found = quantile_estimates(distances, owners, here[group.places], tuple(_BOUNDARY.values()))
    for name, one in zip(_BOUNDARY, found, strict=True):
        yield _row(group, name, one, MATCHED_AT)


def _row(group: _Group, score: str, one: Estimate, iou: float = np.nan) -> dict[str, str | float]:
    return {"group": group.name, "score": score, "iou": iou, "value": one.value, "low": one.low, "high": one.high}
