"""The files of an inventory: GeoParquet by year and cell, each whole or absent, and made again only if it must be.

A part is made of inputs whose digest is noted beside it once it is there. So a build that was killed goes on, and one
with more or fewer tiles makes again what they change.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import shapely
from geopandas.array import GeometryDtype
from pandas.api.types import is_string_dtype
from pyarrow import ArrowException
from shapely.errors import ShapelyError

from darts_postprocessing.inventory.cells import Bounds, bounds_of
from darts_postprocessing.inventory.plane import LONGLAT_CRS, PLANE_CRS, to_degrees, to_plane
from darts_utils.canonical import sha256_of
from darts_utils.errors import DataError
from darts_utils.files import atomic_file, atomic_folder, make_folder

VERSION = 1
"""Of what is worked out: parts of another version are made again."""
_PUBLISHED = ("objects", "looks", "slumps", "tracks", "changes", "sums", "verdicts")
"""Folders of parts that a published inventory may have."""
_OUTLINES = frozenset({"geometry", "geometry_majority"})
PARTS = ".parts"
NOTES = f"{PARTS}/notes"
"""Folder of what was noted of the parts."""


@dataclass(frozen=True)
class Part:
    """A file of an inventory."""

    root: Path
    """Folder of the inventory."""
    name: str
    """Of the file below it, such as `objects/2021/x-012y+003.parquet`."""

    @property
    def file(self) -> Path:
        """The file."""
        return self.root / self.name

    @property
    def year(self) -> int:
        """The year in its name."""
        return int(self.file.parent.name)

    @property
    def cell(self) -> str:
        """The cell in its name."""
        return self.file.stem

    @property
    def _note(self) -> Path:
        return self.root / NOTES / f"{self.name}.json"

    def noted(self) -> Mapping[str, Any]:
        """Return what was noted of it: `digest`, `rows`, `bounds`, and `bytes`; nothing if it is not whole.

        An inventory that was published has no notes at all: its parts tell of themselves.
        """
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            is_whole = self.file.stat().st_size == note["bytes"]
        except (OSError, ValueError, KeyError, TypeError):
            return {} if (self.root / NOTES).is_dir() else self._told()
        return note if is_whole else {}

    def _told(self) -> Mapping[str, Any]:
        """Return what a part of a published inventory tells of itself; nothing if it cannot be read."""
        try:
            status = self.file.stat()
            return _told_by(self.file, status.st_mtime_ns, status.st_size)
        except (OSError, ValueError, ArrowException, ShapelyError, DataError):
            return {}

    def is_made_of(self, digest: str) -> bool:
        """Return whether it is there, and made of inputs with this digest."""
        return self.noted().get("digest") == digest

    @property
    def bounds(self) -> Bounds | None:
        """What its outlines cover in the plane, None where it has none."""
        bounds = self.noted().get("bounds")
        return None if bounds is None else (bounds[0], bounds[1], bounds[2], bounds[3])

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return int(self.noted().get("rows", 0))

    def write(self, frame: pd.DataFrame, digest: str) -> None:
        """Write it, its outlines in degrees, and note what it was made of; equal tables give equal bytes.

        Args:
            frame: What it holds, all outlines in the plane; or a table without any.
            digest: Of what it was made of.
        """
        make_folder(self.file.parent)
        make_folder(self._note.parent)
        outlines = frame.geometry.to_numpy() if isinstance(frame, gpd.GeoDataFrame) else np.empty(0, dtype=object)
        with atomic_file(self.file) as part:
            if isinstance(frame, gpd.GeoDataFrame):
                in_degrees(frame).to_parquet(
                    part, index=False, compression="zstd", write_covering_bbox=True, schema_version="1.1.0"
                )
            else:
                frame.to_parquet(part, index=False, compression="zstd")
        note = {
            "digest": digest,
            "rows": len(frame),
            "bounds": bounds_of(outlines),
            "bytes": self.file.stat().st_size,
        }
        with atomic_file(self._note) as part:
            part.write_text(json.dumps(note), encoding="utf-8")

    def read_plain(self) -> pd.DataFrame:
        """Return what it holds, if that is a table without outlines.

        Raises:
            DataError: If it cannot be read.
        """
        try:
            return pd.read_parquet(self.file)
        except (OSError, ValueError, ArrowException) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> DataError:
        return DataError(f"{self.file} cannot be read ({error}). Delete it, and build it again.")

    def read(self, columns: Sequence[str] | None = None) -> gpd.GeoDataFrame:
        """Return what it holds, its outlines in the plane.

        Raises:
            DataError: If it cannot be read.
        """
        wanted = None if columns is None else list(columns)
        try:  # geopandas takes longer to read what the coordinates are than to read them
            plain = pq.read_table(self.file, columns=wanted).to_pandas()
            for name in _OUTLINES.intersection(plain.columns):
                plain[name] = gpd.GeoSeries(to_plane(shapely.from_wkb(plain[name]), LONGLAT_CRS), crs=PLANE_CRS)
        except (OSError, ValueError, ArrowException, ShapelyError) as error:
            raise self._damaged(error) from error
        frame = plain.drop(columns="bbox", errors="ignore")
        return gpd.GeoDataFrame(frame, geometry="geometry", crs=PLANE_CRS)


@lru_cache(maxsize=100_000)
def _told_by(file: Path, changed_ns: int, size: int) -> Mapping[str, Any]:  # noqa: ARG001  (another file is another key)
    table = pq.read_table(file)
    outlines = np.empty(0, dtype=object)
    if "geometry" in table.column_names:
        outlines = to_plane(shapely.from_wkb(table["geometry"].to_numpy()), LONGLAT_CRS)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return {"digest": digest, "rows": len(table), "bounds": bounds_of(outlines), "bytes": size}


def in_degrees(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a table of the plane with all its outlines in degrees, and all texts of a type of their own."""
    plain = pd.DataFrame(frame)
    for name, kind in frame.dtypes.items():
        if isinstance(kind, GeometryDtype):
            plain[name] = gpd.GeoSeries(to_degrees(frame[name].to_numpy()), index=frame.index, crs=LONGLAT_CRS)
        elif is_string_dtype(kind):  # a text that is null in all rows would be of no type, and parts not one table
            plain[name] = plain[name].astype("string")
    return gpd.GeoDataFrame(plain, geometry="geometry", crs=LONGLAT_CRS)


def digest_of(*inputs: Any) -> str:
    """Return the digest of what a part is made of: plain values, digests of other parts among them."""
    return sha256_of({"version": VERSION, "inputs": list(inputs)})


def digests(parts: Iterable[Part]) -> list[list[str]]:
    """Return names and digests of parts, by name."""
    return [[part.name, str(part.noted().get("digest"))] for part in sorted(parts, key=lambda one: one.name)]


def parts_of(root: Path, kind: str) -> list[Part]:
    """Return the parts of a kind that an inventory has, or those of a kind and year, by name.

    Raises:
        DataError: If one is lost or not whole, or the notes of one are lost, without which nothing is known of it.
    """
    notes = root / NOTES
    there = {file.relative_to(root).as_posix() for file in (root / kind).rglob("*.parquet")}
    noted = {file.relative_to(notes).as_posix().removesuffix(".json") for file in (notes / kind).rglob("*.json")}
    parts = [Part(root, name) for name in sorted(there | noted)]
    lacking = [part.name for part in parts if not part.noted()]
    if lacking:
        raise DataError(f"{root} is not whole: {lacking[0]}, or its notes in {NOTES}, is lost. Build it again.")
    return parts


def note_all(root: Path) -> None:
    """Let all parts of an inventory without notes, as a published one is, have them: a single note would hide the rest.

    Whatever writes a part of an inventory that may have been published calls this before.

    Raises:
        DataError: If a part cannot be read.
    """
    if (root / NOTES).is_dir():
        return
    noted = {part.name: part.noted() for kind in _PUBLISHED for part in parts_of(root, kind)}
    make_folder(root / PARTS)
    with atomic_folder(root / NOTES) as folder:
        for name, note in noted.items():
            make_folder((folder / name).parent)
            (folder / f"{name}.json").write_text(json.dumps(note), encoding="utf-8")


def remove_others(root: Path, kinds: Sequence[str], wanted: Iterable[Part]) -> int:
    """Delete parts of some kinds that an inventory does not have any more, and return how many there were."""
    kept = {part.file for part in wanted}
    gone = [file for kind in kinds for file in (root / kind).rglob("*.parquet") if file not in kept]
    for file in gone:
        file.unlink()
        (root / NOTES / f"{file.relative_to(root).as_posix()}.json").unlink(missing_ok=True)
    return len(gone)
