"""Scores of a network over patches: counted patch by patch, so that they can be summed for any part of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from darts_segmentation.metrics.boundary import boundaries
from darts_segmentation.metrics.histogram import LogitHistogram
from darts_segmentation.metrics.objects import count_objects
from darts_segmentation.metrics.scores import ScoreCounts
from darts_segmentation.training.assess.predicting import Predictor, predicted
from darts_segmentation.training.labels import IGNORED, SLUMP
from darts_segmentation.training.patches.batches import Batch
from darts_utils.rasters.arrays import Array

OBJECT_IOUS = (0.3, 0.5)
"""Least IoU of matched objects."""
BOUNDARY_PX = 2
"""Width of the boundary of an object, for boundary IoU."""
UNSURE = (0.02, 0.98)
"""Probabilities between which a calibration error says something: nearly all pixels lie outside."""
REPEATS = 1000
"""Samples of a bootstrap."""
INTERVAL = (2.5, 97.5)
"""Percentiles of the repeats that bound a 95 % interval."""
LEAST_BLOCKS = 4
"""Blocks that an interval needs."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a network made of patches."""

    pixels: ScoreCounts
    """Pixels by logit, after calibration."""
    patches: pd.DataFrame
    """One row a patch, by its position in the set (`z_idx`): counts of pixels, objects and boundaries."""

    def scores(self) -> dict[str, float]:
        """Return all scores, those of the ranking of pixels included."""
        return {
            "loss_nll": self.pixels.nll(),
            **count_scores(self.patches.sum()),
            "AUROC": self.pixels.auroc(),
            "AveragePrecision": self.pixels.average_precision(),
            "ECE": self.pixels.ece(),
            "ECE@0.02-0.98": self.pixels.ece(*UNSURE),
        }


def evaluate(predict: Predictor, batches: Iterable[Batch], *, temperature: float = 1.0) -> Evaluation:
    """Return the scores of a network over patches, at probability 0.5.

    Args:
        predict: Gives logits.
        batches: The patches.
        temperature: What logits are divided by.
    """
    histogram = LogitHistogram()
    rows: list[dict[str, int]] = []
    for batch, logits in predicted(predict, batches):
        scaled = logits / temperature
        histogram.update(scaled, batch["y"])
        for index, one, labels in zip(batch["index"].tolist(), scaled.numpy(), batch["y"].numpy(), strict=True):
            rows.append({"z_idx": index, **patch_counts(one > 0, labels)})
    return Evaluation(pixels=histogram.scores(), patches=pd.DataFrame(rows).set_index("z_idx"))


def score_names() -> list[str]:
    """Return the names of all scores of an evaluation."""
    batch = {"x": torch.zeros(1, 1, 2, 2), "y": torch.tensor([[[0, 1], [0, 1]]]), "index": torch.zeros(1).long()}
    return list(evaluate(Predictor(torch.device("cpu"), lambda x: x[:, 0]), [batch]).scores())


def patch_counts(mask: Array, labels: Array) -> dict[str, int]:
    """Return what is counted in a patch.

    Args:
        mask: (y, x) bool, what is predicted.
        labels: (y, x) uint8: 0 background, 1 slump, 2 ignored; what is ignored counts for nothing.

    Returns:
        `tp fp fn tn` of pixels, `tp_30 fp_30 fn_30` and so on of objects by their least IoU in percent, and
        `boundary_both boundary_any` of pixels near outlines.
    """
    known = labels != IGNORED
    found, true = mask & known, (labels == SLUMP) & known
    counts = {
        "tp": int((found & true).sum()),
        "fp": int((found & ~true).sum()),
        "fn": int((true & ~found).sum()),
        "tn": int((known & ~found & ~true).sum()),
    }
    for iou in OBJECT_IOUS:
        objects = count_objects(found, true, iou)
        counts |= {f"{name}_{iou * 100:.0f}": getattr(objects, name) for name in ("tp", "fp", "fn")}
    near = boundaries(torch.from_numpy(np.stack([found, true])), BOUNDARY_PX).numpy()
    return counts | {"boundary_both": int((near[0] & near[1]).sum()), "boundary_any": int((near[0] | near[1]).sum())}


def count_scores(sums: Mapping[str, Any] | pd.Series) -> dict[str, Any]:
    """Return the scores that come from counts alone; 0 where nothing could be counted, as torchmetrics has it.

    Args:
        sums: What `patch_counts` counts, summed over patches; arrays of sums give arrays of scores.
    """
    tp, fp, fn, tn = (np.asarray(sums[name], dtype=np.float64) for name in ("tp", "fp", "fn", "tn"))
    n = tp + fp + fn + tn
    expected = ((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / np.maximum(n, 1) ** 2
    right = _ratio(tp + tn, n)
    scores = {
        "Accuracy": right,
        "Precision": _ratio(tp, tp + fp),
        "Specificity": _ratio(tn, tn + fp),
        "Recall": _ratio(tp, tp + fn),
        "F1Score": _ratio(2 * tp, 2 * tp + fp + fn),
        "JaccardIndex": _ratio(tp, tp + fp + fn),
        "CohenKappa": _ratio(right - expected, 1 - expected),
        "HammingDistance": 1 - right,
        "BoundaryIoU": _ratio(sums["boundary_both"], sums["boundary_any"]),
    }
    for iou in OBJECT_IOUS:
        hits, false, missed = (sums[f"{name}_{iou * 100:.0f}"] for name in ("tp", "fp", "fn"))
        suffix = f"@{iou:g}"
        scores[f"ObjectPrecision{suffix}"] = _ratio(hits, hits + false)
        scores[f"ObjectRecall{suffix}"] = _ratio(hits, hits + missed)
        scores[f"ObjectF1{suffix}"] = _ratio(2 * hits, 2 * hits + false + missed)
    return {name: float(value) if np.ndim(value) == 0 else value for name, value in scores.items()}


def _ratio(part: Any, whole: Any) -> Any:
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole != 0)


def with_intervals(patches: pd.DataFrame, blocks: pd.Series, *, seed: int = 0) -> pd.DataFrame:
    """Return the scores of patches with 95 % intervals, by resampling blocks of them.

    Args:
        patches: Counts, one row a patch.
        blocks: The block of each patch, with the same index: patches of a block are seen together or not at all.
        seed: Decides the resampling.

    Returns:
        One row a score: `value`, `low`, `high`; the last two are NaN where there are fewer than `LEAST_BLOCKS`,
        of which a few resamplings would be no more than their range.
        Method: Efron & Tibshirani (1993), percentile bootstrap, doi:10.1007/978-1-4899-4541-9.
    """
    sums = patches.groupby(blocks.to_numpy()).sum()
    n = len(sums)
    values = count_scores(sums.sum())
    table = pd.DataFrame({"value": values})
    if n < LEAST_BLOCKS:
        return table.assign(low=np.nan, high=np.nan)
    draws = np.random.default_rng(seed).integers(0, n, (REPEATS, n))
    weights = np.zeros((REPEATS, n))
    np.add.at(weights, (np.arange(REPEATS)[:, None], draws), 1)
    repeated = count_scores(pd.Series(dict(zip(sums.columns, (weights @ sums.to_numpy()).T, strict=True))))
    low, high = np.percentile([repeated[name] for name in values], INTERVAL, axis=1)
    return table.assign(low=low, high=high)
