"""Pictures while a network learns: what it makes of validation patches, and what augmentations make of patches."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import lightning as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from darts_segmentation.training.assess.predicting import Predictor
from darts_segmentation.training.augment.augmentations import Augmenter
from darts_segmentation.training.data import LearningData
from darts_segmentation.training.figures.patch_pictures import draw_patches, picture_of
from darts_segmentation.training.figures.plots import save_figure
from darts_segmentation.training.labels import SLUMP
from darts_segmentation.training.patches.batches import PatchBatches
from darts_utils.rasters.arrays import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PATCHES = 4
_VARIANTS = 5
_INCHES = 1.6


class Pictures(Callback):
    """Draws the same validation patches, most of them with slumps, every few validations.

    Args:
        folder: Where the pictures go, `validation-epoch=E.png`.
        data: The training set.
        every: Validations between two pictures.
    """

    def __init__(self, folder: Path, data: LearningData, *, every: int) -> None:
        self._folder = folder
        self._data = data
        self._every = every
        self._chosen = with_slumps_first(data, data.split.val)[:_PATCHES]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw, if it is time; which epochs are drawn does not depend on where a run was interrupted."""
        validation = (trainer.current_epoch + 1) // max(int(trainer.check_val_every_n_epoch or 1), 1)
        if not trainer.is_global_zero or validation % self._every:
            return

        @torch.no_grad()
        def logits_of(x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = pl_module(x)[:, 0].float()
            return logits

        was_training = pl_module.training
        pl_module.eval()
        figure = draw_patches(self._data, self._chosen, Predictor(pl_module.device, logits_of), 1.0)
        pl_module.train(was_training)
        save_figure(figure, self._folder / f"validation-epoch={trainer.current_epoch}.png")


def with_slumps_first(data: LearningData, chosen: Sequence[int] | Array) -> list[int]:
    """Return patches, those with slumps first, in the order of the set."""
    empty = data.patches.metadata["empty"].to_numpy(dtype=bool)
    return sorted((int(index) for index in chosen), key=lambda index: (bool(empty[index]), index))


def draw_augmentations(data: LearningData, names: Sequence[str], seed: int) -> "Figure":
    """Return some training patches as they are and as the augmentations change them, with the outlines of slumps."""
    from matplotlib.figure import Figure

    chosen = with_slumps_first(data, data.split.train)[:_PATCHES]
    batch = PatchBatches(data.patches, data.channels)[chosen]
    augmenter = Augmenter(names, data.bands)
    generator = torch.Generator().manual_seed(seed)
    columns = [(batch["x"], batch["y"])]
    columns += [augmenter(batch["x"], batch["y"], batch["sun"], generator) for _ in range(_VARIANTS)]
    figure = Figure(figsize=(_INCHES * len(columns), _INCHES * len(chosen) + 0.3), layout="constrained")
    axes = figure.subplots(len(chosen), len(columns), squeeze=False)
    for column, (x, y) in enumerate(columns):
        axes[0, column].set_title("as it is" if column == 0 else f"changed {column}", fontsize=8)
        for row in range(len(chosen)):
            axes[row, column].imshow(picture_of(x[row].numpy(), data.bands), interpolation="nearest")
            outline = np.asarray(y[row] == SLUMP)
            if outline.any():
                axes[row, column].contour(outline, levels=[0.5], colors="#ffe34d", linewidths=0.8)
            axes[row, column].set(xticks=[], yticks=[])
    return figure
