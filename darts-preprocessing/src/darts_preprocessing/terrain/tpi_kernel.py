"""The topographic position index in host memory, from running sums along rows."""

import numpy as np

from darts_utils.machine.jit import compiled
from darts_utils.rasters.arrays import Array


@compiled()
def write_index(window: Array, chords: Array, size: int, out: Array) -> None:
    """Write each cell minus the mean of the known cells under a kernel.

    The sum along a stretch of cells is the difference of two running sums, so a kernel costs two reads for each of its
    rows, whatever its width. Running sums are float64: float32 would lose millimetres.

    Args:
        window: (y + 2 R, x + 2 R) float32 in metres, NaN where unknown.
        chords: (chord, 3) int64 row, first column and the one behind the last of the stretches of cells in a kernel
            of 2 R + 1 rows.
        size: Cells of the kernel.
        out: (y, x) float32; NaN where the cell or more than half of those under the kernel are unknown.
    """
    height, width = out.shape
    radius = (window.shape[0] - height) // 2
    heights, known, complete = _running_sums(window)
    total, count = np.empty(width, np.float64), np.full(width, size, np.int32)
    for row in range(height):
        _add_chords(heights, chords, row, total)
        if not complete:
            _add_chords(known, chords, row, count)
        centre = window[row + radius]
        for x in range(width):
            index = np.float32(centre[x + radius] - total[x] / max(count[x], 1))
            out[row, x] = index if 2 * count[x] >= size and np.isfinite(index) else np.float32(np.nan)


@compiled()
def _running_sums(window: Array) -> tuple[Array, Array, bool]:
    """Return the sum of all known cells, and their number, to the left of each column; and whether all are known."""
    heights = np.empty((window.shape[0], window.shape[1] + 1), np.float64)
    known = np.empty((window.shape[0], window.shape[1] + 1), np.int32)
    complete = True
    for row in range(window.shape[0]):
        total, count = 0.0, np.int32(0)
        for x in range(window.shape[1]):
            heights[row, x], known[row, x] = total, count
            if np.isfinite(window[row, x]):
                total += window[row, x]
                count += 1
        heights[row, window.shape[1]], known[row, window.shape[1]] = total, count
        complete = complete and count == window.shape[1]
    return heights, known, complete


@compiled()
def _add_chords(sums: Array, chords: Array, top: int, out: Array) -> None:
    """Write the sums under a kernel, whose first row lies at `top`."""
    out[:] = 0
    for chord in range(len(chords)):
        line = sums[top + chords[chord, 0]]
        first, behind = line[chords[chord, 1] :], line[chords[chord, 2] :]
        for x in range(len(out)):
            out[x] += behind[x] - first[x]
