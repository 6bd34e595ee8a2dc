"""The ArcticDEM service of the Polar Geospatial Center: its catalogue, its tile index and its rasters."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import odc.stac
import pystac
import rasterio
import rasterio.cache
import requests
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from darts_acquisition.services.endpoints import endpoint
from darts_acquisition.services.http import RefusedError, fetch_text
from darts_acquisition.services.retry import (
    TRANSIENT_STATUS,
    Limiter,
    RetryPolicy,
    Service,
    TransientError,
    call,
    retry_after_s,
)
from darts_utils.errors import DataError, MissingDataError

ARCTICDEM = Service(
    name="ArcticDEM service",
    advice="Check your connection, or try again later: what is staged stays, and only the rest is fetched.",
    limiter=Limiter(connections=8),
    policy=RetryPolicy(total_s=600),  # one try reads up to 50 MB
)

_PIECE_BYTES = 1 << 19
"""GDAL asks for so much at once: about a block of a mosaic."""
_HIGHEST_M = 100_000
_NO_DATA = {"dem": -9999.0, "datamask": 0}
_DTYPES = {"dem": np.dtype("float32"), "datamask": np.dtype("uint8")}


def fetch_mosaic(dem_id: str, resolution: int) -> pystac.Item:
    """Return the catalogue's item of a mosaic tile, with absolute addresses.

    Raises:
        MissingDataError: If the catalogue has no such item, or the item lacks a raster.
        DataError: If the answer is no STAC item.
        ServiceError: If the catalogue does not answer.
    """
    collection = f"arcticdem-mosaics-v4.1-{resolution}m"
    url = f"{endpoint('arcticdem_stac_url')}/collections/{collection}/items/{dem_id}"
    try:
        text = fetch_text(ARCTICDEM, url)
    except RefusedError as error:
        if error.status != 404:
            raise
        raise MissingDataError(
            f"{ARCTICDEM.name}: the tile index names the mosaic tile {dem_id}, but there is no {url}. "
            "Delete the folder arcticdem_index beside the datacube, and try again."
        ) from error
    try:
        item = pystac.Item.from_dict(json.loads(text), preserve_dict=False)
        item.set_self_href(url)
        item.make_asset_hrefs_absolute()
    except Exception as error:
        raise DataError(f"{ARCTICDEM.name}: {url} is no STAC item ({error}). {ARCTICDEM.advice}") from error
    missing = [band for band in _NO_DATA if band not in item.assets]
    if missing:
        raise MissingDataError(
            f"{ARCTICDEM.name}: the mosaic tile {dem_id} has no {' and no '.join(missing)} at {url}."
        )
    return item


def read_mosaic(item: pystac.Item, band: str, geobox: GeoBox) -> np.ndarray:
    """Return a raster of a mosaic tile on a grid, by nearest neighbour: exact where both share their pixel edges.

    Args:
        item: The tile, as `fetch_mosaic` gives it.
        band: `dem` or `datamask`.
        geobox: The grid, in EPSG:3413.

    Returns:
        (y, x): float32, metres, -9999 = no data; or uint8, 1 = data. Outside of the tile there is no data.

    Raises:
        MissingDataError: If there is no such raster.
        ServiceError: If it cannot be read, or is still damaged, after all retries.
    """
    url = item.assets[band].href
    covering = _covering(item, band, geobox)

    def one_try() -> np.ndarray:
        with rasterio.Env(**_gdal_options()):
            try:
                layers = odc.stac.load(
                    [covering], [band], geobox=geobox, dtype=str(_DTYPES[band]), nodata=_NO_DATA[band], groupby="id"
                )
                return _plausible(layers[band].values[0])
            except (RasterioError, CPLE_BaseError) as error:
                rasterio.cache.invalidate(url)  # or else another try would get the same damaged pieces
                raise _reason(url, error) from error
            except TransientError:
                rasterio.cache.invalidate(url)
                raise

    return call(ARCTICDEM, f"reading {url}", one_try)


def _plausible(values: np.ndarray) -> np.ndarray:
    """Return values if they can be elevations: damaged blocks may decode, above all those compressed with LZW."""
    if (np.abs(values) > _HIGHEST_M).any():
        raise TransientError(f"it is damaged: it holds elevations beyond {_HIGHEST_M:g} m")
    return values


def _covering(item: pystac.Item, band: str, geobox: GeoBox) -> pystac.Item:
    """Return an item with one raster that claims to cover the whole grid.

    odc-stac leaves out items that lie elsewhere, by longitudes where the projection is not given, which fails at the
    antimeridian. What really lies where it learns from the raster itself.
    """
    projection = {
        "proj:code": str(geobox.crs),
        "proj:shape": list(geobox.shape),
        "proj:transform": list(geobox.affine)[:6],
    }
    covering = pystac.Item(item.id, None, None, datetime(2023, 1, 1, tzinfo=UTC), {})
    asset = pystac.Asset(item.assets[band].href, media_type=pystac.MediaType.COG, roles=["data"])
    asset.extra_fields = projection
    covering.stac_extensions = ["https://stac-extensions.github.io/projection/v2.0.0/schema.json"]
    covering.properties |= projection
    covering.add_asset(band, asset)
    return covering


def _gdal_options() -> dict[str, Any]:
    """Return GDAL's settings: timeouts, a few retries of each piece, and no side files looked for.

    One connection a raster: the service's limit counts rasters.
    """
    policy = ARCTICDEM.policy
    return {
        "GDAL_HTTP_CONNECTTIMEOUT": str(math.ceil(policy.connect_timeout_s)),
        "GDAL_HTTP_TIMEOUT": str(math.ceil(policy.read_timeout_s)),
        "GDAL_HTTP_MAX_RETRY": "3",
        "GDAL_HTTP_RETRY_DELAY": str(policy.first_wait_s),
        "GDAL_HTTP_MULTIRANGE": "SERIAL",
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "CPL_VSIL_CURL_CHUNK_SIZE": str(_PIECE_BYTES),
    }


def _reason(url: str, error: Exception) -> Exception:
    """Return why a raster could not be read, if asking for its head tells; GDAL's own words hide the status."""
    policy = ARCTICDEM.policy
    unclear = TransientError(f"it cannot be read: {' '.join(str(error).split())}")
    try:
        with requests.head(
            url, timeout=(policy.connect_timeout_s, policy.read_timeout_s), allow_redirects=True
        ) as response:
            status, asked = response.status_code, retry_after_s(response.headers.get("Retry-After"))
            words = f"{status} {response.reason}"
    except requests.RequestException:
        return unclear
    if status in (404, 410):
        return MissingDataError(f"{ARCTICDEM.name}: there is no {url}, which its catalogue names. Try again later.")
    return TransientError(words, asked) if status in TRANSIENT_STATUS else unclear
