"""What a run has been through: its metrics as a table, and lines for people, while it goes."""

import csv
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import lightning as pl
from lightning.pytorch.callbacks import Callback

from darts_segmentation.training.loop.module import MONITORED, TrainedNetwork, check_finite
from darts_utils.files import atomic_file

_FIRST = ("epoch", "step")


@dataclass(frozen=True, kw_only=True)
class EpochSummary:
    """An epoch that has ended."""

    epoch: int
    """Its number from 0."""
    max_epochs: int
    loss: float
    """Mean loss of training."""
    scores: Mapping[str, float]
    """Scores of its validation, empty if there was none."""
    best: float | None
    """The best IoU of all validations so far."""
    best_epoch: int | None
    seconds: float
    left_s: float
    """Seconds that the epochs that may follow will take."""


class TrainingView(Protocol):
    """Shows training as it goes."""

    def say(self, line: str) -> None:
        """Show a line."""
        ...

    def step(self, epoch: int, done: int, total: int) -> None:
        """Show that a step of an epoch is done."""
        ...

    def epoch(self, summary: EpochSummary) -> None:
        """Show that an epoch has ended."""
        ...


class Silent:
    """Shows nothing."""

    def say(self, line: str) -> None:
        """Show nothing."""

    def step(self, epoch: int, done: int, total: int) -> None:
        """Show nothing."""

    def epoch(self, summary: EpochSummary) -> None:
        """Show nothing."""


class History(Callback):
    """Keeps the metrics of a run in `metrics.csv`, and in its checkpoints, so that a run that goes on has them all.

    Args:
        file: The table.
        every: Steps between two rows of the loss.
        view: What shows each epoch.
        on_validation: Called with the epoch and its scores, for what may end training.
    """

    def __init__(
        self,
        file: Path,
        *,
        every: int,
        view: TrainingView,
        on_validation: Callable[[int, Mapping[str, float]], None] | None = None,
    ) -> None:
        self._file = file
        self._every = every
        self._view = view
        self._on_validation = on_validation
        self.rows: list[dict[str, float]] = []
        self._start = 0.0
        self._seconds: list[float] = []
        self._scores: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what a checkpoint has kept."""
        self.rows = list(state_dict["rows"])

    @property
    def best(self) -> tuple[float, int] | None:
        """The best IoU of all validations and its epoch, None before the first."""
        found = [(row[MONITORED], int(row["epoch"])) for row in self.rows if MONITORED in row]
        return max(found, key=lambda one: (one[0], -one[1])) if found else None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._start = time.monotonic()
        self._scores = {}

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,  # noqa: ARG002  (the signature of Lightning)
        batch_idx: int,
    ) -> None:
        """Keep the loss now and then, and look whether it is a number: both make the device wait."""
        if (batch_idx + 1) % self._every == 0 or batch_idx + 1 == trainer.num_training_batches:
            _checked(pl_module)
            loss = outputs["loss"] if isinstance(outputs, Mapping) else outputs
            self.rows.append({"epoch": trainer.current_epoch, "step": trainer.global_step, "train/loss": float(loss)})
            if trainer.is_global_zero:
                self._view.step(trainer.current_epoch, batch_idx + 1, int(trainer.num_training_batches))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Keep the scores of a validation: only now are they those of this one."""
        if not trainer.sanity_checking:
            scores = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
            self._scores = scores

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Write the table, and show how the epoch ended."""
        loss = float(trainer.callback_metrics["train/loss_epoch"])
        self.rows.append(
            {"epoch": trainer.current_epoch, "step": trainer.global_step, "train/loss_epoch": loss, **self._scores}
        )
        if trainer.is_global_zero:
            write_rows(self._file, self.rows)
        self._seconds.append(time.monotonic() - self._start)
        if trainer.is_global_zero:
            self._view.epoch(self._summary(trainer, loss))
        if self._scores and self._on_validation is not None:
            self._on_validation(trainer.current_epoch, self._scores)

    def _summary(self, trainer: pl.Trainer, loss: float) -> EpochSummary:
        best, last = self.best, self._seconds[-5:]
        n_epochs = int(trainer.max_epochs or 0)
        return EpochSummary(
            epoch=trainer.current_epoch,
            max_epochs=n_epochs,
            loss=loss,
            scores=self._scores,
            best=None if best is None else best[0],
            best_epoch=None if best is None else best[1],
            seconds=self._seconds[-1],
            left_s=sum(last) / len(last) * (n_epochs - trainer.current_epoch - 1),
        )


def _checked(module: pl.LightningModule) -> None:
    if isinstance(module, TrainedNetwork):
        check_finite(module)


def write_rows(file: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write rows as CSV, every name that one of them has as a column; the file appears whole or not at all."""
    names = list(dict.fromkeys([*_FIRST, *(name for row in rows for name in row)]))
    with atomic_file(file) as part, part.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)


def read_rows(file: Path) -> Iterator[dict[str, float]]:
    """Yield the rows that `write_rows` wrote, without what a row does not have."""
    with file.open(newline="") as stream:
        for row in csv.DictReader(stream):
            yield {name: float(value) for name, value in row.items() if value}
