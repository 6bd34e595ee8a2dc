"""Verdicts as labels to learn from: slumps with the outlines that people left, and hard negatives."""

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts_postprocessing.inventory.plane import PLANE_CRS
from darts_postprocessing.review.looks import looks_at
from darts_utils.crs import EQUAL_AREA
from darts_utils.rasters.arrays import Array

TIMES, LEAST_M = 3.0, 250.0
"""People see so many times the size of a slump, and so many metres at least, when they judge it."""
_SPARE_M = 30.0
"""Around slumps that nobody judged: their borders may be elsewhere."""


def labels_of(
    verdicts: gpd.GeoDataFrame, slumps: gpd.GeoDataFrame, looks: gpd.GeoDataFrame, objects: gpd.GeoDataFrame
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Return labels and footprints as `create-dataset` reads them, on the image that shows each slump best.

    The ground around a slump that people saw as they judged it was searched: a footprint. What was judged not to be a
    slump is ground without a label in it, a negative that models took for a slump. Ground of slumps that nobody
    judged, or was sure of, is left out of all footprints.

    Args:
        verdicts: One row a slump and year that was judged, with the outline that the reviewer left: `slump_id year
            verdict`.
        slumps: All of them, `slump_id year`, with the outlines of the models.
        looks: One row an image: `image_id acquired year sensor`.
        objects: One row an object: `image_id`. All in `EQUAL_AREA`.

    Returns:
        Labels (`image_id image_date label slump_id`, label always 1) and footprints (`image_id image_date datasource`),
        in `EQUAL_AREA`.
    """
    judged = verdicts[verdicts["verdict"].isin(("slump", "not"))]
    placed = _placed(judged, looks, objects)
    labels, footprints = [_no_labels()], [_no_footprints()]
    for image_id, rows in placed.groupby("image_id", sort=True):
        year = int(rows["year"].iloc[0])
        known = judged[judged["year"] == year]
        left_out = _unknown_ground(slumps[slumps["year"] == year], known)
        searched = shapely.difference(shapely.union_all(_squares(rows)), left_out)
        if searched.is_empty:
            continue
        look = looks[looks["image_id"] == image_id].iloc[0]
        about = {"image_id": image_id, "image_date": look["acquired"]}
        there = known[(known["verdict"] == "slump") & shapely.intersects(known.geometry.to_numpy(), searched)]
        labels.append(there[["slump_id", "geometry"]].assign(label=1, **about))
        footprints.append(_layer({**about, "datasource": look["sensor"]}, searched))
    return (
        gpd.GeoDataFrame(pd.concat(labels, ignore_index=True), crs=EQUAL_AREA),
        gpd.GeoDataFrame(pd.concat(footprints, ignore_index=True), crs=EQUAL_AREA),
    )


def _placed(judged: gpd.GeoDataFrame, looks: gpd.GeoDataFrame, objects: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return verdicts with the `image_id` that shows the slump best in its year; those without any are left out."""
    images = []
    for year, outline in zip(judged["year"], judged.geometry, strict=True):
        best = looks_at(outline, looks[looks["year"] == year], objects)
        images.append(best["image_id"].iloc[0] if len(best) else None)
    placed = judged.assign(image_id=images)
    return placed[placed["image_id"].notna()]


def _squares(rows: gpd.GeoDataFrame) -> Array:
    """Return what people saw of the ground around slumps."""
    left, bottom, right, top = rows.geometry.bounds.to_numpy().T
    half = np.maximum(TIMES * np.maximum(right - left, top - bottom), LEAST_M) / 2
    x, y = (left + right) / 2, (bottom + top) / 2
    return np.asarray(shapely.box(x - half, y - half, x + half, y + half), dtype=object)


def _unknown_ground(slumps: gpd.GeoDataFrame, judged: gpd.GeoDataFrame) -> Any:
    """Return the ground of slumps that were not judged."""
    unknown = slumps[~slumps["slump_id"].isin(judged["slump_id"])]
    return shapely.union_all(shapely.buffer(unknown.geometry.to_numpy(), _SPARE_M))


def _layer(values: dict[str, Any], shape: Any) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({name: [value] for name, value in values.items()}, geometry=[shape], crs=PLANE_CRS)


def _no_labels() -> gpd.GeoDataFrame:
    columns = {name: pd.Series(dtype="string") for name in ("image_id", "image_date", "slump_id")}
    return gpd.GeoDataFrame({**columns, "label": pd.Series(dtype="int64")}, geometry=[], crs=PLANE_CRS)


def _no_footprints() -> gpd.GeoDataFrame:
    columns = {name: pd.Series(dtype="string") for name in ("image_id", "image_date", "datasource")}
    return gpd.GeoDataFrame(columns, geometry=[], crs=PLANE_CRS)
