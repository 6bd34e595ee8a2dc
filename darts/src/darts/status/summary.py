"""What the records of a results folder say together."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from darts.pipelines.results.progress import WRITTEN_EVERY_S
from darts.pipelines.results.records import RunRecord, TileEnd, last_ends, read_runs

_SILENT_AFTER_S = 12 * WRITTEN_EVERY_S
"""Clocks of machines differ, and network folders are told late."""

type State = Literal["running", "finished", "interrupted", "broken off", "silent", "unknown"]


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """What one run is at."""

    stem: str
    state: State
    """`silent`: it did not say that it ended, and writes nothing any more; `unknown`: of an earlier release."""
    n_selected: int
    n_done: int
    n_skipped: int
    n_failed: int
    host: str | None = None
    part: str | None = None
    job: str | None = None
    started: float | None = None
    """Seconds since the epoch."""
    written: float | None = None
    """When it wrote last, in seconds since the epoch."""
    n_worked: int = 0
    """Tiles that it had worked on by then, those that failed too."""
    at_work: Sequence[Mapping[str, Any]] = ()
    """`tile_id stage since` of each tile in work."""

    @property
    def n_ended(self) -> int:
        """Tiles of which nothing more will come."""
        return self.n_done + self.n_skipped + self.n_failed

    @property
    def tiles_per_minute(self) -> float | None:
        """Tiles that were worked on, in a minute of the run; None before the first.

        Number and time are of one moment: the record of results is minutes ahead where a run wrote last before its end.
        """
        if not self.n_worked or self.started is None or self.written is None or self.written <= self.started:
            return None
        return 60 * self.n_worked / (self.written - self.started)

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest will take at that rate; None if it does not run, or the rate is not known."""
        rate = self.tiles_per_minute
        return None if rate is None or self.state != "running" else 60 * (self.n_selected - self.n_ended) / rate


@dataclass(frozen=True, kw_only=True)
class FolderStatus:
    """What all runs of a results folder are at together."""

    folder: Path
    runs: Sequence[RunStatus]
    ends: Sequence[TileEnd]
    """How each tile ended when it was tried last."""

    @property
    def failures(self) -> list[TileEnd]:
        """Tiles that failed when they were tried last."""
        return [end for end in self.ends if end.status == "failed"]

    @property
    def n_there(self) -> int:
        """Tiles of which there are results."""
        return len(self.ends) - len(self.failures)

    @property
    def is_running(self) -> bool:
        """Whether a run goes on."""
        return any(run.state == "running" for run in self.runs)


def status_of(folder: Path, now: float | None = None) -> FolderStatus:
    """Return what the runs of a results folder are at.

    Args:
        folder: A results folder, or wherever the records of runs are.
        now: Seconds since the epoch, the present if not given.

    Raises:
        MissingDataError: If there is no such folder, or no record in it.
    """
    records = read_runs(folder)
    moment = time.time() if now is None else now
    return FolderStatus(
        folder=folder,
        runs=[run_status(record, moment) for record in records],
        ends=list(last_ends(records).values()),
    )


def run_status(record: RunRecord, now: float | None = None) -> RunStatus:
    """Return what a run is at; `now` in seconds since the epoch, the present if not given."""
    said = record.progress
    counts = {status: sum(end.status == status for end in record.ends) for status in ("success", "skipped", "failed")}
    return RunStatus(
        stem=record.stem,
        state=_state(said, time.time() if now is None else now),
        n_selected=int(said.get("n_selected", len(record.ends))),
        n_done=counts["success"],
        n_skipped=counts["skipped"],
        n_failed=counts["failed"],
        n_worked=int(said.get("success", 0)) + int(said.get("failed", 0)),
        **{name: said.get(name) for name in ("host", "part", "job", "started", "written")},
        at_work=said.get("at_work", ()),
    )


def _state(said: Mapping[str, Any], now: float) -> State:
    if not said:
        return "unknown"
    if said.get("ended") is not None:
        ended: State = said["ended"]
        return ended
    return "silent" if now - said.get("written", 0) > _SILENT_AFTER_S else "running"


def reasons(failures: Sequence[TileEnd]) -> dict[str, list[str]]:
    """Return why tiles failed, with their ids, what befell most first; the ids are left out of the reasons."""
    found: dict[str, list[str]] = {}
    for end in failures:
        reason = re.sub(rf"(?<!\w){re.escape(end.tile_id)}(?!\w)", "{id}", end.error or "unknown")
        found.setdefault(reason, []).append(end.tile_id)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))
