"""Pictures of a training run: how it went, and how far its probabilities can be believed."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from darts_segmentation.metrics.scores import ScoreCounts
from darts_segmentation.training.loop.module import MONITORED
from darts_utils.files import atomic_file, make_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 110
_BLUE, _ORANGE, _GREY = "#1f5f99", "#c8553d", "#888888"


def new_figure(width: float, height: float, columns: int = 1) -> "tuple[Figure, list[Axes]]":
    """Return a figure with axes beside each other, of a size in inches, without the state of pyplot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)
    return figure, list(axes[0])


def save_figure(figure: "Figure", file: Path) -> None:
    """Write a figure as PNG; it appears whole or not at all."""
    make_folder(file.parent)
    with atomic_file(file) as part:
        figure.savefig(part, format="png", dpi=_DPI)


def learning_curves(rows: Sequence[Mapping[str, float]]) -> "Figure":
    """Return loss and IoU by epoch."""
    figure, (left, right) = new_figure(9, 3.4, 2)
    for name, label, colour in (("train/loss_epoch", "training", _BLUE), ("val/loss", "validation", _ORANGE)):
        _line(left, rows, name, label, colour)
    for name, label, colour in (
        (MONITORED, "IoU", _BLUE),
        ("val/Recall", "recall", _ORANGE),
        ("val/Precision", "precision", _GREY),
    ):
        _line(right, rows, name, label, colour)
    left.set(xlabel="epoch", ylabel="loss", title="Loss")
    right.set(xlabel="epoch", ylim=(0, 1), title="Validation, at probability 0.5")
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
    return figure


def _line(axes: "Axes", rows: Sequence[Mapping[str, float]], name: str, label: str, colour: str) -> None:
    found = [(row["epoch"], row[name]) for row in rows if name in row]
    if found:
        epochs, values = zip(*found, strict=True)
        axes.plot(epochs, values, color=colour, label=label, marker="o" if len(found) < 30 else None, markersize=3)


def reliability_diagram(before: ScoreCounts, after: ScoreCounts | None) -> "Figure":
    """Return how often pixels of a probability are slumps, before and after calibration."""
    figure, (axes, counts) = new_figure(9, 3.8, 2)
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle=":", linewidth=1)
    for scores, label, colour in ((before, "as trained", _ORANGE), (after, "calibrated", _BLUE)):
        if scores is not None:
            bins = list(scores.reliability())
            x, y = [one.confidence for one in bins], [one.frequency for one in bins]
            axes.plot(x, y, color=colour, marker="o", markersize=3, label=f"{label} (ECE {scores.ece():.3f})")
            counts.step([one.low for one in bins], [one.n for one in bins], where="post", color=colour, label=label)
    axes.set(xlabel="probability", ylabel="share of slumps", xlim=(0, 1), ylim=(0, 1), title="Reliability")
    counts.set(xlabel="probability", ylabel="pixels", yscale="log", title="How many pixels")
    axes.legend(frameon=False)
    return figure


def precision_recall_curve(scores: ScoreCounts) -> "Figure":
    """Return precision against recall of pixels."""
    figure, (axes,) = new_figure(4.6, 3.8)
    precision, recall = scores.precision_recall()
    axes.plot(np.append(0, recall), np.append(precision[:1], precision), color=_BLUE)
    axes.set(
        xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02),
        title=f"Pixels: average precision {scores.average_precision():.3f}",
    )  # fmt: skip
    axes.grid(visible=True, alpha=0.3)
    return figure


def draw_run(
    folder: Path, rows: Sequence[Mapping[str, float]], before: ScoreCounts | None, after: ScoreCounts | None
) -> None:
    """Write the pictures of a run that has ended."""
    made: dict[str, Callable[[], Any]] = {"learning-curves": lambda: learning_curves(rows)}
    if before is not None and after is not None and before.has_both:
        made["reliability"] = lambda: reliability_diagram(before, after)
        made["precision-recall"] = lambda: precision_recall_curve(after)
    for name, make in made.items():
        save_figure(make(), folder / f"{name}.png")
