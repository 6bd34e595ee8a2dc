"""What a score is, made from sums; undefined ratios are NaN."""

from collections.abc import Mapping

import numpy as np

from darts_postprocessing.evaluation.bootstrap import Measure
from darts_utils.rasters.arrays import Array

type Sums = Mapping[str, Array]


def ratio(above: Array, below: Array) -> Array:
    """Return a ratio, NaN where it is 0 / 0 or by 0."""
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    result = np.full(below.shape, np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result


def _precision(sums: Sums) -> Array:
    return ratio(sums["tp"], sums["tp"] + sums["fp"])


def _recall(sums: Sums) -> Array:
    return ratio(sums["tp"], sums["tp"] + sums["fn"])


def _f1(sums: Sums) -> Array:
    return ratio(2 * sums["tp"], 2 * sums["tp"] + sums["fp"] + sums["fn"])


def _area_iou(sums: Sums) -> Array:
    return ratio(sums["both"], sums["predicted"] + sums["reference"] - sums["both"])


def _area_precision(sums: Sums) -> Array:
    return ratio(sums["both"], sums["predicted"])


def _area_recall(sums: Sums) -> Array:
    return ratio(sums["both"], sums["reference"])


def _bias(sums: Sums) -> Array:
    return ratio(sums["difference"], sums["pairs"])


def _relative_bias(sums: Sums) -> Array:
    return ratio(sums["difference"], sums["reference"])


def _rmse(sums: Sums) -> Array:
    return np.sqrt(ratio(sums["squared"], sums["pairs"]))


def _mean_absolute_error(sums: Sums) -> Array:
    return ratio(sums["absolute"], sums["pairs"])


PRECISION: dict[str, Measure] = {"precision": _precision}
OBJECTS: dict[str, Measure] = {**PRECISION, "recall": _recall, "f1": _f1}
"""From `tp` hits, `fp` false objects, `fn` missed ones."""
GROUND: dict[str, Measure] = {"area_iou": _area_iou, "area_precision": _area_precision, "area_recall": _area_recall}
"""From square metres: `predicted`, `reference`, and ground that is `both`."""
AREAS: dict[str, Measure] = {
    "area_bias_m2": _bias,
    "area_bias_relative": _relative_bias,
    "area_rmse_m2": _rmse,
    "area_mae_m2": _mean_absolute_error,
}
"""From matched `pairs`: `difference` predicted less reference in m2, `squared`, `absolute`, and `reference` in m2."""
