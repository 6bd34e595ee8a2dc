"""Finding Sentinel-2 L2A scenes in the catalogue of the Copernicus Data Space."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pystac
import shapely
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.areas import Simplify, area_of_interest
from darts_acquisition.catalog.criteria import cover_limit, mgrs_tiles, named
from darts_acquisition.catalog.fields import footprint_of
from darts_acquisition.catalog.periods import periods
from darts_acquisition.catalog.stac import Filter, at_most, items_by_id, one_of, search_items
from darts_acquisition.services.copernicus import CATALOGUE, COLLECTION
from darts_acquisition.services.endpoints import endpoint
from darts_utils.errors import ConfigError, MissingDataError

logger = logging.getLogger(__name__.replace("darts_", "darts."))


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
        tiles: MGRS tiles such as `33UVP`; a leading `T` is accepted.
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
    if intersects is None and tiles is None:
        raise ConfigError(
            "neither an area nor tiles are given, so the whole world would be searched. Give one of them."
        )
    area = shapely.geometry.shape(intersects) if isinstance(intersects, dict) else intersects
    where = _cover("max_cloud_cover", "eo:cloud_cover", max_cloud_cover)
    where += _cover("max_snow_cover", "eo:snow_cover", max_snow_cover)
    if tiles is not None:
        where.append(one_of("grid:code", grid_codes(tiles)))
    found: dict[str, pystac.Item] = {}
    for period in periods(start_date, end_date, months, years):
        items = search_items(
            CATALOGUE, endpoint("cdse_stac_url"), COLLECTION, intersects=area, period=period, where=where
        )
        found.update({item.id: item for item in items})
    found = dict(sorted(found.items()))
    _report_unknown_cover(found, max_cloud_cover, max_snow_cover)
    return found


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
        intersects=area_of_interest(aoi, simplify_geometry),
        start_date=start_date,
        end_date=end_date,
        max_cloud_cover=max_cloud_cover,
        max_snow_cover=max_snow_cover,
        months=months,
        years=years,
    )


def get_cdse_s2_sr_items(scene_ids: Sequence[str]) -> dict[str, pystac.Item]:
    """Return the catalogue's items by scene id; a warning names the scenes that it no longer has.

    Raises:
        MissingDataError: If it has none of them.
        ServiceError: If it does not answer.
    """
    items = items_by_id(CATALOGUE, endpoint("cdse_stac_url"), COLLECTION, scene_ids)
    missing = [scene_id for scene_id in dict.fromkeys(scene_ids) if scene_id not in items]
    unknown = named(missing)
    if missing and not items:
        raise MissingDataError(
            f"{CATALOGUE.name}: it has no scene {unknown}. "
            "Check the ids; a scene that was processed again has a new one."
        )
    if missing:
        logger.warning("the %s has no scene %s; the others go on", CATALOGUE.name, unknown)
    return items


def get_aoi_from_cdse_s2_sr_scene_ids(scene_ids: list[str]) -> gpd.GeoDataFrame:
    """Return the footprints of scenes in EPSG:4326, one row a scene, with the column `scene_id`.

    They are valid, and in parts where they cross the antimeridian. Scenes that the catalogue no longer has, or whose
    footprint it does not tell, are named in a warning and left out.

    Raises:
        MissingDataError: If it has none of them.
        ServiceError: If it does not answer.
    """
    items = get_cdse_s2_sr_items(scene_ids)
    known = {scene_id: footprint_of(item.geometry) for scene_id, item in items.items()}
    footprints = {scene_id: footprint for scene_id, footprint in known.items() if footprint is not None}
    if len(footprints) < len(known):
        unknown = [scene_id for scene_id in known if scene_id not in footprints]
        logger.warning("the %s does not tell what scene %s covers; the others go on", CATALOGUE.name, named(unknown))
    return gpd.GeoDataFrame({"scene_id": list(footprints)}, geometry=list(footprints.values()), crs="EPSG:4326")


def grid_codes(tile_ids: Sequence[str]) -> list[str]:
    """Return MGRS tiles as the catalogue writes them, such as `MGRS-08WNB` for `T08WNB`, `08WNB` or `8wnb`.

    Raises:
        ConfigError: If one is no MGRS tile, or there is none.
    """
    return [f"MGRS-{tile}" for tile in mgrs_tiles(tile_ids)]


def _cover(name: str, key: str, limit: float | None) -> list[Filter]:
    """Return the condition on a cover in percent, none where everything is welcome."""
    wanted = cover_limit(name, limit)
    return [] if wanted is None else [at_most(key, wanted)]


def _report_unknown_cover(
    found: dict[str, pystac.Item], max_cloud_cover: float | None, max_snow_cover: float | None
) -> None:
    for key, limit in (("eo:cloud_cover", max_cloud_cover), ("eo:snow_cover", max_snow_cover)):
        unknown = [scene_id for scene_id, item in found.items() if item.properties.get(key) is None]
        if unknown and limit is not None and limit != 100:
            logger.warning("%d scenes without %s in the catalogue are kept: %s", len(unknown), key, named(unknown))
