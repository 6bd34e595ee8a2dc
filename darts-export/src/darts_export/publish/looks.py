"""Mapped tiles as looks at the ground: what each is, and where it lies."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rasterio
from odc.geo.geobox import GeoBox

from darts_export.publish.grids import Cell, MosaicGrid
from darts_export.publish.sampling import NO_DATA, reading
from darts_utils.crs import checked_grid
from darts_utils.errors import DataError, MissingDataError
from darts_utils.text import counted


@dataclass(frozen=True, order=True)
class Look:
    """Probabilities that were mapped from an image, or from a part of it."""

    image_id: str
    year: int
    file: Path
    """`probabilities.tif` of a tile: uint8 percent, 255 = no data, in any CRS."""


@dataclass(frozen=True, kw_only=True)
class PlacedLook:
    """A look that was found to be there."""

    look: Look
    pixels: GeoBox
    sha256: str
    """Of the file."""
    cells: tuple[Cell, ...]
    """Of a mosaic, that it may have something of."""


def placed(look: Look, grid: MosaicGrid) -> PlacedLook:
    """Return a look with where it lies.

    Raises:
        MissingDataError: If its file is not there.
        DataError: If it cannot be read, or is no raster of probabilities.
        GridError: If it has no place on Earth.
    """
    file = look.file
    if not file.is_file():
        raise MissingDataError(f"{file} is not there. Map the image {look.image_id} again, or leave it out.")
    with reading(file), rasterio.open(file) as raster:
        held = (raster.count, *raster.dtypes[:1], *raster.nodatavals[:1])
        shape, transform, crs = raster.shape, raster.transform, raster.crs
    if held != (1, "uint8", NO_DATA):
        raise DataError(
            f"{file} has {counted(held[0], 'band')} of {held[1]} with {held[2]} for no data, where one of uint8 with "
            f"{NO_DATA} was expected. Give the probabilities as they were exported."
        )
    pixels = checked_grid(shape, transform, crs, str(file))
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return PlacedLook(look=look, pixels=pixels, sha256=sha256, cells=tuple(grid.cells_under(pixels, str(file))))


def finest_pixel_m(looks: Sequence[Look]) -> float:
    """Return the edge of the finest pixels of looks, in metres.

    Raises:
        MissingDataError: If a file is not there.
        DataError: If one cannot be read.
    """
    return min(_pixel_m(file) for file in sorted({look.file for look in looks}))


def _pixel_m(file: Path) -> float:
    with reading(file), rasterio.open(file) as raster:
        return math.sqrt(abs(raster.transform.determinant))
