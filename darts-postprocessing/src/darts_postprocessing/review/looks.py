"""Which images show a slump best."""

from typing import Any

import geopandas as gpd
import numpy as np
import shapely

_MOSTLY = 0.95
"""A look that saw so much of an outline shows it whole."""


def looks_at(outline: Any, looks: gpd.GeoDataFrame, objects: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the looks that saw some of an outline, those first that show it best.

    That is: whole before in part, with an object on it before without, and newer ones first.

    Args:
        outline: Polygon or multipolygon.
        looks: One row an image: `image_id acquired`, and the ground that it saw.
        objects: One row an object of an image: `image_id`, and its outline. All in one CRS.
    """
    near = looks.iloc[looks.sindex.query(outline, predicate="intersects")]
    hits = set(objects.iloc[objects.sindex.query(outline, predicate="intersects")]["image_id"])
    area = max(outline.area, np.finfo(np.float64).tiny)
    seen = shapely.area(shapely.intersection(near.geometry.to_numpy(), outline)) / area
    ranked = near.assign(
        hidden=np.where(seen >= _MOSTLY, 0.0, 1 - seen), missed=[image not in hits for image in near["image_id"]]
    )
    newest_first = ranked.sort_values(["acquired", "image_id"], ascending=False, kind="stable")
    return newest_first.sort_values(["hidden", "missed"], kind="stable").drop(columns=["hidden", "missed"])
