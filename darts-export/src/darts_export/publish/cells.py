"""A cell of a mosaic in a year: two cloud-optimised rasters, made of all images that saw something of it."""

from collections.abc import Mapping, Sequence
from itertools import groupby, product
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.io import DatasetWriter, MemoryFile
from rasterio.windows import Window

from darts_export.cog import laid_out, making, opened
from darts_export.publish.looks import PlacedLook
from darts_export.publish.sampling import NO_DATA, Percentages
from darts_export.publish.told import MosaicTile, Origin, Place, statistics_of, tell, tile_at
from darts_utils.files import atomic_file
from darts_utils.grid import crs_of
from darts_utils.machine.jit import compiled
from darts_utils.machine.outputs import writing
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import row_blocks

MOST_LOOKS = 254
"""More looks at a pixel are told as so many."""
_SQUARE_PX = 4096
"""Edge of what is summed up at once: 150 MB, a multiple of the blocks of files. Squares, because grids of images lie
at any angle to those of mosaics, and of a long row most of an image would be read."""
_LAYOUTS: dict[str, dict[str, Any]] = {
    "probability": {"overview_resampling": "AVERAGE", "predictor": "YES"},
    "looks": {"overview_resampling": "MODE", "predictor": "NO"},
}
"""Mean of the pixels that have a probability, and the number of looks that is most frequent among those that have one:
so overviews have both in the same places, too."""


def make(place: Place, looks: Sequence[PlacedLook], inputs: str) -> MosaicTile | None:
    """Write both rasters of a cell in a year, unless they are there; return None, and write nothing, without looks.

    Args:
        place: Cell and year.
        looks: By image; those of one image are one look, and of these the first counts that has something at a pixel.
        inputs: SHA-256 over all that decides the rasters.

    Raises:
        DataError: If a look cannot be read, or has values that are no percent.
        OutputError: If the rasters cannot be made or written.
    """
    if (there := tile_at(place, inputs)) is not None:
        return there
    told = f"the mosaic {place.name}"
    with writing(place.folder), making(told, "Free memory, and try again."), MemoryFile() as one, MemoryFile() as other:
        held = dict(zip(_LAYOUTS, (one, other), strict=True))
        if not _fill(held, place, looks, inputs):
            return None
        for what, layout in _LAYOUTS.items():
            with laid_out(held[what], **place.grid.layout, **layout) as content, atomic_file(place.file(what)) as part:
                part.write_bytes(content)
    return tile_at(place, inputs)


def _fill(held: Mapping[str, MemoryFile], place: Place, looks: Sequence[PlacedLook], inputs: str) -> bool:
    """Fill both rasters, `probability` and `looks`, and return whether there is something in them."""
    histograms, image_ids = np.zeros((2, 256), dtype=np.int64), set()
    pixels, size = place.grid.pixels_of(place.cell), place.grid.cell_px
    with _opened(held["probability"], pixels, NO_DATA) as probability, _opened(held["looks"], pixels, 0) as number:
        for rows, columns in product(row_blocks(size, _SQUARE_PX), row_blocks(size, _SQUARE_PX)):
            square = pixels[rows, columns]
            sums, counts = np.zeros(square.shape, dtype=np.uint32), np.zeros(square.shape, dtype=np.uint16)
            seen = _add_images(looks, square, sums, counts)
            if seen:
                values = np.empty((2, *square.shape), dtype=np.uint8)
                _summarise(sums, counts, values, histograms)
                window = Window.from_slices(rows, columns)
                probability.write(values[0], 1, window=window)
                number.write(values[1], 1, window=window)
            image_ids |= seen
        if not image_ids:
            return False
        origin = Origin(inputs=inputs, image_ids=sorted(image_ids))
        for what, raster, histogram in zip(_LAYOUTS, (probability, number), histograms, strict=True):
            tell(raster, what, place, origin, statistics_of(histogram, size**2))
    return True


def _opened(held: MemoryFile, pixels: GeoBox, nodata: int) -> DatasetWriter:
    height, width = pixels.shape
    return opened(
        held,
        count=1,
        dtype="uint8",
        height=height,
        width=width,
        transform=pixels.affine,
        crs=CRS.from_string(str(crs_of(pixels))),
        nodata=nodata,
    )


def _add_images(looks: Sequence[PlacedLook], square: GeoBox, sums: Array, counts: Array) -> set[str]:
    """Add what images say of the pixels of a square, and return the ids of those that say something.

    Args:
        looks: By image.
        square: The pixels.
        sums: (y, x) uint32: percent, is added to.
        counts: (y, x) uint16: images, is added to.
    """
    seen, values = set(), np.full(square.shape, NO_DATA, dtype=np.uint8)
    for image_id, parts in groupby(looks, key=lambda one: one.look.image_id):
        is_any = False
        for part in parts:
            with Percentages(part.look.file, part.pixels) as percentages:
                is_any |= percentages.fill(square, values)
        if is_any:
            _add(values, sums, counts)
            values[:] = NO_DATA
            seen.add(image_id)
    return seen


@compiled()
def _add(values: Array, sums: Array, counts: Array) -> None:
    """Add the values of an image, (y, x) uint8, but for no data."""
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            has_any = np.uint16(values[row, column] != NO_DATA)  # 3 ms a square; with a branch 25 to 250
            sums[row, column] += has_any * np.uint32(values[row, column])
            counts[row, column] += has_any


@compiled()
def _summarise(sums: Array, counts: Array, values: Array, histograms: Array) -> None:
    """Work out means and numbers of looks.

    Args:
        sums: (y, x) uint32: percent.
        counts: (y, x) uint16: images.
        values: (2, y, x) uint8, written to: the mean, rounded to whole percent, half to even; and the number.
        histograms: (2, value) int64, added to: pixels with each value that is not no data.
    """
    for row in range(sums.shape[0]):
        for column in range(sums.shape[1]):
            number = int(counts[row, column])
            values[0, row, column], values[1, row, column] = NO_DATA, 0
            if number:
                mean, rest = divmod(int(sums[row, column]), number)
                mean += 2 * rest > number or (2 * rest == number and mean % 2 == 1)
                number = min(number, MOST_LOOKS)
                values[0, row, column], values[1, row, column] = mean, number
                histograms[0, mean] += 1
                histograms[1, number] += 1
