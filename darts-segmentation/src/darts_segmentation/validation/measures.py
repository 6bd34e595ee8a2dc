"""Measures of probabilities: how far two arrays differ, what is covered, and how high the steps at seams are.

Arrays in, numbers out; nothing here knows networks or files.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from darts_segmentation.patches import PatchGrid, Span
from darts_utils.rasters.arrays import Array

_MOST = 0.999
_LEAST_STEP = 1e-4
"""Steps below a hundredth of a percent are seen in no product, and no ratio of them means anything."""


@dataclass(frozen=True, kw_only=True)
class Differences:
    """How far probabilities differ, absolute."""

    n: int
    """Pixels compared; without any the figures are 0."""
    mean: float
    most: float
    """Of 99.9 % of the pixels it is at most this."""
    largest: float
    """Infinite if a pixel has a probability in one of the two only; the others are then, too, as far as it reaches."""

    @property
    def words(self) -> str:
        """The figures in one line."""
        return f"mean |dp| {self.mean:.2g}, 99.9 % {self.most:.2g}, largest {self.largest:.2g}"

    @property
    def figures(self) -> dict[str, float | int | str]:
        """The figures by name."""
        return {"n_px": self.n, "mean": self.mean, "p99.9": self.most, "largest": self.largest}


def differences(found: Array, expected: Array, where: Array) -> Differences:
    """Return how far two arrays of probabilities differ, where a mask is True and at least one has a value."""
    looked_at = where & ~(np.isnan(found) & np.isnan(expected))
    apart = np.abs(found[looked_at].astype(np.float64) - expected[looked_at])
    apart[np.isnan(apart)] = np.inf
    if not apart.size:
        return Differences(n=0, mean=0.0, most=0.0, largest=0.0)
    most = np.partition(apart, rank := min(apart.size - 1, int(_MOST * apart.size)))[rank]
    return Differences(n=apart.size, mean=float(apart.mean()), most=float(most), largest=float(apart.max()))


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Which pixels have a probability."""

    n_valid: int
    """Pixels with valid input."""
    n_without: int
    """Those of them without a number from 0 to 1."""
    n_beyond: int
    """Pixels without valid input that have one."""


def coverage(probabilities: Array, valid: Array) -> Coverage:
    """Return whether each pixel with valid input, and no other, has a probability."""
    with np.errstate(invalid="ignore"):
        is_probability = (probabilities >= 0) & (probabilities <= 1)
    return Coverage(
        n_valid=int(np.count_nonzero(valid)),
        n_without=int(np.count_nonzero(valid & ~is_probability)),
        n_beyond=int(np.count_nonzero(~valid & ~np.isnan(probabilities))),
    )


def share_error(grid: PatchGrid, shape: tuple[int, int]) -> float:
    """Return how far the shares of all patches in a pixel are from adding up to 1, in the worst pixel."""
    total = np.zeros(shape, dtype=np.float32)
    ones = np.ones(grid.patch_shape, dtype=np.float32)
    for patch in grid:
        patch.add_to(total, ones)
    return float(np.abs(total - 1).max())


def seams(spans: Collection[Span], length: int) -> list[int]:
    """Return where patches begin or end along an axis, inside of the tile: a seam is before the pixel of its number."""
    ends = {end for span in spans for end in (span.target.start, span.target.stop)}
    return sorted(ends - {0, length})


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Mean absolute differences of neighbouring pixels on the two sides of some lines."""

    n: int
    """Pairs of pixels."""
    at_seams: float
    """Where the lines are seams."""
    without: float
    """Of the same pixels, where no patch begins or ends."""

    @property
    def ratio(self) -> float:
        """How much higher steps at seams are; 1 if both are too low to be seen in any product."""
        return max(self.at_seams, _LEAST_STEP) / max(self.without, _LEAST_STEP)

    def __add__(self, other: "Steps") -> "Steps":
        n = self.n + other.n
        shares = (self.n / n, other.n / n) if n else (0, 0)
        return Steps(
            n=n,
            at_seams=shares[0] * self.at_seams + shares[1] * other.at_seams,
            without=shares[0] * self.without + shares[1] * other.without,
        )


def steps_at_seams(probabilities: Array, without: Array, rows: Collection[int], columns: Collection[int]) -> Steps:
    """Return how high probabilities step at the seams of patches, and the same pixels of another cut without those.

    Ground has edges of its own, and most ground none: only the same pixels tell whether it is the seam that steps.

    Args:
        probabilities: (y, x), NaN where unknown.
        without: The same ground, cut so that no seam lies at these lines.
        rows: The seams between rows, see `seams`.
        columns: Those between columns.
    """
    pairs = [_steps(probabilities, without, line) for line in rows]
    pairs += [_steps(probabilities.T, without.T, line) for line in columns]
    at, beside = np.concatenate([np.empty((2, 0)), *pairs], axis=1)
    if not at.size:
        return Steps(n=0, at_seams=0.0, without=0.0)
    return Steps(n=at.size, at_seams=float(at.mean()), without=float(beside.mean()))


def _steps(probabilities: Array, without: Array, line: int) -> Array:
    """Return (2, n) float64: steps over a line, where both arrays know them."""
    each = [np.abs(values[line].astype(np.float64) - values[line - 1]) for values in (probabilities, without)]
    steps = np.stack(each)
    known: Array = steps[:, ~np.isnan(steps).any(axis=0)]
    return known
