"""The functions that users' scripts call for scenes of the Copernicus Data Space; their signatures are kept."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pystac
import xarray as xr
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.areas import Simplify, area_of_interest
from darts_acquisition.catalog.fields import footprint_of
from darts_acquisition.catalog.matching import Matches
from darts_acquisition.catalog.query import SceneQuery
from darts_acquisition.optical.cdse.catalog import DEFAULT_BANDS_MAPPING, CdseScenes
from darts_acquisition.optical.sentinel2.scenes import download_scene, load_scene
from darts_acquisition.optical.sentinel2.tile import BandsMapping
from darts_utils.machine.devices import DeviceSpec
from darts_utils.search.criteria import named

logger = logging.getLogger(__name__)

_SCENES = CdseScenes()


def search_cdse_s2_sr(  # noqa: PLR0917  (the public signature)
    intersects: BaseGeometry | dict[str, Any] | None = None,
    tiles: Sequence[str] | None = None,
    start_date: str | None = None,
    end_date: str | None = None,
    max_cloud_cover: float | None = 10,
    max_snow_cover: float | None = 10,
    months: Sequence[int] | None = None,
    years: Sequence[int] | None = None,
) -> dict[str, pystac.Item]:
    """Return the scenes that match everything given, by id, in alphabetical order.

    A scene whose cloud or snow cover the catalogue does not know is kept, and counted in the log.

    Args:
        intersects: Area in EPSG:4326 that a scene must touch, a geometry or GeoJSON.
        tiles: MGRS tiles such as `08WNB`; a leading `T` is accepted.
        start_date: First day, `YYYY-MM-DD`.
        end_date: Last day, included.
        max_cloud_cover: Largest cloud cover in percent; 100 or None for any.
        max_snow_cover: Largest snow cover in percent; 100 or None for any.
        months: Months, 1 to 12, one query each; a date range wins over months and years.
        years: Years; with months alone, every year since the first Sentinel-2 image.

    Raises:
        ConfigError: If neither area nor tiles are given, or a value is wrong.
        ServiceError: If the catalogue does not answer.
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
    return _SCENES.search(query)


def get_cdse_s2_sr_scene_ids_from_tile_ids(  # noqa: PLR0917  (the public signature)
    tile_ids: Sequence[str],
    start_date: str | None = None,
    end_date: str | None = None,
    max_cloud_cover: float | None = 10,
    max_snow_cover: float | None = 10,
    months: Sequence[int] | None = None,
    years: Sequence[int] | None = None,
) -> dict[str, pystac.Item]:
    """Return the scenes of MGRS tiles by id; see `search_cdse_s2_sr`."""
    return search_cdse_s2_sr(
        tiles=tile_ids,
        start_date=start_date,
        end_date=end_date,
        max_cloud_cover=max_cloud_cover,
        max_snow_cover=max_snow_cover,
        months=months,
        years=years,
    )


def get_cdse_s2_sr_scene_ids_from_geodataframe(  # noqa: PLR0917  (the public signature)
    aoi: gpd.GeoDataFrame | Path | str,
    start_date: str | None = None,
    end_date: str | None = None,
    max_cloud_cover: float | None = 10,
    max_snow_cover: float | None = 10,
    months: Sequence[int] | None = None,
    years: Sequence[int] | None = None,
    simplify_geometry: Simplify = False,
) -> dict[str, pystac.Item]:
    """Return the scenes that touch an area by id; see `search_cdse_s2_sr`.

    Args:
        aoi: Polygons in any CRS, or a file of them; all rows together are the area. Polygons may have holes and cross
            the antimeridian or a pole.
        start_date: First day, `YYYY-MM-DD`.
        end_date: Last day, included.
        max_cloud_cover: Largest cloud cover in percent; 100 or None for any.
        max_snow_cover: Largest snow cover in percent; 100 or None for any.
        months: Months, 1 to 12.
        years: Years.
        simplify_geometry: Tolerance, in units of the area's CRS, by which long outlines may be simplified; scenes that
            touch less than that may be lost.
    """
    return search_cdse_s2_sr(
        area_of_interest(aoi, simplify_geometry),
        start_date=start_date,
        end_date=end_date,
        max_cloud_cover=max_cloud_cover,
        max_snow_cover=max_snow_cover,
        months=months,
        years=years,
    )


def get_aoi_from_cdse_s2_sr_scene_ids(scene_ids: list[str]) -> gpd.GeoDataFrame:
    """Return the footprints of scenes in EPSG:4326, one row a scene, with the column `scene_id`.

    They are valid, and in parts where they cross the antimeridian. Scenes that the catalogue no longer has, or whose
    footprint it does not tell, are named in a warning and left out.

    Raises:
        MissingDataError: If it has none of them.
        ServiceError: If it does not answer.
    """
    items = _SCENES.describe(scene_ids)
    known = {scene_id: footprint_of(item.geometry) for scene_id, item in items.items()}
    footprints = {scene_id: footprint for scene_id, footprint in known.items() if footprint is not None}
    if len(footprints) < len(known):
        unknown = [scene_id for scene_id in known if scene_id not in footprints]
        logger.warning(
            "the %s does not tell what scene %s covers; the others go on", _SCENES.service.name, named(unknown)
        )
    return gpd.GeoDataFrame({"scene_id": list(footprints)}, geometry=list(footprints.values()), crs="EPSG:4326")


def match_cdse_s2_sr_scene_ids_from_geodataframe(  # noqa: PLR0917  (the public signature)
    aoi: gpd.GeoDataFrame,
    day_range: int = 60,
    max_cloud_cover: float | None = 20,
    min_intersects: float = 0.7,
    simplify_geometry: Simplify = False,
    save_scores: Path | None = None,
    *,
    cache: Path | None = None,
) -> Matches:
    """Return the best scene of the Copernicus Data Space for each footprint.

    The lowest score wins: (cloud cover in percent / 5)^2 + ((100 - 100 coverage) / 5)^2 + (days apart / 2)^2, with the
    share of the footprint's area that the scene covers and whole days (UTC). Of equal scores that nearest in time wins,
    then the one processed last. A scene of unknown cloud cover counts as overcast. Footprints near each other in space
    and time share a query. One warning sums up those without a scene.

    Args:
        aoi: One footprint a row, polygons in any CRS; column `date`, datetimes (without time zone: UTC). It stays as
            it is. A footprint without a date or an area has no scene.
        day_range: Most days between footprint and scene.
        max_cloud_cover: Largest cloud cover of a scene in percent; 100 or None for any.
        min_intersects: Least share of the footprint's area that a scene must cover, 0..1.
        simplify_geometry: Tolerance, in units of the footprints' CRS, by which outlines may be simplified for the
            query; what is covered is computed from the full outline.
        save_scores: Parquet file to write all candidates and the parts of their scores to.
        cache: JSON file with earlier answers, which is read and added to as answers come in. A footprint is asked for
            again if its outline, its day or a criterion has changed.

    Returns:
        Scenes (without their links), or None, by index of `aoi`, in its order; `reasons` tells why there is none.

    Raises:
        ConfigError: If `aoi` lacks dates or a CRS or has an index twice, or a value is wrong.
        ServiceError: If the catalogue does not answer; what it answered before is in the cache.
        OutputError: If the cache or the scores cannot be written.
    """
    return _SCENES.match(
        aoi,
        day_range=day_range,
        max_cloud_cover=max_cloud_cover,
        min_intersects=min_intersects,
        simplify_geometry=simplify_geometry,
        save_scores=save_scores,
        cache=cache,
    )


def download_cdse_s2_sr_scene(
    s2item: str | pystac.Item,
    store: Path,
    bands_mapping: BandsMapping = DEFAULT_BANDS_MAPPING,
    aws_profile_name: str = "default",
    *,
    on_bytes: Callable[[int], None] | None = None,
) -> Path:
    """Fetch what a raw scene store lacks of a scene; return where the scene lies.

    See `darts_acquisition.optical.sentinel2.scenes.download_scene`.

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
    return download_scene(CdseScenes(aws_profile_name), s2item, store, bands_mapping, on_bytes=on_bytes)


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
        See `darts_acquisition.optical.sentinel2.scenes.load_scene`.

    Raises:
        ConfigError: If an offline run has no store.
        MissingDataError: If the scene or a band of it is not staged, and cannot be fetched.
        DataError: If staged data is damaged, or the processing baseline is unknown.
        CredentialsError: If a scene must be fetched and the keys are missing or refused.
        ServiceError: If a scene must be fetched and a service does not answer.
    """
    return load_scene(
        CdseScenes(aws_profile_name),
        s2item,
        bands_mapping,
        store,
        offline=offline,
        output_dir_for_debug_geotiff=output_dir_for_debug_geotiff,
        lazy=lazy,
    )
