"""Sentinel-2 L2A scenes fetched from Earth Engine into the raw scene store."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_acquisition.optical.gee.bands import (
    DEFAULT_BANDS_MAPPING,
    HARMONIZED,
    RESOLUTION_M,
    RESOLUTIONS_M,
    SCL_BAND,
    SCL_RESOLUTION_M,
)
from darts_acquisition.optical.gee.search import GeeScene, get_gee_s2_sr_scenes
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_acquisition.optical.sentinel2.tile import BandsMapping
from darts_acquisition.services.earthengine import ensure_earthengine
from darts_acquisition.services.earthengine_pixels import fetch_pixels
from darts_utils.errors import ConfigError

logger = logging.getLogger(__name__.replace("darts_", "darts."))

type OnBytes = Callable[[int], None] | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def download_gee_s2_sr_scene(
    s2item: str | GeeScene,
    store: Path,
    bands_mapping: BandsMapping = DEFAULT_BANDS_MAPPING,
    *,
    collection: str = HARMONIZED,
    on_bytes: OnBytes = None,
) -> Path:
    """Fetch what a raw scene store lacks of a scene; return where the scene lies.

    A new scene appears whole or not at all, a further band likewise. What is there is not fetched again, nor what a
    killed run had fetched of it; if nothing is lacking, nothing is asked.

    Args:
        s2item: Id of the scene, or the scene as a search gave it.
        store: Folder of the raw scene store.
        bands_mapping: Bands of the source by name, as keys; "all" fetches every band of reflectance. The scene
            classification always comes with them.
        collection: Where the scene of an id is, `COPERNICUS/S2_SR_HARMONIZED` or `COPERNICUS/S2_SR`. A scene of a
            search knows it.
        on_bytes: Called with the size of each piece as it comes, in bytes without compression.

    Raises:
        ConfigError: If the scene is staged from another collection.
        CredentialsError: If the credentials are missing or refused.
        MissingDataError: If Earth Engine does not have the scene.
        ServiceError: If it refuses, for one because the scene lacks a band, or does not answer.
    """
    scenes = SceneStore(store, "gee")
    scene_id, collection = (s2item, collection) if isinstance(s2item, str) else (s2item.scene_id, s2item.collection)
    staged = _staged_bands(scenes, scene_id, collection)
    wanted = list(RESOLUTIONS_M) if bands_mapping == "all" else list(bands_mapping)
    lacking = [band for band in dict.fromkeys([*wanted, SCL_BAND]) if band not in staged]
    if not lacking:
        return scenes.path(scene_id)
    scene = get_gee_s2_sr_scenes([scene_id], collection=collection)[scene_id] if isinstance(s2item, str) else s2item
    if staged:
        return scenes.add_bands(scene_id, dict(_fetch(scene, lacking, on_bytes)))
    with scenes.stage(scene_id, scene_attributes(scene)) as partial:
        there = partial.bands
        for name, band in _fetch(scene, [name for name in lacking if name not in there], on_bytes):
            partial.add(name, band)
    return scenes.path(scene_id)


def size_bytes(scene: GeeScene, bands: Iterable[str]) -> int:
    """Return how many bytes some bands of a scene have before compression."""
    height, width = scene.geobox.shape
    sizes = [1 / (SCL_RESOLUTION_M // RESOLUTION_M) ** 2 if band == SCL_BAND else 2 for band in bands]
    return int(height * width * sum(sizes))


def _staged_bands(scenes: SceneStore, scene_id: str, collection: str) -> set[str]:
    """Return what is staged of a scene; bands of the two collections must not meet in one, for their offsets differ."""
    if scene_id not in scenes:
        return set()
    staged = scenes.open(scene_id)
    of = staged.attributes.get("collection", HARMONIZED)  # earlier releases knew no other
    if of != collection:
        raise ConfigError(
            f"the scene {staged.path} is staged from {of} but is wanted from {collection}. "
            "Give another raw_data_store, or delete the scene."
        )
    return set(staged.whole_bands)


def _fetch(scene: GeeScene, names: Sequence[str], on_bytes: OnBytes) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield bands as digital numbers on the scene's 10 m grid, uint16 or uint8, 0 = no data; one at a time."""
    import ee

    ensure_earthengine()
    image = ee.Image(f"{scene.collection}/{scene.scene_id}")
    for name in names:
        size_m = SCL_RESOLUTION_M if name == SCL_BAND else RESOLUTIONS_M.get(name, RESOLUTION_M)
        times, dtype = size_m // RESOLUTION_M, "uint8" if name == SCL_BAND else "uint16"
        pixels = fetch_pixels(image, [name], coarser(scene.geobox, times), on_bytes, dtype=dtype)
        logger.debug("fetched %s of scene %s", name, scene.scene_id)
        yield name, wrap_xr(repeated(pixels[name], times, tuple(scene.geobox.shape)), scene.geobox)


def coarser(geobox: GeoBox, times: int) -> GeoBox:
    """Return the grid with the same corner and larger pixels that covers a grid."""
    height, width = (-(-length // times) for length in geobox.shape)
    return GeoBox((height, width), geobox.affine * Affine.scale(times), geobox.crs)


def repeated(values: np.ndarray, times: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return each pixel repeated, the nearest neighbour: the pixels of all resolutions share their edges."""
    if times == 1:
        return values
    return values.repeat(times, axis=0)[: shape[0]].repeat(times, axis=1)[:, : shape[1]]


def scene_attributes(scene: GeeScene) -> dict[str, Any]:
    """Return the metadata of a scene as it is staged: Earth Engine's, its collection, sun angles and time."""
    given = scene.properties
    derived: dict[str, Any] = {"collection": scene.collection}
    if given.get("MEAN_SOLAR_AZIMUTH_ANGLE") is not None:
        derived["azimuth"] = given["MEAN_SOLAR_AZIMUTH_ANGLE"]
    if given.get("MEAN_SOLAR_ZENITH_ANGLE") is not None:
        derived["elevation"] = 90 - given["MEAN_SOLAR_ZENITH_ANGLE"]
    if given.get("system:time_start") is not None:
        moment = _EPOCH + timedelta(milliseconds=given["system:time_start"])
        derived["datetime"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**given, **derived}
