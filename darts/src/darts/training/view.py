"""What training shows: a bar over the steps of an epoch on a terminal, and one line an epoch everywhere."""

from typing import TYPE_CHECKING

from darts.logs.events import tell
from darts.utils.console import duration
from darts.utils.terminal import is_plain, output_console

if TYPE_CHECKING:
    from rich.progress import Progress

    from darts_segmentation.training.loop.history import EpochSummary


class ConsoleView:
    """Shows training on the console."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def say(self, line: str) -> None:
        """Show a line."""
        self._stop()
        tell(line)

    def step(self, epoch: int, done: int, total: int) -> None:
        """Show how far an epoch is, on a terminal; in logs a line a step would drown all others."""
        if is_plain():
            return
        if self._progress is None:
            self._progress = _progress()
            self._progress.start()
            self._progress.add_task("")
        task = self._progress.task_ids[0]
        self._progress.update(task, description=f"epoch {epoch}", completed=done, total=total)

    def epoch(self, summary: "EpochSummary") -> None:
        """Show how an epoch has ended."""
        self._stop()
        tell(epoch_line(summary))

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _progress() -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=output_console(), transient=True)


def epoch_line(summary: "EpochSummary") -> str:
    """Return one line about an epoch: loss, scores if it was validated, the best so far, time and time left."""
    parts = [f"epoch {summary.epoch + 1}/{summary.max_epochs}: loss {summary.loss:.4f}"]
    scores = summary.scores
    if scores:
        parts.append(
            f"validation IoU {scores['val/JaccardIndex']:.3f}, recall {scores['val/Recall']:.3f}, "
            f"precision {scores['val/Precision']:.3f}"
        )
    if summary.best is not None and summary.best_epoch is not None:
        parts.append(f"best {summary.best:.3f} in epoch {summary.best_epoch + 1}")
    parts.append(f"{summary.seconds:.1f} s")
    if summary.left_s > 0:
        parts.append(f"at most {duration(summary.left_s)} left")
    return ", ".join(parts)
