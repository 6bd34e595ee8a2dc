"""The ArcticDEM service of the Polar Geospatial Center: its catalogue, its tile index and its rasters."""

import functools
import json
import math
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pystac
import rasterio
import rasterio.cache
import requests
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from darts_acquisition.services.connections import is_among, same_host
from darts_acquisition.services.endpoints import ASSET_HOSTS, asset_hosts, endpoint
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
from darts_utils.errors import DataError, MissingDataError, one_line

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
        DataError: If the catalogue names an address that must not be asked, or it leads to another one.
        ServiceError: If it cannot be read, or is still damaged, after all retries.
    """
    url = item.assets[band].href
    _check_address(url)

    def one_try() -> np.ndarray:
        with rasterio.Env(CPL_VSIL_CURL_ALLOWED_FILENAME=f"/vsicurl/{url}", **_gdal_options()):
            try:
                _check_stays(url)
                return _plausible(_read(url, band, geobox))
            except (RasterioError, CPLE_BaseError) as error:
                rasterio.cache.invalidate(url)  # or else another try would get the same damaged pieces
                raise _reason(url, error) from error
            except TransientError:
                rasterio.cache.invalidate(url)
                raise

    return call(ARCTICDEM, f"reading {url}", one_try)


def _check_address(url: str) -> None:
    """Do nothing with an address of a raster that may be asked: the catalogue's own host, or https at a known one.

    Raises:
        DataError: If it is another one, be it a file: a catalogue does not decide what this machine opens.
    """
    address, catalogue = urlsplit(url), urlsplit(endpoint("arcticdem_stac_url"))
    hosts = asset_hosts("arcticdem_stac_url")
    own = address.scheme in ("https", catalogue.scheme) and same_host(address, catalogue)
    if not (own or is_among(url, hosts)):
        raise DataError(
            f"{ARCTICDEM.name}: its catalogue names the raster {url}, but rasters are read by https from "
            f"{', '.join([str(catalogue.hostname), *hosts])} only. "
            f"{ASSET_HOSTS['arcticdem_stac_url'].variable} names other hosts."
        )


def _check_stays(url: str) -> None:
    """Do nothing if a raster lies at its address and not elsewhere, where GDAL would follow.

    Raises:
        DataError: If it leads elsewhere.
    """
    target = _redirect(url, endpoint("arcticdem_stac_url"))
    if target is not None:
        raise DataError(f"{ARCTICDEM.name}: {url} leads to {target}, which is not read. {ARCTICDEM.advice}")


@functools.lru_cache(maxsize=4096)
def _redirect(url: str, _catalogue: str) -> str | None:
    policy = ARCTICDEM.policy
    try:
        with requests.head(
            url, timeout=(policy.connect_timeout_s, policy.read_timeout_s), allow_redirects=False
        ) as answer:
            return answer.headers.get("Location", "an unknown place") if answer.is_redirect else None
    except requests.RequestException:
        return None  # GDAL does not come through either


def _read(url: str, band: str, geobox: GeoBox) -> np.ndarray:
    """Return a raster on a grid; only GeoTIFFs are opened, for other formats may name further files."""
    crs, nodata = str(geobox.crs), _NO_DATA[band]
    with rasterio.open(url, driver="GTiff") as source:
        own_nodata = nodata if source.nodata is None else source.nodata
        grid = {"crs": crs, "transform": geobox.affine, "height": geobox.shape[0], "width": geobox.shape[1]}
        with WarpedVRT(source, resampling=Resampling.nearest, src_nodata=own_nodata, nodata=nodata, **grid) as warped:
            return warped.read(1).astype(_DTYPES[band], copy=False)


def _plausible(values: np.ndarray) -> np.ndarray:
    """Return values if they can be elevations: damaged blocks may decode, above all those compressed with LZW."""
    if (np.abs(values) > _HIGHEST_M).any():
        raise TransientError(f"it is damaged: it holds elevations beyond {_HIGHEST_M:g} m")
    return values


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
    unclear = TransientError(f"it cannot be read: {one_line(error)}")
    try:
        with requests.head(
            url, timeout=(policy.connect_timeout_s, policy.read_timeout_s), allow_redirects=False
        ) as response:
            status, asked = response.status_code, retry_after_s(response.headers.get("Retry-After"))
            words = f"{status} {response.reason}"
    except requests.RequestException:
        return unclear
    if status in (404, 410):
        return MissingDataError(f"{ARCTICDEM.name}: there is no {url}, which its catalogue names. Try again later.")
    return TransientError(words, asked) if status in TRANSIENT_STATUS else unclear
