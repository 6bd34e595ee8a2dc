"""The Copernicus Data Space as a catalogue of Sentinel-2 scenes."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pystac
import xarray as xr

from darts_acquisition.catalog.query import SceneQuery
from darts_acquisition.catalog.stac import at_most, one_of
from darts_acquisition.optical.sentinel2.catalog import OnBytes
from darts_acquisition.optical.sentinel2.scaling import DN_SCALE, Baseline, baseline_offset, given_scale, known_baseline
from darts_acquisition.optical.sentinel2.scene_store import RawScene
from darts_acquisition.optical.sentinel2.stac_scenes import StacScenes, on_10_m_grid
from darts_acquisition.optical.sentinel2.tile import SceneFormat, classes_in
from darts_acquisition.services.copernicus import CATALOGUE, COLLECTION, init_copernicus
from darts_acquisition.services.rasters.s3 import read_raster
from darts_utils.errors import DataError
from darts_utils.rasters.window import Window

logger = logging.getLogger(__name__)

DEFAULT_BANDS_MAPPING: dict[str, str] = {"B02_10m": "blue", "B03_10m": "green", "B04_10m": "red", "B08_10m": "nir"}
SCL_BAND = "SCL_20m"
_BASELINE_KEYS = ("processing:version", "s2:processing_baseline")


def reflectance_scale(scene: RawScene, band: str) -> tuple[float, float]:
    """Return scale and offset of a band: its own where the catalogue gave them, else by the processing baseline.

    Raises:
        DataError: If neither tells them: then the reflectance would be a guess.
    """
    given = given_scale(scene, band)
    scale, offset = (DN_SCALE, None) if given is None else given
    return scale, baseline_offset(_processing_baseline(scene)) if offset is None else offset


def _processing_baseline(scene: RawScene) -> Baseline:
    """Return the processing baseline of a scene from its id, which is the product's name, or else its metadata."""
    in_id = re.search(r"_(N\d{4})_", scene.scene_id)
    texts = [in_id[1]] if in_id else [scene.attributes[key] for key in _BASELINE_KEYS if key in scene.attributes]
    baseline = known_baseline(texts)
    if baseline is not None:
        return baseline
    if texts:
        raise DataError(
            f"the processing baseline of scene {scene.scene_id} is {texts[0]}, which does not say whether its values "
            "carry an offset. Choose the product of a known baseline (N0204 and later), or stage this one with "
            "raster:scale and raster:offset of its bands."
        )
    raise DataError(
        f"the processing baseline of scene {scene.scene_id} is neither in its id (_Nxxxx_) nor in the metadata of "
        f"{scene.path} (processing:version). Stage the scene again under its full product id."
    )


def _attributes(scene: RawScene) -> dict[str, Any]:
    """Return sun angles, time and baseline from the metadata of the catalogue, or of earlier releases."""
    given = scene.attributes
    return {
        "azimuth": given.get("view:sun_azimuth", given.get("azimuth")),
        "elevation": given.get("view:sun_elevation", given.get("elevation")),
        "datetime": given.get("datetime", ""),
        "processing_baseline": given.get("processing:version", given.get("s2:processing_baseline")),
    }


def scale_attributes(asset: pystac.Asset) -> dict[str, Any]:
    """Return the scale and offset that the catalogue gives for a band, nothing if it gives none."""
    fields = asset.extra_fields
    for place in (fields, *fields.get("bands", [])[:1]):
        if "raster:scale" in place:
            return {key: place[key] for key in ("raster:scale", "raster:offset") if key in place}
    for band in fields.get("raster:bands", [])[:1]:
        if "scale" in band:
            return {f"raster:{key}": band[key] for key in ("scale", "offset") if key in band}
    return {}


@dataclass(frozen=True)
class CdseScenes(StacScenes):
    """Sentinel-2 L2A scenes of the Copernicus Data Space, JPEG 2000 in its storage."""

    aws_profile_name: str = "default"
    """Profile with the keys to the storage."""

    name = "cdse"
    label = "Copernicus Data Space"
    form = SceneFormat(
        data_source="Sentinel-2 L2A (CDSE)",
        bands=DEFAULT_BANDS_MAPPING,
        mask=classes_in(SCL_BAND),
        scale=reflectance_scale,
        attributes=_attributes,
    )
    service = CATALOGUE
    address = "cdse_stac_url"
    collections = (COLLECTION,)

    @property
    def match_key(self) -> Mapping[str, Any]:
        """Nothing: matches that earlier releases kept are of this catalogue."""
        return {}

    def check_access(self) -> None:
        """Check that there is a key pair for the storage."""
        init_copernicus(self.aws_profile_name)

    def conditions(self, query: SceneQuery) -> list[dict[str, Any]]:
        """Return tiles and limits as CQL2; items whose cover is unknown pass."""
        limits = {self.cloud: query.cloud_limit, self.snow: query.snow_limit}
        where = [at_most(key, limit) for key, limit in limits.items() if limit is not None]
        tiles = query.mgrs_tiles
        if tiles is not None:
            where.append(one_of("grid:code", [f"MGRS-{tile}" for tile in tiles]))
        return [{"where": where}]

    def fetch(self, scene: pystac.Item, band: str, window: Window | None, on_bytes: OnBytes) -> xr.DataArray:  # noqa: ARG002  (whole files only)
        """Return a band as digital numbers on the scene's 10 m grid, uint16 or uint8, 0 = no data."""
        asset, keys = scene.assets[band], init_copernicus(self.aws_profile_name)
        raster = read_raster(asset.href, keys, checksum=asset.extra_fields.get("file:checksum"), on_bytes=on_bytes)
        numbers = on_10_m_grid(raster, asset.href)
        numbers.attrs = scale_attributes(asset)
        logger.debug("fetched band %s of scene %s", band, scene.id)
        return numbers

    def _is_band(self, name: str) -> bool:
        return name.endswith("m")
