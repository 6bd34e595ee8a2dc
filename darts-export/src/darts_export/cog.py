"""Cloud-optimised GeoTIFFs: held in memory while they are filled, compressed, then laid out in one step.

They are made in memory and written by the caller, because GDAL does not reliably report a full disk.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter, MemoryFile

from darts_utils.errors import OutputError

_HELD = {"compress": "ZSTD", "zstd_level": 1, "tiled": True, "blockxsize": 512, "blockysize": 512}
_CACHE_BYTES = 64 * 2**20
"""GDAL's cache of blocks would take a share of the machine's memory, whatever that is."""
GDAL_ERRORS = (RasterioError, CPLE_BaseError)
"""What rasterio raises; the latter are GDAL's own, which it lets through."""


@contextmanager
def making(what: str, advice: str) -> Iterator[None]:
    """Let rasters be made in the block, within some memory.

    Args:
        what: What is made, for the message.
        advice: What to do where it cannot be, as a sentence.

    Raises:
        OutputError: If GDAL fails.
    """
    try:
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
            yield
    except GDAL_ERRORS as error:
        raise OutputError(f"cannot make {what}: {error}. {advice}") from error


def opened(held: MemoryFile, **profile: Any) -> DatasetWriter:
    """Return a raster to fill, block by block in any order; it has to be closed before it is laid out.

    Args:
        held: Where it is kept; nothing yet.
        profile: What it holds: `count dtype height width transform crs nodata`.
    """
    return held.open(driver="GTiff", **_HELD, **profile)


@contextmanager
def laid_out(held: MemoryFile, **layout: Any) -> Iterator[memoryview]:
    """Give a filled raster as the bytes of a cloud-optimised GeoTIFF, with LZW and overviews.

    Args:
        held: The raster.
        layout: Creation options of GDAL's driver COG.
    """
    with MemoryFile(ext=".tif") as memory:
        # a copy lets other threads work on meanwhile, which the end of writing such a file does not
        rasterio.shutil.copy(held.name, memory.name, driver="COG", compress="LZW", **layout)
        yield memory.getbuffer()
