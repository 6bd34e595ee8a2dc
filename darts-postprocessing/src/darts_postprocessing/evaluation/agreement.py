"""How well people who drew the outlines of the same ground agree, and what most of them call slump."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts_postprocessing.evaluation.layers import outlines_in_plane, searched_ground, without_background
from darts_postprocessing.evaluation.matching import matched_pairs, overlaps_of
from darts_postprocessing.evaluation.measures import ratio
from darts_postprocessing.inventory import robust
from darts_utils.crs import EQUAL_AREA
from darts_utils.errors import ConfigError
from darts_utils.objects.geodesy import ground_areas_m2
from darts_utils.rasters.arrays import Array

_IOUS = {"f1_30": 0.3, "f1_50": 0.5}
_SCORES = ("area_iou", *_IOUS)
_ROUNDING = 1e-9
_GRID_M = 1e-3
"""Where lines of two annotators cross is rounded to this: without it, slivers too thin to hold a point are left."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well annotators agree."""

    names: tuple[str, ...]
    """Of the annotators."""
    pairs: pd.DataFrame
    """One row a pair: `first second` text and `area_iou f1_30 f1_50` float64, NaN where undefined (0 / 0)."""
    pieces: gpd.GeoDataFrame
    """Ground that the same annotators call slump, one row a piece: `n_annotators` int64 and their `share` float64,
    above 0 to 1; outlines in `EQUAL_AREA`, which share no ground."""

    @property
    def medians(self) -> dict[str, float]:
        """Medians of the pairs in which a score is defined, by its name; NaN where it is in none."""
        return {score: float(self.pairs[score].median()) for score in _SCORES}

    def consensus(self, at: float = 0.5) -> gpd.GeoDataFrame:
        """Return the ground that enough annotators call slump.

        Args:
            at: Share of the annotators who must do so.

        Returns:
            One row a polygon in `EQUAL_AREA`, with `area_m2` float64, geodesic, and `share` float64, the mean over its
            ground. Polygons may touch in points but share no ground.

        Raises:
            ConfigError: If the share is not above 0 and at most 1.
        """
        if not 0 < at <= 1:
            raise ConfigError(f"the share is {at} but must be above 0 and at most 1. Set it to 0.5.")
        chosen = self.pieces[self.pieces["share"] >= at - _ROUNDING]
        polygons = shapely.get_parts(robust.union_all(chosen.geometry.to_numpy()))
        polygons = polygons[shapely.get_dimensions(polygons) == 2]
        columns = {"area_m2": ground_areas_m2(polygons, EQUAL_AREA), "share": _mean_shares(polygons, chosen)}
        return gpd.GeoDataFrame(columns, geometry=polygons, crs=EQUAL_AREA)


def agreement_of(layers: Mapping[str, gpd.GeoDataFrame], area: gpd.GeoDataFrame | None = None) -> Agreement:
    """Return how well annotators agree, each with each.

    Args:
        layers: What each annotator drew, by name: polygons in any CRS. A layer without rows says that there is none.
            Rows with `Negative` in a column `TrainClass` (ARTS) are no slumps.
        area: The ground that all of them looked at, polygons in any CRS; without it, everywhere.

    Returns:
        Pairs in the order of the layers. `area_iou` compares all ground of both in the area, counted once where
        outlines of one layer overlap. `f1_30 f1_50` are of objects whose representative point lies in the area,
        matched one to one from IoU 0.3 and 0.5 on; they are the same whichever of two is called the truth.

    Raises:
        ConfigError: If there are fewer than two layers.
        DataError: If a layer has no outlines or CRS, or a row is no polygon.
    """
    if len(layers) < 2:
        raise ConfigError(f"agreement needs at least 2 annotators but there are {len(layers)}. Give more layers.")
    searched = searched_ground(area)
    drawn = [without_background(outlines_in_plane(layer, f"outlines of {name}")) for name, layer in layers.items()]
    shapes = [layer.geometry.to_numpy() for layer in drawn]
    grounds = np.array([robust.union_all(searched.clipped(own)) for own in shapes], dtype=object)
    objects = [own[searched.holds(shapely.point_on_surface(own))] for own in shapes]
    rows = [
        {"first": first, "second": second, "area_iou": _area_iou(grounds[i], grounds[j]), **_f1(objects[i], objects[j])}
        for (i, first), (j, second) in combinations(enumerate(layers), 2)
    ]
    return Agreement(names=tuple(layers), pairs=pd.DataFrame(rows), pieces=_pieces(grounds))


def _area_iou(first: shapely.Geometry, second: shapely.Geometry) -> float:
    shared = float(shapely.area(robust.intersection(first, second)))
    both = float(shapely.area(first) + shapely.area(second)) - shared
    return shared / both if both else float("nan")


def _f1(first: Array, second: Array) -> dict[str, float]:
    """Return the F1 of objects by its name; it is symmetric, because so is the largest sum of IoU."""
    n_objects = len(first) + len(second)
    if not n_objects:
        return dict.fromkeys(_IOUS, float("nan"))
    overlaps = overlaps_of(first, second)
    return {name: 2 * len(matched_pairs(overlaps, iou)) / n_objects for name, iou in _IOUS.items()}


def _pieces(grounds: Array) -> gpd.GeoDataFrame:
    """Return what the outlines of all annotators cut the ground into, with how many call it slump."""
    lines = shapely.union_all(shapely.boundary(grounds), grid_size=_GRID_M)
    pieces = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    points = shapely.point_on_surface(pieces)
    shapely.prepare(grounds)
    number = shapely.contains(grounds[:, None], points).sum(axis=0).astype(np.int64)
    columns = {"n_annotators": number, "share": number / len(grounds)}
    return gpd.GeoDataFrame(columns, geometry=pieces, crs=EQUAL_AREA)[number > 0].reset_index(drop=True)


def _mean_shares(polygons: Array, pieces: gpd.GeoDataFrame) -> Array:
    """Return the mean share of annotators over the ground of each polygon, by the pieces that it consists of."""
    of_piece, of_polygon = shapely.STRtree(polygons).query(pieces.geometry.to_numpy(), predicate="intersects")
    areas = shapely.area(robust.intersection(pieces.geometry.to_numpy()[of_piece], polygons[of_polygon]))
    weighted = np.bincount(of_polygon, areas * pieces["share"].to_numpy()[of_piece], len(polygons))
    return ratio(weighted, np.bincount(of_polygon, areas, len(polygons)))
