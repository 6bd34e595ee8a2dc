"""Pictures of patches: what is seen, what was digitised, what a network makes of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from darts_segmentation.training.assess.predicting import Predictor
from darts_segmentation.training.data import LearningData
from darts_segmentation.training.labels import IGNORED, SLUMP
from darts_segmentation.training.patches.batches import PatchBatches
from darts_utils.rasters.arrays import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("red", "green", "blue")
_STRETCH = (1, 99)
_INCHES = 2.4


def draw_patches(data: LearningData, chosen: Sequence[int], predict: Predictor, temperature: float) -> "Figure":
    """Return a figure with a row a patch: the image with the outlines of slumps, probabilities, hits and errors.

    Args:
        data: The set.
        chosen: Positions of patches in it.
        predict: Gives logits.
        temperature: What they are divided by.
    """
    from matplotlib.figure import Figure

    batch = PatchBatches(data.patches, data.channels)[list(chosen)]
    probabilities = torch.sigmoid(predict(batch["x"]) / temperature).numpy()
    figure = Figure(figsize=(3 * _INCHES, _INCHES * len(chosen) + 0.3), layout="constrained")
    for axes, index, x, y, p in zip(
        figure.subplots(len(chosen), 3, squeeze=False), chosen, batch["x"].numpy(), batch["y"].numpy(), probabilities,
        strict=True,
    ):  # fmt: skip
        _draw_row(list(axes), x, y, p, data)
        axes[0].set_ylabel(str(data.patches.metadata["patch_id"].iloc[index])[-24:], fontsize=6)
    for axis, title in zip(figure.axes[:3], ("image, true outlines", "probability", "hits and errors"), strict=True):
        axis.set_title(title, fontsize=8)
    return figure


def _draw_row(axes: "Sequence[Axes]", x: Array, y: Array, p: Array, data: LearningData) -> None:
    axes[0].imshow(picture_of(x, data.bands), interpolation="nearest")
    if (y == SLUMP).any():
        axes[0].contour(y == SLUMP, levels=[0.5], colors="#ffe34d", linewidths=0.8)
    axes[1].imshow(p, vmin=0, vmax=1, cmap="magma", interpolation="nearest")
    axes[2].imshow(errors_of(p, y), interpolation="nearest")
    for axis in axes:
        axis.set(xticks=[], yticks=[])


def picture_of(x: Array, bands: Sequence[str]) -> Array:
    """Return (y, x, 3) from 0 to 1: natural colours where the bands are there, else the first band in grey."""
    names = list(bands)
    chosen = [names.index(colour) for colour in _COLOURS] if set(_COLOURS) <= set(names) else [0, 0, 0]
    picture = x[chosen].transpose(1, 2, 0)
    seen = picture[x.any(axis=0)]
    low, high = np.percentile(seen, _STRETCH) if len(seen) else (0.0, 1.0)
    stretched: Array = np.clip((picture - low) / max(high - low, 1e-6), 0, 1)
    return stretched


def errors_of(p: Array, y: Array) -> Array:
    """Return (y, x, 3): hits green, false pixels red, missed ones blue, ignored ones grey, the rest white."""
    found, true, known = p > 0.5, y == SLUMP, y != IGNORED
    picture = np.ones((*y.shape, 3))
    for mask, colour in (
        (found & true, (0.2, 0.6, 0.3)), (found & ~true & known, (0.8, 0.25, 0.2)),
        (~found & true, (0.2, 0.4, 0.8)), (~known, (0.75, 0.75, 0.75)),
    ):  # fmt: skip
        picture[mask] = colour
    return picture
