"""Logits of any number of pixels, counted by label: memory does not grow with them, and every score comes from it."""

from typing import Any

import numpy as np
import torch
from torchmetrics import Metric

from darts_segmentation.metrics.scores import ScoreCounts
from darts_utils.errors import DataError

_BINS = 2**16
_SIGN, _ALL = 0x8000, 0xFFFF
_LARGEST = 60_000.0
"""Below the largest number of half precision, so that no logit becomes infinite."""


class LogitHistogram(Metric):
    """Counts logits by their value in half precision, for background and for slumps.

    Half precision has about 64,000 values, spaced by a thousandth of themselves: what is computed from their counts is
    exact for networks that answer in half precision, and within that spacing for others.
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False
    counts: torch.Tensor

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_state("counts", torch.zeros(2 * _BINS, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Count pixels.

        Args:
            logits: Any shape, floats.
            labels: As many whole numbers: 0 background, 1 slump, others are not counted.
        """
        known = labels <= 1
        values = logits[known].float().clamp(-_LARGEST, _LARGEST).half() + 0.0  # of the two zeros only one
        bits = values.view(torch.int16).int() & _ALL
        places = torch.where(bits >= _SIGN, bits ^ _ALL, bits | _SIGN)  # so that larger logits have larger places
        self.counts += torch.bincount(places + _BINS * labels[known].int(), minlength=2 * _BINS)

    def compute(self) -> torch.Tensor:
        """Return the counts, (2, 65536) int64: background and slumps by place, of all processes together."""
        return self.counts.reshape(2, _BINS)

    def scores(self) -> ScoreCounts:
        """Return the counts of the values that occur.

        Raises:
            DataError: If there were logits that are not numbers.
        """
        counts = self.compute().cpu().numpy()
        occurring = np.flatnonzero(counts.any(axis=0))
        logits = _values()[occurring]
        if np.isnan(logits).any():
            raise DataError("a network gives logits that are not numbers. Use another epoch of its training.")
        return ScoreCounts(logits=logits, background=counts[0, occurring], slump=counts[1, occurring])


def _values() -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return the logit of each place."""
    places = np.arange(_BINS)
    bits = np.where(places >= _SIGN, places & ~_SIGN, places ^ _ALL).astype(np.uint16)
    return bits.view(np.float16).astype(np.float64)
