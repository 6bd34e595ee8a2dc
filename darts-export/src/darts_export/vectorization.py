"""Outlines of any bool band, for scripts of one's own."""

import geopandas as gpd
import xarray as xr

from darts_export.vector import regions
from darts_utils.errors import DataError


def vectorize(tile: xr.Dataset, variable: str) -> gpd.GeoDataFrame:
    """Return one row for each component of a bool band that is connected by edges of pixels.

    Args:
        tile: Holds the band, (y, x) bool or 0 and 1, with georeference.
        variable: Its name, such as `binarized_segmentation` or `extent`.

    Returns:
        `Region_ID` int32 from 1 on, and the outline as a valid polygon, in the CRS of the tile.

    Raises:
        DataError: If the tile has no such band.
        GridError: If the tile has no georeference.
    """
    if variable not in tile:
        present = ", ".join(map(str, tile.data_vars))
        raise DataError(f"the tile lacks {variable}; it has {present}. Correct the name.")
    return regions(tile[variable].astype(bool))
