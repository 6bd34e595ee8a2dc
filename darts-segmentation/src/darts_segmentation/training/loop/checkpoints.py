"""Checkpoints of a run: whole or absent at any moment, and read without running code."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from darts_segmentation.training.loop.module import MONITORED
from darts_segmentation.training.loop.runs import RunFolder
from darts_utils.errors import CheckpointError, one_line
from darts_utils.files import atomic_file, make_folder
from darts_utils.machine.disk import cannot_write

_BEST = "epoch={epoch}-step={step}-val_iou={" + MONITORED + ":.2f}"


class WholeCheckpoints(CheckpointIO):
    """Writes checkpoints beside their names first, and reads nothing but tensors and plain values."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        """Write a checkpoint.

        Raises:
            OutputError: If it cannot be written, such as on a full disk.
        """
        path = Path(path)
        make_folder(path.parent)
        try:
            with atomic_file(path) as part:
                torch.save(checkpoint, part)
        except (OSError, RuntimeError) as error:  # torch has its own error for what it cannot write
            raise cannot_write(path, error) from error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """Return a checkpoint.

        Raises:
            CheckpointError: If it is damaged, or holds more than tensors and plain values.
        """
        try:
            content: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        except Exception as error:  # torch raises all kinds about files that are none
            raise CheckpointError(
                f"the checkpoint {path} cannot be read ({one_line(error, 100)}). Use another one; if"
                " it is that of an unfinished run, delete it, and the run begins anew."
            ) from error
        return content

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        if os.path.lexists(path):
            Path(path).unlink()


def keep_checkpoints(run: RunFolder, save_top_k: int, *, validates: bool) -> list[Callback]:
    """Return what keeps the last epoch, and the best ones of a run that has validations."""
    options: dict[str, Any] = {"dirpath": run.checkpoints, "auto_insert_metric_name": False}
    last = ModelCheckpoint(**options, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    if not validates or not save_top_k:
        return [last]
    best = ModelCheckpoint(
        **options,
        filename=_BEST,
        monitor=MONITORED,
        mode="max",
        save_top_k=save_top_k,
        save_on_train_epoch_end=False,
        enable_version_counter=False,
    )
    return [best, last]  # in this order: the last one knows what the best is
