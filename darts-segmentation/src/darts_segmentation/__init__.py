"""Slump probabilities from networks of segmentation-models-pytorch, alone or as an ensemble."""

from darts_segmentation.ensemble import EnsembleV1
from darts_segmentation.segmenter import SMPSegmenter

__all__ = ["EnsembleV1", "SMPSegmenter"]
