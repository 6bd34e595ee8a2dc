"""Slump probabilities from networks of segmentation-models-pytorch, alone or as an ensemble.

Nothing is imported before it is asked for, so that the card of a model can be read without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from darts_utils.machine.waiting import wait_briefly

if TYPE_CHECKING:
    from darts_segmentation.ensemble import EnsembleV1
    from darts_segmentation.segmenter import SMPSegmenter

wait_briefly()

__all__ = ["EnsembleV1", "SMPSegmenter"]

_WHERE = {"EnsembleV1": "darts_segmentation.ensemble", "SMPSegmenter": "darts_segmentation.segmenter"}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
