"""The score of an object: how sure its core is, whatever its rim."""

import numpy as np

from darts_utils.rasters.arrays import Array

CORE_PERCENTILE = 75


def core_mean(probabilities: Array) -> float:
    """Return the mean probability of an object's core, the part above the 75th percentile of its own probabilities.

    Where nothing is above it, because the highest value is that of a quarter or more, that value is the core.

    Args:
        probabilities: (n) of its pixels, any order, at least one; no NaN.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    core = values[values > np.percentile(values, CORE_PERCENTILE)]
    return float(core.mean() if len(core) else values.max())
