"""Chunks of ArcticDEM put together from the mosaic tiles that the service's tile index names."""

import logging
import tempfile
import threading
import zipfile
from operator import itemgetter
from pathlib import Path, PurePosixPath

import geopandas as gpd
import numpy as np
import pystac
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_acquisition.auxiliary.cube import window_around, window_slices
from darts_acquisition.services.archives import check_zip
from darts_acquisition.services.arcticdem import ARCTICDEM, fetch_mosaic, read_mosaic
from darts_acquisition.services.endpoints import endpoint
from darts_acquisition.services.http import fetch_file
from darts_utils.errors import DataError
from darts_utils.files import atomic_file, exclusive_lock
from darts_utils.names import is_id

logger = logging.getLogger(__name__)

NO_DATA_M = np.float32(-9999)
_OVERLAP_M = 100
"""Mosaic tiles reach so far beyond their nominal footprints, whichever of the two an index has."""
_CRS = "EPSG:3413"


class Mosaics:
    """The mosaic tiles of one resolution, by their index.

    Args:
        index: `dem_id` and footprint of every tile, in EPSG:3413.
        resolution: Pixel size in metres.
    """

    def __init__(self, index: gpd.GeoDataFrame, resolution: int) -> None:
        self._index = index
        self._resolution = resolution
        self._items: dict[str, pystac.Item] = {}
        self._lock = threading.Lock()

    def read(self, geobox: GeoBox) -> xr.Dataset | None:
        """Return elevation and data mask on a grid, fetched from the service; None where there is no tile.

        Where tiles overlap, the highest of the values with the highest mask counts, so that their order does not
        matter.

        Returns:
            (y, x): `dem` float32, metres, -9999 = no data; `datamask` bool.

        Raises:
            MissingDataError: If the service lacks a tile that its index names.
            DataError: If what the catalogue says of a tile cannot be used.
            ServiceError: If the service does not answer, or only with damaged rasters.
        """
        tiles = self._tiles(geobox)
        if not tiles:
            return None
        dem, mask = np.full(geobox.shape, NO_DATA_M), np.zeros(geobox.shape, dtype=bool)
        for name, part in tiles:
            item, window = self._item(name), window_slices(geobox, part)
            elevation, has_data = read_mosaic(item, "dem", part), read_mosaic(item, "datamask", part) == 1
            _merge(dem[window], mask[window], elevation, has_data)
            del elevation, has_data  # before the next tile comes
        return xr.Dataset({"dem": wrap_xr(dem, geobox), "datamask": wrap_xr(mask, geobox)})

    def _tiles(self, geobox: GeoBox) -> list[tuple[str, GeoBox]]:
        """Return the names of the tiles on a grid, and the part of the grid that each may cover."""
        ground = geobox.extent.geom
        touched = self._index[self._index.intersects(ground)]
        parts = sorted(zip(touched.dem_id, touched.intersection(ground), strict=True), key=itemgetter(0))
        return [(name, window_around(geobox, part, buffer_px=1)) for name, part in parts if part.area > 0]

    def _item(self, name: str) -> pystac.Item:
        with self._lock:  # or else two threads would ask for the same item
            if name not in self._items:
                self._items[name] = fetch_mosaic(name, self._resolution)
            return self._items[name]


def _merge(dem: np.ndarray, mask: np.ndarray, elevation: np.ndarray, has_data: np.ndarray) -> None:
    """Put another tile into elevation and mask, in place."""
    elevation[np.isnan(elevation)] = NO_DATA_M
    better = (has_data > mask) | ((has_data == mask) & (elevation > dem))
    np.copyto(dem, elevation, where=better)
    np.copyto(mask, has_data, where=better)


def read_index(folder: Path, resolution: int) -> gpd.GeoDataFrame:
    """Return the tile index of a resolution, which is fetched if a folder does not hold it, or a damaged one.

    Args:
        folder: Where the index files are kept.
        resolution: Pixel size of the mosaics in metres.

    Returns:
        `dem_id` of each mosaic tile, and where it may have data, in EPSG:3413.

    Raises:
        DataError: If the service's index cannot be used.
        ServiceError: If the service does not answer.
    """
    path = folder / _index_name(resolution)
    index = _opened(path)
    if index is None:
        with exclusive_lock(folder / ".lock"):
            index = _opened(path)  # another process may have fetched it meanwhile
            if index is None:
                _fetch_index(folder, resolution)
                index = _opened(path)
    if index is None:
        raise DataError(
            f"{ARCTICDEM.name}: {_index_name(resolution)} of the tile index {endpoint('arcticdem_index_url')} cannot "
            "be read. DARTS_ARCTICDEM_INDEX_URL names another one."
        )
    return index


def _index_name(resolution: int) -> str:
    return f"ArcticDEM_Mosaic_Index_v4_1_{resolution}m.parquet"


def _opened(path: Path) -> gpd.GeoDataFrame | None:
    """Return an index file, None if it is missing or damaged."""
    if not path.exists():
        return None
    try:
        index = gpd.read_parquet(path)[["dem_id", "geometry"]].to_crs(_CRS)
    except Exception as error:  # noqa: BLE001  (a damaged file can raise anything; it is fetched again)
        logger.debug("the tile index %s cannot be read: %s", path, error)
        return None
    index["dem_id"] = index.dem_id.astype(str)
    usable = index.dem_id.map(is_id) & ~(index.geometry.isna() | index.geometry.is_empty)
    if not usable.all():
        logger.warning("%d rows of the tile index %s have no usable id or outline", (~usable).sum(), path)
    index = index[usable].copy()
    index.geometry = shapely.buffer(shapely.make_valid(index.geometry.values), _OVERLAP_M, join_style="mitre")
    return index


def _fetch_index(folder: Path, resolution: int) -> None:
    """Fetch the index of all resolutions, and keep the file of one."""
    url, name = endpoint("arcticdem_index_url"), _index_name(resolution)
    logger.info("fetching the ArcticDEM tile index %s", url)
    with tempfile.TemporaryDirectory(prefix="darts-index-") as temporary:
        archive = Path(temporary) / "index.zip"
        fetch_file(ARCTICDEM, url, archive, check=check_zip)
        with zipfile.ZipFile(archive) as parts:
            found = [part for part in parts.namelist() if PurePosixPath(part).name == name]
            if not found:
                held = ", ".join(sorted(PurePosixPath(part).name for part in parts.namelist())[:6])
                raise DataError(
                    f"{ARCTICDEM.name}: the tile index {url} holds no {name} (it has: {held}). "
                    "DARTS_ARCTICDEM_INDEX_URL names another one."
                )
            with atomic_file(folder / name) as file:
                file.write_bytes(parts.read(found[0]))
