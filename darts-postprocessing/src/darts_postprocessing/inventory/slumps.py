"""Level 2: one row a slump and year, from the objects of all images of the year."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts_postprocessing.inventory import robust
from darts_postprocessing.inventory.dissolve import MIN_OVERLAP, groups_of, same_slump_pairs
from darts_postprocessing.inventory.majority import Sightings, majority_ground, sightings_of
from darts_postprocessing.inventory.overlay import unions
from darts_postprocessing.inventory.plane import PLANE_CRS
from darts_utils.crs import EQUAL_AREA
from darts_utils.errors import DataError
from darts_utils.objects.geodesy import ground_areas_m2, ground_perimeters_m
from darts_utils.rasters.arrays import Array

TIERS = ("low", "medium", "high")
_TEXTS = ("object_id", "image_id", "acquired", "tier")
_NUMBERS = ("area_m2", "area_m2_t30", "area_m2_t65", "mean_probability", "max_probability")
"""Columns of objects that slumps are made of."""


@dataclass(frozen=True, kw_only=True)
class Slumps:
    """The slumps of a year."""

    table: gpd.GeoDataFrame
    """One row a slump; see `slumps_of_year`."""
    owners: Array
    """(object,) the row of the slump that each object belongs to."""


def slumps_of_year(objects: gpd.GeoDataFrame, looks: gpd.GeoDataFrame, min_overlap: float = MIN_OVERLAP) -> Slumps:
    """Return the slumps of one year.

    Args:
        objects: Level 1: one row an object, its outline in `EQUAL_AREA`, with `object_id image_id acquired cut npixel
            area_m2 area_m2_t30 area_m2_t65 mean_probability max_probability tier`.
        looks: One row an image, its observed ground in `EQUAL_AREA`, with `image_id`; without a row it saw its objects.
        min_overlap: Objects that share at least this part of the smaller one are one slump; those that the border of
            two images cuts apart are one too.

    Returns:
        Rows by `first_object`, with

        - `first_object` text, the smallest `object_id`;
        - `n_looks` int64, images that saw at least half of the slump; `n_hits` int64, those of them that call a part of
          it a slump; `agreement` float64, hits by looks, NaN without looks;
        - `first_acquired last_acquired` text, the days of the images of its objects, YYYY-MM-DD;
        - `area_m2 perimeter_m` float64, geodesic, of the union of its objects, which is its geometry;
        - `area_majority_m2` float64, of `geometry_majority`: ground that at least half of its looks call slump;
        - `area_low_m2 area_high_m2` float64, of that ground, made smaller and larger as its objects are above 0.65 and
          0.30: each object counts by the majority ground that it covers. NaN where an object does not tell;
        - `mean_probability` float64, of its objects, by their pixels, and `max_probability`;
        - `tier` text, the highest one that at least half of its objects reach, null if they reach none.

    Raises:
        DataError: If the tables are not in the plane.
    """
    for table in (objects, looks):
        if table.crs != PLANE_CRS:
            raise DataError(f"outlines are compared in {EQUAL_AREA}, but these are in {table.crs}. Move them there.")
    first, second = same_slump_pairs(*compared(objects), min_overlap=min_overlap)
    return slumps_of(objects, looks, groups_of(len(objects), first, second))


def compared(objects: gpd.GeoDataFrame) -> tuple[Array, Array, Array, Array]:
    """Return what tells which objects are one slump: outlines, whether they are cut, their images, edges of pixels."""
    shapes = objects.geometry.to_numpy()
    pixels_m = np.sqrt(shapely.area(shapes) / objects["npixel"].to_numpy())
    return shapes, objects["cut"].to_numpy(dtype=bool), pd.factorize(objects["image_id"])[0], pixels_m


def slumps_of(objects: gpd.GeoDataFrame, looks: gpd.GeoDataFrame, owners: Array) -> Slumps:
    """Return the slumps of one year, of which it is known what belongs together; see `slumps_of_year`.

    Args:
        objects: Level 1 in the plane.
        looks: What images saw, in the plane.
        owners: (object,) int64, number of the slump of each, from 0 on, each number in use.
    """
    shapes = objects.geometry.to_numpy()
    image_ids = pd.Index(looks["image_id"]).append(pd.Index(objects["image_id"])).unique()
    images = image_ids.get_indexer(objects["image_id"])
    outlines = unions(shapes, owners, int(owners.max(initial=-1)) + 1)
    observed = np.full(len(image_ids), shapely.Polygon(), dtype=object)
    observed[image_ids.get_indexer(looks["image_id"])] = looks.geometry.to_numpy()
    found = sightings_of(outlines, shapes, owners, images, observed)
    table = _table(objects, owners, outlines, majority_ground(outlines, found), found)
    order = np.argsort(table["first_object"].to_numpy(dtype=str), kind="stable")
    rows = np.empty(len(order), dtype=np.int64)
    rows[order] = np.arange(len(order))
    return Slumps(table=table.iloc[order].reset_index(drop=True), owners=rows[owners])


def no_slumps() -> gpd.GeoDataFrame:
    """Return the table of a year without slumps, with `year`: its columns are those of other years."""
    types = {**dict.fromkeys(_TEXTS, object), **dict.fromkeys(_NUMBERS, np.float64), "cut": bool, "npixel": np.int64}
    columns = {name: np.array([], dtype=kind) for name, kind in types.items()}
    objects = gpd.GeoDataFrame(columns, geometry=[], crs=PLANE_CRS)
    looks = gpd.GeoDataFrame({"image_id": []}, geometry=[], crs=PLANE_CRS)
    table = slumps_of(objects, looks, np.array([], dtype=np.int64)).table
    table.insert(1, "year", np.array([], dtype=np.int32))
    return table


def _table(
    objects: gpd.GeoDataFrame, owners: Array, outlines: Array, majority: Array, found: Sightings
) -> gpd.GeoDataFrame:
    n = len(outlines)
    n_looks = np.bincount(found.slumps[found.saw_half], minlength=n)
    n_hits = np.bincount(found.slumps[found.saw_half & found.is_hit], minlength=n)
    area_majority = ground_areas_m2(majority, PLANE_CRS)
    smaller, larger = _scaled(objects, owners, majority)
    grouped = objects.assign(owner=owners).groupby("owner")
    pixels = objects["npixel"].to_numpy(dtype=np.float64)
    total = np.bincount(owners, pixels * objects["mean_probability"].to_numpy(dtype=np.float64), n)
    with np.errstate(invalid="ignore"):  # 0 / 0: nobody looked
        agreement = n_hits / n_looks
    return gpd.GeoDataFrame(
        {
            "first_object": grouped["object_id"].min(),
            "n_looks": n_looks,
            "n_hits": n_hits,
            "agreement": agreement,
            "first_acquired": grouped["acquired"].min(),
            "last_acquired": grouped["acquired"].max(),
            "area_m2": ground_areas_m2(outlines, PLANE_CRS),
            "area_majority_m2": area_majority,
            "area_low_m2": area_majority * smaller,
            "area_high_m2": area_majority * larger,
            "perimeter_m": ground_perimeters_m(outlines, PLANE_CRS),
            "mean_probability": total / np.bincount(owners, pixels, n),
            "max_probability": grouped["max_probability"].max(),
            "tier": _tiers(objects["tier"], owners, n),
            "geometry_majority": gpd.GeoSeries(majority, crs=PLANE_CRS),
        },
        geometry=outlines,
        crs=PLANE_CRS,
    )


def _scaled(objects: gpd.GeoDataFrame, owners: Array, majority: Array) -> tuple[Array, Array]:
    """Return by how much the majority ground of each slump is smaller at 0.65 and larger at 0.30."""
    shared = shapely.area(robust.intersection(objects.geometry.to_numpy(), majority[owners]))
    weights = np.bincount(owners, shared, len(majority))
    areas = objects["area_m2"].to_numpy(dtype=np.float64)

    def factor(column: str) -> Array:
        ratios = objects[column].to_numpy(dtype=np.float64, na_value=np.nan) / areas
        scaled = np.bincount(owners, shared * ratios, len(majority)).astype(np.float64)  # whole of no objects
        # no ground that most agree on is none at any threshold, if all objects tell them
        return np.divide(scaled, weights, out=scaled, where=weights > 0)

    return factor("area_m2_t65"), factor("area_m2_t30")


def _tiers(tiers: pd.Series, owners: Array, n_slumps: int) -> Array:
    """Return the highest tier that at least half of the objects of each slump reach, None if they reach none."""
    ranks = pd.Index(TIERS).get_indexer(pd.Index(tiers))
    result = np.full(n_slumps, None, dtype=object)
    n_objects = np.bincount(owners, minlength=n_slumps)
    for rank, tier in enumerate(TIERS):
        result[2 * np.bincount(owners[ranks >= rank], minlength=n_slumps) >= n_objects] = tier
    return result
