"""From tiles and annotated slumps to patches, and from patches to networks that find slumps."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts_segmentation.models.tools.convert import convert_lightning_checkpoint
    from darts_segmentation.training.checking.validate import validate_dataset
    from darts_segmentation.training.functions import cross_validation_smp, test_smp, train_smp, tune_smp
    from darts_segmentation.training.labels import burn_labels
    from darts_segmentation.training.patch_set import PatchSet
    from darts_segmentation.training.patches.selection import Counts
    from darts_segmentation.training.prepare_training import TrainDatasetBuilder

_FUNCTIONS = "darts_segmentation.training.functions"
_LATER = {
    "Counts": "darts_segmentation.training.patches.selection",
    "PatchSet": "darts_segmentation.training.patch_set",
    "TrainDatasetBuilder": "darts_segmentation.training.prepare_training",
    "burn_labels": "darts_segmentation.training.labels",
    "convert_lightning_checkpoint": "darts_segmentation.models.tools.convert",
    "validate_dataset": "darts_segmentation.training.checking.validate",
    **dict.fromkeys(("cross_validation_smp", "test_smp", "train_smp", "tune_smp"), _FUNCTIONS),
}
"""Imported when it is asked for: what a command takes can be read without all that it needs to run."""

__all__ = [
    "Counts",
    "PatchSet",
    "TrainDatasetBuilder",
    "burn_labels",
    "convert_lightning_checkpoint",
    "cross_validation_smp",
    "test_smp",
    "train_smp",
    "tune_smp",
    "validate_dataset",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
