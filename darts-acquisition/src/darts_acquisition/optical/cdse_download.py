"""Sentinel-2 L2A scenes fetched from the Copernicus Data Space into the raw scene store."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pystac
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_acquisition.optical.cdse_bands import DEFAULT_BANDS_MAPPING, SCL_BAND, BandsMapping
from darts_acquisition.optical.cdse_search import get_cdse_s2_sr_items
from darts_acquisition.optical.scene_store import SceneStore
from darts_acquisition.services.copernicus import CopernicusKeys, init_copernicus
from darts_acquisition.services.s3 import Raster, read_raster
from darts_utils.errors import DataError, MissingDataError

logger = logging.getLogger(__name__.replace("darts_", "darts."))

RESOLUTION_M = 10


def download_cdse_s2_sr_scene(
    s2item: str | pystac.Item,
    store: Path,
    bands_mapping: BandsMapping = DEFAULT_BANDS_MAPPING,
    aws_profile_name: str = "default",
) -> Path:
    """Fetch what a raw scene store lacks of a scene; return where the scene lies.

    A new scene appears whole or not at all, a further band likewise. What is there is not fetched again; if nothing is
    lacking, nothing is asked.

    Args:
        s2item: Id of the scene, or its STAC item.
        store: Folder of the raw scene store.
        bands_mapping: Bands of the source by name, as keys; "all" fetches every band of reflectance at its original
            resolution. The scene classification always comes with them.
        aws_profile_name: Profile with the keys.

    Raises:
        CredentialsError: If the keys are missing or refused.
        MissingDataError: If the catalogue or the storage lacks the scene, or the scene lacks a band.
        DataError: If a band does not fit onto the 10 m grid of the others.
        ServiceError: If a service does not answer.
    """
    scenes = SceneStore(store, "cdse")
    scene_id = s2item if isinstance(s2item, str) else s2item.id
    staged = set(scenes.open(scene_id).bands) if scene_id in scenes else set()
    if bands_mapping != "all" and staged >= {*bands_mapping, SCL_BAND}:
        return scenes.path(scene_id)
    keys = init_copernicus(aws_profile_name)
    item = get_cdse_s2_sr_items([scene_id])[scene_id] if isinstance(s2item, str) else s2item
    wanted = _original_bands(item) if bands_mapping == "all" else list(bands_mapping)
    lacking = [band for band in dict.fromkeys([*wanted, SCL_BAND]) if band not in staged]
    if not lacking:
        return scenes.path(scene_id)
    bands = _fetch(item, lacking, keys)
    if staged:
        return scenes.add_bands(scene_id, bands)
    return scenes.write(scene_id, bands, item.properties)


def _original_bands(item: pystac.Item) -> list[str]:
    """Return the bands of reflectance of a scene that are no resampled copies of others."""
    original = {"reflectance", "sampling:original"}
    return [name for name, asset in item.assets.items() if original <= set(asset.roles or ())]


def _fetch(item: pystac.Item, names: Sequence[str], keys: CopernicusKeys) -> dict[str, xr.DataArray]:
    """Return bands as digital numbers on the scene's 10 m grid, uint16 or uint8, 0 = no data."""
    missing = [name for name in names if name not in item.assets]
    if missing:
        known = ", ".join(sorted(name for name in item.assets if name.endswith("m")))
        raise MissingDataError(
            f"scene {item.id} has no band {', '.join(missing)} (it has: {known}). Correct bands_mapping."
        )
    bands: dict[str, xr.DataArray] = {}
    for name in names:
        asset = item.assets[name]
        raster = read_raster(asset.href, keys, checksum=asset.extra_fields.get("file:checksum"))
        bands[name] = on_10_m_grid(raster, asset.href)
        bands[name].attrs = _scale_attributes(asset)
        logger.debug("fetched band %s of scene %s", name, item.id)
    if len({band.odc.geobox for band in bands.values()}) > 1:
        raise DataError(
            f"the bands {', '.join(bands)} of scene {item.id} lie on different grids. Choose another scene."
        )
    return bands


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
            return {"raster:scale": band["scale"], "raster:offset": band.get("offset", 0.0)}
    return {}
