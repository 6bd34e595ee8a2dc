"""An earlier path of `SMPSegmenter`, which scripts of users import."""

from darts_segmentation.segmenter import SMPSegmenter

__all__ = ["SMPSegmenter"]
