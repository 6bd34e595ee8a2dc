"""From probabilities to trusted ground and slump objects."""

from darts_postprocessing.binarize import binarize
from darts_postprocessing.masks import erode_mask
from darts_postprocessing.prepare_export import prepare_export

__all__ = ["binarize", "erode_mask", "prepare_export"]
