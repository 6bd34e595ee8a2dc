"""Quarterly cloud-free mosaics of Sentinel-2 in the Copernicus Data Space: GeoTIFFs in its storage.

A value is the first quartile of what was seen without clouds in three months. A scene is a tile in a quarter; its parts
(granules) are joined. https://documentation.dataspace.copernicus.eu/Data/SentinelMissions/Sentinel2.html
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

import numpy as np
import pystac
import shapely
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox, geobox_union_conservative
from odc.geo.xr import wrap_xr
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.fields import footprint_of, n_bytes
from darts_acquisition.catalog.query import SceneQuery
from darts_acquisition.catalog.stac import one_of
from darts_acquisition.optical.sentinel2.catalog import OnBytes, SceneCatalog
from darts_acquisition.optical.sentinel2.raw_scene import NO_DATA, RawScene
from darts_acquisition.optical.sentinel2.scaling import DN_SCALE
from darts_acquisition.optical.sentinel2.stac_scenes import RESOLUTION_M, check_assets, items_of, search_each
from darts_acquisition.optical.sentinel2.tile import SceneFormat, observations_in
from darts_acquisition.services.copernicus import CATALOGUE, init_copernicus
from darts_acquisition.services.endpoints import endpoint
from darts_acquisition.services.rasters.s3 import read_raster
from darts_utils.crs import checked_crs, checked_grid
from darts_utils.errors import DataError
from darts_utils.rasters.window import Window

logger = logging.getLogger(__name__)

COLLECTION = "sentinel-2-global-mosaics"
OBSERVATIONS = "observations"
_ADDRESS = "cdse_stac_url"
_PLACE = re.compile(r"_\d_\d$")
_PLACES = ("_0_0", "_0_1", "_1_0", "_1_1")
"""Ends of the ids of granules: they are as large as a tile, so there are no more than two by two."""
_USUAL_FILE_BYTES = 180_000_000
_UNEVEN_PX = 0.01
"""By which the corners of files lie beside the grid: they are written with rounded degrees behind them."""

type Granules = tuple[pystac.Item, ...]
"""Parts of a tile in a quarter; the scene has the id of the first."""


def _attributes(scene: RawScene) -> dict[str, Any]:
    """Return the first moment of the quarter; a mosaic has many suns, so there are no angles."""
    return {"datetime": scene.attributes.get("start_datetime") or scene.attributes.get("datetime", "")}


@dataclass(frozen=True)
class CdseMosaics(SceneCatalog[Granules]):
    """Quarterly mosaics of the Copernicus Data Space."""

    aws_profile_name: str = "default"
    """Profile with the keys to the storage."""

    name = "cdse-mosaic"
    label = "Copernicus quarterly mosaics"
    form = SceneFormat(
        data_source="Sentinel-2 quarterly mosaics (CDSE)",
        bands={"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"},
        mask=observations_in(OBSERVATIONS),
        scale=lambda scene, band: (DN_SCALE, 0.0),  # noqa: ARG005  (the same for all)
        attributes=_attributes,
        dtype="int16",
    )
    stored_as = "cdse-s2-mosaic-"
    has_quarters = True

    def check_access(self) -> None:
        """Check that there is a key pair for the storage."""
        init_copernicus(self.aws_profile_name)

    def search(self, query: SceneQuery) -> dict[str, Granules]:
        """Return the mosaics of tiles and quarters; covers of clouds and snow are not known, so all pass."""
        tiles = query.mgrs_tiles
        where = [] if tiles is None else [one_of("grid:code", [f"MGRS-{tile}" for tile in tiles])]
        items = search_each(CATALOGUE, endpoint(_ADDRESS), (COLLECTION,), [{"where": where}], query)
        joined = (tuple(items[name] for name in names) for _, names in groupby(sorted(items), _stem))
        return {granules[0].id: granules for granules in joined}

    def describe(self, scene_ids: Sequence[str]) -> dict[str, Granules]:
        """Return the granules of each scene, first the one that it is named for."""
        wanted = {scene_id: _granule_ids(scene_id) for scene_id in scene_ids}
        every = [name for names in wanted.values() for name in names]
        items = items_of(CATALOGUE, endpoint(_ADDRESS), (COLLECTION,), scene_ids, every)
        found = {scene_id: tuple(items[name] for name in names if name in items) for scene_id, names in wanted.items()}
        return {scene_id: granules for scene_id, granules in found.items() if scene_id in items}

    def scene_id(self, scene: Granules) -> str:
        """Return the id of the first granule."""
        return str(scene[0].id)

    def grid(self, scene: Granules) -> GeoBox:
        """Return the 10 m grid of all granules."""
        grids = [_grid_of(item) for item in scene]
        try:
            return geobox_union_conservative(grids)
        except ValueError as error:
            raise DataError(f"the granules of {self.scene_id(scene)} lie in several zones. Choose another.") from error

    def covers(self, scene: Granules) -> tuple[float | None, float | None]:  # noqa: ARG002  (there are none)
        """Return nothing: a mosaic is made of what clouds left, and says nothing of snow."""
        return None, None

    def footprint(self, scene: Granules) -> BaseGeometry | None:
        """Return what the granules cover, in EPSG:4326; None if one does not say."""
        parts = [footprint_of(item.geometry) for item in scene]
        return None if any(part is None for part in parts) else shapely.union_all(parts)

    def size_bytes(self, scene: Granules, bands: Sequence[str]) -> int:
        """Return how many bytes files have, as the catalogue says, else as such files usually have."""
        assets = [item.assets[band].extra_fields for item in scene for band in bands if band in item.assets]
        return n_bytes(assets, usual=_USUAL_FILE_BYTES)

    def attributes(self, scene: Granules) -> Mapping[str, Any]:
        """Return the properties of the first granule, and the ids of all."""
        return {**scene[0].properties, "granules": [str(item.id) for item in scene]}

    def every_band(self, scene: Granules) -> list[str]:  # noqa: ARG002  (all have the same)
        """Return the bands of reflectance."""
        return list(self.form.bands)

    def check_bands(self, scene: Granules, bands: Sequence[str]) -> None:
        """Check that all granules have assets of some names."""
        for item in scene:
            check_assets(item, bands, (*self.form.bands, OBSERVATIONS))

    def fetch(self, scene: Granules, band: str, window: Window | None, on_bytes: OnBytes) -> xr.DataArray:  # noqa: ARG002  (whole files only)
        """Return a band on the grid of all granules: int16, -32768 = no data, or observations as uint16."""
        dtype = self.form.mask.dtype if band == OBSERVATIONS else self.form.dtype
        grid, keys = self.grid(scene), init_copernicus(self.aws_profile_name)
        values = np.full(grid.shape, NO_DATA[dtype], dtype=dtype)
        for item in scene:
            asset, own = item.assets[band], _grid_of(item)
            checksum = asset.extra_fields.get("file:checksum")
            raster = read_raster(asset.href, keys, checksum=checksum, on_bytes=on_bytes)
            if _on_10_m(raster.geobox, asset.href) != own or raster.values.dtype != dtype:
                raise DataError(
                    f"{asset.href} is not {dtype}, or not where the catalogue has it. Choose another scene."
                )
            part = values[cast("Any", grid.overlap_roi(own))]
            np.copyto(part, raster.values, where=part == NO_DATA[dtype])  # where granules overlap, the first counts
        logger.debug("fetched band %s of mosaic %s", band, self.scene_id(scene))
        return wrap_xr(values, grid, nodata=None)


def _stem(granule_id: str) -> str:
    """Return the id of a tile in a quarter."""
    return _PLACE.sub("", granule_id)


def _granule_ids(granule_id: str) -> list[str]:
    """Return a granule's id, and those that the others of the tile and quarter may have."""
    return list(dict.fromkeys([granule_id, *(f"{_stem(granule_id)}{place}" for place in _PLACES)]))


def _grid_of(item: pystac.Item) -> GeoBox:
    """Return the 10 m grid of a granule as the catalogue gives it: by its bounds, for there is no transform."""
    for asset in item.assets.values():
        given = {**item.properties, **asset.extra_fields}
        shape, bounds, code = (given.get(f"proj:{name}") for name in ("shape", "bbox", "code"))
        if isinstance(shape, list) and isinstance(bounds, list) and (len(shape), len(bounds)) == (2, 4) and all(shape):
            try:
                west, south, east, north = (float(number) for number in bounds)
                transform = Affine((east - west) / shape[1], 0, west, 0, (south - north) / shape[0], north)
            except (TypeError, ValueError, OverflowError):
                continue
            where = f"the catalogue's entry of {item.id}"
            return _on_10_m(checked_grid(shape, list(transform)[:6], code, where), where)
    raise DataError(f"the catalogue does not give the grid of {item.id} (proj:shape, proj:bbox). Choose another scene.")


def _on_10_m(grid: GeoBox, where: str) -> GeoBox:
    """Return a grid with its corner on a multiple of 10 m, from which it may differ by what rounding leaves.

    Raises:
        DataError: If it is another grid.
    """
    left, top = (round(number / RESOLUTION_M) * RESOLUTION_M for number in (grid.affine.c, grid.affine.f))
    transform = Affine(RESOLUTION_M, 0, left, 0, -RESOLUTION_M, top)
    exact = GeoBox(grid.shape, transform, checked_crs(grid.crs, where))
    if not np.abs(np.subtract(exact.boundingbox.bbox, grid.boundingbox.bbox)).max() <= _UNEVEN_PX * RESOLUTION_M:
        raise DataError(f"the pixels of {where} do not fit a 10 m grid {tuple(grid.affine)[:6]}. Choose another scene.")
    return exact
