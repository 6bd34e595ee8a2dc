"""Slumps that have been published or reviewed: whatever an inventory is made of later, they keep their ids."""

import geopandas as gpd
import numpy as np

from darts_postprocessing.inventory.plane import to_plane
from darts_postprocessing.inventory.tracks import Published
from darts_utils.errors import DataError

_NEEDED = ("slump_id", "year")


def published_of(table: gpd.GeoDataFrame, name: str) -> Published:
    """Return the slumps of a layer, by their ids and years.

    Args:
        table: Outlines in any CRS with `slump_id` and `year`, such as level 2 of an inventory.
        name: What the layer is, for messages.

    Raises:
        DataError: If it has no such columns, a row lacks one of them, or it does not say its coordinates.
    """
    lacking = [column for column in _NEEDED if column not in table or table[column].isna().any()]
    if lacking or table.crs is None:
        raise DataError(
            f"{name} lacks {', '.join(lacking) or 'a CRS'}. Give an inventory of DARTS, or a file of its slumps."
        )
    order = np.lexsort((table["year"].to_numpy(), table["slump_id"].to_numpy(dtype=str)))
    return Published(
        ids=table["slump_id"].to_numpy(dtype=str)[order].astype(object),
        years=table["year"].to_numpy(dtype=np.int64)[order],
        outlines=to_plane(table.geometry.to_numpy()[order], table.crs),
    )
