"""What a run is at, in a small file beside its record, for people and machines that look on."""

import json
import os
import platform
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from darts.pipelines.tiles import Outcome, RunReport, StageStarted
from darts.utils.console import RunView
from darts_utils.errors import DartsError
from darts_utils.files import atomic_file

FILE = "progress.json"
WRITTEN_EVERY_S = 10.0
"""A file that was not written for several times as long is that of a run that was killed."""
_FIRST_S = 1.0
_JOB = ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_ID")


def pid_space() -> str:
    """Return which processes the numbers of processes are of: containers of one machine have numbers of their own."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not on Linux
        return ""


class Progress:
    """Writes down which tiles are at which stage, every few seconds and at the end; a view that nobody sees.

    Args:
        path: The file.
        n_selected: Tiles of the run.
        n_skipped: Those of them that were done before.
        part: Which part of the selected tiles the run maps, None for all.
        every_s: How often it is written.
    """

    def __init__(
        self, path: Path, *, n_selected: int, n_skipped: int, part: str | None = None, every_s: float = WRITTEN_EVERY_S
    ) -> None:
        self._path, self._every_s = path, every_s
        self._about: dict[str, Any] = {
            "host": platform.node(), "pid": os.getpid(), "pid_space": pid_space(), "part": part,
            "job": "_".join(dict.fromkeys(os.environ[name] for name in _JOB[:2] if name in os.environ))
            or os.environ.get(_JOB[2]),
            "started": time.time(), "n_selected": n_selected,
        }  # fmt: skip
        self._counts = {"success": 0, "skipped": n_skipped, "failed": 0}
        self._at_work: dict[str, dict[str, Any]] = {}
        self._ended: str | None = None
        self._makes: str | None = None
        self._tiles_ended: float | None = None
        self._lock, self._one_writes = threading.Lock(), threading.Lock()
        self._over = threading.Event()
        self._writer = threading.Thread(target=self._keep_writing, name="darts-progress", daemon=True)

    def __enter__(self) -> Self:
        """Write it, and go on doing so."""
        self._write()
        self._writer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Write how the run ended: as `finish` was told, or that something broke it off."""
        self._over.set()
        self._writer.join()
        self._ended = self._ended or "broken off"
        self._write()

    def stage(self, event: StageStarted) -> None:
        """Take note that a stage begins with a tile."""
        with self._lock:
            self._at_work[event.ref.tile_id] = {"stage": event.stage, "since": time.time()}

    def tile(self, outcome: Outcome) -> None:
        """Take note that a tile has ended."""
        with self._lock:
            self._at_work.pop(outcome.ref.tile_id, None)
            self._counts[outcome.status] += 1

    def finish(self, report: RunReport) -> None:
        """Take note of how the run ended."""
        self._ended = "interrupted" if report.interrupted else "finished"
        self._tiles_ended = time.time()

    def goes_on_with(self, what: str | None) -> None:
        """Take note of what is made of all tiles once they have ended, and write it; None: nothing any more."""
        self._makes = what
        self._write()

    def _keep_writing(self) -> None:
        wait_s = min(_FIRST_S, self._every_s)  # whoever looks on as a run begins sees it begin
        while not self._over.wait(wait_s):
            self._write()
            wait_s = min(2 * wait_s, self._every_s)

    def _write(self) -> None:
        with self._lock:
            at_work = [] if self._ended else [{"tile_id": name, **what} for name, what in self._at_work.items()]
            content = {**self._about, **self._counts, "written": time.time(), "at_work": at_work}
            content |= {"ended": self._ended, "tiles_ended": self._tiles_ended, "makes": self._makes}
        try:
            with self._one_writes, atomic_file(self._path) as part:
                part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        except (OSError, DartsError):  # a disk that is full fails tiles, which say so; this one is written again soon
            return


class Together:
    """Several views of a run as one."""

    def __init__(self, views: Sequence[RunView]) -> None:
        self._views = views

    def stage(self, event: StageStarted) -> None:
        """Show that a stage begins with a tile."""
        for view in self._views:
            view.stage(event)

    def tile(self, outcome: Outcome) -> None:
        """Show that a tile has ended."""
        for view in self._views:
            view.tile(outcome)

    def finish(self, report: RunReport) -> None:
        """Show the summary."""
        for view in self._views:
            view.finish(report)
