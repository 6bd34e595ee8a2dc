"""Precision, recall and F1 of objects, over all images that were seen."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from darts_segmentation.metrics.masks import batch_masks, check_probability
from darts_segmentation.metrics.objects import check_iou, count_objects


class BinaryInstanceMetric(Metric):
    """Counts objects that were found, missed and made up; memory is three numbers, however many images there are.

    `update` takes probabilities and labels of a batch, (n, y, x) or (n, 1, y, x). An object is pixels above the
    threshold that touch at a side or a corner within an image; predicted and true ones are matched one to one by the
    largest sum of IoU (`count_objects`). Ignored pixels belong to no object. Like torchmetrics' own, scores are 0 where
    there is nothing to divide by.

    Args:
        threshold: Probability above which a pixel is predicted.
        matching_threshold: Least IoU of objects that can be one.
        ignore_index: Label whose pixels do not count; None if there is none.
        **kwargs: What every metric of torchmetrics takes.

    Raises:
        ConfigError: If a threshold is not within 0 to 1.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0
    tp: Tensor
    fp: Tensor
    fn: Tensor

    def __init__(
        self,
        threshold: float = 0.5,
        matching_threshold: float = 0.5,
        ignore_index: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_probability(threshold)
        check_iou(matching_threshold)
        self.threshold, self.matching_threshold, self.ignore_index = threshold, matching_threshold, ignore_index
        for name in ("tp", "fp", "fn"):
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count the objects of a batch.

        Args:
            preds: Probabilities from 0 to 1.
            target: 1 slump, 0 background, or `ignore_index`.

        Raises:
            DataError: If shapes differ or are others, or values are out of range.
        """
        masks = batch_masks(preds, target, self.threshold, self.ignore_index)
        for pred, true in zip(*(mask.cpu().numpy() for mask in masks), strict=True):
            counts = count_objects(pred, true, self.matching_threshold)
            self.tp += counts.tp
            self.fp += counts.fp
            self.fn += counts.fn


class BinaryInstancePrecision(BinaryInstanceMetric):
    """Share of predicted objects that are true ones, tp / (tp + fp), from 0 to 1; see `BinaryInstanceMetric`."""

    def compute(self) -> Tensor:
        """Return the precision of all objects so far."""
        return _ratio(self.tp, self.tp + self.fp)


class BinaryInstanceRecall(BinaryInstanceMetric):
    """Share of true objects that were found, tp / (tp + fn), from 0 to 1; see `BinaryInstanceMetric`."""

    def compute(self) -> Tensor:
        """Return the recall of all objects so far."""
        return _ratio(self.tp, self.tp + self.fn)


class BinaryInstanceF1Score(BinaryInstanceMetric):
    """Harmonic mean of both, 2 tp / (2 tp + fp + fn), from 0 to 1; see `BinaryInstanceMetric`."""

    def compute(self) -> Tensor:
        """Return the F1 score of all objects so far."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / whole.clamp(min=1), torch.zeros((), device=part.device))
