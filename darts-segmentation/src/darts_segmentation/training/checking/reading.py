"""A training set on disk, opened for reading."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import zarr
from zarr.errors import BaseZarrError

from darts_utils.errors import ConfigError, DataError, with_kind
from darts_utils.paths import user_path
from darts_utils.rasters.arrays import Array
from darts_utils.toml import values_of

_PARTS = ("data.zarr", "metadata.parquet", "config.toml")
_READ_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError, BaseZarrError)
"""What zarr, pyarrow and tomllib raise about files that are none of theirs."""


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """The parts of a training set, None where one cannot be read."""

    folder: Path
    x: zarr.Array[Any] | None
    """(n, bands, s, s) float32 from 0 to 1."""
    y: zarr.Array[Any] | None
    """(n, s, s) uint8: 0 background, 1 slump, 2 ignored."""
    metadata: gpd.GeoDataFrame | None
    """One row a patch."""
    bands: tuple[str, ...] | None
    """Names of the bands of `x`."""
    faults: Mapping[str, str]
    """Why a part cannot be read, by its name."""

    def patch(self, index: int) -> tuple[Array, Array]:
        """Return a patch, (bands, s, s) and (s, s).

        Raises:
            DataError: If its chunks are missing or damaged.
        """
        if self.x is None or self.y is None:
            raise DataError(f"{self.folder} has no readable patches. Run `darts training validate-dataset` on it.")
        try:
            return np.asarray(self.x[index]), np.asarray(self.y[index])
        except _READ_ERRORS as error:
            raise DataError(f"patch {index} cannot be read ({with_kind(error, 120)})") from error

    def missing_chunks(self, name: str, index: int) -> bool:
        """Tell whether a patch has no chunk of `x` or `y` on disk; zarr would read it as zeros."""
        array = getattr(self, name)
        files = (self.folder / "data.zarr" / name / key for key in _chunk_keys(array, index))
        return not all(file.is_file() for file in files)


def open_training_set(folder: Path) -> TrainingSet:
    """Return a training set; parts that cannot be read are among its faults.

    Raises:
        ConfigError: If the folder does not exist or holds no part of a training set.
    """
    folder = user_path(folder)
    if not any((folder / part).exists() for part in _PARTS):
        raise ConfigError(f"{folder} holds no training set ({', '.join(_PARTS)}). Give the folder of one.")
    faults: dict[str, str] = {}

    def read(name: str, function: Any) -> Any:
        try:
            return function()
        except _READ_ERRORS as error:
            faults[name] = f"it cannot be read ({with_kind(error, 120)})"
            return None

    return TrainingSet(
        folder=folder,
        x=read("data.zarr/x", lambda: zarr.open_array(folder / "data.zarr" / "x", mode="r")),
        y=read("data.zarr/y", lambda: zarr.open_array(folder / "data.zarr" / "y", mode="r")),
        metadata=read("metadata.parquet", lambda: gpd.read_parquet(folder / "metadata.parquet")),
        bands=read("config.toml", lambda: _bands(tomllib.loads((folder / "config.toml").read_text(encoding="utf-8")))),
        faults=faults,
    )


def _bands(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the band list, in whatever table it stands."""
    found = next(values_of(config, "bands"), None)
    if not isinstance(found, list) or not all(isinstance(band, str) for band in found):
        raise KeyError("it has no list of bands")
    return tuple(found)


def _chunk_keys(array: zarr.Array[Any], index: int) -> Iterator[str]:
    """Yield the keys of the files that hold a patch."""
    size = array.shards or array.chunks
    along = [range(index // size[0], index // size[0] + 1)]
    along += [range(-(-length // step)) for length, step in zip(array.shape[1:], size[1:], strict=True)]
    for place in product(*along):
        yield array.metadata.encode_chunk_key(place)
