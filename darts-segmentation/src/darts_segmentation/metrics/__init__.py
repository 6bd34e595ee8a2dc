"""Metrics of segmentation that count objects and outlines; those of pixels are torchmetrics' own."""

from darts_segmentation.metrics.boundary import BinaryBoundaryIoU
from darts_segmentation.metrics.instances import (
    BinaryInstanceF1Score,
    BinaryInstancePrecision,
    BinaryInstanceRecall,
)
from darts_segmentation.metrics.objects import ObjectCounts, count_objects

__all__ = [
    "BinaryBoundaryIoU",
    "BinaryInstanceF1Score",
    "BinaryInstancePrecision",
    "BinaryInstanceRecall",
    "ObjectCounts",
    "count_objects",
]
