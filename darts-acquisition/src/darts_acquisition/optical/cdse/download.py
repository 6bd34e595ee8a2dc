"""Sentinel-2 L2A scenes fetched from the Copernicus Data Space into the raw scene store."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pystac
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_acquisition.catalog.fields import grid_of_item, n_bytes
from darts_acquisition.optical.cdse.bands import DEFAULT_BANDS_MAPPING, SCL_BAND, BandsMapping
from darts_acquisition.optical.cdse.search import get_cdse_s2_sr_items
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_acquisition.services.copernicus import CopernicusKeys, init_copernicus
from darts_acquisition.services.parallel import at_once
from darts_acquisition.services.s3 import Raster, read_raster
from darts_utils.errors import DataError, MissingDataError
from darts_utils.names import is_id

logger = logging.getLogger(__name__.replace("darts_", "darts."))

RESOLUTION_M = 10
_USUAL_FILE_BYTES = 100_000_000
_FILES_AT_ONCE = 4
"""As many of a scene as the storage allows connections."""
_IN_HAND = threading.BoundedSemaphore(5)
"""Files of all scenes that are fetched, unpacked or written at once: what memory must hold, and a kill can lose."""


def download_cdse_s2_sr_scene(
    s2item: str | pystac.Item,
    store: Path,
    bands_mapping: BandsMapping = DEFAULT_BANDS_MAPPING,
    aws_profile_name: str = "default",
    *,
    on_bytes: Callable[[int], None] | None = None,
) -> Path:
    """Fetch what a raw scene store lacks of a scene; return where the scene lies.

    A new scene appears whole or not at all, a further band likewise. What is there is not fetched again, nor what a
    killed run had fetched of it; if nothing is lacking, nothing is asked.

    Args:
        s2item: Id of the scene, or its STAC item.
        store: Folder of the raw scene store.
        bands_mapping: Bands of the source by name, as keys; "all" fetches every band of reflectance at its original
            resolution. The scene classification always comes with them.
        aws_profile_name: Profile with the keys.
        on_bytes: Told, file by file, how many bytes have arrived.

    Raises:
        CredentialsError: If the keys are missing or refused.
        MissingDataError: If the catalogue or the storage lacks the scene, or the scene lacks a band.
        DataError: If a band does not fit onto the 10 m grid of the others.
        ServiceError: If a service does not answer.
    """
    scenes = SceneStore(store, "cdse")
    scene_id = s2item if isinstance(s2item, str) else s2item.id
    staged = set(scenes.open(scene_id).whole_bands) if scene_id in scenes else set()
    if bands_mapping != "all" and staged >= {*bands_mapping, SCL_BAND}:
        return scenes.path(scene_id)
    keys = init_copernicus(aws_profile_name)
    item = get_cdse_s2_sr_items([scene_id])[scene_id] if isinstance(s2item, str) else s2item
    wanted = _original_bands(item) if bands_mapping == "all" else list(bands_mapping)
    lacking = [band for band in dict.fromkeys([*wanted, SCL_BAND]) if band not in staged]
    if not lacking:
        return scenes.path(scene_id)
    _check_names(item, lacking)
    if staged:
        bands = {name: _fetch(item, name, keys, on_bytes) for name in lacking}
        return scenes.add_bands(scene_id, bands)
    with scenes.stage(scene_id, item.properties) as partial:
        there = partial.bands

        def bring(name: str) -> None:
            with _IN_HAND:
                partial.add(name, _fetch(item, name, keys, on_bytes))

        at_once(bring, [name for name in lacking if name not in there], workers=_FILES_AT_ONCE)
    return scenes.path(scene_id)


def size_bytes(item: pystac.Item, bands: Iterable[str]) -> int:
    """Return how many bytes the files of some bands have, as the catalogue says, else as such files usually have."""
    assets = [item.assets[band].extra_fields for band in bands if band in item.assets]
    return n_bytes(assets, usual=_USUAL_FILE_BYTES)


def grid_of(item: pystac.Item) -> GeoBox:
    """Return the 10 m grid of a scene as the catalogue gives it.

    Raises:
        DataError: If the catalogue does not give it.
    """
    return grid_of_item(item, RESOLUTION_M)


def _original_bands(item: pystac.Item) -> list[str]:
    """Return the bands of reflectance of a scene that are no resampled copies of others."""
    original = {"reflectance", "sampling:original"}
    return [name for name, asset in item.assets.items() if is_id(name) and original <= {*map(str, asset.roles or ())}]


def _check_names(item: pystac.Item, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in item.assets]
    if missing:
        known = ", ".join(sorted(name for name in item.assets if name.endswith("m")))
        raise MissingDataError(
            f"scene {item.id} has no band {', '.join(missing)} (it has: {known}). Correct bands_mapping."
        )


def _fetch(item: pystac.Item, name: str, keys: CopernicusKeys, on_bytes: Callable[[int], None] | None) -> xr.DataArray:
    """Return a band as digital numbers on the scene's 10 m grid, uint16 or uint8, 0 = no data."""
    asset = item.assets[name]
    raster = read_raster(asset.href, keys, checksum=asset.extra_fields.get("file:checksum"), on_bytes=on_bytes)
    band = on_10_m_grid(raster, asset.href)
    band.attrs = _scale_attributes(asset)
    logger.debug("fetched band %s of scene %s", name, item.id)
    return band


def on_10_m_grid(raster: Raster, url: str) -> xr.DataArray:
    """Return a raster of 10, 20 or 60 m on the 10 m grid with the same corners: each pixel is repeated.

    That is the nearest neighbour, for the pixels of all resolutions share their edges.

    Raises:
        DataError: If its pixels are not square, north up, and a multiple of 10 m.
    """
    transform = raster.geobox.affine
    times = round(transform.a / RESOLUTION_M)
    size_m = times * RESOLUTION_M
    if times < 1 or (transform.a, transform.b, transform.d, transform.e) != (size_m, 0, 0, -size_m):
        raise DataError(f"the pixels of {url} do not fit a 10 m grid {tuple(transform)[:6]}. Choose another scene.")
    values = raster.values.repeat(times, axis=0).repeat(times, axis=1) if times > 1 else raster.values
    return wrap_xr(values, GeoBox(values.shape, transform * Affine.scale(1 / times), raster.geobox.crs))


def _scale_attributes(asset: pystac.Asset) -> dict[str, Any]:
    """Return the scale and offset that the catalogue gives for a band, nothing if it gives none."""
    fields = asset.extra_fields
    for place in (fields, *fields.get("bands", [])[:1]):
        if "raster:scale" in place:
            return {key: place[key] for key in ("raster:scale", "raster:offset") if key in place}
    for band in fields.get("raster:bands", [])[:1]:
        if "scale" in band:
            return {f"raster:{key}": band[key] for key in ("scale", "offset") if key in band}
    return {}
