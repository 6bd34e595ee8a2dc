"""Sentinel-2 L2A scenes of the Copernicus Data Space as tiles."""

import re
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import xarray as xr

from darts_acquisition.optical.cdse_bands import DEFAULT_BANDS_MAPPING, SCL_BAND, BandsMapping
from darts_acquisition.optical.cdse_download import download_cdse_s2_sr_scene
from darts_acquisition.optical.scaling import DN_SCALE, Baseline, baseline_offset, given_scale, known_baseline
from darts_acquisition.optical.scene_store import RawScene, SceneStore
from darts_acquisition.optical.tile import SceneFormat, scene_tile
from darts_utils.errors import ConfigError, DataError
from darts_utils.machine.devices import DeviceSpec

_BASELINE_KEYS = ("processing:version", "s2:processing_baseline")


def load_cdse_s2_sr_scene(  # noqa: PLR0917  (the public signature)
    s2item: Any,
    bands_mapping: BandsMapping = DEFAULT_BANDS_MAPPING,
    store: Path | None = None,
    aws_profile_name: str = "default",
    offline: bool = False,
    output_dir_for_debug_geotiff: Path | None = None,
    device: DeviceSpec = None,  # noqa: ARG001  (part of the public signature; decoding is faster than a transfer)
    *,
    lazy: bool = False,
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
        lazy: Whether digital numbers are kept and become reflectance where they are read, anew each time.

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
        return scene_tile(scene, _FORMAT, bands_mapping, output_dir_for_debug_geotiff, lazy=lazy)


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


_FORMAT = SceneFormat(
    data_source="Sentinel-2 L2A (CDSE)",
    bands=DEFAULT_BANDS_MAPPING,
    scl_band=SCL_BAND,
    scale=reflectance_scale,
    attributes=_attributes,
)
