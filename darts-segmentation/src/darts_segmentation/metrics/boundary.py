"""How well outlines agree: IoU of what lies just inside of them."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric

from darts_segmentation.metrics.masks import batch_masks, check_probability
from darts_utils.errors import ConfigError


class BinaryBoundaryIoU(Metric):
    """Boundary IoU (Cheng et al. 2021, doi:10.1109/CVPR46437.2021.01508) of all images that were seen, from 0 to 1.

    The boundary of a mask are its pixels within `width_px` of a pixel that is not in it, counted in steps to all eight
    neighbours; beyond the image nothing is in it, as in the authors' code. The score is the number of pixels that both
    boundaries have by the number that either has, each summed over all images; 0 where there is no boundary at all.
    Unlike IoU it does not grow with the size of an object whose outline is equally wrong.

    The authors use 2 % of the image's diagonal for photographs, which would be 14 pixels of a patch of 512: most slumps
    are narrower, and it would be their IoU. So the width is small and in pixels unless something else is asked for.

    Ignored pixels are in neither mask, so the edge of ignored ground inside an object counts as its outline in both.

    Args:
        width_px: Width of a boundary in pixels.
        threshold: Probability above which a pixel is predicted.
        ignore_index: Label whose pixels do not count; None if there is none.
        **kwargs: What every metric of torchmetrics takes.

    Raises:
        ConfigError: If the width is not positive, or the threshold is not within 0 to 1.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0
    shared: Tensor
    either: Tensor

    def __init__(
        self, width_px: int = 2, threshold: float = 0.5, ignore_index: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_probability(threshold)
        if width_px < 1:
            raise ConfigError(f"width_px is {width_px} but must be at least 1 pixel.")
        self.width_px, self.threshold, self.ignore_index = width_px, threshold, ignore_index
        for name in ("shared", "either"):
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count the boundary pixels of a batch.

        Args:
            preds: (n, y, x) or (n, 1, y, x) probabilities from 0 to 1.
            target: 1 slump, 0 background, or `ignore_index`.

        Raises:
            DataError: If shapes differ or are others, or values are out of range.
        """
        masks = batch_masks(preds, target, self.threshold, self.ignore_index)
        predicted, true = (boundaries(mask, self.width_px) for mask in masks)
        self.shared += (predicted & true).sum()
        self.either += (predicted | true).sum()

    def compute(self) -> Tensor:
        """Return the boundary IoU of all images so far."""
        return torch.where(
            self.either > 0, self.shared / self.either.clamp(min=1), torch.zeros((), device=self.shared.device)
        )


def boundaries(masks: Tensor, width_px: int) -> Tensor:
    """Return (n, y, x) bool, the pixels of masks within a distance of one that is not in it, or of the image's edge.

    Args:
        masks: (n, y, x) bool.
        width_px: The distance in steps to any of eight neighbours.
    """
    if not masks.numel():
        return masks
    size = 2 * width_px + 1
    outside = functional.pad((~masks).float().unsqueeze(1), [width_px] * 4, value=1.0)
    # a square is a row of columns, which costs 2 n and not n * n steps a pixel
    reached = functional.max_pool2d(functional.max_pool2d(outside, (size, 1), stride=1), (1, size), stride=1)
    return masks & (reached[:, 0] > 0)
