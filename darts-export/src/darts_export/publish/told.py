"""What the rasters of a mosaic tell of themselves, written as tags and read again."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from rasterio.io import DatasetWriter

from darts_export.cog import GDAL_ERRORS
from darts_export.publish.grids import Cell, MosaicGrid
from darts_utils.rasters.arrays import Array

MOST_NAMED = 100
"""Images of which a raster has the ids; of more it has the number only, for its header is read before all else."""
_INPUTS, _N_IMAGES, _IMAGE_IDS = "DARTS_inputs", "DARTS_images", "DARTS_image_ids"
_WHAT = {
    "probability": ("probability that the ground is slump, mean over the images of a year", "percent"),
    "looks": ("number of images of a year that saw the ground, at most 254", "images"),
}
_VALUES = {"minimum": "STATISTICS_MINIMUM", "maximum": "STATISTICS_MAXIMUM", "mean": "STATISTICS_MEAN"}
_STATISTICS = {"count": "DARTS_valid_pixels", **_VALUES, "stddev": "STATISTICS_STDDEV"}
"""Tags of a band that GDAL, QGIS and servers of tiles know, but for the first. Without a deviation they count again."""


@dataclass(frozen=True)
class Place:
    """A cell of a mosaic in a year, and its files."""

    folder: Path
    """Of all mosaics."""
    grid: MosaicGrid
    cell: Cell
    year: int

    @property
    def name(self) -> str:
        """Year and cell."""
        return f"{self.year}/{self.grid.name_of(self.cell)}"

    def file(self, what: str) -> Path:
        """Return the file of `probability` or `looks`."""
        return self.folder / str(self.year) / f"{what}-{self.year}-{self.grid.name_of(self.cell)}.tif"


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What the values of a raster are, those that are no data left out."""

    count: int
    """Pixels that have a value."""
    valid_share: float
    """Of all pixels of the cell."""
    minimum: int
    maximum: int
    mean: float
    stddev: float


@dataclass(frozen=True, kw_only=True)
class MosaicTile:
    """A cell of a mosaic in a year that is there."""

    year: int
    cell: str
    grid: str
    probability: Path
    """COG, uint8: percent, mean over the images that saw a pixel, 255 = none did."""
    looks: Path
    """COG, uint8: number of images that saw a pixel, 254 or more as 254, 0 = no data."""
    inputs: str
    """SHA-256 over all that decides both."""
    n_images: int
    """Images that saw something of the cell."""
    image_ids: tuple[str, ...] | None
    """Theirs, sorted; None if they are more than `MOST_NAMED`."""
    crs: str
    shape: tuple[int, int]
    transform: tuple[float, float, float, float, float, float]
    """From column and row to coordinates, as `proj:transform` of STAC has it."""
    bounds: tuple[float, float, float, float]
    """West, south, east and north in the CRS."""
    geometry: Mapping[str, Any]
    """Outline of the cell as GeoJSON, EPSG:4326; it does not cross the antimeridian."""
    bbox: tuple[float, float, float, float]
    """Its bounds in degrees."""
    probability_statistics: Statistics
    looks_statistics: Statistics


def statistics_of(histogram: Array, n_pixels: int) -> Statistics:
    """Return statistics from the number of pixels with each value, of those that have one.

    Args:
        histogram: (value,) int64.
        n_pixels: Pixels of the cell.
    """
    values = np.flatnonzero(histogram)
    numbers, count = histogram[values], int(histogram.sum())
    mean = float((values * numbers).sum() / count)
    deviation = math.sqrt(float((numbers * (values - mean) ** 2).sum()) / count)
    return Statistics(
        count=count,
        valid_share=count / n_pixels,
        minimum=int(values[0]),
        maximum=int(values[-1]),
        mean=mean,
        stddev=deviation,
    )


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What both rasters of a cell are made of."""

    inputs: str
    """SHA-256 over all that decides them."""
    image_ids: Sequence[str]
    """Of the images that saw something of it, sorted."""


def tell(raster: DatasetWriter, what: str, place: Place, origin: Origin, statistics: Statistics) -> None:
    """Write into a raster what it is, what it is made of, and what its values are.

    Args:
        raster: The raster.
        what: `probability` or `looks`.
        place: Where it lies.
        origin: What it is made of.
        statistics: Of its values.
    """
    meaning, unit = _WHAT[what]
    tags = {
        "DARTS_cell": place.grid.name_of(place.cell),
        "DARTS_grid": place.grid.name,
        _N_IMAGES: len(origin.image_ids),
        _INPUTS: origin.inputs,
        "DARTS_unit": unit,
        "DARTS_version": version("darts-export"),
        "DARTS_what": meaning,
        "DARTS_year": place.year,
    }
    if len(origin.image_ids) <= MOST_NAMED:
        tags[_IMAGE_IDS] = json.dumps(origin.image_ids, ensure_ascii=False)
    raster.update_tags(**tags)
    raster.set_band_description(1, what)
    raster.set_band_unit(1, unit)
    told = {tag: repr(getattr(statistics, name)) for name, tag in _STATISTICS.items()}
    raster.update_tags(1, **told, STATISTICS_VALID_PERCENT=f"{100 * statistics.valid_share:.4g}")


def tile_at(place: Place, inputs: str) -> MosaicTile | None:
    """Return a cell in a year if both its rasters are there, whole, and made of these inputs."""
    try:
        (tags, probability), (same_tags, looks) = (_read(place, what) for what in _WHAT)
        if {tags[_INPUTS], same_tags[_INPUTS]} != {inputs}:
            return None
        n_images, ids = int(tags[_N_IMAGES]), json.loads(tags.get(_IMAGE_IDS, "null"))
    except (*GDAL_ERRORS, KeyError, ValueError):  # one is not there, or damaged, or none of ours
        return None
    pixels, outline = place.grid.pixels_of(place.cell), place.grid.footprint_of(place.cell)
    a, b, c, d, e, f = tuple(pixels.affine)[:6]
    return MosaicTile(
        year=place.year,
        cell=place.grid.name_of(place.cell),
        grid=place.grid.name,
        probability=place.file("probability"),
        looks=place.file("looks"),
        inputs=inputs,
        n_images=n_images,
        image_ids=None if ids is None else tuple(ids),
        crs=place.grid.crs,
        shape=(place.grid.cell_px, place.grid.cell_px),
        transform=(a, b, c, d, e, f),
        bounds=pixels.extent.geom.bounds,
        geometry=shapely.geometry.mapping(outline),
        bbox=outline.bounds,
        probability_statistics=probability,
        looks_statistics=looks,
    )


def _read(place: Place, what: str) -> tuple[Mapping[str, str], Statistics]:
    """Return tags and statistics of a raster, after its last block was read, which a copy that was cut short lacks."""
    with rasterio.open(place.file(what), driver="GTiff") as raster:
        *_, (_, last) = raster.block_windows(1)
        raster.read(1, window=last)
        tags, told = raster.tags(), raster.tags(1)
    count, minimum, maximum = (int(told[_STATISTICS[name]]) for name in ("count", "minimum", "maximum"))
    return tags, Statistics(
        count=count,
        valid_share=count / place.grid.cell_px**2,
        minimum=minimum,
        maximum=maximum,
        mean=float(told[_STATISTICS["mean"]]),
        stddev=float(told[_STATISTICS["stddev"]]),
    )
