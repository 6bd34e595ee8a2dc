"""Rasters in the storage of the Copernicus Data Space, fetched whole and then decoded."""

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

import botocore.session
import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from darts_acquisition.services.copernicus import S3_REGION, STORAGE, CopernicusKeys, refused_keys
from darts_acquisition.services.endpoints import endpoint
from darts_acquisition.services.http import MOST_FILE_BYTES, RefusedError, ask_once, at_most, check_length
from darts_acquisition.services.rasters.files import Raster, check_checksum, fetched_raster
from darts_acquisition.services.retry import TRANSIENT_STATUS, TransientError, call, retry_after_s
from darts_utils.errors import DataError, MissingDataError
from darts_utils.machine.disk import cannot_write
from darts_utils.names import shown

_KEYS_REFUSED = ("ExpiredToken", "InvalidToken", "TokenRefreshRequired")
"""Errors about keys that come with the status 400."""
_ADDRESS = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9.-]*(/[A-Za-z0-9_][A-Za-z0-9_.+=:@-]*)+")
"""No part of a key begins with a dot, so that the name of the copy is one, and stays in its folder."""


def read_raster(
    url: str, keys: CopernicusKeys, *, checksum: str | None = None, on_bytes: Callable[[int], None] | None = None
) -> Raster:
    """Return the first band of a raster in the storage, with the storage's limits and retries.

    The file is fetched whole into a temporary folder, compared with its checksum, and decoded from there:
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

    def fetch(file: Path) -> None:
        call(STORAGE, f"reading {url}", lambda: _fetch(url, file, keys, checksum))

    return fetched_raster(STORAGE, url, PurePosixPath(urlsplit(url).path).name, fetch, on_bytes)


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
        ask_once(STORAGE, _signed(url, keys), functools.partial(_to_disk, file, url))
    except RefusedError as error:
        _raise_reason(url, keys)
        raise TransientError(str(error.status)) from error
    check_checksum(file, checksum)


def _to_disk(file: Path, url: str, pieces: Iterator[bytes], response: requests.Response) -> None:
    arrived = 0
    with file.open("wb") as stream:
        for piece in at_most(MOST_FILE_BYTES, pieces, STORAGE, url):
            arrived += _write(stream, piece, file)
    check_length(response, arrived)


def _write(stream: BinaryIO, piece: bytes, file: Path) -> int:
    try:
        return stream.write(piece)
    except OSError as error:
        raise cannot_write(file, error) from error


def _signed(url: str, keys: CopernicusKeys) -> requests.Request:
    """Return a signed request for an object, with a path-style address."""
    parts = urlsplit(url)
    address = f"{endpoint('cdse_s3_endpoint')}/{parts.netloc}{quote(parts.path)}"
    request = AWSRequest("GET", address, {"Accept-Encoding": "identity"})
    S3SigV4Auth(Credentials(keys.access_key, keys.secret_key, keys.token), "s3", S3_REGION).add_auth(request)
    return requests.Request("GET", address, dict(request.headers.items()))


def _raise_reason(url: str, keys: CopernicusKeys) -> None:
    """Raise why an object could not be read, if asking for its first byte tells: it says more than a status."""
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
