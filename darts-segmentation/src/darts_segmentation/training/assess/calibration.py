"""Calibration: probabilities that mean what they say, and thresholds of objects that keep what they promise."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from darts_segmentation.metrics.histogram import LogitHistogram
from darts_segmentation.metrics.objects import match_objects
from darts_segmentation.metrics.scores import ScoreCounts
from darts_segmentation.training.assess.predicting import Predictor, predicted
from darts_segmentation.training.data import LearningData
from darts_segmentation.training.labels import IGNORED, SLUMP
from darts_segmentation.training.patches.batches import Batch
from darts_utils.errors import ConfigError
from darts_utils.objects.core_mean import core_mean
from darts_utils.rasters.arrays import Array

PRECISIONS = {"low": 0.5, "medium": 0.7, "high": 0.9}
"""Least precision of the objects above each threshold."""
LEAST_OBJECTS = 20
"""Objects that a threshold must have above it, so that their precision is known at all."""
HIT_IOU = 0.3
"""Least IoU of an object with a true one of its own to count as right."""
_DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was fitted on patches that a network has not learned from."""

    temperature: float
    before: ScoreCounts
    """Pixels by logit before it."""
    objects: tuple[Array, Array]
    """Score (core mean) and whether it is right, of each object at probability 0.5."""

    @property
    def is_known(self) -> bool:
        """Whether it was fitted at all: ground of one class says nothing about how sure a network may be."""
        return 0 < self.before.n_slump < self.before.n

    @property
    def after(self) -> ScoreCounts:
        """Pixels by logit after it."""
        return self.before.scaled(self.temperature)

    def to_card(self, fitted_on: Mapping[str, Any]) -> dict[str, Any]:
        """Return it as a model's card has it."""
        return {
            "temperature": self.temperature,
            "fitted_on": {
                **fitted_on,
                "n_pixels": self.before.n,
                "share_of_slump": _rounded(self.before.n_slump / max(self.before.n, 1)),
            },
            "ece_before": _rounded(self.before.ece()),
            "ece_after": _rounded(self.after.ece()),
            "nll_before": _rounded(self.before.nll()),
            "nll_after": _rounded(self.after.nll()),
        }

    def thresholds(self) -> dict[str, float | None]:
        """Return the thresholds of objects by tier, and the best one of pixels; None where nothing can be promised."""
        scores, right = self.objects
        tiers = {name: tier_threshold(scores, right, precision) for name, precision in PRECISIONS.items()}
        return {**tiers, "best_f1": _rounded(self.after.best_f1()[0])}


def _rounded(value: float) -> float | None:
    """Return a number as JSON has it, None for one that is not known."""
    return round(value, _DIGITS) if np.isfinite(value) else None


def tier_threshold(scores: Array, right: Array, precision: float) -> float | None:
    """Return the lowest score from which all higher ones keep a precision.

    Args:
        scores: (n) of objects.
        right: (n) bool, whether each is one.
        precision: The share of right ones among all above each threshold, from 0 to 1.

    Returns:
        A score of one of the objects, such that those of at least this score are 20 or more, and those of at least any
        higher score are right often enough, where they are 20 or more. None if there is none.
    """
    order = np.argsort(-scores, kind="stable")
    ordered, counts = scores[order], np.arange(1, len(scores) + 1)
    last_of_equals = np.append(ordered[1:] < ordered[:-1], True) if len(ordered) else np.zeros(0, dtype=bool)
    judged = last_of_equals & (counts >= LEAST_OBJECTS)
    kept = np.cumsum(right[order])[judged] >= precision * counts[judged]
    n_kept = int(np.argmin(np.append(kept, False)))  # those before the first that fails
    return round(float(ordered[judged][n_kept - 1]), _DIGITS) if n_kept else None


def calibrate(predict: Predictor, batches: Callable[[], Iterable[Batch]]) -> Calibration:
    """Fit temperature and thresholds to patches.

    Args:
        predict: Gives logits.
        batches: Gives the patches, each time anew: they are gone through twice.
    """
    histogram = LogitHistogram()
    for batch, logits in predicted(predict, batches()):
        histogram.update(logits, batch["y"])
    counts = histogram.scores()
    temperature = round(counts.fit_temperature(), _DIGITS)
    scored = [
        scored_objects(torch.sigmoid(one / temperature).numpy(), labels.numpy())
        for batch, logits in predicted(predict, batches())
        for one, labels in zip(logits, batch["y"], strict=True)
    ]
    scores, right = (np.concatenate(column) for column in zip(*scored, strict=True))
    return Calibration(temperature=temperature, before=counts, objects=(scores, right))


def scored_objects(probabilities: Array, labels: Array) -> tuple[Array, Array]:
    """Return score and rightness of the objects at probability 0.5 of a patch.

    Args:
        probabilities: (y, x) from 0 to 1.
        labels: (y, x) uint8; what is ignored is no part of an object.

    Returns:
        (n) core means and (n) bool.
    """
    known = labels != IGNORED
    matched = match_objects((probabilities > 0.5) & known, (labels == SLUMP) & known, HIT_IOU)
    means = [core_mean(probabilities[matched.predicted == number]) for number in range(1, len(matched.hits) + 1)]
    return np.array(means, dtype=np.float64), matched.hits


def fitted_on(data: LearningData, role: str = "val") -> dict[str, Any]:
    """Return what a calibration was fitted on, and whether that is apart from what was learned from."""
    table, split = data.patches.metadata, data.split
    chosen, train = getattr(split, role), split.train
    shared = {
        f"shares_{what}": bool(set(table[column].iloc[chosen]) & set(table[column].iloc[train]))
        for what, column in (("scenes", "sample_id"), ("regions", "region"))
    }
    return {"patch_set": data.patches.id, "split": role, "regions": sorted(set(table["region"].iloc[chosen])), **shared}


def check_apart(described: Mapping[str, Any], *, force: bool) -> None:
    """Refuse to calibrate on what a network may know by heart.

    Raises:
        ConfigError: If scenes or regions are those of training, unless it is forced.
    """
    shared = [what for what in ("scenes", "regions") if described[f"shares_{what}"]]
    if shared and not force:
        raise ConfigError(
            f"validation shares {' and '.join(shared)} with training, so that probabilities would look surer than they "
            "are. Split by region (--data-split-method region), or use --force, which the model will say."
        )
