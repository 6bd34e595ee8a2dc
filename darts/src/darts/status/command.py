"""`darts status`: what the runs of a results folder are at, while they go on and when they have ended."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from darts.pipelines.results.records import FAILED
from darts.status.summary import FolderStatus, RunStatus, reasons, status_of
from darts.utils.console import duration
from darts.utils.terminal import output_console, say, short_path
from darts_utils.errors import ConfigError
from darts_utils.paths import user_path
from darts_utils.text import counted

_NAMED = 5
"""Tiles that are named of those with the same reason."""
_SHOWN_RUNS = 5
_EVERY_S = 5.0


def status(
    folder: Path,
    *,
    watch: Annotated[bool, Parameter(negative=())] = False,
    every: float = _EVERY_S,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Show what runs are at: done, failed and why, what is at work where, and how long it will take.

    Args:
        folder: A results folder (or --metadata-dir), on this machine or shared with the one that maps.
        watch: Show it again and again until no run goes on.
        every: Seconds between two looks.
        as_json: Print JSON, with every tile that failed; one line a look.

    Raises:
        ConfigError: If seconds are not positive.
    """
    if every <= 0:
        raise ConfigError(f"every is {every:g} but must be above 0 seconds. Give 5, for instance.")
    folder = user_path(folder)
    while True:
        found = status_of(folder)
        _show(found, as_json=as_json, on_top=watch)
        if not (watch and found.is_running):
            return
        time.sleep(every)


def _show(found: FolderStatus, *, as_json: bool, on_top: bool) -> None:
    if as_json:
        say(json.dumps(as_values(found), ensure_ascii=False))
        return
    if on_top and output_console().is_terminal:
        output_console().clear()
    for line in lines(found):
        say(line)


def lines(found: FolderStatus) -> Iterator[str]:
    """Yield what people read of it."""
    going = [run for run in found.runs if run.state == "running"]
    rest = [run for run in found.runs if run.state != "running"]
    if len(rest) > _SHOWN_RUNS:
        yield f"{len(rest) - _SHOWN_RUNS} earlier runs are not shown; --json has them"
    ended = max((run.stem for run in rest if run.state == "finished" and run.makes is None), default="")
    for run in (*rest[-_SHOWN_RUNS:], *going):
        yield from _run_lines(run, is_followed=run.stem < ended)
    failures = found.failures
    failed = f"{counted(len(failures), 'tile')} failed" if failures else "none failed"
    yield f"{short_path(found.folder)}: results of {counted(found.n_there, 'tile')}, {failed}"
    for reason, ids in reasons(failures).items():
        yield f"  {len(ids)} x {reason}"
        yield f"      {', '.join(ids[:_NAMED])}{'' if len(ids) <= _NAMED else f' and {len(ids) - _NAMED} more'}"
    if failures and (found.folder / FAILED).is_file():
        yield f"  all ids that failed: {short_path(found.folder / FAILED)}"


def _run_lines(run: RunStatus, *, is_followed: bool) -> Iterator[str]:
    """Yield what is told of a run; another one that began after it may have ended."""
    where = "".join(
        f" {word} {value}" for word, value in (("part", run.part), ("on", run.host), ("as job", run.job)) if value
    )
    yield f"{run.stem}{where}: {_said(run, is_followed=is_followed)}"
    counts = f"{run.n_done} done, {run.n_skipped} skipped, {run.n_failed} failed"
    rate = "" if run.tiles_per_minute is None else f"; {run.tiles_per_minute:.3g} tiles a minute"
    left = "" if run.left_s is None else f", about {duration(run.left_s)} left"
    yield f"  {run.n_ended} of {counted(run.n_selected, 'tile')}: {counts}{rate}{left}"
    if run.state == "running":
        now = time.time()
        for work in run.at_work:
            yield f"  at work: {work['tile_id']} in {work['stage']} for {duration(max(now - work['since'], 0))}"


def _said(run: RunStatus, *, is_followed: bool) -> str:
    """Return what a run is at in words."""
    if run.state == "silent" and run.written is not None:
        since = duration(max(time.time() - run.written, 0))
        what_to_do = "a later run has finished" if is_followed else "start it again: what is done stays"
        return f"silent for {since}, so it was killed, or its machine is down; {what_to_do}"
    if run.state == "finished" and run.makes is not None:
        what_to_do = "a later run has finished" if is_followed else "the same command makes it"
        at_it = f"makes the {run.makes}" if run.is_alive else f"but stopped at the {run.makes}; {what_to_do}"
        return f"finished, {at_it}"
    words = {
        "unknown": "of an earlier release, which did not say whether it ended",
        "broken off": "broken off by an error",
    }
    return words.get(run.state, run.state)


def as_values(found: FolderStatus) -> dict[str, Any]:
    """Return it as plain values; times are ISO dates in UTC, lengths of time seconds."""
    return {
        "folder": str(found.folder.absolute()),
        "n_there": found.n_there,
        "n_failed": len(found.failures),
        "is_running": found.is_running,
        "runs": [_run_values(run) for run in found.runs],
        "failures": [
            {"tile_id": end.tile_id, "stage": end.stage, "error_type": end.error_type, "error": end.error}
            for end in found.failures
        ],
    }


def _run_values(run: RunStatus) -> dict[str, Any]:
    return {
        "run": run.stem, "state": run.state, "host": run.host, "part": run.part, "job": run.job,
        "started": _moment(run.started), "written": _moment(run.written), "n_selected": run.n_selected,
        "n_done": run.n_done, "n_skipped": run.n_skipped, "n_failed": run.n_failed,
        "tiles_per_minute": run.tiles_per_minute, "left_s": run.left_s, "makes": run.makes,
        "at_work": [{**work, "since": _moment(work.get("since"))} for work in run.at_work],
    }  # fmt: skip


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
