"""One number for several runs of the same settings: metrics combined run by run, then averaged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pandas as pd

from darts_segmentation.training.parameters import DEFAULT_METRICS, ScoreStrategy
from darts_utils.errors import ConfigError, DataError
from darts_utils.rasters.arrays import Array

_DIRECTIONS = ("higher", "lower")


@dataclass(frozen=True)
class ScoringMetric:
    """A metric that is part of a score."""

    name: str
    """Column of the table of runs."""
    lower_is_better: bool = False
    """Whether 1 / value takes the place of the value."""

    def values(self, runs: pd.DataFrame) -> Array:
        """Return (runs) float64, what of the metric goes into the score; 0 where it is 0 or not finite."""
        raw = pd.to_numeric(runs[self.name]).to_numpy(dtype=np.float64, na_value=np.nan)
        with np.errstate(divide="ignore"):
            entered = 1 / raw if self.lower_is_better else raw
        return np.where(np.isfinite(entered) & np.isfinite(raw), entered, 0.0)


def parse_scoring_metrics(names: Sequence[str], columns: Sequence[str]) -> tuple[ScoringMetric, ...]:
    """Return the metrics that names such as `val/Recall`, `val/Recall:higher` and `val/loss:lower` stand for.

    Args:
        names: The names; without a direction higher is better.
        columns: Columns of the table of runs.

    Raises:
        ConfigError: If there are no names, one is there twice or is no column, or a direction is unknown.
    """
    metrics = tuple(_parse(name, columns) for name in names)
    if not metrics:
        raise ConfigError(f"scoring_metric is empty. Name metrics, such as {' '.join(DEFAULT_METRICS)}.")
    twice = {one.name for one in metrics if sum(one.name == other.name for other in metrics) > 1}
    if twice:
        raise ConfigError(f"scoring_metric names {', '.join(sorted(twice))} more than once. Name each metric once.")
    return metrics


def score_runs(
    runs: pd.DataFrame,
    scoring_metric: Sequence[str] = DEFAULT_METRICS,
    multi_score_strategy: ScoreStrategy = "harmonic",
) -> pd.DataFrame:
    """Return a table of runs with three more columns: `is_unstable`, `score` and `score_is_unstable`.

    A run is unstable if one of the metrics is 0 or not finite; its score is 0, so that settings that fail now and then
    lose against those that never do. The score of other runs combines their metrics by the strategy (harmonic,
    arithmetic or geometric mean, or the least), with 1 / value where lower is better. A value below 0 counts as 0 in
    harmonic and geometric means, which have none of negative numbers. `score_is_unstable`, the same in each row, says
    whether any of the runs is unstable.

    Args:
        runs: A row a run.
        scoring_metric: Columns, each with `:higher` or `:lower`, or without, which is higher.
        multi_score_strategy: How metrics of a run are combined.

    Raises:
        ConfigError: If metrics or strategy are unknown.
        DataError: If there are no runs.
    """
    if multi_score_strategy not in _STRATEGIES:
        raise ConfigError(
            f"multi_score_strategy is {multi_score_strategy!r} but must be {', '.join(_STRATEGIES)}. Correct it."
        )
    metrics = parse_scoring_metrics(scoring_metric, list(map(str, runs.columns)))
    if runs.empty:
        raise DataError("there are no runs to score.")
    values = np.stack([metric.values(runs) for metric in metrics], axis=1)
    is_unstable = (values == 0).any(axis=1)
    score = np.where(is_unstable, 0.0, _STRATEGIES[multi_score_strategy](values))
    return runs.assign(is_unstable=is_unstable, score=score, score_is_unstable=bool(is_unstable.any()))


def score_from_runs(
    runs: pd.DataFrame,
    scoring_metric: Sequence[str] = DEFAULT_METRICS,
    multi_score_strategy: ScoreStrategy = "harmonic",
) -> float:
    """Return the score of settings: the mean of the scores of their runs, of which unstable ones have 0.

    Args:
        runs: A row a run.
        scoring_metric: Columns, each with `:higher` or `:lower`, or without, which is higher.
        multi_score_strategy: How metrics of a run are combined.

    Raises:
        ConfigError: If metrics or strategy are unknown.
        DataError: If there are no runs.
    """
    return float(score_runs(runs, scoring_metric, multi_score_strategy)["score"].mean())


def _parse(name: str, columns: Sequence[str]) -> ScoringMetric:
    column, separator, direction = name.rpartition(":")
    if not separator:
        column, direction = name, "higher"
    if direction not in _DIRECTIONS:
        raise ConfigError(f"scoring_metric {name} ends in :{direction} but must end in :higher or :lower. Correct it.")
    if column not in columns:
        like = get_close_matches(column, columns, n=1)
        hint = f"Did you mean {like[0]}?" if like else f"There are {', '.join(columns)}."
        raise ConfigError(f"scoring_metric names {column!r}, which the runs do not have. {hint}")
    return ScoringMetric(column, direction == "lower")


def _harmonic(values: Array) -> Array:
    positive = np.maximum(values, 0)
    inverse = np.divide(1, positive, out=np.full(values.shape, np.inf), where=positive > 0)
    return np.asarray(values.shape[1] / inverse.sum(axis=1))


def _geometric(values: Array) -> Array:
    return np.asarray(np.maximum(values, 0).prod(axis=1) ** (1 / values.shape[1]))


_STRATEGIES: Mapping[str, Callable[[Array], Array]] = {
    "harmonic": _harmonic,
    "arithmetic": lambda values: values.mean(axis=1),
    "geometric": _geometric,
    "min": lambda values: values.min(axis=1),
}
