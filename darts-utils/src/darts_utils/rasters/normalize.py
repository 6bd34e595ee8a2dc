"""Bands as networks see them, in one pass over memory."""

import numpy as np

from darts_utils.machine.jit import compiled
from darts_utils.rasters.arrays import Array


@compiled()
def write_normalized(memory: Array, low: np.float32, high: np.float32, out: Array) -> None:
    """Write values of a range as 0 to 1, clipped, NaN as 0.

    Args:
        memory: (y, x) of any real type.
        low: What becomes 0.
        high: What becomes 1.
        out: (y, x) float32.
    """
    zero, one, span = np.float32(0), np.float32(1), high - low
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            share = (np.float32(memory[row, column]) - low) / span
            share = share if share > zero else zero  # NaN is not
            out[row, column] = share if share < one else one
