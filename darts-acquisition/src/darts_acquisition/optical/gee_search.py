"""Finding Sentinel-2 L2A scenes on Earth Engine.

Scenes come as values of image collections, in pages of a list, with one band each to keep a page small: a collection
that is asked for as a whole is refused above 5000 images, and listings of assets know no condition for a property that
is missing.
"""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import shapely
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.areas import Simplify, area_of_interest, wrapped
from darts_acquisition.catalog.criteria import cover_limit, mgrs_tiles, named
from darts_acquisition.catalog.fields import LeftOut, footprint_of, number_or_none
from darts_acquisition.catalog.periods import FIRST_YEAR, periods
from darts_acquisition.optical.gee_bands import GRID_BAND, HARMONIZED
from darts_acquisition.services.earthengine import EARTH_ENGINE, ask, ensure_earthengine
from darts_utils.crs import LONGLAT, checked_grid, outline_on
from darts_utils.errors import ConfigError, DataError, MissingDataError, ServiceError
from darts_utils.names import is_id, shown

if TYPE_CHECKING:
    import ee

logger = logging.getLogger(__name__.replace("darts_", "darts."))

_PAGE_SCENES = 500
_AT_ONCE = 8
_CLOUD, _SNOW = "CLOUDY_PIXEL_PERCENTAGE", "SNOW_ICE_PERCENTAGE"
_NUMBERS = (_CLOUD, _SNOW, "MEAN_SOLAR_AZIMUTH_ANGLE", "MEAN_SOLAR_ZENITH_ANGLE", "system:time_start")
_LARGEST = 1e14
"""Milliseconds since 1970 that a date can be made of."""
_ALWAYS = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class GeeScene:
    """A scene as Earth Engine describes it; it can be pickled."""

    scene_id: str
    collection: str
    properties: dict[str, Any]
    """Its metadata; values that JSON can hold."""
    footprint: BaseGeometry
    """What it covers, in EPSG:4326, in parts where it crosses the antimeridian."""
    geobox: GeoBox
    """Its 10 m grid."""


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
        tiles: MGRS tiles such as `33UVP`; a leading `T` is accepted.
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
    if months is not None or years is not None:
        raise ConfigError(
            "month and year filters are only implemented for cdse. "
            "Give start_date and end_date instead (--start-date, --end-date), or set raw_data_source to cdse."
        )
    if intersects is None and tiles is None:
        raise ConfigError(
            "neither an area nor tiles are given, so the whole world would be searched. Give one of them."
        )
    limits = {
        _CLOUD: cover_limit("max_cloud_cover", max_cloud_cover),
        _SNOW: cover_limit("max_snow_cover", max_snow_cover),
    }
    first_last = periods(start_date, end_date)[0]
    codes = None if tiles is None else mgrs_tiles(tiles)
    area = shapely.geometry.shape(intersects) if isinstance(intersects, dict) else intersects
    ensure_earthengine()
    wanted = _between(_collection(collection), *first_last)
    if area is not None:
        wanted = wanted.filterBounds(_geometry(area))
    if codes is not None:
        wanted = _with_tiles(wanted, codes)
    for key, limit in limits.items():
        wanted = wanted if limit is None else _at_most(wanted, key, limit)
    found = {scene.scene_id: scene for scene in _scenes(wanted, collection)}
    _report_unknown_cover(found, limits)
    return dict(sorted(found.items()))


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
        intersects=area_of_interest(aoi, simplify_geometry),
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
    wanted = list(dict.fromkeys(scene_ids))
    if not wanted:
        return {}
    ensure_earthengine()
    # One question a scene: it is found by its address, while a filter of ids would go through years of scenes.
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="earthengine") as pool:
        answers = list(pool.map(lambda scene_id: _scene_or_none(scene_id, collection), wanted))
    scenes = {scene.scene_id: scene for scene in answers if scene is not None}
    missing = named([scene_id for scene_id in wanted if scene_id not in scenes])
    if not scenes:
        raise MissingDataError(f"{EARTH_ENGINE.name}: {collection} has no scene {missing}. Check the ids.")
    if missing:
        logger.warning("%s has no scene %s in %s; the others go on", EARTH_ENGINE.name, missing, collection)
    return scenes


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


def _collection(collection: str) -> "ee.ImageCollection":
    import ee

    return ee.ImageCollection(collection)


def _between(collection: "ee.ImageCollection", first: datetime | None, last: datetime | None) -> "ee.ImageCollection":
    """Return the images of a period; a whole range, because Earth Engine keeps scenes by their time."""
    start = _ALWAYS[0] if first is None else first
    end = _ALWAYS[1] if last is None else last + timedelta(microseconds=1)  # the end of a range is not part of it
    return collection.filterDate(_milliseconds(start), _milliseconds(end))


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _geometry(area: BaseGeometry) -> "ee.Geometry":
    """Return an area whose edges are straight in degrees, as those of our areas are, and not shortest ways."""
    import ee

    return ee.Geometry(shapely.geometry.mapping(area), geodesic=False)


def _with_tiles(collection: "ee.ImageCollection", codes: list[str]) -> "ee.ImageCollection":
    import ee

    return collection.filter(ee.Filter.inList("MGRS_TILE", codes))


def _at_most(collection: "ee.ImageCollection", key: str, limit: float) -> "ee.ImageCollection":
    """Return the images whose property is at most a limit, or not known."""
    import ee

    return collection.filter(ee.Filter.Or(ee.Filter.lte(key, limit), ee.Filter.notNull([key]).Not()))


def _scenes(wanted: "ee.ImageCollection", collection: str) -> Iterator[GeeScene]:
    """Yield the scenes of a collection page by page; a list is in the order of the ids, hence the same each time."""
    first, left_out = 0, LeftOut(EARTH_ENGINE.name)
    while True:
        page = _value(wanted.select([GRID_BAND]).toList(_PAGE_SCENES, first), f"searching {collection}")
        if not isinstance(page, list):
            raise ServiceError(
                f"{EARTH_ENGINE.name}: {collection} did not answer with a list of scenes but with {shown(page)}. "
                f"{EARTH_ENGINE.advice}"
            )
        for description in page:
            try:
                yield _scene(description, collection)
            except DataError as error:
                left_out.add(description.get("id") if isinstance(description, dict) else description, error)
        if len(page) < _PAGE_SCENES:
            left_out.report()
            return
        first += len(page)


def _scene_or_none(scene_id: str, collection: str) -> GeeScene | None:
    import ee

    image = ee.Image(f"{collection}/{scene_id}").select([GRID_BAND])
    try:
        return _scene(_value(image, f"looking for scene {scene_id}"), collection)
    except MissingDataError:
        return None
    except DataError as error:
        logger.warning("%s: scene %s cannot be used as it is described: %s", EARTH_ENGINE.name, scene_id, error)
        return None


def _value(expression: Any, what: str) -> Any:
    import ee

    return ask(what, lambda: ee.data.computeValue(expression))


def _scene(description: Any, collection: str) -> GeeScene:
    """Return a scene from Earth Engine's description of its image; numbers that are none are dropped as unknown.

    Raises:
        DataError: If it has no id that can name a scene, or no grid.
    """
    try:
        properties = dict(description["properties"])
        band = next(band for band in description["bands"] if band["id"] == GRID_BAND)
        scene_id = str(description.get("id") or properties["system:index"]).rpartition("/")[2]
        width, height = band["dimensions"]
        geobox = checked_grid((height, width), band["crs_transform"], band["crs"], "it")
    except (LookupError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise DataError(f"{type(error).__name__}: {error}") from error
    if not is_id(scene_id):
        raise DataError("it has no id that can name a scene")
    properties = {
        key: value
        for key, value in properties.items()
        if key not in _NUMBERS or (number_or_none(value) is not None and abs(value) < _LARGEST)
    }
    footprint = _footprint(properties.get("system:footprint"), geobox)
    return GeeScene(scene_id=scene_id, collection=collection, properties=properties, footprint=footprint, geobox=geobox)


def _footprint(given: Any, geobox: GeoBox) -> BaseGeometry:
    """Return what a scene covers, cut at the antimeridian; all of its grid where Earth Engine does not say it."""
    if (footprint := footprint_of(given)) is not None:
        return footprint
    shape = outline_on(geobox, LONGLAT, "it", npoints=20)
    return shapely.union_all([wrapped(polygon, projected=True) for polygon in getattr(shape, "geoms", [shape])])


def _report_unknown_cover(found: dict[str, GeeScene], limits: dict[str, float | None]) -> None:
    for key, limit in limits.items():
        unknown = [scene_id for scene_id, scene in found.items() if scene.properties.get(key) is None]
        if unknown and limit is not None:
            logger.warning("%d scenes without %s on Earth Engine are kept: %s", len(unknown), key, named(unknown))
