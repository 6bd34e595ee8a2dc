"""The records of all runs that wrote to a results folder, read by whoever looks on or back."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from darts.pipelines.results import progress
from darts.utils.terminal import short_path
from darts_utils.errors import MissingDataError
from darts_utils.files import atomic_file, exclusive_lock
from darts_utils.machine.disk import is_readable

logger = logging.getLogger(__name__)

LOCK = ".lock"
"""In a results folder: held by who writes what is of all runs."""
FAILED = "failed.txt"
"""In a results folder: ids of the tiles that failed when they were tried last, one a line."""
_OLDER_STATUS = {"done": "success"}


@dataclass(frozen=True, kw_only=True)
class TileEnd:
    """How a tile ended in a run, as `results.parquet` says."""

    tile_id: str
    folder: Path
    """Where its results are, or would be."""
    status: str
    """`success`, `skipped` or `failed`."""
    error: str | None = None
    stage: str | None = None
    error_type: str | None = None
    started: datetime | None = None
    seconds: float | None = None
    host: str | None = None
    n_objects: int | None = None
    area_m2: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run wrote down of itself."""

    stem: str
    """When it began, as its files are called."""
    folder: Path
    """Where they are."""
    ends: Sequence[TileEnd]
    progress: Mapping[str, Any] = field(default_factory=dict)
    """What it was at when it wrote that last, see `darts.pipelines.results.progress`; empty for earlier releases."""

    def config_text(self) -> str | None:
        """Return its parameters as it wrote them down, TOML; None if they cannot be read."""
        try:
            return (self.folder / f"{self.stem}.config.toml").read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None

    def times(self) -> pa.Table | None:
        """Return `tile_id stage start end seconds` of its stages, None if they cannot be read."""
        try:
            return pq.read_table(self.folder / f"{self.stem}.timer.parquet")
        except (OSError, ValueError):
            return None


def read_runs(folder: Path) -> list[RunRecord]:
    """Return the records of a folder, the oldest run first; what cannot be read is left out, with a warning.

    Raises:
        MissingDataError: If there is no such folder, or no record in it.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise MissingDataError(f"the folder {short_path(folder)} {what}. Name the results folder of a run.")
    if not is_readable(folder):
        raise MissingDataError(f"the folder {short_path(folder)} may not be read. Ask for the right to read it.")
    stems = [path.name.removesuffix(".results.parquet") for path in folder.glob("*.results.parquet")]
    if not stems:
        raise MissingDataError(
            f"{short_path(folder)} holds no record of a run (*.results.parquet). Name the results folder of a run, "
            f"or its --metadata-dir.{_meant_below(folder)}"
        )
    return [record for stem in sorted(stems, key=_in_order) if (record := _read(folder, stem)) is not None]


def _meant_below(folder: Path) -> str:
    """Return a hint where a data folder was named instead of a results folder in it."""
    found = (path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/*.results.parquet"))
    below = next(found, None)
    return "" if below is None else f" Did you mean {short_path(below)}?"


def _in_order(stem: str) -> tuple[str, int]:
    """Return what sorts runs by their beginning: the second of one second is called `{time}-2`."""
    moment, number = stem[:19], stem[20:]
    return moment, int(number) if number.isdecimal() else 1


def _read(folder: Path, stem: str) -> RunRecord | None:
    try:
        rows = pq.read_table(folder / f"{stem}.results.parquet").to_pylist()
        ends = [_end(row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("the record %s of %s tells nothing: %s", stem, folder, error)
        return None
    return RunRecord(stem=stem, folder=folder, ends=ends, progress=_progress(folder / f"{stem}.{progress.FILE}"))


def _end(row: Mapping[str, Any]) -> TileEnd:
    names = ("error", "stage", "error_type", "started", "seconds", "host", "n_objects", "area_m2")
    return TileEnd(
        tile_id=row["tile_id"],
        folder=Path(row["output_path"]),
        status=_OLDER_STATUS.get(row["status"], row["status"]),
        **{name: row.get(name) for name in names},
    )


def _progress(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def last_ends(runs: Iterable[RunRecord]) -> dict[Path, TileEnd]:
    """Return how each tile ended when it was tried last, by its folder; one that was left alone as it was is that.

    Args:
        runs: Runs, the oldest first.
    """
    last: dict[Path, TileEnd] = {}
    for run in runs:
        for end in run.ends:
            before = last.get(end.folder)
            known = end.status == "skipped" and before is not None and before.status == "success"
            last[end.folder] = before if known and before is not None else end
    return last


def write_failed(folder: Path) -> None:
    """Write `failed.txt`: which tiles of all runs in a folder failed when they were tried last; none, no file.

    Args:
        folder: Where the records are. Runs that end at once wait for each other, and the last one knows all.
    """
    with exclusive_lock(folder / LOCK):
        ends = last_ends(read_runs(folder)).values()
        failed = [PurePosixPath(end.tile_id).name for end in ends if end.status == "failed"]  # without its orthotile
        if not failed:
            (folder / FAILED).unlink(missing_ok=True)
            return
        with atomic_file(folder / FAILED) as part:
            part.write_text("".join(f"{tile_id}\n" for tile_id in dict.fromkeys(failed)), encoding="utf-8")
