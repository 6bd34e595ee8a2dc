"""A folder of preprocessed tiles, so that a costly tile is made once."""

import hashlib
import logging
import os
from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import quote

import xarray as xr

from darts_utils.bands import BandManager, manager
from darts_utils.errors import ConfigError, DataError, OutputError
from darts_utils.files import atomic_file, make_folder, stale_parts
from darts_utils.machine.disk import cannot_write

logger = logging.getLogger(__name__)

_SEAL_BYTES = 32
"""Length of the checksum behind each file; HDF5 knows where its own data ends and reads past nothing."""
_LONGEST_NAME = 120
"""File systems allow 255 bytes, and an unfinished file carries host, process and a random number in its name."""
_UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError)
"""What xarray, netCDF and HDF5 raise about files that are none of theirs."""


class XarrayCacheManager:
    """Keeps tiles as netCDF in disk representation; a damaged file is made anew, not trusted.

    Each file ends with a checksum of all before it, so that whatever happened to it is noticed.

    Args:
        cache_dir: The folder; None keeps nothing and finds nothing.
        bands: The codecs of the tiles' bands.
    """

    def __init__(self, cache_dir: Path | None, bands: BandManager = manager) -> None:
        self._cache_dir = None if cache_dir is None else Path(cache_dir)
        self._bands = bands

    def _path(self, identifier: str) -> Path | None:
        return None if self._cache_dir is None else self._cache_dir / f"{_file_stem(identifier)}.nc"

    def exists(self, identifier: str) -> bool:
        """Tell whether a tile is kept under this name, be its file damaged or not."""
        path = self._path(identifier)
        return path is not None and path.exists()

    def load_from_cache(self, identifier: str, *, required: Collection[str] = ()) -> xr.Dataset | None:
        """Return the tile kept under this name, or None if there is none or its file is damaged (one warning).

        Args:
            identifier: Name of the tile.
            required: Variables that the tile must have; one without them counts as damaged.
        """
        path = self._path(identifier)
        if path is None or not path.exists():
            return None
        try:
            _check_seal(path)
            tile = self._bands.open(path)
            _check_variables(tile, required)
        except _UNREADABLE as error:
            logger.warning("the cached tile %s is damaged (%s); it is made anew", path, error)
            return None
        return tile

    def save_to_cache(self, tile: xr.Dataset, identifier: str) -> None:
        """Keep a tile under this name; its file appears whole or not at all.

        Raises:
            OutputError: If it cannot be written.
        """
        path = self._path(identifier)
        if path is None:
            return
        try:
            with atomic_file(path) as part:
                self._bands.write_netcdf(tile, part)
                _append_seal(part)
        except OutputError:
            raise
        except OSError as error:
            raise _cannot_write(path, error) from error
        for left_behind in stale_parts(path.parent, path):
            left_behind.unlink(missing_ok=True)

    def get_or_create(
        self,
        identifier: str,
        creation_func: Callable[[], xr.Dataset],
        force: bool = False,
        *,
        required: Collection[str] = (),
    ) -> xr.Dataset:
        """Return the kept tile, else make it with `creation_func` and keep it.

        Args:
            identifier: Name of the tile; characters that a file name cannot have are written as `%2F` and so on.
            creation_func: Makes the tile.
            force: Make it even if there is one.
            required: Variables that a kept tile must have; one without them is made anew.

        Raises:
            ConfigError: If the name is empty.
            OutputError: If the folder cannot be written; that is found out before the tile is made.
        """
        cached = None if force else self.load_from_cache(identifier, required=required)
        if cached is not None:
            return cached
        self._check_folder()
        tile = creation_func()
        self.save_to_cache(tile, identifier)
        return tile

    def _check_folder(self) -> None:
        if self._cache_dir is None:
            return
        make_folder(self._cache_dir)
        if not os.access(self._cache_dir, os.W_OK | os.X_OK):
            raise OutputError(f"the cache folder {self._cache_dir} cannot be written to. Choose another folder.")


def _file_stem(identifier: str) -> str:
    """Return a name that every file system takes, another one for every identifier."""
    if not identifier:
        raise ConfigError("the identifier of a cached tile is empty. Give it a name.")
    name = quote(identifier, safe="", errors="surrogatepass")
    name = name.replace(".", "%2E", 1) if name.startswith(".") else name  # hidden files are unfinished ones
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    return f"{name[: _LONGEST_NAME - len(digest) - 1]}-{digest}"


def _append_seal(path: Path) -> None:
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, _hash).digest()
        file.seek(0, os.SEEK_END)
        file.write(digest)


def _check_seal(path: Path) -> None:
    """Do nothing if a file ends with the checksum of all before it."""
    found = _hash()
    with path.open("rb") as file:
        left = path.stat().st_size - _SEAL_BYTES
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            found.update(block)
            left -= len(block)
        if file.read() != found.digest():
            raise DataError("its checksum is wrong")


def _hash() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=_SEAL_BYTES)


def _check_variables(tile: xr.Dataset, required: Collection[str]) -> None:
    missing = sorted(set(required) - set(map(str, tile.variables)))
    if missing:
        raise DataError(f"it lacks {', '.join(missing)}")


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return cannot_write(path, error, "the cached tile ")
