"""What training makes small: losses by name, and labels that do not count near the edges of slumps.

Each takes logits once (no network has an activation of its own) and leaves out pixels of label 2. Based on the losses
of segmentation-models-pytorch, whose faults (seen in 0.6) are mended here, with a comment at each.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses import DiceLoss, FocalLoss, JaccardLoss, LovaszLoss

from darts_segmentation.training.labels import IGNORED
from darts_utils.errors import ConfigError, did_you_mean

_BINARY = "binary"
_SURE = 15.0
"""Logit of a right answer beyond which nothing is to be gained: it is wrong by 3e-7."""


class Loss(Protocol):
    """A number that falls as predictions get better."""

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return a scalar float32, finite for finite logits, 0 without gradient if every pixel is ignored.

        Args:
            logits: (n, 1, y, x) float.
            labels: (n, y, x) uint8: 0 background, 1 slump, 2 ignored.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Focal:
    """Focal loss: cross entropy that counts less the surer a pixel is right; Lin et al. (2017), arXiv:1708.02002."""

    alpha: float | None
    """Weight of slumps, background has 1 - alpha; None = both count once."""
    gamma: float

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean over the pixels that count."""
        target = (labels == 1).float()
        sign = 2 * target - 1
        # For gamma below 1 the derivative of (1 - p)^gamma is infinite where SMP's p rounds to 1: NaN gradients.
        bounded = (logits[:, 0].float() * sign).clamp(max=_SURE) * sign
        # SMP's mean over no pixel is NaN, and picking pixels makes a GPU wait for the host; a mask does neither.
        each = FocalLoss(_BINARY, alpha=self.alpha, gamma=self.gamma, reduction="none")(bounded, target)
        return _mean_where(each.reshape(labels.shape), labels != IGNORED)


def bce(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean binary cross entropy over the pixels that count.

    Not SMP's SoftBCEWithLogitsLoss: it divides by all pixels, so that batches with many ignored ones count less.
    """
    each = F.binary_cross_entropy_with_logits(logits[:, 0].float(), (labels == 1).float(), reduction="none")
    return _mean_where(each, labels != IGNORED)


def dice(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return 1 - the soft Dice score over the batch; Milletari et al. (2016), doi:10.1109/3DV.2016.79.

    SMP's is right with ignored pixels. Of a batch without slumps it is 0, without gradient: the score says nothing
    there. Add a loss that does, as in `focal+dice`, where slumps are rare.
    """
    return _scalar(DiceLoss(_BINARY, ignore_index=IGNORED)(logits.float(), labels))


def jaccard(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return 1 - the soft Jaccard score over the batch; Rahman and Wang (2016), doi:10.1007/978-3-319-50835-1_22.

    As for `dice`, it is 0 and has no gradient for a batch without slumps.
    """
    return _scalar(JaccardLoss(_BINARY, ignore_index=IGNORED)(logits.float(), labels))


def lovasz(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the Lovasz hinge over the batch, made for the Jaccard score; Berman et al. (2018), arXiv:1705.08790.

    SMP's is right with ignored pixels, with one class and with none that counts; without slumps it is the hinge of the
    worst pixel.
    """
    return _scalar(LovaszLoss(_BINARY, ignore_index=IGNORED)(logits[:, 0].float(), labels))


@dataclass(frozen=True, kw_only=True)
class Sum:
    """The sum of several losses."""

    parts: tuple[Loss, ...]

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the sum."""
        return torch.stack([part(logits, labels) for part in self.parts]).sum()


def _focal(alpha: float | None, gamma: float) -> Loss:
    return Focal(alpha=alpha, gamma=gamma)


def _always(loss: Loss) -> Callable[[float | None, float], Loss]:
    """Return a maker that no hyperparameter of the focal loss changes."""
    return lambda _alpha, _gamma: loss


LOSSES: Mapping[str, Callable[[float | None, float], Loss]] = MappingProxyType(
    {
        "focal": _focal,
        "dice": _always(dice),
        "jaccard": _always(jaccard),
        "lovasz": _always(lovasz),
        "bce": _always(bce),
    }
)
"""Makers of losses, from alpha and gamma of the focal loss."""


def make_loss(name: str, *, alpha: float | None = None, gamma: float = 2.0) -> Loss:
    """Return a loss by its name, or the sum of some by names with plus signs between, as in `focal+dice`.

    Args:
        name: Of `LOSSES`.
        alpha: Weight of slumps in the focal loss, 0 to 1; None = both classes count once. Others do not know it.
        gamma: How much less pixels count in the focal loss that are nearly right, from 0 on. Others do not know it.

    Raises:
        ConfigError: If there is no such loss, or a number is out of its range.
    """
    if alpha is not None and not 0 <= alpha <= 1:
        raise ConfigError(f"focal_loss_alpha is {alpha} but must be from 0 to 1. Correct it, or leave it out.")
    if not (math.isfinite(gamma) and gamma >= 0):
        raise ConfigError(f"focal_loss_gamma is {gamma} but must be a number of at least 0. Correct it.")
    parts = tuple(_maker(part.strip(), name)(alpha, gamma) for part in name.split("+"))
    return parts[0] if len(parts) == 1 else Sum(parts=parts)


def check_loss(name: str) -> None:
    """Refuse what is neither a loss nor a sum of some.

    Raises:
        ConfigError: If there is none of this name, or of a name between plus signs.
    """
    for part in name.split("+"):
        _maker(part.strip(), name)


def _maker(part: str, name: str) -> Callable[[float | None, float], Loss]:
    if part in LOSSES:
        return LOSSES[part]
    hint = did_you_mean(part, LOSSES)
    whole = "" if part == name else f" in {name!r}"
    raise ConfigError(f"{part!r}{whole} is no loss; there are {', '.join(LOSSES)}, and sums such as focal+dice.{hint}")


def ignore_edges(y: torch.Tensor, width_px: int) -> torch.Tensor:
    """Return labels in which pixels near a border between slump and background are ignored.

    Those become 2 whose centre is at most `width_px` (Euclidean) from the centre of a pixel of the other class: with 1,
    one pixel on either side. Nobody draws an outline to the pixel. Neither the edge of a patch nor that of ignored
    ground is a border.

    Args:
        y: (n, y, x) uint8: 0 background, 1 slump, 2 ignored.
        width_px: From 0 on, which ignores none.

    Returns:
        (n, y, x) uint8.

    Raises:
        ConfigError: If the width is negative.
    """
    if width_px < 0:
        raise ConfigError(f"ignored edges are {width_px} px wide but must be at least 0. Correct it.")
    if width_px == 0:
        return y
    slump, background = y == 1, y == 0
    near = (slump & _within(background, width_px)) | (background & _within(slump, width_px))
    return torch.where(near, torch.full_like(y, IGNORED), y)


def _within(mask: torch.Tensor, radius: int) -> torch.Tensor:
    """Return (n, y, x) bool, True up to a distance from where a mask is: a disk, as one line for each of its rows."""
    height = mask.shape[-2]
    padded = F.pad(mask.float(), (0, 0, radius, radius))
    near = torch.zeros_like(mask)
    for down in range(2 * radius + 1):
        half = math.isqrt(radius**2 - (down - radius) ** 2)
        line = F.max_pool1d(padded[:, down : down + height], 2 * half + 1, stride=1, padding=half)
        near |= line > 0
    return near


def _mean_where(each: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    return (each * counts).sum() / counts.sum().clamp_min(1)


def _scalar(value: torch.Tensor) -> torch.Tensor:
    """Return what SMP gives for one class as a scalar."""
    return value.reshape(())
