"""The functions that users' scripts call for scenes of Earth Engine; their signatures are kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import xarray as xr
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.areas import Simplify, area_of_interest
from darts_acquisition.catalog.query import SceneQuery
from darts_acquisition.optical.gee.bands import DEFAULT_BANDS_MAPPING, HARMONIZED
from darts_acquisition.optical.gee.catalog import GeeScenes
from darts_acquisition.optical.gee.search import GeeScene
from darts_acquisition.optical.sentinel2.catalog import OnBytes
from darts_acquisition.optical.sentinel2.scenes import download_scene, load_scene
from darts_acquisition.optical.sentinel2.tile import BandsMapping
from darts_utils.machine.devices import DeviceSpec


def search_gee_s2_sr(  # noqa: PLR0917  (the public signature)
    intersects: BaseGeometry | dict[str, Any] | None = None,
    tiles: Sequence[str] | None = None,
    start_date: str | None = None,
    end_date: str | None = None,
    max_cloud_cover: float | None = 10,
    max_snow_cover: float | None = 10,
    months: Sequence[int] | None = None,
    years: Sequence[int] | None = None,
    *,
    collection: str = HARMONIZED,
) -> dict[str, GeeScene]:
    """Return the scenes that match everything given, by id, in alphabetical order.

    A scene whose cloud or snow cover is not known is kept, and counted in the log.

    Args:
        intersects: Area in EPSG:4326 that a scene must touch, a geometry or GeoJSON.
        tiles: MGRS tiles such as `08WNB`; a leading `T` is accepted.
        start_date: First day, `YYYY-MM-DD`.
        end_date: Last day, included.
        max_cloud_cover: Largest cloud cover in percent; 100 or None for any.
        max_snow_cover: Largest snow cover in percent; 100 or None for any.
        months: Refused: only the Copernicus Data Space is searched by months.
        years: Refused likewise.
        collection: `COPERNICUS/S2_SR_HARMONIZED` or `COPERNICUS/S2_SR`.

    Raises:
        ConfigError: If neither area nor tiles are given, months or years are given, or a value is wrong.
        CredentialsError: If the credentials are missing or refused.
        ServiceError: If Earth Engine does not answer.
    """
    query = SceneQuery.touching(
        intersects,
        tiles=tiles,
        start_date=start_date,
        end_date=end_date,
        max_cloud_cover=max_cloud_cover,
        max_snow_cover=max_snow_cover,
        months=months,
        years=years,
    )
    return GeeScenes(collection).search(query)


def get_gee_s2_sr_scene_ids_from_tile_ids(  # noqa: PLR0917  (the public signature)
    tile_ids: Sequence[str],
    start_date: str | None = None,
    end_date: str | None = None,
    max_cloud_cover: float | None = 10,
    max_snow_cover: float | None = 10,
    months: Sequence[int] | None = None,
    years: Sequence[int] | None = None,
    *,
    collection: str = HARMONIZED,
) -> dict[str, GeeScene]:
    """Return the scenes of MGRS tiles by id; see `search_gee_s2_sr`."""
    return search_gee_s2_sr(
        tiles=tile_ids,
        start_date=start_date,
        end_date=end_date,
        max_cloud_cover=max_cloud_cover,
        max_snow_cover=max_snow_cover,
        months=months,
        years=years,
        collection=collection,
    )


def get_gee_s2_sr_scene_ids_from_geodataframe(  # noqa: PLR0917  (the public signature)
    aoi: gpd.GeoDataFrame | Path | str,
    start_date: str | None = None,
    end_date: str | None = None,
    max_cloud_cover: float | None = 10,
    max_snow_cover: float | None = 10,
    months: Sequence[int] | None = None,
    years: Sequence[int] | None = None,
    simplify_geometry: Simplify = False,
    *,
    collection: str = HARMONIZED,
) -> dict[str, GeeScene]:
    """Return the scenes that touch an area by id; see `search_gee_s2_sr`.

    Args:
        aoi: Polygons in any CRS, or a file of them; all rows together are the area. Polygons may have holes and cross
            the antimeridian or a pole.
        start_date: First day, `YYYY-MM-DD`.
        end_date: Last day, included.
        max_cloud_cover: Largest cloud cover in percent; 100 or None for any.
        max_snow_cover: Largest snow cover in percent; 100 or None for any.
        months: Refused: only the Copernicus Data Space is searched by months.
        years: Refused likewise.
        simplify_geometry: Tolerance, in units of the area's CRS, by which long outlines may be simplified; scenes that
            touch less than that may be lost.
        collection: `COPERNICUS/S2_SR_HARMONIZED` or `COPERNICUS/S2_SR`.
    """
    return search_gee_s2_sr(
        area_of_interest(aoi, simplify_geometry),
        start_date=start_date,
        end_date=end_date,
        max_cloud_cover=max_cloud_cover,
        max_snow_cover=max_snow_cover,
        months=months,
        years=years,
        collection=collection,
    )


def get_gee_s2_sr_scenes(scene_ids: Sequence[str], *, collection: str = HARMONIZED) -> dict[str, GeeScene]:
    """Return what Earth Engine knows of scenes, by id; a warning names the scenes that it does not have.

    Raises:
        MissingDataError: If it has none of them.
        CredentialsError: If the credentials are missing or refused.
        ServiceError: If it does not answer.
    """
    return GeeScenes(collection).describe(scene_ids)


def get_aoi_from_gee_scene_ids(scene_ids: list[str], *, collection: str = HARMONIZED) -> gpd.GeoDataFrame:
    """Return the footprints of scenes in EPSG:4326, one row a scene, with the column `scene_id`.

    Scenes that Earth Engine does not have are named in a warning and left out.

    Raises:
        MissingDataError: If it has none of them.
        CredentialsError: If the credentials are missing or refused.
        ServiceError: If it does not answer.
    """
    scenes = get_gee_s2_sr_scenes(scene_ids, collection=collection)
    footprints = [scene.footprint for scene in scenes.values()]
    return gpd.GeoDataFrame({"scene_id": list(scenes)}, geometry=footprints, crs="EPSG:4326")


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
    return download_scene(GeeScenes(collection), s2item, store, bands_mapping, on_bytes=on_bytes)


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
    return load_scene(
        GeeScenes(collection),
        s2_scene_id,
        bands_mapping,
        store,
        offline=offline,
        output_dir_for_debug_geotiff=output_dir_for_debug_geotiff,
        on_bytes=on_bytes,
        lazy=lazy,
    )
