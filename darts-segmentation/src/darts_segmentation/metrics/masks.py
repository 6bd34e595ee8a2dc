"""Probabilities and labels of a batch as masks, for metrics that look at shapes."""

import torch
from torch import Tensor

from darts_utils.errors import ConfigError, DataError


def batch_masks(preds: Tensor, target: Tensor, threshold: float, ignore_index: int | None) -> tuple[Tensor, Tensor]:
    """Return where slumps are predicted, and where they are; ignored pixels are in neither.

    Args:
        preds: (n, y, x) or (n, 1, y, x) probabilities from 0 to 1; NaN is none.
        target: The same shape, or without the axis of length 1: 1 slump, 0 background, or `ignore_index`.
        threshold: Predicted is what lies strictly above.
        ignore_index: Value of target whose pixels do not count, None if there is none.

    Returns:
        Two of (n, y, x) bool on the device of `preds`.

    Raises:
        DataError: If shapes differ or are others, or probabilities or labels are out of range.
    """
    preds, target = _without_channel(preds, "preds"), _without_channel(target, "target").to(preds.device)
    if preds.shape != target.shape:
        raise DataError(
            f"preds are {tuple(preds.shape)} but target is {tuple(target.shape)}. Give both the same shape."
        )
    if (preds < 0).any() or (preds > 1).any():
        raise DataError(
            "preds must be probabilities from 0 to 1, but some are beyond. Apply the sigmoid to logits first."
        )
    counts = torch.ones_like(target, dtype=torch.bool) if ignore_index is None else target != ignore_index
    if ((target != 0) & (target != 1) & counts).any():
        ignored = "" if ignore_index is None else f" or {ignore_index}"
        raise DataError(f"target must be 0, 1{ignored}, but has other values. Set ignore_index if one means to ignore.")
    return (preds > threshold) & counts, (target == 1) & counts


def check_probability(threshold: float) -> None:
    """Refuse a threshold that is no probability.

    Raises:
        ConfigError: If it is not within 0 to 1.
    """
    if not 0 <= threshold <= 1:
        raise ConfigError(f"threshold is {threshold} but must be a probability from 0 to 1, such as 0.5.")


def _without_channel(values: Tensor, name: str) -> Tensor:
    if values.ndim == 4 and values.shape[1] == 1:
        return values[:, 0]
    if values.ndim != 3:
        raise DataError(f"{name} must be (n, y, x) or (n, 1, y, x), but is {tuple(values.shape)}.")
    return values
