"""What a run shows: a live view on a terminal, one bar in a notebook, plain lines anywhere else."""

import logging
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from darts.logs.events import shown_event, tell
from darts.utils.terminal import is_json, is_notebook, is_plain, output_console, say
from darts_utils.text import counted

if TYPE_CHECKING:
    from darts.pipelines.tiles import Outcome, RunReport, StageStarted, Status


_WORDS: dict["Status", str] = {"success": "done", "skipped": "skipped", "failed": "failed"}
"""What people read for the statuses of the record."""


class RunView(Protocol):
    """Shows a run as it goes."""

    def stage(self, event: "StageStarted") -> None:
        """Show that a stage begins with a tile."""
        ...

    def tile(self, outcome: "Outcome") -> None:
        """Show that a tile has ended."""
        ...

    def finish(self, report: "RunReport") -> None:
        """Show the summary."""
        ...


@contextmanager
def run_view(n_tiles: int, n_skipped: int) -> Iterator[RunView]:
    """Give the view that suits: live on a terminal, a bar in a notebook, else plain lines, or JSON if asked for."""
    if is_json():
        yield JsonView(n_tiles, n_skipped)
        return
    if is_notebook():
        cell = NotebookView(n_tiles, n_skipped)
        with cell.bar:
            yield cell
        return
    if is_plain():
        yield PlainView(n_tiles, n_skipped)
        return
    view = LiveView(n_tiles, n_skipped)
    with view.progress:
        yield view


class _Clock:
    """Estimates the time left from the tiles that were really worked on."""

    def __init__(self, todo: int) -> None:
        self._todo = todo
        self._done = 0
        self._start = time.monotonic()

    def tick(self) -> None:
        self._done += 1

    @property
    def left_s(self) -> float | None:
        if self._done == 0:
            return None
        return (time.monotonic() - self._start) / self._done * (self._todo - self._done)


class PlainView:
    """One line a tile with the time of day, for log files and pipes."""

    def __init__(self, n_tiles: int, n_skipped: int) -> None:
        self._n_tiles = n_tiles
        self._n_ended = n_skipped
        self._clock = _Clock(n_tiles - n_skipped)
        tell(selected(n_tiles, n_skipped), with_time=True)

    def stage(self, event: "StageStarted") -> None:
        """Say nothing: a line a stage would drown the log."""

    def tile(self, outcome: "Outcome") -> None:
        """Say how a tile ended, and the estimated time left."""
        self._n_ended += 1
        self._clock.tick()
        left = self._clock.left_s
        word = _WORDS[outcome.status]
        result = word if outcome.error is None else f"{word} at {outcome.error}"
        time_left = "" if left is None or self._n_ended == self._n_tiles else f", about {duration(left)} left"
        what = f"[{self._n_ended}/{self._n_tiles}] {outcome.ref.tile_id}: {result}"
        tell(f"{what} ({outcome.seconds:.1f} s{time_left})", with_time=True)

    def finish(self, report: "RunReport") -> None:
        """Say the summary."""
        first, *others = summary_lines(report)
        tell(first, with_time=True)
        for line in others:
            say(line)


class JsonView:
    """Events of the log, which are shown as JSON; what becomes of tiles is there already."""

    def __init__(self, n_tiles: int, n_skipped: int) -> None:
        shown_event(logging.INFO, selected(n_tiles, n_skipped), n_tiles=n_tiles, n_done=n_skipped)

    def stage(self, event: "StageStarted") -> None:
        """Say nothing, as in plain lines."""

    def tile(self, outcome: "Outcome") -> None:
        """Say nothing: how a tile ended is an event of its own."""

    def finish(self, report: "RunReport") -> None:
        """Log the summary."""
        counts = {word: report.count(status) for status, word in _WORDS.items()}
        seconds = {stage: {"tiles": n, "mean": mean, "total": total} for stage, n, mean, total in _stages(report)}
        event = summary_lines(report)[0]
        shown_event(logging.INFO, event, **counts, stage_seconds=seconds, results=str(report.folder))


def selected(n_tiles: int, n_skipped: int) -> str:
    """Return what a run begins with."""
    return f"{counted(n_tiles, 'tile')} selected, {n_skipped} done before"


def _stages(report: "RunReport") -> list[tuple[str, int, float, float]]:
    return [(stage, n, float(mean), float(total)) for stage, n, mean, total in stage_rows(report.outcomes)]


class LiveView:
    """A progress bar over tiles with the stage at work and the estimated time left."""

    def __init__(self, n_tiles: int, n_skipped: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=output_console(),
            transient=True,
        )
        self._clock = _Clock(n_tiles - n_skipped)
        self._at_work: dict[str, str] = {}
        self._task = self.progress.add_task("starting", total=n_tiles, completed=n_skipped, left="")

    def stage(self, event: "StageStarted") -> None:
        """Show which stages are at work."""
        self._at_work[event.ref.tile_id] = event.stage
        self._describe()

    def tile(self, outcome: "Outcome") -> None:
        """Advance the bar; say failures at once."""
        self._at_work.pop(outcome.ref.tile_id, None)
        self._clock.tick()
        self._describe()
        left = self._clock.left_s
        self.progress.update(self._task, advance=1, left="" if left is None else f"{duration(left)} left")
        if outcome.status == "failed":
            self.progress.console.print(
                f"failed {outcome.ref.tile_id}: {outcome.error}", style="red", highlight=False, markup=False
            )

    def _describe(self) -> None:
        self.progress.update(self._task, description=" + ".join(dict.fromkeys(self._at_work.values())) or "finishing")

    def finish(self, report: "RunReport") -> None:
        """Show the summary tables."""
        self.progress.stop()
        show_tables(report)


class NotebookView:
    """One bar that is overwritten in the cell, however many tiles there are.

    It is the text bar of tqdm: those of ipywidgets, which rich needs too, are mostly not installed, and are gone from a
    notebook that is opened again.
    """

    _MOST_FAILURES = 10
    _DRAWN_AFTER_S = 0.5

    def __init__(self, n_tiles: int, n_skipped: int) -> None:
        from tqdm import tqdm

        self.bar = tqdm(
            total=n_tiles,
            initial=n_skipped,
            desc="starting",
            bar_format="{desc}: |{bar:24}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left{postfix}]",
            file=sys.stdout,
            mininterval=self._DRAWN_AFTER_S,
            miniters=1,
        )
        self._drawn = time.monotonic()
        self._at_work: dict[str, str] = {}
        self._n_failed = 0

    def stage(self, event: "StageStarted") -> None:
        """Show which stages are at work."""
        self._at_work[event.ref.tile_id] = event.stage
        self._describe()

    def tile(self, outcome: "Outcome") -> None:
        """Advance the bar, and count failures."""
        self._at_work.pop(outcome.ref.tile_id, None)
        self.bar.n += 1
        if outcome.status == "failed":
            self._n_failed += 1
            self.bar.set_postfix_str(f"{self._n_failed} failed", refresh=False)
        self._describe()

    def _describe(self) -> None:
        stages = " + ".join(dict.fromkeys(self._at_work.values()))
        self.bar.set_description_str(stages or "finishing", refresh=False)
        if time.monotonic() - self._drawn >= self._DRAWN_AFTER_S:  # the text of a cell is kept with the notebook
            self._drawn = time.monotonic()
            self.bar.refresh()

    def finish(self, report: "RunReport") -> None:
        """Leave the bar as it ended, and say the summary with the first failures."""
        self.bar.set_description_str("interrupted" if report.interrupted else "finished", refresh=False)
        self.bar.close()
        first, *_, last = summary_lines(report)
        say(first)
        for outcome in report.failures[: self._MOST_FAILURES]:
            say(f"failed {outcome.ref.tile_id}: {outcome.error}")
        if more := len(report.failures[self._MOST_FAILURES :]):
            say(f"and {more} more: see `failures` of the report")
        say(last)


def show_tables(report: "RunReport") -> None:
    """Show the summary of a run as tables."""
    counts = [(word, str(report.count(status))) for status, word in _WORDS.items()]
    _print_table("Interrupted" if report.interrupted else "Finished", ("tiles", "number"), counts)
    _print_table("Time", ("stage", "tiles", "mean s", "total s"), stage_rows(report.outcomes))
    failures = [(outcome.ref.tile_id, outcome.error) for outcome in report.failures]
    _print_table("Failed", ("tile", "reason"), failures)
    say(f"Results: {report.folder}")


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Show a table; plain lines have no head, so that their columns are named in the title."""
    show_rows(f"{title} ({', '.join(column for column in columns if column)})" if is_plain() else title, columns, rows)


def show_rows(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Show rows as a table on a terminal, else as a plain line each."""
    if not is_plain():
        _print_table(title, columns, rows)
        return
    say(f"{title}:")
    for row in rows:
        say(": ".join(map(str, row)))


def _print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    rows = list(rows)
    if rows:
        whole = (Column(name, overflow="fold") for name in columns)  # or ids and paths would end in dots
        table = Table(*whole, title=title, title_justify="left")
        for row in rows:
            table.add_row(*(Text(str(cell)) for cell in row))  # as text: a path may hold what rich takes for markup
        output_console().print(table)


def stage_rows(outcomes: "Iterable[Outcome]") -> list[tuple[str, int, str, str]]:
    """Return for each stage: name, number of tiles, mean and total seconds."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        for spent in outcome.times:
            seconds[spent.stage].append(spent.seconds)
    return [
        (stage, len(all_s), f"{sum(all_s) / len(all_s):.2f}", f"{sum(all_s):.1f}") for stage, all_s in seconds.items()
    ]


def summary_lines(report: "RunReport") -> list[str]:
    """Return the summary of a run as plain lines."""
    counts = ", ".join(f"{report.count(status)} {word}" for status, word in _WORDS.items())
    lines = [f"{'interrupted' if report.interrupted else 'finished'}: {counts}"]
    lines += [f"failed {outcome.ref.tile_id}: {outcome.error}" for outcome in report.failures]
    lines += [
        f"stage {stage}: {counted(n, 'tile')}, mean {mean} s, total {total} s"
        for stage, n, mean, total in stage_rows(report.outcomes)
    ]
    return [*lines, f"results: {report.folder}"]


def duration(seconds: float) -> str:
    """Return a length of time for people, such as 2 h 05 min, 3 min 20 s or 12 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
