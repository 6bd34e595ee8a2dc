"""Images on a user's disk as tiles: PlanetScope orthotiles and scenes, and Sentinel-2 scenes laid out like them."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from odc.geo.xr import xr_coords

from darts_acquisition.optical.local_files.image_bands import BANDS, band_indexes
from darts_acquisition.optical.local_files.image_folder import ImageFolder, image_folder, parse_planet_type
from darts_acquisition.optical.local_files.raster import classes_on, grid_of, opened, strips, working_grid
from darts_acquisition.optical.local_files.sun import sun_angles
from darts_acquisition.optical.quality import (
    INVALID,
    LOW_QUALITY,
    UDM2_MISSING,
    UDM_MISSING,
    convert_masks,
    quality_attributes,
    udm2_of_udm,
    udm2_quality,
)
from darts_acquisition.optical.reflectance import reflectance
from darts_acquisition.optical.sentinel2.scaling import SMALLEST_SCALE
from darts_utils.errors import DataError
from darts_utils.rasters.row_blocks import row_blocks

logger = logging.getLogger(__name__)

_DN_SCALE = 1e-4
_HIGHEST_REFLECTANCE = 10.0
"""Decimals above it, even over sunlit cloud, are digital numbers that somebody converted."""
_UDM2_BANDS = ("clear", "snow", "shadow", "light_haze", "heavy_haze", "cloud", "confidence", "unusable")


def load_planet_scene(fpath: Path | str) -> xr.Dataset:
    """Return the reflectance of the image in a folder.

    Args:
        fpath: Folder of an orthotile or a scene, with `*_SR.tif` or `*_SR_clip.tif` and, where there is one, metadata.
            A Sentinel-2 scene may be laid out in the same way, its values in tenths of a thousand or scaled already.

    Returns:
        (y, x) on the file's grid (in UTM if that is not metric and square): `blue green red nir` float32 surface
        reflectance, NaN = no data. Attributes: `azimuth`, `elevation` (sun, degrees, NaN when unknown), `tile_id` and
        `planet_scene_id` (the folder's name), and for orthotiles `planet_orthotile_id` (the folder around it); for
        Sentinel-2 scenes `s2_tile_id`.

    Raises:
        MissingDataError: If there is no image.
        DataError: If the image is damaged, or its bands are unknown.
        GridError: If the image has no coordinate reference system.
    """
    return _reflectance(image_folder(fpath))


def load_planet_masks(fpath: Path | str) -> xr.Dataset:
    """Return the masks of the image in a folder, on the grid that `load_planet_scene` gives.

    Args:
        fpath: Folder of an image, with `*_udm2.tif` or the older `*_udm.tif`, or `*_SCL.tif` of Sentinel-2.

    Returns:
        `quality_data_mask` (y, x) uint8: 0 invalid (unusable, without data, or beyond the mask), 1 low quality (snow,
        shadow, haze, cloud), 2 high quality. `planet_udm` (band, y, x) uint8, the 8 bands of a UDM2; or `s2_scl`,
        (y, x) uint8. Without a mask file all data is of low quality, which a warning says.

    Raises:
        MissingDataError: If there is no image.
        DataError: If a file is damaged or holds something else.
        GridError: If a file has no coordinate reference system.
    """
    folder = image_folder(fpath)
    tile = _with_masks(folder, _reflectance(folder), with_udm=True)
    return tile.drop_vars(BANDS)


def load_planet_tile(fpath: Path | str, *, with_udm: bool = False, lazy: bool = False) -> xr.Dataset:
    """Return what `load_planet_scene` and `load_planet_masks` give in one tile; each file is read once.

    Args:
        fpath: Folder of an image.
        with_udm: Whether `planet_udm` is wanted; for a whole orthotile it takes half a GB.
        lazy: Whether digital numbers are kept and become reflectance where they are read, anew each time.

    Raises:
        MissingDataError: If there is no image.
        DataError: If a file is damaged or holds something else.
        GridError: If a file has no coordinate reference system.
    """
    folder = image_folder(fpath)
    return _with_masks(folder, _reflectance(folder, lazy=lazy), with_udm=with_udm)


def get_planet_geometry(fpath: Path | str) -> Geometry:
    """Return the outline of the image in a folder, no-data pixels included, in its own CRS; only its header is read.

    Raises:
        MissingDataError: If there is no image.
        DataError: If the image is damaged.
        GridError: If the image has no coordinate reference system.
    """
    return get_planet_geobox(fpath).extent


def get_planet_geobox(fpath: Path | str) -> GeoBox:
    """Return the grid of the tile that `load_planet_scene` gives; only the header of the image is read.

    Raises:
        MissingDataError: If there is no image.
        DataError: If the image is damaged.
        GridError: If the image has no coordinate reference system.
    """
    with opened(image_folder(fpath).image) as source:
        return working_grid(grid_of(source))


def _reflectance(folder: ImageFolder, *, lazy: bool = False) -> xr.Dataset:
    with opened(folder.image) as source:
        indexes = band_indexes(folder.image.name, source.descriptions)
        own_grid = grid_of(source)
        grid = working_grid(own_grid)
        if grid != own_grid:
            logger.info("%s is in %s; it is resampled to %s", folder.image, own_grid.crs, grid.crs)
        scales = [_scale(source, index) for index in indexes]
        zeros_count = folder.has_scene_classes and all(offset == 0 for _, offset in scales)
        numbers, missing = _read_numbers(source, indexes, grid, zeros_count=zeros_count)
        largest = [float(np.fmax.reduce(band, axis=None)) for band in numbers]
        _refuse_empty(source, largest)
        _refuse_unscaled(source, largest, scales)
    data_source = "Sentinel-2 L2A" if folder.has_scene_classes else "PlanetScope"
    bands = {}
    for name, values, scale in zip(BANDS, numbers, scales, strict=True):
        attributes = {"long_name": f"{data_source} {name}", "data_source": data_source}
        bands[name] = reflectance(values, *scale, attributes, lazy=lazy, missing=missing)
    return xr.Dataset(bands, xr_coords(grid), _attributes(folder))


def _read_numbers(
    source: Any, indexes: tuple[int, ...], grid: GeoBox, *, zeros_count: bool
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Return digital numbers, an array a band so that each can be freed alone, and where they are missing.

    Args:
        source: The opened image.
        indexes: Its bands that are wanted.
        grid: The grid wanted.
        zeros_count: Whether 0 in some bands is a value, as in Sentinel-2 without an offset, where dark water came out
            at or below 0. Then a pixel is missing where all bands are 0, or one has the file's no-data value. Else each
            band is missing where it has that value or 0.

    Returns:
        The bands, and a mask (y, x) bool; None in place of the mask if the numbers are 0 wherever they are missing.
    """
    bands = [np.empty(grid.shape, dtype=source.dtypes[index - 1]) for index in indexes]
    missing = np.empty(grid.shape, dtype=bool) if zeros_count else None
    nowhere = {source.nodata} - {None, 0}
    for rows, values in strips(source, indexes, grid):
        if missing is not None:
            missing[rows] = (values == 0).all(axis=0) | np.isin(values, list(nowhere)).any(axis=0)
        for band, layer in zip(bands, values, strict=True):
            band[rows] = layer
            if missing is None:
                band[rows][np.isin(layer, [0, *nowhere])] = 0
    if missing is not None:
        for band in bands:
            band[missing] = 0  # nor is a no-data value measured
    return bands, missing


def _scale(source: Any, index: int) -> tuple[float, float]:
    """Return scale and offset of a band: the file's own, else by its type: decimals are reflectance already.

    Raises:
        DataError: If its values are no plain numbers, or cannot be scaled as the file says.
    """
    own, dtype = (source.scales[index - 1], source.offsets[index - 1]), np.dtype(source.dtypes[index - 1])
    if dtype.kind not in "uif":
        raise DataError(f"{source.name} holds {dtype} but must hold plain numbers. Write it anew.")
    if own == (1.0, 0.0):
        return (1.0 if dtype.kind == "f" else _DN_SCALE), 0.0
    if not (SMALLEST_SCALE <= own[0] <= _HIGHEST_REFLECTANCE and abs(own[1]) <= _HIGHEST_REFLECTANCE):  # nor is NaN
        raise DataError(
            f"{source.name} gives its values the scale {own[0]:g} and the offset {own[1]:g}, which make no "
            "reflectance. Correct them in the file."
        )
    return own


def _refuse_empty(source: Any, largest: list[float]) -> None:
    """Refuse an image that lacks a whole band: nothing could be found in it. One without any data says so itself."""
    empty = [name for name, number in zip(BANDS, largest, strict=True) if not number > 0]
    if empty and len(empty) < len(BANDS):
        raise DataError(
            f"{source.name} has no data anywhere in {', '.join(empty)}, but in other bands. Download it again."
        )


def _refuse_unscaled(source: Any, largest: list[float], scales: list[tuple[float, float]]) -> None:
    highest = max(number * scale + offset for number, (scale, offset) in zip(largest, scales, strict=True))
    if highest > _HIGHEST_REFLECTANCE:
        raise DataError(
            f"{source.name} holds values up to {highest:g} after scaling, but reflectance is from 0 to 1. Decimals "
            "must be scaled; digital numbers must be whole."
        )


def _attributes(folder: ImageFolder) -> dict[str, Any]:
    name = folder.path.name
    attributes: dict[str, Any] = {**sun_angles(folder.metadata), "tile_id": name}
    if folder.has_scene_classes:
        return {**attributes, "s2_tile_id": name}
    attributes["planet_scene_id"] = name
    if _is_orthotile(folder.path):
        attributes["planet_orthotile_id"] = folder.path.absolute().parent.name
    return attributes


def _is_orthotile(path: Path) -> bool:
    try:
        return parse_planet_type(path) == "orthotile"
    except DataError:  # the name is the user's own; what is in the folder counts
        return False


def _with_masks(folder: ImageFolder, tile: xr.Dataset, *, with_udm: bool) -> xr.Dataset:
    if folder.mask is None:
        logger.warning("%s has no mask (udm2, udm or SCL): clouds are unknown, all is of low quality", folder.path)
        return _with_quality(tile, np.full(tile.blue.shape, LOW_QUALITY, dtype=np.uint8), "none")
    grid = tile.odc.geobox
    if folder.has_scene_classes:
        return _with_scene_classes(tile, _read_mask(folder.mask, grid, {1: (0,)})[0])
    udm = _read_mask(folder.mask, grid, {8: UDM2_MISSING, 1: UDM_MISSING})
    udm2 = udm if len(udm) == 8 else udm2_of_udm(udm[0])
    tile = _with_quality(tile, udm2_quality(udm2), "PlanetScope UDM2" if len(udm) == 8 else "PlanetScope UDM")
    return tile.assign(planet_udm=_udm_variable(udm2)) if with_udm else tile


def _read_mask(path: Path, grid: GeoBox, missing: dict[int, tuple[int, ...]]) -> np.ndarray:
    """Return a mask on the grid of its image; `missing` has the values beyond it, by the number of bands."""
    with opened(path) as source:
        if source.count not in missing:
            wanted = " or ".join(map(str, missing))
            raise DataError(f"{path} has {source.count} bands, but this kind of mask has {wanted}. Download it again.")
        return classes_on(source, grid, missing[source.count])


def _with_scene_classes(tile: xr.Dataset, classes: np.ndarray) -> xr.Dataset:
    scl = tile.blue.copy(data=classes)
    scl.attrs = {"long_name": "Sentinel-2 scene classification", "data_source": "Sentinel-2 L2A"}
    return convert_masks(tile.assign(s2_scl=scl))


def _with_quality(tile: xr.Dataset, quality: np.ndarray, data_source: str) -> xr.Dataset:
    """Return the tile with its quality mask, invalid where no band has data."""
    bands = [tile[name].variable for name in BANDS]
    for rows in row_blocks(len(quality)):
        quality[rows][np.logical_and.reduce([np.isnan(band[rows].values) for band in bands])] = INVALID
    mask = tile.blue.copy(data=quality)
    mask.attrs = quality_attributes(data_source)
    return tile.assign(quality_data_mask=mask)


def _udm_variable(udm2: np.ndarray) -> xr.Variable:
    attributes = {"long_name": "Usable data mask", "bands": " ".join(_UDM2_BANDS), "data_source": "PlanetScope UDM2"}
    return xr.Variable(("band", "y", "x"), udm2, attributes)
