"""From tiles and digitised slumps to patches that networks learn from."""

from typing import TYPE_CHECKING, Any

from darts_segmentation.training.labels import burn_labels
from darts_segmentation.training.patch_set import PatchSet
from darts_segmentation.training.prepare_training import TrainDatasetBuilder
from darts_segmentation.training.selection import Counts

if TYPE_CHECKING:
    from darts_segmentation.models.tools.convert import convert_lightning_checkpoint

__all__ = ["Counts", "PatchSet", "TrainDatasetBuilder", "burn_labels", "convert_lightning_checkpoint"]


def __getattr__(name: str) -> Any:
    if name == "convert_lightning_checkpoint":  # here, because making patches needs nothing of models
        from darts_segmentation.models.tools.convert import convert_lightning_checkpoint

        return convert_lightning_checkpoint
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
