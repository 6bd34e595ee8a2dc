"""Cubic (Keys) and nearest-neighbour resampling of a raster at positions between its pixels, compiled."""

from typing import Any

import numpy as np

from darts_utils.machine.jit import compiled
from darts_utils.rasters.arrays import Array

_LEAST_WEIGHT = 1e-5
"""Where known pixels weigh less together, nothing is known."""
_U1, _U2, _U3 = map(np.uintp, (1, 2, 3))


@compiled()
def resample_cubic(  # noqa: PLR0917  (compiled functions take no parameters by name only)
    values: Array, missing: Any, nodes: Any, step: int, factors: Any, fill: float, out: Array
) -> None:
    """Write the values at interpolated positions.

    Where all pixels under the kernel are known, this is cubic convolution (Keys 1981). Next to unknown pixels it is the
    mean of the known ones among the four nearest, by their bilinear weights; where the kernel is widened, the mean of
    all known ones under it. A position whose own pixel is unknown, or that lies outside, is unknown.

    Args:
        values: (band, y, x) float64.
        missing: (y, x) bool, where pixels are unknown; None if all are known.
        nodes: Columns and rows of the source, (node, node) float64 counted from its corner, at every `step` pixels of
            the target, beginning with the centre of its first one.
        step: Pixels from node to node.
        factors: Target pixels to a source pixel along x and y, at most 1; the kernel is as much wider.
        fill: What unknown pixels get.
        out: (band, y, x) float32, or uint8: then values are rounded and saturated.
    """
    height, width = values.shape[1:]
    xs, ys = np.empty(out.shape[2]), np.empty(out.shape[2])
    is_plain = factors[0] == 1 and factors[1] == 1
    reach = (1.0, 1.0) if is_plain else (2 / factors[1], 2 / factors[0])
    weights = np.empty(2 * int(reach[0]) + 2), np.empty(2 * int(reach[1]) + 2)
    for row in range(out.shape[1]):
        _write_positions(nodes[0], step, row, xs)
        _write_positions(nodes[1], step, row, ys)
        for column in range(out.shape[2]):
            x, y = xs[column], ys[column]
            if not (0 <= x < width and 0 <= y < height) or (missing is not None and missing[int(y), int(x)]):
                for band in range(len(out)):
                    out[band, row, column] = fill
            elif is_plain and 1.5 <= x < width - 1.5 and 1.5 <= y < height - 1.5 and _all_known(missing, y, x):
                top, left = np.uintp(y - 0.5) - _U1, np.uintp(x - 0.5) - _U1  # unsigned: none counts from the end
                down, across = _cubic_weights(y - 1.5 - top), _cubic_weights(x - 1.5 - left)
                for band in range(len(out)):
                    out[band, row, column] = _stored(_cubic(values[band], top, left, down, across), out)
            else:
                for band in range(len(out)):
                    value = _mean_of_known(values[band], missing, (y, x), reach, weights, is_plain)
                    out[band, row, column] = fill if np.isnan(value) else _stored(value, out)


@compiled()
def resample_nearest(values: Array, nodes: Any, step: int, fill: float, out: Array) -> None:
    """Write the values of the nearest pixels; arguments as for `resample_cubic`, values and `out` of one type."""
    xs, ys = np.empty(out.shape[2]), np.empty(out.shape[2])
    for row in range(out.shape[1]):
        _write_positions(nodes[0], step, row, xs)
        _write_positions(nodes[1], step, row, ys)
        for column in range(out.shape[2]):
            x, y = xs[column], ys[column]
            inside = 0 <= x < values.shape[2] and 0 <= y < values.shape[1]
            for band in range(len(out)):
                out[band, row, column] = values[band, int(y), int(x)] if inside else fill


@compiled()
def _write_positions(nodes: Array, step: int, row: int, out: Array) -> None:
    """Write positions along a row, linear between nodes."""
    above = row // step
    down = (row - above * step) / step
    for node in range((len(out) + step - 1) // step):
        first = nodes[above, node] + (nodes[above + 1, node] - nodes[above, node]) * down
        last = nodes[above, node + 1] + (nodes[above + 1, node + 1] - nodes[above, node + 1]) * down
        slope = (last - first) / step
        for index in range(min(step, len(out) - node * step)):
            out[node * step + index] = first + slope * index


@compiled(inline="always")
def _all_known(missing: Any, y: float, x: float) -> bool:
    """Return whether the sixteen pixels around a position are known."""
    if missing is not None:
        top, left = int(y - 0.5) - 1, int(x - 0.5) - 1
        for row in range(top, top + 4):
            for column in range(left, left + 4):
                if missing[row, column]:
                    return False
    return True


@compiled(inline="always")
def _cubic(values: Array, top: Any, left: Any, down: Any, across: Any) -> float:
    """Return the weighted sum of sixteen pixels."""
    total = 0.0
    for row, weight in ((top, down[0]), (top + _U1, down[1]), (top + _U2, down[2]), (top + _U3, down[3])):
        line = values[row]
        total += weight * (
            line[left] * across[0]
            + line[left + _U1] * across[1]
            + line[left + _U2] * across[2]
            + line[left + _U3] * across[3]
        )
    return total


@compiled(inline="always")
def _cubic_weights(t: float) -> tuple[float, float, float, float]:
    """Return Keys' weights of the two pixels before a position and the two after it, `t` beyond the second."""
    return (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )


@compiled()
def _mean_of_known(  # noqa: PLR0917  (compiled functions take no parameters by name only)
    values: Array, missing: Any, position: Any, reach: Any, weights: Any, is_plain: bool
) -> float:
    """Return the weighted mean of the known pixels within reach of a position, NaN if there is none."""
    (y, x), (reach_y, reach_x), (down, across) = position, reach, weights
    top, bottom = _weigh(down, y - 0.5, reach_y, len(values), is_plain)
    left, right = _weigh(across, x - 0.5, reach_x, values.shape[1], is_plain)
    total, known = 0.0, 0.0
    for row in range(top, bottom):
        for column in range(left, right):
            if missing is None or not missing[row, column]:
                weight = down[row - top] * across[column - left]
                total += values[row, column] * weight
                known += weight
    return total / known if known >= _LEAST_WEIGHT else np.nan


@compiled(inline="always")
def _weigh(weights: Array, centre: float, reach: float, length: int, is_bilinear: bool) -> tuple[int, int]:
    """Write the weights of the pixels along an axis, and return the first of them and the one behind the last."""
    first, behind = max(0, int(np.ceil(centre - reach))), min(length, int(centre + reach) + 1)
    total = 0.0
    for index in range(behind - first):
        weight = _weight(abs(first + index - centre) / reach, is_bilinear)
        weights[index] = weight
        total += weight
    for index in range(behind - first):
        weights[index] /= total
    return first, behind


@compiled(inline="always")
def _weight(share: float, is_bilinear: bool) -> float:
    """Return the weight of a pixel by its distance, as a share of the reach of the kernel."""
    if is_bilinear:
        return max(1 - share, 0.0)
    distance = 2 * share
    if distance < 1:
        return (1.5 * distance - 2.5) * distance * distance + 1
    return 0.0 if distance >= 2 else ((-0.5 * distance + 2.5) * distance - 4) * distance + 2


@compiled(inline="always")
def _stored(value: float, out: Array) -> float:
    return min(max(np.floor(value + 0.5), 0.0), 255.0) if out.itemsize == 1 else value
