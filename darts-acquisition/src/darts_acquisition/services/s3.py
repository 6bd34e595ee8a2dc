"""Rasters in the storage of the Copernicus Data Space, read through GDAL."""

import functools
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import numpy as np
import rasterio
import rasterio.cache
import rasterio.shutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.session import Session

from darts_acquisition.services.copernicus import S3_REGION, STORAGE, CopernicusKeys, refused_keys
from darts_acquisition.services.endpoints import endpoint
from darts_acquisition.services.retry import TRANSIENT_STATUS, TransientError, call, retry_after_s
from darts_utils.crs import checked_crs
from darts_utils.errors import DataError, MissingDataError, ServiceError
from darts_utils.names import shown

_DECODING_TRIES = 3
_KEYS_REFUSED = ("ExpiredToken", "InvalidToken", "TokenRefreshRequired")
"""Errors about keys that come with the status 400."""
_ADDRESS = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9.-]*(/[A-Za-z0-9_][A-Za-z0-9_.+=:@-]*)+")
"""No part of a key begins with a dot, so that the name of the copy is one, and stays in its folder."""
_FORMATS = {"jp2": "JP2OpenJPEG", "tif": "GTiff", "tiff": "GTiff"}
"""GDAL's drivers by the endings of keys; other formats may name further files for GDAL to open."""
_PIECE_BYTES = 1 << 20
"""GDAL asks for so much at once: a band is wanted whole, so few large requests serve better than many small ones."""


_HASH_OF_PREFIX = {"1220": "sha256", "1340": "sha512", "1440": "sha3_512", "1620": "sha3_256", "d50110": "md5"}
"""Kinds of checksum by the first bytes of a multihash (code and length)."""


@dataclass(frozen=True, kw_only=True)
class Raster:
    """The first band of a raster file, (y, x), with its grid."""

    values: np.ndarray
    geobox: GeoBox


class _KeySession(Session):
    """Hands a key pair to GDAL, whatever other keys the environment holds."""

    def __init__(self, keys: CopernicusKeys) -> None:
        self._keys = keys

    @classmethod
    def hascreds(cls, config: dict[str, Any]) -> bool:
        return {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(config)

    def get_credential_options(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self._keys.access_key,
            "AWS_SECRET_ACCESS_KEY": self._keys.secret_key,
            "AWS_SESSION_TOKEN": self._keys.token or "",
        }


def read_raster(
    url: str, keys: CopernicusKeys, *, checksum: str | None = None, on_bytes: Callable[[int], None] | None = None
) -> Raster:
    """Return the first band of a raster in the storage, with the storage's limits and retries.

    The file is fetched whole by GDAL into a temporary folder, compared with its checksum, and decoded from there:
    damaged JPEG 2000 decodes without an error into wrong numbers. While it is decoded, its connection serves others.

    Args:
        url: `s3://bucket/key`.
        keys: The key pair to sign with.
        checksum: What the file must be, as the catalogue gives it (a multihash in hexadecimal).
        on_bytes: Told how many bytes have arrived.

    Raises:
        CredentialsError: If the storage refuses the keys.
        MissingDataError: If there is no such object.
        DataError: If the address is none in the storage, or the object has no georeference.
        ServiceError: If it cannot be read, or is still damaged, after all retries.
    """
    _check_address(url)
    with TemporaryDirectory(prefix="darts-raster-") as folder:
        file = Path(folder) / PurePosixPath(urlsplit(url).path).name
        for _ in range(_DECODING_TRIES):
            call(STORAGE, f"reading {url}", lambda: _fetch(url, file, keys, checksum))
            try:
                raster = _decode(file, url)
            except (RasterioError, CPLE_BaseError) as error:
                reason = " ".join(str(error).split())
                continue
            if on_bytes is not None:
                on_bytes(file.stat().st_size)
            return raster
    raise ServiceError(
        f"{STORAGE.name}: {url} arrived {_DECODING_TRIES} times but cannot be decoded ({reason}). {STORAGE.advice}"
    )


def _check_address(url: str) -> None:
    """Do nothing with the address of an object in the storage: GDAL would open whatever else a catalogue names.

    Raises:
        DataError: If it is none.
    """
    if not _ADDRESS.fullmatch(url):
        raise DataError(
            f"{STORAGE.name}: the catalogue names the file {shown(url)}, but only s3://bucket/key is read. "
            "Leave this scene out."
        )


def _fetch(url: str, file: Path, keys: CopernicusKeys, checksum: str | None) -> None:
    """Copy and check a file of the storage: one try."""
    try:
        _copy(url, file, keys)
    except (RasterioError, CPLE_BaseError) as error:
        _raise_reason(url, keys)
        raise TransientError(f"it cannot be read: {' '.join(str(error).split())}") from error
    _check(file, checksum)


def _copy(url: str, file: Path, keys: CopernicusKeys) -> None:
    """Copy a file of the storage; what GDAL remembers of it is cleared, so that another try asks again."""
    with rasterio.Env(_KeySession(keys), **_gdal_options()):
        try:
            rasterio.shutil.copyfiles(url, file)
        finally:
            rasterio.cache.invalidate(url)  # with the keys still set, or else GDAL looks for others on the network


def _check(file: Path, checksum: str | None) -> None:
    """Compare a file with its checksum; one of an unknown kind is not compared."""
    for prefix, kind in _HASH_OF_PREFIX.items():
        if checksum is not None and checksum.startswith(prefix):
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, kind).hexdigest()
            if digest != checksum.removeprefix(prefix).lower():
                raise TransientError("it arrived damaged: its checksum is not that of the catalogue")


def _decode(file: Path, url: str) -> Raster:
    driver = _FORMATS.get(file.suffix.lower().lstrip("."), "JP2OpenJPEG")
    with rasterio.Env(CPL_VSIL_CURL_ALLOWED_FILENAME="-"), rasterio.open(file, driver=driver) as raster:
        crs = checked_crs(raster.crs, url)
        return Raster(values=raster.read(1), geobox=GeoBox(raster.shape, raster.transform, crs))


def _gdal_options() -> dict[str, Any]:
    """Return GDAL's settings for the storage: path-style addresses, timeouts, and a few retries of each piece."""
    address, policy = urlsplit(endpoint("cdse_s3_endpoint")), STORAGE.policy
    return {
        "AWS_S3_ENDPOINT": f"{address.netloc}{address.path}",
        "AWS_HTTPS": "YES" if address.scheme == "https" else "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_REGION": S3_REGION,
        "AWS_DEFAULT_REGION": S3_REGION,
        "AWS_NO_SIGN_REQUEST": "NO",
        "AWS_REQUEST_PAYER": "",
        "GDAL_HTTP_CONNECTTIMEOUT": str(int(np.ceil(policy.connect_timeout_s))),
        "GDAL_HTTP_TIMEOUT": str(int(np.ceil(policy.read_timeout_s))),
        "GDAL_HTTP_MAX_RETRY": "3",
        "GDAL_HTTP_RETRY_DELAY": str(policy.first_wait_s),
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "CPL_VSIL_CURL_CHUNK_SIZE": str(_PIECE_BYTES),
    }


def _raise_reason(url: str, keys: CopernicusKeys) -> None:
    """Raise why an object could not be read, if asking for its first byte tells; GDAL's own words hide it."""
    parts, client = urlsplit(url), _client(keys, endpoint("cdse_s3_endpoint"))
    try:
        client.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"), Range="bytes=0-0")
    except ClientError as error:
        answer, said = error.response.get("ResponseMetadata", {}), error.response.get("Error", {})
        status, words = answer.get("HTTPStatusCode"), said.get("Message", "")
        if status in TRANSIENT_STATUS:
            asked = retry_after_s(answer.get("HTTPHeaders", {}).get("retry-after"))
            raise TransientError(f"{status} {words}", asked) from error
        if status in (401, 403) or said.get("Code") in _KEYS_REFUSED:
            raise refused_keys(keys, f"{status} {words}") from error
        if status == 404:
            raise MissingDataError(
                f"{STORAGE.name}: there is no {url}. "
                "The scene may have been processed again under a new id: search for it."
            ) from error
        raise TransientError(f"{status} {words}") from error
    except BotoCoreError as error:
        raise TransientError(f"no connection: {error}") from error


@functools.lru_cache(maxsize=1)
def _client(keys: CopernicusKeys, address: str) -> Any:
    """Return a client for the storage; making one costs far more than a request."""
    policy = STORAGE.policy
    return botocore.session.Session().create_client(
        "s3",
        endpoint_url=address,
        region_name=S3_REGION,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.token,
        config=Config(
            connect_timeout=policy.connect_timeout_s,
            read_timeout=policy.read_timeout_s,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
        ),
    )
