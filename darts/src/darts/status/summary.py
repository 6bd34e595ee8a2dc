"""What the records of a results folder say together."""

import platform
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from darts.pipelines.results.progress import WRITTEN_EVERY_S, pid_space
from darts.pipelines.results.records import RunRecord, TileEnd, last_ends, read_runs

_SILENT_AFTER_S = 12 * WRITTEN_EVERY_S
"""Clocks of machines differ, and network folders are told late."""
_SLACK_S = 5.0
"""The start of a process is told less exactly than that of a run; one that began later has only its number."""

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
    tiles_ended: float | None = None
    """When its last tile had ended, likewise; what it makes of all tiles comes after. None before."""
    n_worked: int = 0
    """Tiles that it had worked on by then, those that failed too."""
    at_work: Sequence[Mapping[str, Any]] = ()
    """`tile_id stage since` of each tile in work."""
    makes: str | None = None
    """What it makes of all tiles after they have ended, or did when it was killed: `inventory` or `report`."""
    is_alive: bool = False
    """Whether it may still be at work, as far as can be seen from here."""

    @property
    def n_ended(self) -> int:
        """Tiles of which nothing more will come."""
        return self.n_done + self.n_skipped + self.n_failed

    @property
    def tiles_per_minute(self) -> float | None:
        """Tiles that were worked on, in a minute of the run; None before the first.

        Number and time are of one moment: the record of results is minutes ahead where a run wrote last before its end.
        """
        until = self.tiles_ended or self.written
        if not self.n_worked or self.started is None or until is None or until <= self.started:
            return None
        return 60 * self.n_worked / (until - self.started)

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
        return any(run.state == "running" or (run.makes is not None and run.is_alive) for run in self.runs)


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
    is_alive = _is_alive(said, time.time() if now is None else now)
    over = {end.tile_id for end in record.ends}  # the record of results is ahead of what is written every ten seconds
    return RunStatus(
        stem=record.stem,
        state=_state(said, is_alive=is_alive),
        is_alive=is_alive,
        n_selected=int(said.get("n_selected", len(record.ends))),
        n_done=counts["success"],
        n_skipped=counts["skipped"],
        n_failed=counts["failed"],
        n_worked=int(said.get("success", 0)) + int(said.get("failed", 0)),
        **{name: said.get(name) for name in ("host", "part", "job", "started", "written", "tiles_ended")},
        makes=said.get("makes"),
        at_work=[one for one in said.get("at_work", ()) if one["tile_id"] not in over],
    )


def _is_alive(said: Mapping[str, Any], now: float) -> bool:
    """Tell whether a run may still be at work: on this machine by its process, on others by when it wrote last."""
    if now - said.get("written", 0) > _SILENT_AFTER_S:
        return False
    if (said.get("host"), said.get("pid_space")) != (platform.node(), pid_space()):
        return True
    try:
        return psutil.Process(said["pid"]).create_time() <= said["started"] + _SLACK_S
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # it is somebody else's
        return True


def _state(said: Mapping[str, Any], *, is_alive: bool) -> State:
    if not said:
        return "unknown"
    if said.get("ended") is not None:
        ended: State = said["ended"]
        return ended
    return "running" if is_alive else "silent"


def reasons(failures: Sequence[TileEnd]) -> dict[str, list[str]]:
    """Return why tiles failed, with their ids, what befell most first; the ids are left out of the reasons."""
    found: dict[str, list[str]] = {}
    for end in failures:
        reason = re.sub(rf"(?<!\w){re.escape(end.tile_id)}(?!\w)", "{id}", end.error or "unknown")
        found.setdefault(reason, []).append(end.tile_id)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))
