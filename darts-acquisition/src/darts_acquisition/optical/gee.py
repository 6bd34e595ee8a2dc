"""Sentinel-2 L2A scenes of Earth Engine as tiles."""

import re
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import xarray as xr

from darts_acquisition.optical.gee_bands import DEFAULT_BANDS_MAPPING, HARMONIZED, RAW, SCL_BAND
from darts_acquisition.optical.gee_download import OnBytes, download_gee_s2_sr_scene
from darts_acquisition.optical.gee_search import GeeScene
from darts_acquisition.optical.scaling import DN_SCALE, baseline_offset, given_scale, known_baseline
from darts_acquisition.optical.scene_store import RawScene, SceneStore
from darts_acquisition.optical.tile import BandsMapping, SceneFormat, scene_tile
from darts_utils.errors import ConfigError, DataError
from darts_utils.machine.devices import DeviceSpec


def load_gee_s2_sr_scene(  # noqa: PLR0917  (the public signature)
    s2_scene_id: str | GeeScene,
    bands_mapping: BandsMapping = DEFAULT_BANDS_MAPPING,
    store: Path | None = None,
    offline: bool = False,
    output_dir_for_debug_geotiff: Path | None = None,
    device: DeviceSpec = None,  # noqa: ARG001  (part of the public signature; decoding is faster than a transfer)
    *,
    collection: str = HARMONIZED,
    on_bytes: OnBytes = None,
    lazy: bool = False,
) -> xr.Dataset:
    """Return a Sentinel-2 L2A scene as a tile of surface reflectance and quality.

    Args:
        s2_scene_id: Id of the scene, or the scene as a search gave it.
        bands_mapping: Tile variable for each band of the source; "all" takes every staged band, those without a common
            name under their own.
        store: Folder of the raw scene store; what it lacks is fetched into it. Without one the scene is fetched into a
            temporary folder.
        offline: Only read the store, never the network.
        output_dir_for_debug_geotiff: Folder to also write the digital numbers to, a GeoTIFF a band.
        device: Accepted for symmetry with the other steps; a scene is always decoded in host memory.
        collection: Where the scene of an id is fetched from, `COPERNICUS/S2_SR_HARMONIZED` or `COPERNICUS/S2_SR`.
        on_bytes: Called with the size of each fetched piece as it comes, in bytes without compression.
        lazy: Whether digital numbers are kept and become reflectance where they are read, anew each time.

    Returns:
        (y, x): `blue green red nir` float32 reflectance, NaN = no data; `s2_scl` uint8, 0 to 11; `quality_data_mask`
        uint8, 0 invalid, 1 low, 2 high quality. Attributes: `azimuth`, `elevation` (sun, degrees, NaN when unknown),
        `tile_id`, `s2_tile_id`, `datetime`.

    Raises:
        ConfigError: If an offline run has no store, or the scene is staged from another collection.
        MissingDataError: If the scene or a band of it is not staged, and cannot be fetched.
        DataError: If staged data is damaged, or the offset of its values is not known.
        CredentialsError: If a scene must be fetched and the credentials are missing or refused.
        ServiceError: If a scene must be fetched and Earth Engine refuses or does not answer.
    """
    scene_id = s2_scene_id if isinstance(s2_scene_id, str) else s2_scene_id.scene_id
    if store is None and offline:
        raise ConfigError(
            f"no raw scene store is given for {scene_id}; offline runs read scenes from it. "
            "Give one with raw_data_store."
        )
    with TemporaryDirectory(prefix="darts-scene-") if store is None else nullcontext(store) as folder:
        if not offline:
            download_gee_s2_sr_scene(s2_scene_id, Path(folder), bands_mapping, collection=collection, on_bytes=on_bytes)
        scene = SceneStore(Path(folder), "gee").open(scene_id)
        return scene_tile(scene, _FORMAT, bands_mapping, output_dir_for_debug_geotiff, lazy=lazy)


def reflectance_scale(scene: RawScene, band: str) -> tuple[float, float]:
    """Return scale and offset of a band.

    The harmonized collection carries no offset; in the other one the processing baseline of the scene decides.

    Raises:
        DataError: If the collection is another one, or neither the baseline nor the band tells the offset: then the
            reflectance would be a guess.
    """
    collection = scene.attributes.get("collection", HARMONIZED)
    if collection == HARMONIZED:
        return DN_SCALE, 0.0
    if collection != RAW:
        raise DataError(
            f"how the scene {scene.path} of {collection} is scaled is not known; it must be of {HARMONIZED} or {RAW}. "
            "Stage it again."
        )
    texts = _baseline_texts(scene)
    baseline = known_baseline(texts)
    if baseline is not None:
        return DN_SCALE, baseline_offset(baseline)
    scale, offset = given_scale(scene, band) or (DN_SCALE, None)
    if offset is not None:
        return scale, offset
    told = f"is {texts[0]}, which does not say" if texts else "is not in its metadata (PROCESSING_BASELINE), which says"
    raise DataError(
        f"the processing baseline of the scene {scene.path} of {RAW} {told} whether its values carry an offset. "
        f"Delete it and stage it again, or take it from {HARMONIZED}, which has none."
    )


def _baseline_texts(scene: RawScene) -> list[object]:
    """Return where Earth Engine may name a scene's processing baseline: by itself, and in the name of the product."""
    given = scene.attributes
    named = [given["PROCESSING_BASELINE"]] if given.get("PROCESSING_BASELINE") is not None else []
    in_product = re.search(r"_(N\d{4})_", str(given.get("PRODUCT_ID")))
    return [*named, in_product[1]] if in_product else named


def _attributes(scene: RawScene) -> dict[str, Any]:
    """Return sun angles, time and origin from Earth Engine's metadata, or else as earlier releases staged them."""
    given = scene.attributes
    zenith = given.get("MEAN_SOLAR_ZENITH_ANGLE")
    return {
        "azimuth": given.get("MEAN_SOLAR_AZIMUTH_ANGLE", given.get("azimuth")),
        "elevation": given.get("elevation") if zenith is None else 90 - float(zenith),
        "datetime": given.get("datetime", ""),
        "processing_baseline": given.get("PROCESSING_BASELINE"),
        "collection": given.get("collection", HARMONIZED),
    }


_FORMAT = SceneFormat(
    data_source="Sentinel-2 L2A (Earth Engine)",
    bands=DEFAULT_BANDS_MAPPING,
    scl_band=SCL_BAND,
    scale=reflectance_scale,
    attributes=_attributes,
)
