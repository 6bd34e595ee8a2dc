"""Element 84's Earth Search as a catalogue of Sentinel-2 scenes: cloud-optimised GeoTIFFs that need no account.

Its two collections are both incomplete: `sentinel-2-c1-l2a` lacks some years, `sentinel-2-l2a` some processings.
"""

import logging
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pystac
import xarray as xr

from darts_acquisition.catalog.fields import footprint_of
from darts_acquisition.catalog.query import SceneQuery
from darts_acquisition.catalog.takes import Take, baseline_number, take_of_product
from darts_acquisition.optical.sentinel2.catalog import OnBytes
from darts_acquisition.optical.sentinel2.scaling import DN_SCALE, baseline_offset, known_baseline
from darts_acquisition.optical.sentinel2.scene_store import RawScene
from darts_acquisition.optical.sentinel2.stac_scenes import StacScenes, on_10_m_grid, part_on_10_m_grid, times_10_m
from darts_acquisition.optical.sentinel2.tile import SceneFormat, classes_in
from darts_acquisition.services.endpoints import ASSET_HOSTS, asset_hosts, endpoint
from darts_acquisition.services.rasters.https import check_hosts, read_whole, read_window
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service
from darts_utils.errors import DataError
from darts_utils.names import is_id
from darts_utils.rasters.row_blocks import row_blocks
from darts_utils.rasters.window import Window

logger = logging.getLogger(__name__)

CATALOGUE = Service(
    name="Earth Search",
    advice="Check your connection, or try again later; DARTS_EARTHSEARCH_STAC_URL names another catalogue.",
    limiter=Limiter(per_second=5, connections=4),
)
STORAGE = Service(
    name="Earth Search storage",
    advice="Check your connection, or try again later: what is staged stays, and only the rest is fetched.",
    limiter=Limiter(connections=8),
    policy=RetryPolicy(attempts=5, total_s=900),  # a band has 200 MB
)
_ADDRESS = "earthsearch_stac_url"
_COLLECTIONS = ("sentinel-2-c1-l2a", "sentinel-2-l2a")
_ID = re.compile(r"(S2[A-Z])_T?(\d{1,2}[A-Z]{3})_\d{8}(?:T\d{6})?_(?:(\d+)_)?L2A")
_APPLIED, _BASELINE, _PRODUCT = "earthsearch:boa_offset_applied", "s2:processing_baseline", "s2:product_uri"
_NO_REFLECTANCE = ("scl", "aot", "wvp")
_LAND = (4, 5)
"""Classes of vegetation and bare ground, which reflect more than nothing."""
_MOST_BELOW_0 = 0.05


def _scale(scene: RawScene, band: str) -> tuple[float, float]:  # noqa: ARG001  (the same for all)
    """Return scale and offset: what the service says of having applied it counts, and not `raster:bands`.

    Raises:
        DataError: If neither that nor the processing baseline is known: then the reflectance would be a guess.
    """
    if scene.attributes.get(_APPLIED) is True:
        return DN_SCALE, 0.0
    baseline = known_baseline([scene.attributes[_BASELINE]] if _BASELINE in scene.attributes else [])
    if baseline is None:
        raise DataError(
            f"scene {scene.scene_id} tells neither whether its offset was applied ({_APPLIED}) nor a known processing "
            f"baseline ({_BASELINE} is {scene.attributes.get(_BASELINE)}). Take it from another source."
        )
    return DN_SCALE, baseline_offset(baseline)


def _check_offset(scene: RawScene, numbers: Mapping[str, np.ndarray], classes: np.ndarray, offset: float) -> None:
    """Refuse a scene whose offset was applied although it says otherwise, as is known of the service.

    Raises:
        DataError: If more than a twentieth of its land would reflect less than nothing.
    """
    if offset == 0:
        return
    lowest, n_land, n_below = round(-offset / DN_SCALE), 0, 0
    for rows in row_blocks(len(classes)):
        land = np.isin(classes[rows], _LAND)
        below = np.zeros_like(land)
        for values in numbers.values():
            below |= (values[rows] > 0) & (values[rows] < lowest)
        n_land, n_below = n_land + int(land.sum()), n_below + int((below & land).sum())
    share = n_below / max(n_land, 1)
    if share > _MOST_BELOW_0:
        raise DataError(
            f"scene {scene.scene_id} says that the offset is not applied to its values, but {100 * share:.0f} % of its "
            "land would reflect less than nothing with it. Take it from another source."
        )


def _half_hour(moment: datetime | None) -> str:
    """Return the half hour nearest to a time: orbits follow one another in 100 minutes."""
    return "" if moment is None else str(round(moment.timestamp() / 1800))


def _attributes(scene: RawScene) -> dict[str, Any]:
    given = scene.attributes
    sun = {"azimuth": given.get("view:sun_azimuth"), "elevation": given.get("view:sun_elevation")}
    origin = {"processing_baseline": given.get(_BASELINE), "collection": given.get("collection")}
    return {**sun, **origin, "datetime": given.get("datetime", "")}


class EarthSearchScenes(StacScenes):
    """Sentinel-2 L2A scenes of Earth Search."""

    name = "earthsearch"
    label = "Earth Search"
    form = SceneFormat(
        data_source="Sentinel-2 L2A (Earth Search)",
        bands={"blue": "blue", "green": "green", "red": "red", "nir": "nir"},
        mask=classes_in("scl"),
        scale=_scale,
        attributes=_attributes,
        check=_check_offset,
    )
    has_windows = True
    service = CATALOGUE
    address = _ADDRESS
    collections = _COLLECTIONS
    snow = "s2:snow_ice_percentage"

    def conditions(self, query: SceneQuery) -> list[dict[str, Any]]:
        """Return limits, and a question for each tile with and without its leading zero.

        Items whose cover is unknown are not found. Tiles are not asked for together: not every server knows `in`.
        """
        limits = {self.cloud: query.cloud_limit, self.snow: query.snow_limit}
        wanted: dict[str, dict[str, Any]] = {key: {"lte": limit} for key, limit in limits.items() if limit is not None}
        if (tiles := query.mgrs_tiles) is None:
            return [{"query": wanted or None}]
        spelled = dict.fromkeys(name for tile in tiles for name in (tile, tile.removeprefix("0")))
        return [{"query": {**wanted, "grid:code": {"eq": f"MGRS-{name}"}}} for name in spelled]

    def take(self, scene: pystac.Item) -> Take | None:
        """Return which take an item is: by its product, or else by satellite, tile and half hour."""
        footprint, given = footprint_of(scene.geometry), scene.properties
        found, product = _ID.fullmatch(str(scene.id)), take_of_product(str(given.get(_PRODUCT)), footprint)
        if found is None or (product is None and scene.datetime is None):
            return None
        satellite, tile, sequence = found.groups()
        return Take(
            seen=(satellite, _half_hour(scene.datetime), tile.zfill(5)) if product is None else product.seen,
            baseline=baseline_number(str(given.get(_BASELINE))),
            made=str(given.get("s2:generation_time") or given.get("created") or "") + (sequence or "").zfill(4),
            footprint=footprint,
            preferred=int(scene.collection_id == _COLLECTIONS[0]),
        )

    def attributes(self, scene: pystac.Item) -> Mapping[str, Any]:
        """Return the properties of an item, and its collection."""
        return {**scene.properties, "collection": scene.collection_id}

    def every_band(self, scene: pystac.Item) -> list[str]:
        """Return the bands of reflectance that are GeoTIFFs; the catalogue calls other bands so, too."""
        roles = {name: {*map(str, asset.roles or ())} for name, asset in scene.assets.items() if is_id(name)}
        found = [name for name, given in roles.items() if "reflectance" in given and not name.endswith("-jp2")]
        return [name for name in found if name not in _NO_REFLECTANCE]

    @property
    def identity(self) -> dict[str, Any]:
        """The collection: the same take may be processed otherwise in the other one."""
        return {"collection": None}

    def fetch(self, scene: pystac.Item, band: str, window: Window | None, on_bytes: OnBytes) -> xr.DataArray:
        """Return a band as digital numbers on the scene's 10 m grid, uint16 or uint8, 0 = no data."""
        asset = scene.assets[band]
        url, hosts = asset.href, asset_hosts(_ADDRESS)
        check_hosts(STORAGE, url, endpoint(_ADDRESS), hosts, ASSET_HOSTS[_ADDRESS].variable)
        logger.debug("fetching band %s of scene %s", band, scene.id)
        if window is None:
            checksum = asset.extra_fields.get("file:checksum")
            return on_10_m_grid(read_whole(STORAGE, url, checksum=checksum, on_bytes=on_bytes), url)
        raster = read_window(STORAGE, url, lambda grid: window.coarser(times_10_m(grid, url)), on_bytes)
        return part_on_10_m_grid(raster, url, window)
