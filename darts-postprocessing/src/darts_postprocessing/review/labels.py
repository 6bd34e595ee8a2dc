"""Verdicts as labels to learn from: slumps with the outlines that people left, and hard negatives."""

from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from darts_postprocessing.inventory.plane import PLANE_CRS, to_degrees
from darts_postprocessing.review.frames import Frame
from darts_postprocessing.review.looks import looks_at
from darts_utils.crs import EQUAL_AREA

_SPARE_M = 30.0
"""Around slumps that nobody judged: their borders may be elsewhere."""


def labels_of(
    verdicts: gpd.GeoDataFrame, slumps: gpd.GeoDataFrame, looks: gpd.GeoDataFrame, objects: gpd.GeoDataFrame
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Return labels and footprints as `create-dataset` reads them, on the image that shows each slump best.

    The ground around a slump that people saw close as they judged it was searched, as far as the image shows it: a
    footprint. What was judged not to be a slump is ground without a label in it, a negative that models took for a
    slump. Ground of slumps that nobody judged, or was sure of, is left out of all footprints.

    Args:
        verdicts: One row a slump and year that was judged, with the outline that the reviewer left: `slump_id year
            verdict`.
        slumps: All of them, `slump_id year`, with the outlines of the models.
        looks: One row an image, the ground that it saw: `image_id acquired year sensor`.
        objects: One row an object: `image_id`. All in `EQUAL_AREA`.

    Returns:
        Labels (`image_id image_date label slump_id`, label always 1) and footprints (`image_id image_date datasource`),
        in `EQUAL_AREA`.
    """
    judged = verdicts[verdicts["verdict"].isin(("slump", "not"))]
    placed = _placed(judged, slumps, looks, objects)
    labels, footprints = [_no_labels()], [_no_footprints()]
    for image_id, rows in placed.groupby("image_id", sort=True):
        year = int(rows["year"].iloc[0])
        known = judged[judged["year"] == year]
        left_out = _unknown_ground(slumps[slumps["year"] == year], known)
        searched = shapely.difference(shapely.union_all(rows["ground"].to_numpy(dtype=object)), left_out)
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


def _placed(
    judged: gpd.GeoDataFrame, slumps: gpd.GeoDataFrame, looks: gpd.GeoDataFrame, objects: gpd.GeoDataFrame
) -> pd.DataFrame:
    """Return slumps and years that were judged, `slump_id year`, with `image_id`, the image of that year that shows the
    outline of the models best, and `ground`, what of it was seen close; those without any are left out.
    """  # noqa: D205  (columns are no sentence)
    asked = slumps[["slump_id", "year", "geometry"]].merge(pd.DataFrame(judged[["slump_id", "year"]]))
    images: list[Any] = []
    grounds: list[Any] = []
    for year, outline, degrees in zip(asked["year"], asked.geometry, to_degrees(asked.geometry), strict=True):
        best = looks_at(outline, looks[looks["year"] == year], objects)
        images.append(best["image_id"].iloc[0] if len(best) else None)
        close = Frame.around(degrees).ground("close")
        grounds.append(shapely.intersection(close, best.geometry.iloc[0]) if len(best) else None)
    placed = pd.DataFrame(asked[["slump_id", "year"]]).assign(image_id=images, ground=grounds)
    return placed[placed["image_id"].notna()]


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
