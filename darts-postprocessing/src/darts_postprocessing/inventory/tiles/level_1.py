"""Level 1: the objects of a tile, its look, and its sums over cells, in the plane."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import uuid5

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import shapely
from pyarrow import ArrowException

from darts_postprocessing.inventory import robust
from darts_postprocessing.inventory.plane import PLANE_CRS, centroids
from darts_postprocessing.inventory.rules import DOUBTS, MISSING, Rules
from darts_postprocessing.inventory.slumps import TIERS
from darts_postprocessing.inventory.tiles.facts import TileFacts
from darts_postprocessing.inventory.tiles.tables import DENSITY, OBSERVED, SEGMENTS, damaged, placed, read_table
from darts_postprocessing.inventory.tracks import NAMESPACE
from darts_utils.objects.geodesy import ground_perimeters_m
from darts_utils.rasters.arrays import Array

FRACTIONS = ("features_missing", "nodata_fraction", "snow_fraction", "water_fraction")
AREAS = ("area_m2_t30", "area_m2_t45", "area_m2_t65", "area_m2_t80")
SUMS = {"x": "int32", "y": "int32", "observed_m2": "float64", "expected_m2": "float64"}
"""Columns of sums over cells."""
_NEEDED = ("area_m2", "npixel", "mean", "max")


def read_objects(facts: TileFacts, rules: Rules) -> gpd.GeoDataFrame:
    """Return the objects of a tile, level 1, with their outlines in the plane.

    Returns:
        Rows by `object_id`, with the columns of level 1 in the data dictionary; NaN and null where an older tile does
        not tell. `object_id` is made of the image, its models, and the outline in whole pixels of its grid: it stays
        when a tile is made again to the same outlines.

    Raises:
        DataError: If the table is damaged or lacks a column.
    """
    file = facts.folder / SEGMENTS
    table, outlines, crs = read_table(file, _NEEDED)
    shapes = placed(outlines, crs, file)
    if not (table["npixel"].notna() & (table["npixel"] > 0)).all():
        raise damaged(file, "npixel of an object is not above 0")
    try:
        frame = _level_1(facts, table, outlines, shapes)
    except (ValueError, TypeError) as error:
        raise damaged(file, error) from error
    kept: gpd.GeoDataFrame = frame[~_dropped(frame, rules)].sort_values("object_id", ignore_index=True)
    return kept


def _level_1(facts: TileFacts, table: pd.DataFrame, outlines: Array, shapes: Array) -> gpd.GeoDataFrame:
    longitudes, latitudes = centroids(shapes)
    told = {name: table.get(name, pd.Series(np.nan, table.index)).astype("float64") for name in (*AREAS, *FRACTIONS)}
    core = table.get("core_probability", pd.Series(np.nan, table.index)).astype("float64")
    cut = table["cut"] if "cut" in table else pd.Series(pd.NA, table.index)
    columns = {
        "object_id": _object_ids(facts, outlines, table["npixel"].to_numpy()),
        "image_id": facts.image_id,
        "sensor": facts.sensor,
        "acquired": facts.acquired,
        "year": np.full(len(table), facts.year, dtype=np.int32),
        "model_ids": facts.model_ids,
        "area_m2": table["area_m2"].astype("float64"),
        "perimeter_m": ground_perimeters_m(shapes, PLANE_CRS),
        "centroid_lon": longitudes,
        "centroid_lat": latitudes,
        "mean_probability": table["mean"].astype("float64") / 100,
        "max_probability": table["max"].astype("float64") / 100,
        "core_probability": core,
        **{name: told[name] for name in AREAS},
        "tier": _tiers(core, told["features_missing"], facts.thresholds),
        "cut": cut.astype("boolean").fillna(value=False).astype(bool),
        **{name: told[name] for name in FRACTIONS},
        "npixel": table["npixel"].astype("int64"),
    }
    return gpd.GeoDataFrame(columns, index=table.index, geometry=shapes, crs=PLANE_CRS)


def _object_ids(facts: TileFacts, outlines: Array, n_pixels: Array) -> Array:
    shapes = shapely.normalize(outlines)
    areas = shapely.area(np.where(shapely.is_valid(shapes), shapes, shapely.make_valid(shapes)))
    pixels = np.sqrt(np.maximum(areas, 1) / np.maximum(n_pixels.astype(np.float64), 1))
    said = f"{facts.image_id} {facts.model_ids} "
    ids = []
    for shape, pixel in zip(shapes, pixels, strict=True):
        corners = _whole_pixels(shapely.get_coordinates(shape), float(pixel))
        ids.append(str(uuid5(NAMESPACE, said + corners)))
    return np.array(ids, dtype=object)  # of a type also where there is none


def _whole_pixels(points: Array, pixel_m: float) -> str:
    """Return corners in whole pixels from the origin of the coordinates, however a grid is shifted against it."""
    exact = points / pixel_m
    shift = exact[0] - np.rint(exact[0])
    return np.rint(exact - shift).astype(np.int64).tobytes().hex()


def _tiers(core: pd.Series, missing: pd.Series, thresholds: Mapping[str, float | None]) -> Array:
    """Return the highest tier that each object reaches, None below the lowest; `low` at most where features miss."""
    result = np.full(len(core), None, dtype=object)
    is_whole = ~(missing.to_numpy() > MISSING)
    for tier in TIERS:
        least = thresholds.get(tier)
        if least is not None:
            result[(core.to_numpy() >= least) & (is_whole | (tier == TIERS[0]))] = tier
    return result


def _dropped(frame: gpd.GeoDataFrame, rules: Rules) -> Array:
    dropped = np.zeros(len(frame), dtype=bool)
    for doubt in rules.drop:
        column, most = DOUBTS[doubt]
        dropped |= frame[column].to_numpy(dtype=np.float64) > most
    return dropped


def read_sums(facts: TileFacts) -> pd.DataFrame:
    """Return the sums of probabilities that a tile has, by cells of 1 km; none of a tile that is not calibrated.

    Returns:
        `x y` int32, and `observed_m2 expected_m2` float64, see `prediction_density.parquet` in the guide to outputs.

    Raises:
        DataError: If the table is damaged.
    """
    file = facts.folder / DENSITY
    if not (facts.is_calibrated and file.is_file()):
        return pd.DataFrame({name: np.empty(0, dtype=kind) for name, kind in SUMS.items()})
    try:
        return pq.read_table(file, columns=list(SUMS)).to_pandas().astype(SUMS)
    except (OSError, ValueError, ArrowException) as error:
        raise damaged(file, error) from error


def read_look(facts: TileFacts, rules: Rules) -> gpd.GeoDataFrame:
    """Return the ground that a tile saw, in the plane, without that of objects which are left out: who knows.

    Returns:
        One row: `image_id acquired year sensor` and `is_observed`, whether it is the ground that was really seen; of
        older tiles it is the extent, in which clouds may have hidden some.

    Raises:
        DataError: If the table is damaged.
    """
    file = facts.folder / facts.saw
    _, outlines, crs = read_table(file)
    shapes = placed(outlines[~shapely.is_empty(outlines)], crs, file)
    seen = robust.union_all(shapes) if len(shapes) else shapely.Polygon()
    if rules.drop:
        everything = read_objects(facts, replace(rules, drop=()))
        left_out = everything.geometry.to_numpy()[_dropped(everything, rules)]
        if len(left_out):
            (seen,) = robust.difference(np.array([seen], dtype=object), robust.union_all(left_out))
    return gpd.GeoDataFrame(
        {
            "image_id": [facts.image_id],
            "acquired": [facts.acquired],
            "year": np.array([facts.year], dtype=np.int32),
            "sensor": [facts.sensor],
            "is_observed": [facts.saw == OBSERVED],
        },
        geometry=[seen],
        crs=PLANE_CRS,
    )
