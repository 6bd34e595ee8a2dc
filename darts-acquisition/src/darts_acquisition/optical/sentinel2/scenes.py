"""Scenes brought from a catalogue into the raw scene store, and read from it as tiles."""

import threading
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import xarray as xr

from darts_acquisition.optical.sentinel2.catalog import OnBytes, SceneCatalog
from darts_acquisition.optical.sentinel2.scene_store import SceneStore, window_attributes, windowed
from darts_acquisition.optical.sentinel2.tile import BandsMapping, scene_tile
from darts_acquisition.services.parallel import at_once
from darts_utils.errors import ConfigError
from darts_utils.machine.cpu import usable_cores
from darts_utils.rasters.window import Window

_IN_HAND = threading.BoundedSemaphore(4 + min(usable_cores(), 4))
"""Files of all scenes that are fetched, unpacked or written at once, so that connections need not wait for cores: what
memory must hold (a quarter of a gigabyte each while it is unpacked), and a kill can lose."""


def download_scene[S](
    catalog: SceneCatalog[S],
    scene: S | str,
    store: Path,
    bands_mapping: BandsMapping | None = None,
    *,
    window: Window | None = None,
    on_bytes: OnBytes = None,
) -> Path:
    """Fetch what a raw scene store lacks of a scene; return where the scene lies.

    A new scene appears whole or not at all, a further band likewise. What is there is not fetched again, nor what a
    killed run had fetched of it; if nothing is lacking, nothing is asked.

    Args:
        catalog: Where it comes from.
        scene: Its id, or what the catalogue says of it.
        store: Folder of the raw scene store.
        bands_mapping: Bands of the source by name, as keys; "all" fetches every band of reflectance. The scene
            classification always comes with them. Those of a tile if not given.
        window: The part that is wanted, None for all of it; it is kept beside whole scenes, under a name of its own.
        on_bytes: Told how many bytes have arrived.

    Raises:
        CredentialsError: If keys are missing or refused.
        ConfigError: If the scene is staged from another collection.
        MissingDataError: If the catalogue or the storage lacks the scene, or the scene lacks a band.
        DataError: If a band does not fit onto the 10 m grid of the others.
        ServiceError: If a service does not answer.
    """
    scenes, mapping = catalog.store(store), catalog.form.bands if bands_mapping is None else bands_mapping
    scene_id = scene if isinstance(scene, str) else catalog.scene_id(scene)
    name, mask = windowed(scene_id, window), catalog.form.mask.name
    catalog.check_staged(scenes, scene)
    if mapping != "all" and not scenes.lacking(scene_id, [*mapping, mask], window):
        return scenes.holding(scene_id, window, [*mapping, mask]).path
    catalog.check_access()
    known = catalog.describe([scene])[scene] if isinstance(scene, str) else scene
    wanted = catalog.every_band(known) if mapping == "all" else list(mapping)
    staged = scenes.open(name).whole_bands if name in scenes else ()
    lacking = [band for band in dict.fromkeys([*wanted, mask]) if band not in staged]
    if lacking:
        catalog.check_bands(known, lacking)
        _bring(catalog, known, scenes, lacking, window=window, on_bytes=on_bytes)
    return scenes.path(name)


def _bring[S](
    catalog: SceneCatalog[S],
    scene: S,
    scenes: SceneStore,
    bands: list[str],
    *,
    window: Window | None,
    on_bytes: OnBytes,
) -> None:
    """Fetch bands into the store: to those that are there, or as a new scene."""
    name = windowed(catalog.scene_id(scene), window)
    if name in scenes:
        scenes.add_bands(name, {band: catalog.fetch(scene, band, window, on_bytes) for band in bands})
        return
    extent = {} if window is None else window_attributes(window, catalog.grid(scene))
    with scenes.stage(name, {**catalog.attributes(scene), **extent}) as partial:
        there = partial.bands

        def bring(band: str) -> None:
            with _IN_HAND:
                partial.add(band, catalog.fetch(scene, band, window, on_bytes))

        at_once(bring, [band for band in bands if band not in there], workers=catalog.files_at_once)


def load_scene[S](
    catalog: SceneCatalog[S],
    scene: S | str,
    bands_mapping: BandsMapping | None = None,
    store: Path | None = None,
    *,
    offline: bool = False,
    window: Window | None = None,
    output_dir_for_debug_geotiff: Path | None = None,
    on_bytes: OnBytes = None,
    lazy: bool = False,
) -> xr.Dataset:
    """Return a Sentinel-2 L2A scene as a tile of surface reflectance and quality.

    Args:
        catalog: Where it comes from.
        scene: Its id, or what the catalogue says of it.
        bands_mapping: Tile variable for each band of the source; "all" takes every staged band, those without a common
            name under their own. Those of a tile if not given.
        store: Folder of the raw scene store; what it lacks is fetched into it. Without one the scene is fetched into a
            temporary folder.
        offline: Only read the store, never the network.
        window: The part that is wanted, None for all of it.
        output_dir_for_debug_geotiff: Folder to also write the digital numbers to, a GeoTIFF a band.
        on_bytes: Told how many bytes have arrived.
        lazy: Whether digital numbers are kept and become reflectance where they are read, anew each time.

    Returns:
        (y, x): `blue green red nir` float32 reflectance, NaN = no data; `s2_scl` uint8, 0 to 11; `quality_data_mask`
        uint8, 0 invalid, 1 low, 2 high quality. Attributes: `azimuth`, `elevation` (sun, degrees, NaN when unknown),
        `tile_id`, `s2_tile_id`, `datetime`.

    Raises:
        ConfigError: If an offline run has no store, or the scene is staged from another collection.
        MissingDataError: If the scene or a band of it is not staged, and cannot be fetched.
        DataError: If staged data is damaged, or the offset of its values is not known.
        CredentialsError: If a scene must be fetched and keys are missing or refused.
        ServiceError: If a scene must be fetched and a service does not answer.
    """
    mapping = catalog.form.bands if bands_mapping is None else bands_mapping
    scene_id = scene if isinstance(scene, str) else catalog.scene_id(scene)
    if store is None and offline:
        raise ConfigError(
            f"no raw scene store is given for {scene_id}; offline runs read scenes from it. "
            "Give one with raw_data_store."
        )
    with TemporaryDirectory(prefix="darts-scene-") if store is None else nullcontext(store) as folder:
        if not offline:
            download_scene(catalog, scene, Path(folder), mapping, window=window, on_bytes=on_bytes)
        bands = () if mapping == "all" else (*mapping, catalog.form.mask.name)
        staged = catalog.store(Path(folder)).holding(scene_id, window, bands)
        return scene_tile(staged, catalog.form, mapping, output_dir_for_debug_geotiff, lazy=lazy)
