"""Rasters at https addresses of known hosts: fetched whole, or a window of them by ranges of bytes."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import rasterio
import requests
from odc.geo.geobox import GeoBox
from rasterio.windows import Window as RasterWindow

from darts_acquisition.services.connections import is_among, same_host
from darts_acquisition.services.http import RefusedError, ask_once, at_most, check_length, fetch_file
from darts_acquisition.services.rasters.files import DAMAGED, Raster, check_checksum, fetched_raster, grid_of_raster
from darts_acquisition.services.retry import Service, TransientError, call
from darts_utils.errors import DataError, MissingDataError, ServiceError
from darts_utils.rasters.window import Window

_BUFFER_BYTES = 65_536
"""Read at once around small reads: the directory of a raster is in the first of them."""
_MOST_RANGE_BYTES = 200_000_000
_GONE = (404, 410)


def check_hosts(service: Service, url: str, catalogue: str, hosts: tuple[str, ...], variable: str) -> None:
    """Do nothing with an address that may be asked: the catalogue's own host, or https at a known one.

    Args:
        service: Where the file lies.
        url: Its address.
        catalogue: Address of the catalogue that names it.
        hosts: Other hosts where files may lie.
        variable: Variable of the environment that names them.

    Raises:
        DataError: If it is another one, be it a file: a catalogue does not decide what this machine opens.
    """
    address, home = urlsplit(url), urlsplit(catalogue)
    if not ((address.scheme in ("https", home.scheme) and same_host(address, home)) or is_among(url, hosts)):
        raise DataError(
            f"{service.name}: the catalogue names the raster {url}, but rasters are read by https from "
            f"{', '.join([str(home.hostname), *hosts])} only. {variable} names other hosts."
        )


def read_whole(
    service: Service, url: str, *, checksum: str | None = None, on_bytes: Callable[[int], None] | None = None
) -> Raster:
    """Return the first band of a raster, fetched whole and compared with its checksum.

    Args:
        service: Where it lies; its limits and retries apply.
        url: Its address, which `check_hosts` has let pass.
        checksum: What the file must be, as the catalogue gives it (a multihash in hexadecimal).
        on_bytes: Told how many bytes have arrived.

    Raises:
        MissingDataError: If there is no such file.
        DataError: If it has no georeference.
        ServiceError: If it cannot be read, or is still damaged, after all retries.
    """

    def fetch(file: Path) -> None:
        try:
            fetch_file(service, url, file, check=lambda part: check_checksum(part, checksum))
        except RefusedError as error:
            raise _gone(service, url, error) from error

    return fetched_raster(service, url, PurePosixPath(urlsplit(url).path).name, fetch, on_bytes)


def read_window(
    service: Service,
    url: str,
    window: Callable[[GeoBox], Window],
    on_bytes: Callable[[int], None] | None = None,
) -> Raster:
    """Return a window of the first band of a cloud-optimised GeoTIFF: only the blocks that it touches are fetched.

    Args:
        service: Where it lies; its limits and retries apply to each range.
        url: Its address, which `check_hosts` has let pass.
        window: Says which window of its grid is wanted.
        on_bytes: Told how many bytes have arrived.

    Raises:
        MissingDataError: If there is no such file.
        DataError: If it has no georeference, or is no GeoTIFF.
        ServiceError: If it cannot be read after all retries, or its storage knows no ranges.
    """
    remote = RemoteFile(service, url, on_bytes)
    remote.check()
    try:
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", CPL_VSIL_CURL_ALLOWED_FILENAME="-"),
            rasterio.open(PurePosixPath(urlsplit(url).path).name, opener=remote.opened, driver="GTiff") as raster,
        ):
            wanted = window(grid := grid_of_raster(raster, url))
            part = RasterWindow(wanted.left, wanted.top, wanted.width, wanted.height)
            values = raster.read(1, window=part)
    except DAMAGED as error:
        if remote.failure is None:
            raise DataError(f"{service.name}: {url} cannot be read as a GeoTIFF ({error}). {service.advice}") from error
    if remote.failure is not None:
        raise remote.failure
    return Raster(values=values, geobox=wanted.crop(grid))


class RemoteFile:
    """A file behind an address, read by ranges; it must stay the same as long as it is read.

    Args:
        service: Where it lies.
        url: Its address.
        on_bytes: Told how many bytes have arrived.
    """

    def __init__(self, service: Service, url: str, on_bytes: Callable[[int], None] | None = None) -> None:
        self._service, self._url, self._on_bytes = service, url, on_bytes
        self._kind: tuple[str | None, int] | None = None
        self.failure: Exception | None = None
        """Why it could not be read: libraries that read files swallow the reason."""

    def opened(self, name: str, mode: str = "rb", **_: object) -> io.BufferedReader:
        """Return it as a file object.

        Raises:
            FileNotFoundError: If another file is asked for, such as one beside it.
        """
        if "r" not in mode or PurePosixPath(urlsplit(self._url).path).name != PurePosixPath(name).name:
            raise FileNotFoundError(name)
        return io.BufferedReader(_Ranges(self), _BUFFER_BYTES)

    @property
    def n_bytes(self) -> int:
        """Its size, 0 before anything was read of it."""
        return 0 if self._kind is None else self._kind[1]

    def check(self) -> None:
        """Check that it is there and read by ranges; learn its size.

        Raises:
            MissingDataError: If there is no such file.
            ServiceError: If it cannot be read after all retries, or its storage knows no ranges.
        """
        self.read(0, 1)

    def read(self, start: int, stop: int) -> bytes:
        """Return its bytes from one place to another.

        Raises:
            MissingDataError: If there is no such file.
            ServiceError: If it cannot be read after all retries, or its storage knows no ranges.
        """
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        request = requests.Request("GET", self._url, headers)

        def take(pieces: Iterator[bytes], response: requests.Response) -> bytes:
            self._check_answer(start, response)
            body = b"".join(at_most(_MOST_RANGE_BYTES, pieces, self._service, self._url))
            check_length(response, len(body))
            return body

        try:
            body = call(self._service, f"reading {self._url}", lambda: ask_once(self._service, request, take))
        except RefusedError as error:
            raise _gone(self._service, self._url, error) from error
        if self._on_bytes is not None:
            self._on_bytes(len(body))
        return body

    def read_or_nothing(self, start: int, stop: int) -> bytes:
        """Return its bytes, nothing after a failure, which is kept: GDAL cannot pass on what a file object raises."""
        if self.failure is None:
            try:
                return self.read(start, stop)
            except Exception as error:  # noqa: BLE001  (it is raised where GDAL has ended)
                self.failure = error
        return b""

    def _check_answer(self, start: int, response: requests.Response) -> None:
        """Check that an answer is the range of the file that the answers before were of.

        Raises:
            ServiceError: If it is the whole file, or of another one.
        """
        said = response.headers.get("Content-Range", "")
        first, _, size = said.removeprefix("bytes ").partition("/")
        if response.status_code != 206 or not size.isdigit() or not first.startswith(f"{start}-"):
            raise ServiceError(
                f"{self._service.name}: {self._url} is not read by ranges of bytes (it answered "
                f"{response.status_code} {said or 'without Content-Range'}). Fetch whole scenes, not an area of them."
            )
        kind = (response.headers.get("ETag"), int(size))
        if self._kind not in (None, kind):
            raise TransientError("it was replaced while it was read")
        self._kind = kind


class _Ranges(io.RawIOBase):
    """A remote file as a file object."""

    def __init__(self, remote: RemoteFile) -> None:
        super().__init__()
        self._remote, self._position = remote, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence)
        self._position = offset + (self._remote.n_bytes if base is None else base)
        return self._position

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]  # a buffer of bytes is all that comes
        stop = min(self._position + len(buffer), self._remote.n_bytes)
        if stop <= self._position:
            return 0
        body = self._remote.read_or_nothing(self._position, stop)
        buffer[: len(body)] = body
        self._position += len(body)
        return len(body)


def _gone(service: Service, url: str, error: RefusedError) -> Exception:
    """Return why a file cannot be had."""
    if error.status not in _GONE:
        return error
    return MissingDataError(
        f"{service.name}: there is no {url}, which the catalogue names. Search for the scene again, or leave it out."
    )
