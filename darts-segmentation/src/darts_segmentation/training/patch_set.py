"""Patches on disk: `data.zarr` with `x` and `y`, `metadata.parquet`, `samples.json`; they always agree in length."""

import hashlib
import json
import logging
import tomllib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from shutil import rmtree
from typing import Any, Self

import geopandas as gpd
import numpy as np
import pandas as pd
import zarr
from zarr.storage import LocalStore, StorePath

from darts_segmentation.training.patches.commits import Commits
from darts_segmentation.training.patches.selection import Counts
from darts_utils.errors import DataError, one_line
from darts_utils.files import atomic_file, atomic_folder, make_folder, remove_parts, sync_path
from darts_utils.rasters.arrays import Array
from darts_utils.toml import values_of

logger = logging.getLogger(__name__)

COLUMNS = {
    "z_idx": "int64",
    "patch_id": "str",
    "region": "str",
    "sample_id": "str",
    "empty": "bool",
    "x": "int64",
    "y": "int64",
    "patch_idx_x": "int64",
    "patch_idx_y": "int64",
}
"""Columns of the metadata that every source has, before `geometry`."""
SUN_COLUMNS = {"sun_azimuth": "float64", "sun_elevation": "float64"}
"""Further ones: where the sun stood, in degrees, NaN where unknown. Sets of the release 0.2 have none."""
CRS = "EPSG:4326"
_DATA = "data.zarr"
_NAMES = {
    "x.json": Path(_DATA, "x", "zarr.json"),
    "y.json": Path(_DATA, "y", "zarr.json"),
    "metadata.parquet": Path("metadata.parquet"),
    "samples.json": Path("samples.json"),
}
_FLUSHED_AT_ONCE = 16
_CAPACITY = 2**31
"""Patches that fit into the arrays that patches are written through: they lie beyond the recorded length at first."""


class PatchSet:
    """Patches in a folder; what was added is there for readers after `commit`, all at once.

    Args:
        folder: The folder, in which `create` or earlier work has put a set.

    Raises:
        DataError: If what lies there is no set.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._commits = Commits(folder, _NAMES)
        try:
            self.settings: dict[str, Any] = dict(zarr.open_group(folder / _DATA, mode="r").attrs)
            self._arrays = {name: json.loads((folder / _DATA / name / "zarr.json").read_text()) for name in "xy"}
            self.metadata = gpd.read_parquet(folder / "metadata.parquet").sort_values("z_idx", ignore_index=True)
            self.samples = self._read_samples()
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"the training data in {folder} is damaged ({error}). Make it anew with --no-append, or elsewhere."
            ) from error
        self._writers = {name: self._writer(name) for name in "xy"}
        self._id: str | None = None

    @classmethod
    def create(
        cls, folder: Path, n_bands: int, patch_size: int, settings: Mapping[str, Any], shard_size: int | None = None
    ) -> Self:
        """Return a new, empty set in a folder, in place of one that may be there.

        Args:
            folder: The folder.
            n_bands: Bands of `x`.
            patch_size: Edge of a patch in pixels.
            settings: What the set is made with, as JSON; kept as attributes of `data.zarr`.
            shard_size: Patches in one file, None for a file a patch.
        """
        make_folder(folder)
        remove_parts(folder)
        cls._empty(folder)
        shapes = {"x": ("float32", (n_bands, patch_size, patch_size)), "y": ("uint8", (patch_size, patch_size))}
        for name, write in _descriptions(_no_rows(), {}).items():
            with atomic_file(folder / name) as part:
                write(part)
        with atomic_folder(folder / _DATA) as data:
            group = zarr.create_group(LocalStore(data), attributes=dict(settings))
            for name, (dtype, shape) in shapes.items():
                group.create_array(
                    name,
                    shape=(0, *shape),
                    chunks=(1, *shape),
                    shards=None if shard_size is None else (shard_size, *shape),
                    dtype=dtype,
                    fill_value=0,
                    # features hardly get smaller, labels are a fiftieth of all, and to unpack takes longer than to read
                    compressors=None,
                )
        return cls(folder)

    @classmethod
    def _empty(cls, folder: Path) -> None:
        """Let a set that is to be replaced have no patches, so that its parts agree while they are replaced."""
        if cls.is_in(folder):
            with suppress(DataError):
                old = cls(folder)
                old.open()
                old._commit(_no_rows(), {})
                old.seal()

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Tell whether there is a set in a folder."""
        return (folder / _DATA).is_dir()

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.metadata)

    @property
    def n_arrays(self) -> int:
        """Patches that the arrays have; as many as the metadata has rows, unless somebody changed one of them."""
        return int(self._arrays["x"]["shape"][0])

    @property
    def shard_size(self) -> int:
        """Patches in one file."""
        return int(self._arrays["x"]["chunk_grid"]["configuration"]["chunk_shape"][0])

    @cached_property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands of `x`, in order; sets of other releases say them in `config.toml` only.

        Raises:
            DataError: If the set does not say them, or as many as `x` has.
        """
        config = self.folder / "config.toml"
        said = self.settings.get("bands")
        if said is None and config.is_file():
            said = next(values_of(tomllib.loads(config.read_text(encoding="utf-8")), "bands"), None)
        bands = tuple(said) if isinstance(said, list | tuple) else ()
        if len(bands) != self.patch_shape[0]:
            raise DataError(
                f"the training set in {self.folder} names {len(bands)} bands, but has {self.patch_shape[0]}."
                " Make it anew."
            )
        return bands

    @property
    def patch_shape(self) -> tuple[int, int, int]:
        """(band, y, x) of a patch."""
        _, bands, height, width = self._arrays["x"]["shape"]
        return bands, height, width

    @property
    def id(self) -> str:
        """SHA-256 over the names of the patches and their labels, as 64 hexadecimal digits; `x` is no part of it.

        It does not depend on the order in which samples were added, nor on how many patches share a file. All labels
        are read, one at a time, when it is asked for first and after each change. What is hashed is, in this order:

        - `y`, then the number of rows and of columns of a patch, each as 8 bytes, the lowest first;
        - for each patch, by its `patch_id` (in the order of UTF-8): the length of that name in bytes, as 8 bytes, the
          lowest first; the name in UTF-8; its labels, a byte a pixel, row by row.

        Raises:
            DataError: If two patches have one name, or a label is lost or damaged.
        """
        if self._id is None:
            self._id = self._hash()
        return self._id

    def _hash(self) -> str:
        _, height, width = self.patch_shape
        digest = hashlib.sha256(b"y" + height.to_bytes(8, "little") + width.to_bytes(8, "little"))
        labels = np.empty((height, width), dtype=np.uint8)
        by_name = dict(zip(self.metadata["patch_id"], self.metadata["z_idx"], strict=True))
        if len(by_name) < len(self):
            raise DataError(f"patches in {self.folder} have the same patch_id as others. Make the data anew.")
        for name, index in sorted(by_name.items()):  # the order of Python's text is that of its bytes in UTF-8
            encoded = name.encode()
            digest.update(len(encoded).to_bytes(8, "little") + encoded)
            self._read_array("y", index, labels)
            digest.update(labels.data)
        return digest.hexdigest()

    def read(self, index: int) -> tuple[Array, Array]:
        """Return a patch: (band, y, x) float32 from 0 to 1, and its labels, (y, x) uint8.

        Raises:
            IndexError: If there is no such patch.
            DataError: If its file is lost or cut short.
        """
        x, y = np.empty(self.patch_shape, dtype=np.float32), np.empty(self.patch_shape[1:], dtype=np.uint8)
        self.read_into(index, x, y)
        return x, y

    def read_into(self, index: int, x: Array, y: Array) -> None:
        """Read a patch into memory that is there already: that is several times as fast as into new memory.

        Where the file of a patch holds nothing but its numbers it is read as it is.

        Args:
            index: Position of the patch.
            x: (band, y, x) float32, contiguous; gets the features, from 0 to 1.
            y: (y, x) uint8, contiguous; gets the labels.

        Raises:
            IndexError: If there is no such patch.
            DataError: If its file is lost or cut short.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"there is no patch {index}, only 0 to {len(self) - 1}")
        self._read_array("x", index, x)
        self._read_array("y", index, y)

    def _read_array(self, name: str, index: int, out: Array) -> None:
        shape = self._arrays[name]["shape"][1:]
        file = self.folder.joinpath(_DATA, name, "c", str(index // self.shard_size), *["0"] * len(shape))
        try:
            if self._is_plain(name, out):
                _fill(out, file)
                return
            file.stat()  # zarr would give zeros in place of a file that is not there
            out[...] = self._writers[name][index]
        except Exception as error:  # zarr and its codecs raise all kinds
            reason = one_line(error)
            raise DataError(f"patch {index} in {self.folder} is damaged: {reason}. Make the data anew.") from error

    def _is_plain(self, name: str, out: Array) -> bool:
        """Tell whether a file of an array holds the bytes of one patch just as they lie in memory."""
        array = self._arrays[name]
        has_no_codec = [codec["name"] for codec in array["codecs"]] == ["bytes"]
        return has_no_codec and out.dtype == np.dtype(array["data_type"]).newbyteorder("<")

    def open(self) -> None:
        """Make ready for adding; parts that do not agree in length are cut to what all of them have."""
        for place in {(self.folder / name).parent for name in _NAMES.values()}:
            remove_parts(place)
        self._clear_uncommitted()
        lengths = {"metadata": len(self), **{name: int(self._arrays[name]["shape"][0]) for name in "xy"}}
        self._commits.begin()
        if len(set(lengths.values())) > 1:
            whole = _whole_samples(self.metadata, min(lengths.values()))
            logger.warning("%s: the parts differ in length (%s); %d patches are kept", self.folder, lengths, len(whole))
            kept = set(whole["sample_id"])
            self._commit(whole, {name: counts for name, counts in self.samples.items() if name in kept})

    def write(self, index: int, x: Array, y: Array) -> None:
        """Write patches beyond the recorded length, from a position on; safe in several threads on different shards.

        Args:
            index: Position of the first one.
            x: (n, band, y, x) float32.
            y: (n, y, x) uint8.
        """
        for name, values in (("x", x), ("y", y)):
            self._writers[name][index : index + len(values)] = values

    def _flush(self, n_patches: int) -> None:
        """Flush patches beyond the recorded length to the disk; many at once, because disks do that together."""
        shards = range(len(self) // self.shard_size, -(-(len(self) + n_patches) // self.shard_size))
        inner = {name: ["0"] * (len(array["shape"]) - 1) for name, array in self._arrays.items()}
        files = [
            self.folder.joinpath(_DATA, name, "c", str(s), *zeros) for name, zeros in inner.items() for s in shards
        ]
        with ThreadPoolExecutor(_FLUSHED_AT_ONCE, thread_name_prefix="darts-flush") as workers:
            list(workers.map(sync_path, files))

    def commit(self, rows: gpd.GeoDataFrame, sample_id: str, counts: Counts) -> None:
        """Make the patches of a sample part of the set.

        Args:
            rows: Their metadata in EPSG:4326, one row a patch, in the order in which they were written.
            sample_id: The sample.
            counts: What became of its patches.
        """
        self._flush(len(rows))
        metadata = rows if self.metadata.empty else _joined(self.metadata, rows)
        self._commit(metadata if len(rows) else self.metadata, {**self.samples, sample_id: counts})

    def _commit(self, metadata: gpd.GeoDataFrame, samples: Mapping[str, Counts]) -> None:
        for array in self._arrays.values():
            array["shape"][0] = len(metadata)
        arrays = {f"{name}.json": _json_writer(array) for name, array in self._arrays.items()}
        self._commits.commit({**arrays, **_descriptions(metadata, samples)})
        self.metadata, self.samples, self._id = metadata, dict(samples), None

    def seal(self) -> None:
        """Make the set one of plain files, without what was written but never became part of it."""
        self._clear_uncommitted()
        self._commits.seal()

    def _clear_uncommitted(self) -> None:
        """Delete files of patches beyond the recorded length, and what a killed process left half written."""
        whole, n_files = len(self) // self.shard_size, -(-len(self) // self.shard_size)
        for name in "xy":
            for chunk in (self.folder / _DATA / name / "c").glob("*"):
                if int(chunk.name) >= n_files:
                    rmtree(chunk)
                elif int(chunk.name) >= whole:
                    for part in chunk.rglob("*.partial"):
                        part.unlink()

    def _read_samples(self) -> dict[str, Counts]:
        """Return the samples of the set with what became of their patches."""
        path = self.folder / "samples.json"
        if path.exists():
            return {name: Counts(**counts) for name, counts in json.loads(path.read_text()).items()}
        return {str(name): Counts(patches=int(n)) for name, n in self.metadata["sample_id"].value_counts().items()}

    def _writer(self, name: str) -> "zarr.Array[Any]":
        """Return an array over the chunks of `x` or `y` that has room beyond the recorded length."""
        described = self._arrays[name]
        roomy: Any = {**described, "shape": [_CAPACITY, *described["shape"][1:]]}
        place = StorePath(LocalStore(self.folder / _DATA), name)
        # an empty patch is written too, so that a lost one can be told from it
        return zarr.Array(zarr.AsyncArray(roomy, place, config={"write_empty_chunks": True}))


def _fill(out: Array, file: Path) -> None:
    """Read a file that has exactly as many bytes as an array.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it has more bytes, or less.
    """
    size = file.stat().st_size
    if size != out.nbytes:
        raise ValueError(f"{file.name} has {size} bytes in place of {out.nbytes}")
    with file.open("rb", buffering=0) as opened:
        if opened.readinto(out.data.cast("B")) != size:
            raise ValueError(f"{file.name} became shorter while it was read")


def _descriptions(metadata: gpd.GeoDataFrame, samples: Mapping[str, Counts]) -> dict[str, Callable[[Path], object]]:
    counts = {name: asdict(counts) for name, counts in samples.items()}
    return {"metadata.parquet": metadata.to_parquet, "samples.json": _json_writer(counts)}


def _json_writer(content: Any) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps(content, indent=1))


def _no_rows() -> gpd.GeoDataFrame:
    columns = {name: pd.Series([], dtype=dtype) for name, dtype in {**COLUMNS, **SUN_COLUMNS}.items()}
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries([], crs=CRS))


def _joined(one: gpd.GeoDataFrame, other: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the rows of both; whole numbers stay whole where only one has their column."""
    tables = [one, other]
    alone = set(one.columns) ^ set(other.columns)
    whole = {
        name for table in tables for name in alone & set(table.columns) if pd.api.types.is_integer_dtype(table[name])
    }
    return pd.concat(
        [table.astype(dict.fromkeys(whole & set(table.columns), "Int64")) for table in tables], ignore_index=True
    )


def _whole_samples(metadata: gpd.GeoDataFrame, length: int) -> gpd.GeoDataFrame:
    """Return the first rows, without those of a sample that would be cut in two."""
    cut = set(metadata["sample_id"].iloc[:length]) & set(metadata["sample_id"].iloc[length:])
    first = metadata.iloc[:length]
    return first[~first["sample_id"].isin(cut)].reset_index(drop=True)
