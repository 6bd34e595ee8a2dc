"""How good probabilities are: ranking, sharpness and calibration, from counts of pixels by logit and label."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

from darts_utils.rasters.arrays import Array

RELIABILITY_BINS = 15
COOLEST, HOTTEST = 0.05, 20.0
"""Range of temperatures: beyond it lie only networks that separate everything, or nothing."""


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """One bin of a reliability diagram."""

    low: float
    high: float
    n: int
    """Pixels."""
    confidence: float
    """Mean of their probabilities."""
    frequency: float
    """Share of them that are slumps."""


@dataclass(frozen=True, kw_only=True)
class ScoreCounts:
    """Pixels counted by logit, in ascending order, and label."""

    logits: Array
    """(k) float64."""
    background: Array
    """(k) int64."""
    slump: Array
    """(k) int64."""

    @property
    def n(self) -> int:
        """Number of pixels."""
        return int(self.background.sum() + self.slump.sum())

    @property
    def n_slump(self) -> int:
        """Number of pixels that are slumps."""
        return int(self.slump.sum())

    @property
    def has_both(self) -> bool:
        """Whether there are pixels of both classes; without, nothing can be ranked or calibrated."""
        return 0 < self.n_slump < self.n

    @cached_property
    def _at_least(self) -> tuple[Array, Array]:
        """Return how many slumps and how much background have at least each logit, from the highest on."""
        return np.cumsum(self.slump[::-1]), np.cumsum(self.background[::-1])

    def auroc(self) -> float:
        """Return the area under the receiver operating curve, 0 to 1; ties count half, NaN without both classes."""
        if not self.has_both:
            return float("nan")
        hits, false = self._at_least
        x, y = np.append(0, false / false[-1]), np.append(0, hits / hits[-1])
        return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))

    def average_precision(self) -> float:
        """Return the mean precision over the steps of recall, 0 to 1; NaN without slumps."""
        if not self.n_slump:
            return float("nan")
        precision, recall = self.precision_recall()
        return float(np.sum(np.diff(np.append(0, recall)) * precision))

    def precision_recall(self) -> tuple[Array, Array]:
        """Return precision and recall, (k) float64 each, at every logit as threshold, from the highest on."""
        hits, false = self._at_least
        return hits / (hits + false), hits / max(self.n_slump, 1)

    def best_f1(self) -> tuple[float, float]:
        """Return the probability above which F1 is best, and that F1; NaN without slumps."""
        if not self.n_slump:
            return float("nan"), float("nan")
        hits, false = self._at_least
        f1 = 2 * hits / (hits + false + self.n_slump)
        best = int(np.argmax(f1))
        ascending = expit(self.logits)
        place = len(ascending) - 1 - best  # the lowest logit that is still a slump
        below = ascending[place - 1] if place else 0.0
        return float((ascending[place] + below) / 2), float(f1[best])

    def nll(self, temperature: float = 1.0) -> float:
        """Return the mean negative log likelihood of the labels, in nats a pixel."""
        scaled = self.logits / temperature
        softplus = np.logaddexp(0, scaled)
        return float((self.background @ softplus + self.slump @ (softplus - scaled)) / max(self.n, 1))

    def fit_temperature(self) -> float:
        """Return the temperature of the largest likelihood, 1 where there are not both classes.

        Method: temperature scaling, Guo et al. (2017), https://proceedings.mlr.press/v70/guo17a.html.
        """
        if not self.has_both:
            return 1.0
        bounds = (np.log(COOLEST), np.log(HOTTEST))
        found: Any = minimize_scalar(lambda log: self.nll(float(np.exp(log))), bounds=bounds, options={"xatol": 1e-5})
        return float(np.exp(found.x))

    def scaled(self, temperature: float) -> Self:
        """Return the counts with logits divided by a temperature."""
        return type(self)(logits=self.logits / temperature, background=self.background, slump=self.slump)

    def reliability(self, low: float = 0.0, high: float = 1.0) -> Iterator[Reliability]:
        """Yield the bins of a reliability diagram that hold pixels: 15 of equal width from 0 to 1.

        Args:
            low: Only pixels of probabilities above are counted.
            high: Only pixels of probabilities below are counted; at 1 all up to it.
        """
        p = expit(self.logits)
        chosen = (p > low) & ((p < high) | (high >= 1)) if low > 0 else (p < high) | (high >= 1)
        place = np.minimum((p * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
        for index in range(RELIABILITY_BINS):
            inside = chosen & (place == index)
            n = int((self.background + self.slump)[inside].sum())
            if n:
                yield Reliability(
                    low=index / RELIABILITY_BINS,
                    high=(index + 1) / RELIABILITY_BINS,
                    n=n,
                    confidence=float(((self.background + self.slump)[inside] @ p[inside]) / n),
                    frequency=float(self.slump[inside].sum() / n),
                )

    def ece(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return the expected calibration error, 0 to 1: mean distance of confidence and frequency over pixels.

        Of all pixels of an image most are background that every network is sure of, which hides all others: give
        bounds to look at those.

        Args:
            low: Only pixels of probabilities above are counted.
            high: Only pixels of probabilities below are counted.

        Returns:
            NaN if there is no such pixel. Method: Naeini et al. (2015), doi:10.1609/aaai.v29i1.9602.
        """
        bins = list(self.reliability(low, high))
        total = sum(one.n for one in bins)
        if not total:
            return float("nan")
        return sum(one.n * abs(one.confidence - one.frequency) for one in bins) / total
