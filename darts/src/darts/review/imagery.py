"""Where the images lie that slumps were found on, and what reads the ground of a picture from them."""

import glob
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import reproject

from darts.pipelines.results.told import parameters_above
from darts.review.places import DataPlaces
from darts_postprocessing.inventory.tiles.choice import find_tiles
from darts_postprocessing.inventory.tiles.facts import tile_facts
from darts_utils.crs import outline_on
from darts_utils.errors import DartsError, one_line
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.window import window_of
from darts_utils.tile import geobox_of

logger = logging.getLogger(__name__)

BANDS = ("red", "green", "blue", "nir")
_OPTICAL = "optical.tif"
_SPARE_PX = 2
_SUN_DEG = 315.0, 45.0
"""Azimuth and height of the light on terrain shade: from the upper left, as maps have it."""
_CUBE = re.compile(r"arcticdem_(\d+)m")


@dataclass(frozen=True, kw_only=True)
class Imagery:
    """The images of some tiles."""

    folders: Mapping[str, Sequence[Path]]
    """Folders of tiles by the id of their image."""
    given: DataPlaces
    """What the user named; of the rest, the records of runs tell."""

    @classmethod
    def of(cls, roots: Sequence[Path], given: DataPlaces) -> "Imagery":
        """Return the images of the tiles below some folders."""
        folders: dict[str, list[Path]] = {}
        for folder in find_tiles(roots):
            folders.setdefault(tile_facts(folder).image_id, []).append(folder)
        return cls(folders=folders, given=given)

    def ground(self, image_id: str, grid: GeoBox) -> Array | None:
        """Return what an image shows of some ground.

        Args:
            image_id: The image.
            grid: The ground.

        Returns:
            (red green blue nir, row, column) float32 reflectance, NaN = no data; None if it is nowhere, damaged, or
            shows none of it.
        """
        for folder in self.folders.get(image_id, ()):
            for read in (_from_optical, _from_store, _from_planet):
                try:
                    found = read(image_id, folder, self._places(folder), grid)
                except (DartsError, rasterio.errors.RasterioError) as error:
                    logger.warning("no picture of %s: %s", image_id, one_line(error))
                    continue
                if found is not None and np.isfinite(found).any():
                    return found
        return None

    def shade(self, grid: GeoBox) -> Array | None:
        """Return the light on the terrain of some ground, (row, column) float32, 0 to 1; None where it is not known."""
        for folder in self._cubes:
            try:
                shade = _shade(folder, grid)
            except DartsError as error:
                logger.info("no terrain from %s: %s", folder, one_line(error))
                continue
            if np.isfinite(shade).any():
                return shade
        return None

    @cached_property
    def _cubes(self) -> list[Path]:
        every = [self._places(folder).arcticdem_dir for folders in self.folders.values() for folder in folders]
        return list(dict.fromkeys(one for one in every if one is not None))

    def _places(self, folder: Path) -> DataPlaces:
        return self.given.or_else(_told(folder))


def _told(folder: Path) -> DataPlaces:
    """Return where the last run that wrote a tile read its data."""
    said = parameters_above(folder)
    known: dict[str, Any] = {name: said[name] for name in vars(DataPlaces()) if isinstance(said.get(name), str)}
    return DataPlaces(**known)


def _from_optical(_: str, folder: Path, __: DataPlaces, grid: GeoBox) -> Array | None:
    """Return the ground from the colours that were exported with a tile."""
    file = folder / _OPTICAL
    return _warped(file, (1, 2, 3, 4), grid) if file.is_file() else None


def _from_store(image_id: str, _: Path, places: DataPlaces, grid: GeoBox) -> Array | None:
    """Return the ground from a staged scene."""
    from darts.pipelines.sources.scenes import catalog_of
    from darts_acquisition.optical.sentinel2.tile import scene_tile

    if places.raw_data_store is None or places.raw_data_source is None or not places.raw_data_store.is_dir():
        return None
    catalog = catalog_of(places.raw_data_source)
    form = catalog.form
    for part in catalog.store(places.raw_data_store).parts(image_id):
        around = outline_on(grid, str(part.geobox.crs), "a picture", npoints=20).bounds
        window = window_of(part.geobox, around, _SPARE_PX)
        if window is not None:
            tile = scene_tile(part.cut(window), form, form.bands, None)
            return _resampled(np.stack([tile[band].values for band in BANDS]), geobox_of(tile), grid)
    return None


def _from_planet(image_id: str, _: Path, places: DataPlaces, grid: GeoBox) -> Array | None:
    """Return the ground from an image of PlanetScope."""
    from darts_acquisition.optical.local_files.image_bands import BANDS as IN_FILE
    from darts_acquisition.optical.local_files.image_bands import band_indexes
    from darts_acquisition.optical.local_files.image_folder import image_folder

    name = glob.escape(image_id.rsplit("/", 1)[-1])
    found = [
        *(places.scenes_dir.glob(name) if places.scenes_dir else ()),
        *(places.orthotiles_dir.glob(f"*/{name}") if places.orthotiles_dir else ()),
    ]
    if not found:
        return None
    image = image_folder(found[0]).image
    with rasterio.open(image) as source:
        numbers = dict(zip(IN_FILE, band_indexes(image.name, source.descriptions), strict=True))
    return _warped(image, tuple(numbers[band] for band in BANDS), grid)


def _warped(file: Path, indexes: tuple[int, ...], grid: GeoBox) -> Array:
    """Return bands of a raster on a grid, its scale and offset applied; pictures are stretched, so units matter not."""
    height, width = grid.shape
    how = {"crs": str(grid.crs), "transform": grid.affine, "height": height, "width": width}
    with rasterio.open(file) as source, WarpedVRT(source, resampling=Resampling.bilinear, **how) as raster:
        numbers = raster.read(indexes, masked=True).astype(np.float32).filled(np.nan)
        scales, offsets = (np.array(each, dtype=np.float32)[:, None, None] for each in _coding(source, indexes))
        empty = (numbers == 0).all(axis=0) if source.nodata is None else np.zeros(grid.shape, dtype=bool)
    return np.where(empty, np.float32(np.nan), numbers * scales + offsets)


def _coding(source: Any, indexes: Sequence[int]) -> tuple[list[float], list[float]]:
    return [source.scales[index - 1] for index in indexes], [source.offsets[index - 1] for index in indexes]


def _resampled(bands: Array, source: GeoBox, grid: GeoBox) -> Array:
    """Return (band, row, column) float32 on another grid."""
    found = np.full((len(bands), *grid.shape), np.nan, dtype=np.float32)
    reproject(
        np.ascontiguousarray(bands, dtype=np.float32),
        found,
        src_transform=source.affine,
        src_crs=str(source.crs),
        dst_transform=grid.affine,
        dst_crs=str(grid.crs),
        src_nodata=np.nan,
        dst_nodata=np.nan,
        resampling=Resampling.bilinear,
    )
    return found


def _shade(folder: Path, grid: GeoBox) -> Array:
    from darts_acquisition import load_arcticdem
    from darts_preprocessing.terrain.derivatives import hillshade

    told = _CUBE.search(folder.name)
    resolution: Any = int(told[1]) if told else 10
    dem = load_arcticdem(grid, folder, resolution, buffer=_SPARE_PX, offline=True)["dem"]
    lit = hillshade(dem, *_SUN_DEG)
    return np.asarray(_resampled(lit.values[None], geobox_of(dem), grid)[0])
