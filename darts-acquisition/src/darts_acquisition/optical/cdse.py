"""Sentinel-2 L2A scenes of the Copernicus Data Space as tiles."""

import logging
import re
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr

from darts_acquisition.optical.cdse_bands import DEFAULT_BANDS_MAPPING, SCL_BAND, BandsMapping
from darts_acquisition.optical.cdse_download import download_cdse_s2_sr_scene
from darts_acquisition.optical.quality import convert_masks
from darts_acquisition.optical.scene_store import RawScene, SceneStore
from darts_utils.devices import DeviceSpec
from darts_utils.errors import ConfigError, DataError

logger = logging.getLogger(__name__.replace("darts_", "darts."))

_DN_SCALE = 1e-4
_OFFSET_SINCE_BASELINE_4 = -0.1


def load_cdse_s2_sr_scene(
    s2item: Any,
    bands_mapping: BandsMapping = DEFAULT_BANDS_MAPPING,
    store: Path | None = None,
    aws_profile_name: str = "default",
    offline: bool = False,
    output_dir_for_debug_geotiff: Path | None = None,
    device: DeviceSpec = None,  # noqa: ARG001  (part of the public signature; decoding is faster than a transfer)
) -> xr.Dataset:
    """Return a Sentinel-2 L2A scene as a tile of surface reflectance and quality.

    Args:
        s2item: Id of the scene, or its STAC item.
        bands_mapping: Tile variable for each band of the source; "all" takes every staged band, those without a common
            name under their own.
        store: Folder of the raw scene store; what it lacks is fetched into it. Without one the scene is fetched into a
            temporary folder.
        aws_profile_name: Profile with the keys for downloads; unused for staged scenes.
        offline: Only read the store, never the network.
        output_dir_for_debug_geotiff: Folder to also write the digital numbers to, a GeoTIFF a band.
        device: Accepted for symmetry with the other steps; a scene is always decoded in host memory.

    Returns:
        (y, x): `blue green red nir` float32 reflectance, NaN = no data; `s2_scl` uint8, 0 to 11; `quality_data_mask`
        uint8, 0 invalid, 1 low, 2 high quality. Attributes: `azimuth`, `elevation` (sun, degrees, NaN when unknown),
        `tile_id`, `s2_tile_id`, `datetime`.

    Raises:
        ConfigError: If an offline run has no store.
        MissingDataError: If the scene or a band of it is not staged, and cannot be fetched.
        DataError: If staged data is damaged, or the processing baseline is unknown.
        CredentialsError: If a scene must be fetched and the keys are missing or refused.
        ServiceError: If a scene must be fetched and a service does not answer.
    """
    scene_id = s2item if isinstance(s2item, str) else str(s2item.id)
    if store is None and offline:
        raise ConfigError(
            f"no raw scene store is given for {scene_id}; offline runs read scenes from it. "
            "Give one with raw_data_store."
        )
    with TemporaryDirectory(prefix="darts-scene-") if store is None else nullcontext(store) as folder:
        if not offline:
            download_cdse_s2_sr_scene(s2item, Path(folder), bands_mapping, aws_profile_name)
        scene = SceneStore(Path(folder), "cdse").open(scene_id)
        return _tile(scene, bands_mapping, output_dir_for_debug_geotiff)


def _tile(scene: RawScene, bands_mapping: BandsMapping, output_dir_for_debug_geotiff: Path | None) -> xr.Dataset:
    mapping = _all_bands(scene) if bands_mapping == "all" else dict(bands_mapping)
    tile = xr.Dataset({name: _reflectance(scene, band) for band, name in mapping.items()})
    tile = _mask_unclassified(tile.assign(s2_scl=_scene_classes(scene)))
    tile.attrs = _tile_attributes(scene)
    if output_dir_for_debug_geotiff is not None:
        _write_debug_geotiffs(scene, [*mapping, SCL_BAND], output_dir_for_debug_geotiff)
    return convert_masks(tile)


def _all_bands(scene: RawScene) -> dict[str, str]:
    return {band: DEFAULT_BANDS_MAPPING.get(band, band) for band in scene.bands if band != SCL_BAND}


def _reflectance(scene: RawScene, band: str) -> xr.DataArray:
    """Return the surface reflectance of a band, (y, x) float32, NaN where the digital number is 0."""
    raw = scene.read(band)
    scale, offset = reflectance_scale(scene, band)
    values = raw.values.astype(np.float32)
    values *= np.float32(scale)
    values += np.float32(offset)
    values[raw.values == 0] = np.nan
    reflectance = raw.copy(data=values)
    reflectance.attrs = {
        "long_name": f"Sentinel-2 {band}",
        "units": "Reflectance",
        "data_source": "Sentinel-2 L2A (CDSE)",
    }
    return reflectance


def reflectance_scale(scene: RawScene, band: str) -> tuple[float, float]:
    """Return scale and offset of a band: its own where the catalogue gave them, else by the processing baseline.

    Since baseline 04.00 the products carry an offset of -1000 digital numbers (ESA, Sentinel-2 Products Specification
    Document, issue 14.9), so the date of a scene says nothing about it.
    """
    attributes = scene.band_attributes(band)
    for scale_key, offset_key in (("raster:scale", "raster:offset"), ("scale_factor", "add_offset")):
        if scale_key in attributes:
            return float(attributes[scale_key]), float(attributes.get(offset_key, 0.0))
    return _DN_SCALE, _OFFSET_SINCE_BASELINE_4 if processing_baseline(scene) >= 4 else 0.0


def processing_baseline(scene: RawScene) -> float:
    """Return the processing baseline of a scene, such as 5.1, from its id or else its metadata.

    Raises:
        DataError: If neither says it: then the reflectance would be a guess.
    """
    in_id = re.search(r"_N(\d{2})(\d{2})_", scene.scene_id)
    if in_id is not None:
        return float(f"{in_id[1]}.{in_id[2]}")
    for key in ("processing:version", "s2:processing_baseline"):
        if re.fullmatch(r"\d+\.\d+", str(scene.attributes.get(key))):
            return float(scene.attributes[key])
    raise DataError(
        f"the processing baseline of scene {scene.scene_id} is neither in its id (_Nxxxx_) nor in the metadata of "
        f"{scene.path} (processing:version). Stage the scene again under its full product id."
    )


def _scene_classes(scene: RawScene) -> xr.DataArray:
    """Return the scene classification, (y, x) uint8, 0 to 11."""
    classes = scene.read(SCL_BAND).astype(np.uint8, copy=False)
    classes.attrs = {"long_name": "Sentinel-2 scene classification", "data_source": "Sentinel-2 L2A (CDSE)"}
    return classes


def _mask_unclassified(tile: xr.Dataset) -> xr.Dataset:
    """Return the tile with NaN reflectance where the classification says no data."""
    no_data = tile.s2_scl.values == 0
    if not no_data.any():
        return tile
    masked = {}
    for name in tile.data_vars:
        if name != "s2_scl":
            values = tile[name].values
            values[no_data] = np.nan  # the array was made by _reflectance just before, so nobody else sees it change
            masked[name] = tile[name].copy(data=values)
    return tile.assign(masked)


def _tile_attributes(scene: RawScene) -> dict[str, Any]:
    """Return the tile attributes of the contract: sun angles in degrees (NaN when unknown), ids and time."""
    given = scene.attributes
    return {
        "azimuth": _angle(given.get("view:sun_azimuth", given.get("azimuth"))),
        "elevation": _angle(given.get("view:sun_elevation", given.get("elevation"))),
        "tile_id": scene.scene_id,
        "s2_tile_id": scene.scene_id,
        "datetime": str(given.get("datetime", "")),
    }


def _angle(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _write_debug_geotiffs(scene: RawScene, bands: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for band in bands:
        scene.read(band).odc.write_cog(folder / f"{scene.scene_id}_{band}.tif", overwrite=True)
    logger.debug("wrote %d raw bands of %s to %s", len(bands), scene.scene_id, folder)
