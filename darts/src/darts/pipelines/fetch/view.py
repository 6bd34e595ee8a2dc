"""What a plan and the fetching of data show: a bar with bytes, rate and time left on a terminal, else plain lines."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from darts.logs.events import tell
from darts.pipelines.auxiliary import LAYERS
from darts.utils.console import duration, show_rows
from darts.utils.terminal import is_plain, output_console
from darts_utils.text import counted

_LABELS = {"images": "scenes", **{name: layer.label for name, layer in LAYERS.items()}}

if TYPE_CHECKING:
    from darts.pipelines.fetch.downloader import Fetched, FetchReport
    from darts.pipelines.fetch.plan import Plan


def show_plan(plan: "Plan", *, with_tiles: bool = False) -> None:
    """Show what is to be done and fetched, with every tile if asked for."""
    if with_tiles and plan.todo:
        _show_tiles(plan)
    for line in plan_lines(plan):
        tell(line)


def _show_tiles(plan: "Plan") -> None:
    """Show every tile with what is to fetch for it, and its size if sizes are known."""
    ids = [ref.tile_id for ref in plan.todo]
    lacks = "missing" if plan.offline else "to fetch"
    if plan.sizes:
        rows = [(tile_id, plan.sizes.get(tile_id, "unreadable"), _lacking(plan, tile_id)) for tile_id in ids]
        show_rows("Plan", ("tile", "size", lacks), rows)
    else:
        show_rows("Plan", ("tile", lacks), [(tile_id, _lacking(plan, tile_id)) for tile_id in ids])


def plan_lines(plan: "Plan") -> list[str]:
    """Return the plan in a few lines."""
    n_todo, n_images = len(plan.todo), len(plan.images)
    before = f", {plan.n_done} done before" if plan.n_done else ""
    lines = [f"plan: {n_todo + plan.n_done} found{before}, {n_todo} to do"]
    if n_todo:
        lacks = "missing" if plan.offline else "to fetch"
        lines.append(f"  images: {n_todo - n_images} staged, {n_images} {lacks}{_sized(sum(plan.images.values()))}")
    lines += [f"  {_LABELS[layer]}: {_of_layer(plan, count)}" for layer, count in plan.chunks.items() if n_todo]
    if plan.offline and plan.lacks:
        lines.append("  what is missing is not fetched offline: stage it with `darts prep-data`")
    if plan.n_bytes:
        lines.append(f"  to fetch: about {size(plan.n_bytes)}, {duration(plan.seconds)} at 10 MB/s")
    return lines


def _of_layer(plan: "Plan", count: int) -> str:
    """Return what is lacking of an auxiliary layer; of ground that nobody knows nothing can be told."""
    lacking = f"missing for {counted(count, 'tile')}" if plan.offline else f"{counted(count, 'chunk')} to fetch"
    n_unknown = sum(ref.tile_id not in plan.outlined for ref in plan.todo)
    unknown = f"unknown for {counted(n_unknown, 'tile')}, of which no image can be read"
    return ", ".join([*([lacking] if count else []), *([unknown] if n_unknown else [])]) or "staged"


def _lacking(plan: "Plan", tile_id: str) -> str:
    """Return what a tile lacks."""
    parts = [f"image{_sized(plan.images[tile_id])}"] if tile_id in plan.images else []
    for layer, tiles in plan.layers.items():
        if tiles.get(tile_id):
            count = "" if plan.offline else f" ({counted(tiles[tile_id], 'chunk')})"
            parts.append(f"{_LABELS[layer]}{count}")
    is_unreadable = bool(plan.sizes) and tile_id not in plan.sizes
    if not parts and (is_unreadable or (plan.offline and plan.layers and tile_id not in plan.outlined)):
        return "unknown, for the image cannot be read"
    return ", ".join(parts) or "all staged"


def _sized(n_bytes: int) -> str:
    return f" ({size(n_bytes)})" if n_bytes else ""


def size(n_bytes: float) -> str:
    """Return a number of bytes for people, such as 1.2 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit in ("B", "kB") else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


class StagingView(Protocol):
    """Shows how data arrives."""

    def arrived(self, n_bytes: int) -> None:
        """Show that bytes have arrived."""
        ...

    def ended(self, result: "Fetched") -> None:
        """Show how a layer of a tile ended."""
        ...

    def finish(self, report: "FetchReport") -> None:
        """Show what is staged and what failed."""
        ...


@contextmanager
def fetch_view(plan: "Plan", layers: Sequence[str]) -> Iterator[StagingView]:
    """Give the view that suits the output: a live bar on a terminal, else plain lines."""
    if is_plain():
        yield PlainStagingView(plan, layers)
        return
    view = LiveStagingView(plan, layers)
    with view.progress:
        yield view


class PlainStagingView:
    """One line a layer of a tile, with the rate and the time left."""

    def __init__(self, plan: "Plan", layers: Sequence[str]) -> None:
        self._layers = layers
        self._total, self._n_ended = len(plan.todo) * len(layers), 0
        self._expected, self._n_bytes, self._start = plan.n_bytes, 0, time.monotonic()

    def arrived(self, n_bytes: int) -> None:
        """Count the bytes."""
        self._n_bytes += n_bytes

    def ended(self, result: "Fetched") -> None:
        """Say how a layer of a tile ended."""
        self._n_ended += 1
        what = f"[{self._n_ended}/{self._total}] {_LABELS[result.layer]} of {result.ref.tile_id}: {result.status}"
        if result.error is not None:
            tell(f"{what}: {result.error}", with_time=True)
        elif result.n_bytes:
            tell(f"{what} ({size(result.n_bytes)} in {result.seconds:.1f} s, {self._progress()})", with_time=True)
        else:
            tell(f"{what} (nothing to fetch)", with_time=True)

    def _progress(self) -> str:
        rate = self._n_bytes / max(time.monotonic() - self._start, 1e-3)
        left_s = max(self._expected - self._n_bytes, 0) / max(rate, 1)
        return f"{size(rate)}/s, about {duration(left_s)} left"

    def finish(self, report: "FetchReport") -> None:
        """Say the summary."""
        show_summary(report, self._layers)


class LiveStagingView:
    """A bar over the bytes, with rate and time left."""

    def __init__(self, plan: "Plan", layers: Sequence[str]) -> None:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._layers = layers
        self._total, self._n_ended = len(plan.todo) * len(layers), 0
        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=output_console(),
            transient=True,
        )
        self._task = self.progress.add_task(f"0/{self._total} fetched", total=plan.n_bytes or None)

    def arrived(self, n_bytes: int) -> None:
        """Advance the bar."""
        self.progress.update(self._task, advance=n_bytes)

    def ended(self, result: "Fetched") -> None:
        """Count a layer of a tile; say failures at once."""
        self._n_ended += 1
        self.progress.update(self._task, description=f"{self._n_ended}/{self._total} fetched")
        if result.status == "failed":
            self.progress.console.print(
                f"{_LABELS[result.layer]} of {result.ref.tile_id} failed: {result.error}",
                style="red",
                highlight=False,
                markup=False,
            )

    def finish(self, report: "FetchReport") -> None:
        """Show the summary."""
        self.progress.stop()
        show_summary(report, self._layers)


def show_summary(report: "FetchReport", layers: Sequence[str]) -> None:
    """Show for each layer how many tiles are staged, fetched now, failed; and why."""
    show_rows("Interrupted" if report.interrupted else "Fetched", ("layer", "tiles"), _summary_rows(report, layers))
    reasons: dict[tuple[str, str], list[str]] = {}
    for result in report.results:
        if result.error is not None:
            reasons.setdefault((result.layer, f"{result.status}: {result.error}"), []).append(result.ref.tile_id)
    rows = [(_LABELS[layer], _named(tiles), reason) for (layer, reason), tiles in reasons.items()]
    if rows:
        show_rows("Failed", ("layer", "tiles", "reason"), rows)


def _summary_rows(report: "FetchReport", layers: Sequence[str]) -> list[tuple[str, str]]:
    rows = []
    for layer in layers:
        n_bytes = sum(result.n_bytes for result in report.results if result.layer == layer)
        counts = [(report.count(layer, status), status) for status in ("staged", "failed", "not tried")]
        told = ", ".join(f"{count} {status}" for count, status in counts if count or status == "staged")
        rows.append((_LABELS[layer], f"{told}; {size(n_bytes)} fetched"))
    return rows


def _named(tiles: Sequence[str]) -> str:
    return tiles[0] if len(tiles) == 1 else f"{tiles[0]} and {len(tiles) - 1} more"
