"""A folder of preprocessed tiles, so that a costly tile is made once."""

import logging
from collections.abc import Callable
from pathlib import Path

import xarray as xr

from darts_utils.bands import BandManager, manager

logger = logging.getLogger(__name__.replace("darts_", "darts."))


class XarrayCacheManager:
    """Keeps tiles as netCDF in disk representation; a damaged file is made anew, not trusted.

    Args:
        cache_dir: The folder; None keeps nothing and finds nothing.
        bands: The codecs of the tiles' bands.
    """

    def __init__(self, cache_dir: Path | None, bands: BandManager = manager) -> None:
        self._cache_dir = cache_dir
        self._bands = bands

    def _path(self, identifier: str) -> Path | None:
        return None if self._cache_dir is None else Path(self._cache_dir) / f"{identifier}.nc"

    def exists(self, identifier: str) -> bool:
        """Tell whether a tile is kept under this name."""
        path = self._path(identifier)
        return path is not None and path.exists()

    def load_from_cache(self, identifier: str) -> xr.Dataset | None:
        """Return the tile kept under this name, or None if there is none or its file is damaged."""
        path = self._path(identifier)
        if path is None or not path.exists():
            return None
        try:
            return self._bands.open(path)
        except (OSError, ValueError, KeyError) as error:
            logger.warning("the cached tile %s is damaged (%s); it is made anew", path, error)
            return None

    def save_to_cache(self, tile: xr.Dataset, identifier: str) -> None:
        """Keep a tile under this name."""
        path = self._path(identifier)
        if path is not None:
            self._bands.to_netcdf(tile, path)

    def get_or_create(
        self, identifier: str, creation_func: Callable[[], xr.Dataset], force: bool = False
    ) -> xr.Dataset:
        """Return the kept tile, else make it with `creation_func` and keep it; `force` always makes it."""
        cached = None if force else self.load_from_cache(identifier)
        if cached is not None:
            return cached
        tile = creation_func()
        self.save_to_cache(tile, identifier)
        return tile
