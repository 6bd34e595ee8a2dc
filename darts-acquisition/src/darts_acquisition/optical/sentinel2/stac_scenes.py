"""Catalogues of scenes that speak STAC: what they share."""

import itertools
import logging
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import geopandas as gpd
import pystac
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.fields import footprint_of, grid_of_item, n_bytes, number_or_none
from darts_acquisition.catalog.matching import Matches, match_scenes
from darts_acquisition.catalog.query import SceneQuery, warn_of_unknown
from darts_acquisition.catalog.stac import items_by_id, search_items
from darts_acquisition.catalog.takes import Take, take_of_item
from darts_acquisition.optical.sentinel2.catalog import SceneCatalog
from darts_acquisition.services.endpoints import endpoint
from darts_acquisition.services.rasters.files import Raster
from darts_acquisition.services.retry import Service
from darts_utils.errors import DataError, MissingDataError
from darts_utils.names import is_id
from darts_utils.rasters.window import Window
from darts_utils.search.criteria import named

logger = logging.getLogger(__name__)

RESOLUTION_M = 10
_USUAL_FILE_BYTES = 100_000_000


class StacScenes(SceneCatalog[pystac.Item]):
    """Scenes of a STAC catalogue; of an id in several collections the first counts."""

    service: ClassVar[Service]
    """The catalogue's limits and retries."""
    address: ClassVar[str]
    """Name of its endpoint."""
    collections: ClassVar[tuple[str, ...]]
    cloud: ClassVar[str] = "eo:cloud_cover"
    """Property with the cloud cover in percent."""
    snow: ClassVar[str] = "eo:snow_cover"
    """Property with the snow cover in percent."""

    @property
    def match_key(self) -> Mapping[str, Any]:
        """What of it a kept match depends on."""
        return {"catalog": self.name}

    @abstractmethod
    def conditions(self, query: SceneQuery) -> list[dict[str, Any]]:
        """Return tiles and limits of a query as arguments of `search_items`, one question each."""

    def search(self, query: SceneQuery) -> dict[str, pystac.Item]:
        """Return the scenes that match a query, by id, in alphabetical order."""
        found = search_each(self.service, endpoint(self.address), self.collections, self.conditions(query), query)
        limits = {self.cloud: query.cloud_limit, self.snow: query.snow_limit}
        warn_of_unknown(found, limits, lambda item, key: item.properties.get(key), "in the catalogue")
        return found

    def describe(self, scene_ids: Sequence[str]) -> dict[str, pystac.Item]:
        """Return the catalogue's items by scene id; a warning names the scenes that it no longer has."""
        items = items_of(self.service, endpoint(self.address), self.collections, scene_ids)
        return {scene_id: items[scene_id] for scene_id in scene_ids if scene_id in items}

    def match(self, footprints: gpd.GeoDataFrame, **criteria: Any) -> Matches:
        """Return the best scene for each footprint."""
        return match_scenes(self, footprints, **criteria)

    def scene_id(self, scene: pystac.Item) -> str:
        """Return the id of an item."""
        return str(scene.id)

    def take(self, scene: pystac.Item) -> Take | None:
        """Return which take an item is, by the name of its product."""
        return take_of_item(scene)

    def grid(self, scene: pystac.Item) -> GeoBox:
        """Return the 10 m grid of a scene as the catalogue gives it."""
        return grid_of_item(scene, RESOLUTION_M)

    def covers(self, scene: pystac.Item) -> tuple[float | None, float | None]:
        """Return cloud and snow cover of a scene in percent, None where that is unknown."""
        return number_or_none(scene.properties.get(self.cloud)), number_or_none(scene.properties.get(self.snow))

    def footprint(self, scene: pystac.Item) -> BaseGeometry | None:
        """Return what a scene covers, in EPSG:4326; None if it does not say."""
        return footprint_of(scene.geometry)

    def size_bytes(self, scene: pystac.Item, bands: Sequence[str]) -> int:
        """Return how many bytes files have, as the catalogue says, else as such files usually have."""
        assets = [scene.assets[band].extra_fields for band in bands if band in scene.assets]
        return n_bytes(assets, usual=_USUAL_FILE_BYTES)

    def attributes(self, scene: pystac.Item) -> Mapping[str, Any]:
        """Return the properties of an item, and its collection."""
        return scene.properties

    def every_band(self, scene: pystac.Item) -> list[str]:
        """Return the bands of reflectance of a scene that are no resampled copies of others."""
        wanted = {"reflectance", "sampling:original"}
        return [
            name for name, asset in scene.assets.items() if is_id(name) and wanted <= {*map(str, asset.roles or ())}
        ]

    def check_bands(self, scene: pystac.Item, bands: Sequence[str]) -> None:
        """Check that a scene has assets of some names."""
        check_assets(scene, bands, [name for name in scene.assets if self._is_band(name)])

    def _is_band(self, name: str) -> bool:
        """Tell whether an asset is worth naming as a band."""
        return bool(name)


def search_each(
    service: Service,
    address: str,
    collections: Sequence[str],
    conditions: Sequence[Mapping[str, Any]],
    query: SceneQuery,
) -> dict[str, pystac.Item]:
    """Return all items that match, by id, in alphabetical order; of an id in several collections the first counts.

    Args:
        service: The catalogue's limits and retries.
        address: Its address.
        collections: Names of its collections.
        conditions: Arguments of `search_items`, one question each.
        query: Area and times.
    """
    found: dict[str, pystac.Item] = {}
    questions = list(itertools.product(conditions, query.periods))
    for collection in collections:
        for condition, period in questions:
            items = search_items(service, address, collection, intersects=query.area, period=period, **condition)
            found = {item.id: item for item in items} | found
    return dict(sorted(found.items()))


def items_of(
    service: Service,
    address: str,
    collections: Sequence[str],
    scene_ids: Sequence[str],
    asked: Sequence[str] | None = None,
) -> dict[str, pystac.Item]:
    """Return the items of scenes by id; a warning names the scenes that the catalogue no longer has.

    Args:
        service: The catalogue's limits and retries.
        address: Its address.
        collections: Names of its collections; of an id in several the first counts.
        scene_ids: Ids that it should have.
        asked: Ids to ask for, if those are more.

    Raises:
        MissingDataError: If it has no scene.
    """
    items: dict[str, pystac.Item] = {}
    for collection in collections:
        if unknown := [scene_id for scene_id in (scene_ids if asked is None else asked) if scene_id not in items]:
            items |= items_by_id(service, address, collection, unknown)
    missing = [scene_id for scene_id in dict.fromkeys(scene_ids) if scene_id not in items]
    if missing and len(missing) == len({*scene_ids}):
        raise MissingDataError(
            f"{service.name}: it has no scene {named(missing)}. "
            "Check the ids; a scene that was processed again has a new one."
        )
    if missing:
        logger.warning("the %s has no scene %s; the others go on", service.name, named(missing))
    return items


def check_assets(item: pystac.Item, bands: Sequence[str], known: Iterable[str]) -> None:
    """Check that an item has assets of some names.

    Raises:
        MissingDataError: If not; the message names those that it has.
    """
    if missing := [name for name in bands if name not in item.assets]:
        has = ", ".join(sorted(name for name in known if name in item.assets))
        raise MissingDataError(
            f"scene {item.id} has no band {', '.join(missing)} (it has: {has}). Correct bands_mapping."
        )


def on_10_m_grid(raster: Raster, url: str) -> xr.DataArray:
    """Return a raster of 10, 20 or 60 m on the 10 m grid with the same corners: each pixel is repeated.

    That is the nearest neighbour, for the pixels of all resolutions share their edges.

    Raises:
        DataError: If its pixels are not square, north up, and a multiple of 10 m.
    """
    times = times_10_m(raster.geobox, url)
    transform = raster.geobox.affine
    values = raster.values.repeat(times, axis=0).repeat(times, axis=1) if times > 1 else raster.values
    return wrap_xr(values, GeoBox(values.shape, transform * Affine.scale(1 / times), raster.geobox.crs))


def part_on_10_m_grid(raster: Raster, url: str, window: Window) -> xr.DataArray:
    """Return a window of the 10 m grid, of which a raster of 10, 20 or 60 m covers all and no more than it must."""
    times = times_10_m(raster.geobox, url)
    inside = window.within(window.coarser(times).finer(times))
    return on_10_m_grid(raster, url)[inside.rows, inside.columns]


def times_10_m(grid: GeoBox, url: str) -> int:
    """Return how many times 10 m the pixels of a grid have.

    Raises:
        DataError: If they are not square, north up, and a multiple of 10 m.
    """
    transform = grid.affine
    times = round(transform.a / RESOLUTION_M)
    size_m = times * RESOLUTION_M
    if times < 1 or (transform.a, transform.b, transform.d, transform.e) != (size_m, 0, 0, -size_m):
        raise DataError(f"the pixels of {url} do not fit a 10 m grid {tuple(transform)[:6]}. Choose another scene.")
    return times
