"""The kernels of `kernels` on a device, by torch: the same weights, gathered for all positions of a block at once.

Positions are float64 as in host memory, values and weights float32: results differ by the rounding of those.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from darts_utils.rasters.arrays import Array

if TYPE_CHECKING:
    import torch

_LEAST_WEIGHT = 1e-5
"""Where known pixels weigh less together, nothing is known."""


def resample_on_device(
    values: Array,
    missing: Array | None,
    nodes: tuple[Array, Array],
    *,
    step: int,
    factors: tuple[float, float],
    fill: float,
    out: Array,
    device: "torch.device",
) -> None:
    """Write the values at interpolated positions, as `resample_cubic` does, whose arguments these are.

    Args:
        values: (band, y, x) of a type that float32 holds.
        missing: (y, x) bool, where pixels are unknown; None if all are known.
        nodes: Columns and rows of the source, (node, node) float64, at every `step` pixels of the target.
        step: Pixels from node to node.
        factors: Target pixels to a source pixel along x and y, at most 1.
        fill: What unknown pixels get.
        out: (band, y, x) float32 or uint8 in host memory.
        device: Where to compute.
    """
    import torch

    x, y = (_positions(torch.from_numpy(part).to(device), step, out.shape[1:]).ravel() for part in nodes)
    known = None if missing is None else torch.from_numpy(~missing).to(device)
    source = _Source(torch.from_numpy(np.ascontiguousarray(values)).to(device).float(), known)
    made = torch.full((len(values), x.numel()), math.nan, device=device)
    inside = (x >= 0) & (x < source.width) & (y >= 0) & (y < source.height)
    inside &= source.knows(y.nan_to_num().long(), x.nan_to_num().long(), inside)
    if factors == (1, 1):
        whole = inside & source.has_sixteen(y, x)
        made[:, whole] = source.cubic(y[whole], x[whole])
        inside &= ~whole
    made[:, inside] = source.mean_of_known(y[inside], x[inside], factors)
    unknown = made.isnan()
    if out.dtype == np.uint8:
        made = (made + 0.5).floor().clamp(0, 255)
    made[unknown] = fill
    out[:] = made.reshape(out.shape).cpu().numpy().astype(out.dtype)


def _positions(nodes: "torch.Tensor", step: int, shape: tuple[int, ...]) -> "torch.Tensor":
    """Return positions linear between nodes, (y, x) float64."""
    import torch

    row, column = (torch.arange(length, device=nodes.device) for length in shape)
    above, before = row // step, column // step
    down = ((row - above * step) / step)[:, None].double()
    lines = nodes[above] + (nodes[above + 1] - nodes[above]) * down
    first, last = lines[:, before], lines[:, before + 1]
    return first + (last - first) / step * (column - before * step)


@dataclass(frozen=True)
class _Source:
    """A raster on a device; positions are (n,) float64 each, down and across."""

    values: "torch.Tensor"
    """(band, y, x) float32."""
    known: "torch.Tensor | None"
    """(y, x) bool, None if all are."""

    @property
    def height(self) -> int:
        return self.values.shape[1]

    @property
    def width(self) -> int:
        return self.values.shape[2]

    def knows(self, row: "torch.Tensor", column: "torch.Tensor", valid: "torch.Tensor") -> "torch.Tensor":
        """Return whether pixels that lie inside, as others say, are known."""
        if self.known is None:
            return valid
        return valid & self.known[row.clamp(0, self.height - 1), column.clamp(0, self.width - 1)]

    def has_sixteen(self, y: "torch.Tensor", x: "torch.Tensor") -> "torch.Tensor":
        """Return whether the sixteen pixels around positions are there and known."""
        there = (y >= 1.5) & (y < self.height - 1.5) & (x >= 1.5) & (x < self.width - 1.5)
        if self.known is None:
            return there
        top, left = ((part.nan_to_num() - 0.5).long() - 1 for part in (y, x))
        for row in range(4):
            for column in range(4):
                there = self.knows(top + row, left + column, there)
        return there

    def cubic(self, y: "torch.Tensor", x: "torch.Tensor") -> "torch.Tensor":
        """Return cubic convolution, (band, n)."""
        top, left = ((part - 0.5).long() - 1 for part in (y, x))
        down, across = (_keys(part - 1.5 - first) for part, first in ((y, top), (x, left)))
        rows = (
            weight * sum(share * self.values[:, top + row, left + column] for column, share in enumerate(across))
            for row, weight in enumerate(down)
        )
        total: torch.Tensor = sum(rows)  # type: ignore[assignment]  # there are four
        return total

    def mean_of_known(self, y: "torch.Tensor", x: "torch.Tensor", factors: tuple[float, float]) -> "torch.Tensor":
        """Return the weighted mean of the known pixels around, (band, n), NaN where there is none."""
        total = self.values.new_zeros((len(self.values), len(y)))
        weight = self.values.new_zeros(len(y))
        is_plain = factors == (1, 1)
        for row, down in _taps(y - 0.5, 1.0 if is_plain else 2 / factors[1], self.height, is_bilinear=is_plain):
            for column, across in _taps(x - 0.5, 1.0 if is_plain else 2 / factors[0], self.width, is_bilinear=is_plain):
                share = down * across
                if self.known is not None:
                    share = share * self.known[row, column]
                total += share * self.values[:, row, column].nan_to_num()
                weight += share
        return (total / weight).masked_fill(weight < _LEAST_WEIGHT, math.nan)


def _keys(t: "torch.Tensor") -> tuple["torch.Tensor", ...]:
    """Return Keys' weights of the two pixels before positions and the two after them, `t` beyond the second."""
    t = t.float()
    return (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )


def _taps(
    centre: "torch.Tensor", reach: float, length: int, *, is_bilinear: bool
) -> "list[tuple[torch.Tensor, torch.Tensor]]":
    """Return the pixels along an axis within reach of positions, and their weights, which add up to 1."""
    first = (centre - reach).ceil().clamp(min=0)
    behind = ((centre + reach).trunc() + 1).clamp(max=length)
    number = int((behind - first).max()) if len(centre) else 0
    taps = []
    for tap in range(number):
        share = ((first + tap - centre).abs() / reach).float()
        weight = (1 - share).clamp(min=0) if is_bilinear else _widened(share)
        taps.append(((first + tap).long().clamp(max=length - 1), weight * (first + tap < behind)))
    total = sum(weight for _, weight in taps)
    return [(pixel, weight / total) for pixel, weight in taps]


def _widened(share: "torch.Tensor") -> "torch.Tensor":
    """Return Keys' weights of pixels by their distance, as a share of the reach of the kernel."""
    import torch

    distance = 2 * share
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, far).masked_fill(distance >= 2, 0)
