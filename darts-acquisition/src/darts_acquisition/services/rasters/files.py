"""Raster files that arrived whole: compared with their checksum, and decoded."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from darts_acquisition.services.retry import Service, TransientError
from darts_utils.crs import checked_crs
from darts_utils.errors import DataError, ServiceError, one_line
from darts_utils.machine.cpu import usable_cores

DAMAGED = (RasterioError, CPLE_BaseError)
"""Errors of GDAL about files that it cannot read."""
_DECODING_TRIES = 3
_FORMATS = {"jp2": "JP2OpenJPEG", "tif": "GTiff", "tiff": "GTiff"}
"""GDAL's drivers by the endings of keys; other formats may name further files for GDAL to open."""
_MOST_PIXELS = 20_000**2
"""Of a band: those of 10 m have 10,980 x 10,980. A file of a few bytes can announce any number."""
_HASH_OF_PREFIX = {"1220": "sha256", "1340": "sha512", "1440": "sha3_512", "1620": "sha3_256", "d50110": "md5"}
"""Kinds of checksum by the first bytes of a multihash (code and length)."""


@dataclass(frozen=True, kw_only=True)
class Raster:
    """The first band of a raster file, (y, x), with its grid."""

    values: np.ndarray
    geobox: GeoBox


def fetched_raster(
    service: Service, url: str, name: str, fetch: Callable[[Path], None], on_bytes: Callable[[int], None] | None = None
) -> Raster:
    """Return the first band of a raster that is fetched whole into a temporary folder and decoded from there.

    Damaged JPEG 2000 decodes without an error into wrong numbers, so `fetch` must compare what it fetched.

    Args:
        service: Where it lies.
        url: Its address.
        name: Name for the file, with the ending of its format.
        fetch: Writes what lies there into a file.
        on_bytes: Told how many bytes have arrived.

    Raises:
        DataError: If the file has no georeference, or more pixels than any tile.
        ServiceError: If it is still damaged after some tries.
    """
    with TemporaryDirectory(prefix="darts-raster-") as folder:
        file = Path(folder) / name
        for _ in range(_DECODING_TRIES):
            fetch(file)
            try:
                raster = _decode(file, url)
            except DAMAGED as error:
                reason = one_line(error)
                continue
            if on_bytes is not None:
                on_bytes(file.stat().st_size)
            return raster
    raise ServiceError(
        f"{service.name}: {url} arrived {_DECODING_TRIES} times but cannot be decoded ({reason}). {service.advice}"
    )


def check_checksum(file: Path, checksum: str | None) -> None:
    """Compare a file with its checksum; one of an unknown kind is not compared.

    Args:
        file: The file.
        checksum: What it must be, as a catalogue gives it (a multihash in hexadecimal).

    Raises:
        TransientError: If it is another one.
    """
    for prefix, kind in _HASH_OF_PREFIX.items():
        if checksum is not None and checksum.startswith(prefix):
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, kind).hexdigest()
            if digest != checksum.removeprefix(prefix).lower():
                raise TransientError("it arrived damaged: its checksum is not that of the catalogue")


def _decode(file: Path, url: str) -> Raster:
    driver = _FORMATS.get(file.suffix.lower().lstrip("."), "JP2OpenJPEG")
    # its parts are decoded on all cores, so that the last file of a scene does not wait for one of them
    given = {"CPL_VSIL_CURL_ALLOWED_FILENAME": "-", "GDAL_NUM_THREADS": usable_cores()}
    with rasterio.Env(**given), rasterio.open(file, driver=driver) as raster:
        geobox = grid_of_raster(raster, url)
        return Raster(values=raster.read(1), geobox=geobox)


def grid_of_raster(raster: rasterio.DatasetReader, url: str) -> GeoBox:
    """Return the grid of an open raster.

    Raises:
        DataError: If it has no georeference, or more pixels than any tile.
    """
    if raster.width * raster.height > _MOST_PIXELS:
        raise DataError(f"{url} has {raster.width} x {raster.height} pixels, which no tile has. Leave it out.")
    return GeoBox(raster.shape, raster.transform, checked_crs(raster.crs, url))
