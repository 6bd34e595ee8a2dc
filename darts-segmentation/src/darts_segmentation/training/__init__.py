"""From tiles and digitised slumps to patches that networks learn from."""

from darts_segmentation.training.labels import burn_labels
from darts_segmentation.training.patch_set import PatchSet
from darts_segmentation.training.prepare_training import TrainDatasetBuilder
from darts_segmentation.training.selection import Counts

__all__ = ["Counts", "PatchSet", "TrainDatasetBuilder", "burn_labels"]
