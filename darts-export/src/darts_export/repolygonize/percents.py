"""`probabilities.tif` as it lies on disk: opened with clear errors, and read some rows at a time."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.windows import Window

from darts_utils.bands import manager
from darts_utils.crs import checked_grid
from darts_utils.errors import DataError, GridError
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import row_blocks

type Blocks = Iterable[tuple[slice, Array]]

_BLOCK_PX = 2_000_000
"""A mosaic has more pixels than memory; what is made of a block takes some ten bytes for each."""
_CACHE_BYTES = 256 * 2**20
"""Rows are fewer than those of the blocks in the file, which GDAL keeps until the next rows are read."""
_NO_NETWORK = {"CPL_VSIL_CURL_ALLOWED_FILENAME": "-"}
_HIGHEST = 100
_PERCENTS = "probabilities"
"""How bands of percents are called by DARTS, those of single models with more behind it."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Give an opened GeoTIFF of percents; whatever goes wrong with it in the block is an error that names it.

    Raises:
        DataError: If the file cannot be read, or is no single band of whole percent (uint8), as the mask
            `binarized.tif` is.
    """
    try:
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES, **_NO_NETWORK), rasterio.open(path, driver="GTiff") as source:
            if source.dtypes != ("uint8",):
                raise DataError(
                    f"{path} has bands of {', '.join(source.dtypes)} and not one of whole percent (uint8). Name the"
                    " probabilities.tif of a tile."
                )
            name = source.descriptions[0]  # of our own files; others may call theirs whatever they like
            if name in manager and not name.startswith(_PERCENTS):
                raise DataError(
                    f"{path} has the band {name}, which is no whole percent. Name the probabilities.tif of a tile."
                )
            yield source
    except (RasterioError, CPLE_BaseError) as error:  # the latter are GDAL's own, which rasterio lets through
        reason = " ".join(str(error.__cause__ or error).split())
        raise DataError(f"{path} cannot be read ({reason}). Map the tile again, or copy it again.") from error


def grid_of(source: Any) -> GeoBox:
    """Return the grid of an opened raster.

    Raises:
        GridError: If it has no coordinate reference system or no transform.
    """
    if source.transform.is_identity:  # what GDAL gives a file that has none
        raise GridError(f"{source.name} has no place on the map: its transform is missing. Copy it again.")
    return checked_grid(source.shape, source.transform, source.crs, source.name)


def nodata_of(source: Any) -> int:
    """Return the code of no data, that of DARTS where the file names none."""
    return int(manager["probabilities"].fill_value or 0) if source.nodata is None else int(source.nodata)


def blocks_of(source: Any, rows: int | None = None) -> Blocks:
    """Yield rows from top to bottom, with the (y, x) uint8 values there: whole percent, or the code of no data.

    Args:
        source: The opened raster.
        rows: Rows of a block; as many as fit into a few megabytes if not given.

    Raises:
        DataError: If a value is no percent.
    """
    nodata = nodata_of(source)
    for block in row_blocks(source.height, max(_BLOCK_PX // source.width, 1) if rows is None else rows):
        values = source.read(1, window=Window(0, block.start, source.width, block.stop - block.start))
        if (wrong := values[(values > _HIGHEST) & (values != nodata)]).size:
            raise DataError(
                f"{source.name} holds {int(np.max(wrong))}, which is no percent. Name the probabilities.tif of a tile."
            )
        yield block, values
