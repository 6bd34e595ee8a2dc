"""The network in training: what a step, a validation and an optimiser do, for Lightning."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from torch import nn
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryCohenKappa,
    BinaryF1Score,
    BinaryHammingDistance,
    BinaryJaccardIndex,
    BinaryPrecision,
    BinaryRecall,
    BinarySpecificity,
)

from darts_segmentation.metrics.histogram import LogitHistogram
from darts_segmentation.training.augment.augmentations import Augmenter
from darts_segmentation.training.labels import IGNORED
from darts_segmentation.training.loop.losses import Loss, ignore_edges, make_loss
from darts_segmentation.training.parameters import HyperParameters
from darts_segmentation.training.patches.batches import Batch
from darts_utils.errors import DataError

MONITORED = "val/JaccardIndex"
"""What decides which epoch is the best; higher is better."""
_METRICS = {
    "Accuracy": BinaryAccuracy,
    "Precision": BinaryPrecision,
    "Specificity": BinarySpecificity,
    "Recall": BinaryRecall,
    "F1Score": BinaryF1Score,
    "JaccardIndex": BinaryJaccardIndex,
    "CohenKappa": BinaryCohenKappa,
    "HammingDistance": BinaryHammingDistance,
}


def stage_score_names(stage: str) -> list[str]:
    """Return the names of all scores of a stage."""
    return [f"{stage}/{name}" for name in ("loss", *_METRICS, "AUROC", "AveragePrecision")]


def pixel_metrics(prefix: str) -> MetricCollection:
    """Return the metrics of pixels at probability 0.5, by their documented names."""
    return MetricCollection({name: metric(ignore_index=IGNORED) for name, metric in _METRICS.items()}, prefix=prefix)


class StageScores(nn.Module):
    """The scores of all patches of a stage, summed batch by batch.

    Args:
        stage: Name of the stage, before the name of each score.
        loss: Its loss.
    """

    def __init__(self, stage: str, loss: Loss) -> None:
        super().__init__()
        self._stage = stage
        self._loss = loss
        self.pixels = pixel_metrics(f"{stage}/")
        self.losses = MeanMetric()
        self.histogram = LogitHistogram()

    def update(self, output: torch.Tensor, labels: torch.Tensor) -> None:
        """Score a batch.

        Args:
            output: (n, 1, y, x) logits.
            labels: (n, y, x) uint8.
        """
        logits = output.float()
        self.losses.update(self._loss(logits, labels), weight=len(labels))
        self.pixels.update(logits[:, 0], labels.int())
        self.histogram.update(logits[:, 0], labels)

    def compute(self) -> dict[str, float]:
        """Return all scores by their documented names, and begin anew.

        Raises:
            DataError: If the network gave logits that are not numbers.
        """
        counts = self.histogram.scores()
        scores = {
            f"{self._stage}/loss": float(self.losses.compute()),
            **{name: float(value) for name, value in self.pixels.compute().items()},
            f"{self._stage}/AUROC": counts.auroc(),
            f"{self._stage}/AveragePrecision": counts.average_precision(),
        }
        for metric in (self.losses, self.pixels, self.histogram):
            metric.reset()
        return scores


class TrainedNetwork(LightningModule):
    """A network that learns from patches, and is evaluated on others.

    Args:
        network: (n, band, y, x) to (n, 1, y, x) logits.
        architecture: Arguments that it was made with.
        bands: Its input channels in order.
        parameters: How it learns.
        seed: With epoch and batch it decides every change of a patch.
        epochs: Epochs at most, for a schedule that ends with them.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        architecture: Mapping[str, Any],
        bands: Sequence[str],
        parameters: HyperParameters,
        seed: int,
        epochs: int,
    ) -> None:
        super().__init__()
        self.model = network.to(memory_format=torch.channels_last)
        self.loss = make_loss(parameters.loss, alpha=parameters.focal_loss_alpha, gamma=parameters.focal_loss_gamma)
        # as other releases keep them, so that a checkpoint is a model that every reader knows
        self.save_hyperparameters({"config": {"model": dict(architecture), "bands": list(bands)}})
        self._given = parameters
        self._augmenter = Augmenter(parameters.augmentations, bands)
        self._seed = seed
        self._epochs = epochs
        self._val, self._test = StageScores("val", self.loss), StageScores("test", self.loss)
        self._first_failure = torch.tensor(-1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, 1, y, x) logits."""
        output = self.model(x.contiguous(memory_format=torch.channels_last))
        logits: torch.Tensor = output[0] if isinstance(output, tuple) else output  # some give that of a head besides
        return logits

    def on_train_epoch_start(self) -> None:
        """Let everything random in an epoch depend on its number alone, so that a run can go on from any epoch."""
        torch.manual_seed(self._seed_of(0))
        self._first_failure = torch.full((), -1, device=self.device)

    def _seed_of(self, batch: int) -> int:
        """Return a seed for a batch of this epoch, of this process."""
        return _mixed((self._seed, self.current_epoch, batch, self.global_rank))

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Return the loss of a batch, its patches changed."""
        generator = torch.Generator().manual_seed(self._seed_of(batch_idx + 1))
        x, y = self._augmenter(batch["x"], batch["y"], batch["sun"], generator)
        loss = self.loss(self(x), ignore_edges(y, self._given.ignore_edge_px))
        self._note_failure(loss.detach(), batch_idx)
        self.log("train/loss", loss.detach(), on_step=True, on_epoch=True, batch_size=len(x), sync_dist=True)
        return loss

    def _note_failure(self, loss: torch.Tensor, batch_idx: int) -> None:
        """Remember on the device the first loss that is no number; to look at each would keep the device waiting."""
        now = torch.full_like(self._first_failure, batch_idx)
        failed = ~torch.isfinite(loss) & (self._first_failure < 0)
        self._first_failure = torch.where(failed, now, self._first_failure)

    def first_failure(self) -> int | None:
        """Return the first batch of this epoch whose loss was no number, None if there was none."""
        batch = int(self._first_failure)
        return None if batch < 0 else batch

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002  (the signature of Lightning)
        """Score a batch of validation patches."""
        self._val.update(self(batch["x"]), batch["y"])

    def test_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002  (the signature of Lightning)
        """Score a batch of test patches."""
        self._test.update(self(batch["x"]), batch["y"])

    def on_validation_epoch_end(self) -> None:
        """Log the scores of all validation patches."""
        self.log_dict(self._val.compute())

    def on_test_epoch_end(self) -> None:
        """Log the scores of all test patches."""
        self.log_dict(self._test.compute())

    def configure_optimizers(self) -> Any:
        """Return AdamW, and how its learning rate changes: by step, so that a warm-up can be shorter than an epoch."""
        given = self._given
        steps = math.ceil(self.trainer.estimated_stepping_batches / self._epochs)  # of this process among several
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=given.learning_rate, weight_decay=given.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, LearningRate(given, epochs=self._epochs, steps_per_epoch=steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class LearningRate:
    """The factor of the learning rate at each step: a warm-up, then what was asked for.

    Args:
        parameters: Which schedule, its factor and its warm-up.
        epochs: Epochs at most.
        steps_per_epoch: Steps in an epoch.
    """

    def __init__(self, parameters: HyperParameters, *, epochs: int, steps_per_epoch: int) -> None:
        self._is_cosine = parameters.lr_schedule == "cosine"
        self._gamma = parameters.gamma
        self._warmup = parameters.warmup_epochs
        self._epochs, self._steps = epochs, max(steps_per_epoch, 1)

    def __call__(self, step: int) -> float:
        """Return the factor, 0 to 1."""
        epoch = step / self._steps
        if epoch < self._warmup:
            return (step + 1) / (self._warmup * self._steps)
        if self._is_cosine:
            done = (epoch - self._warmup) / max(self._epochs - self._warmup, 1)
            return (1 + math.cos(math.pi * min(done, 1))) / 2
        return float(self._gamma ** (step // self._steps - self._warmup))


def _mixed(place: Sequence[int]) -> int:
    """Return a seed in which each number of a place counts."""
    return int(np.random.SeedSequence(list(place)).generate_state(1, np.uint64)[0] >> 1)


def check_finite(module: TrainedNetwork) -> None:
    """Do nothing if all losses of this epoch so far were numbers.

    Raises:
        DataError: If one was not; it names epoch and batch.
    """
    batch = module.first_failure()
    if batch is not None:
        raise DataError(
            f"the loss is no number in epoch {module.current_epoch}, batch {batch}: training went astray. Lower "
            "--learning-rate, or use --precision float32. The best epoch before is kept."
        )
