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
from functools import partial
from typing import TYPE_CHECKING, Any

import shapely
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.fields import LeftOut, footprint_of, number_or_none
from darts_acquisition.catalog.query import SceneQuery, warn_of_unknown
from darts_acquisition.optical.gee.bands import GRID_BAND
from darts_acquisition.services.earthengine import EARTH_ENGINE, ask, ensure_earthengine
from darts_utils.crs import LONGLAT, checked_grid, outline_on
from darts_utils.errors import ConfigError, DataError, MissingDataError, ServiceError
from darts_utils.machine.threads import inherited
from darts_utils.names import is_id, shown
from darts_utils.objects.antimeridian import wrapped
from darts_utils.search.criteria import named
from darts_utils.search.periods import FIRST_YEAR

if TYPE_CHECKING:
    import ee

logger = logging.getLogger(__name__)

_PAGE_SCENES = 500
_AT_ONCE = 8
CLOUD, SNOW = "CLOUDY_PIXEL_PERCENTAGE", "SNOW_ICE_PERCENTAGE"
_NUMBERS = (CLOUD, SNOW, "MEAN_SOLAR_AZIMUTH_ANGLE", "MEAN_SOLAR_ZENITH_ANGLE", "system:time_start")
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


def search_scenes(query: SceneQuery, collection: str) -> dict[str, GeeScene]:
    """Return the scenes of a collection that match a query, by id, in alphabetical order.

    A scene whose cloud or snow cover is not known is kept, and counted in the log.

    Raises:
        ConfigError: If months or years are asked for: Earth Engine would go through all of its scenes for each.
        CredentialsError: If the credentials are missing or refused.
        ServiceError: If Earth Engine does not answer.
    """
    if query.months is not None or query.years is not None:
        raise ConfigError(
            "month and year filters are not implemented for Earth Engine. "
            "Give start_date and end_date instead (--start-date, --end-date), or another raw_data_source."
        )
    limits = {CLOUD: query.cloud_limit, SNOW: query.snow_limit}
    first_last, codes = query.periods[0], query.mgrs_tiles
    ensure_earthengine()
    wanted = _between(_collection(collection), *first_last)
    if query.area is not None:
        wanted = wanted.filterBounds(_geometry(query.area))
    if codes is not None:
        wanted = _with_tiles(wanted, codes)
    for key, limit in limits.items():
        wanted = wanted if limit is None else _at_most(wanted, key, limit)
    found = {scene.scene_id: scene for scene in _scenes(wanted, collection)}
    warn_of_unknown(found, limits, lambda scene, key: scene.properties.get(key), "on Earth Engine")
    return dict(sorted(found.items()))


def describe_scenes(scene_ids: Sequence[str], collection: str) -> dict[str, GeeScene]:
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
        answers = list(pool.map(inherited(partial(_scene_or_none, collection=collection)), wanted))
    scenes = {scene.scene_id: scene for scene in answers if scene is not None}
    missing = named([scene_id for scene_id in wanted if scene_id not in scenes])
    if not scenes:
        raise MissingDataError(f"{EARTH_ENGINE.name}: {collection} has no scene {missing}. Check the ids.")
    if missing:
        logger.warning("%s has no scene %s in %s; the others go on", EARTH_ENGINE.name, missing, collection)
    return scenes


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
