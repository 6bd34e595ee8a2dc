"""Intervals of scores: what they would be had other places of the same kind been looked at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from darts_utils.rasters.arrays import Array

REPEATS = 1000
SEED = 42
FEWEST_PLACES = 4
"""Of fewer places no interval is told."""
_ENDS = (2.5, 97.5)
_STEPS = 1000
"""Quantiles of the distances of a repeat are told to a part in so many of all distances."""

type Measure = Callable[[Mapping[str, Array]], Array]
"""A score from sums over places: each (repeat,) float64, the result too, NaN where the score is undefined."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A score and its 95 % interval; NaN where undefined or not told."""

    value: float
    low: float = np.nan
    high: float = np.nan


def estimates(items: pd.DataFrame, measures: Mapping[str, Measure], places: str) -> dict[str, Estimate]:
    """Return scores that are made from sums, with intervals by resampling places.

    Args:
        items: One row a thing that counts, with columns of numbers that are summed and the column of places.
        measures: What to make from the sums, by name of the score.
        places: Column with the place of each item. Things of a place are drawn together, because they depend on each
            other; as many places as there are, with repetition.

    Returns:
        By name: the score of all items, and the 2.5th and 97.5th percentile of it over the repeats in which it is
        defined (Efron 1979, doi:10.1214/aos/1176344552); NaN for fewer than `FEWEST_PLACES` places.
    """
    columns = [column for column in items.columns if pd.api.types.is_numeric_dtype(items[column])]
    codes, n_places = _codes(items[places])
    sums = {column: np.bincount(codes, items[column].to_numpy(np.float64), n_places) for column in columns}
    totals = {column: values.sum(keepdims=True) for column, values in sums.items()}
    found = {name: float(measure(totals)[0]) for name, measure in measures.items()}
    if n_places < FEWEST_PLACES:
        return {name: Estimate(value=value) for name, value in found.items()}
    drawn = {column: _draws(n_places) @ values for column, values in sums.items()}
    return {name: _estimate(found[name], measure(drawn)) for name, measure in measures.items()}


def quantile_estimates(values: Array, owners: Array, places: pd.Series, parts: tuple[float, ...]) -> list[Estimate]:
    """Return quantiles of values, with intervals by resampling places.

    Args:
        values: (value,) finite numbers.
        owners: (value,) int64, what each was measured on.
        places: (owner,) text, where that is.
        parts: Which quantiles, each from 0 to 1.

    Returns:
        One each; NaN without values. Intervals as in `estimates`; of a repeat a quantile is told to a thousandth of all
        values, which makes it quick for millions.
    """
    if not len(values):
        return [Estimate(value=np.nan)] * len(parts)
    values, owners = _sorted(values, owners)
    found = [float(one) for one in np.quantile(values, parts)]
    codes, n_places = _codes(places)
    if n_places < FEWEST_PLACES:
        return [Estimate(value=one) for one in found]
    ends = np.unique(np.linspace(0, len(values) - 1, _STEPS + 1).astype(np.int64))
    bins = np.searchsorted(ends, np.arange(len(values)))
    counts = np.bincount(codes[owners] * len(ends) + bins, minlength=n_places * len(ends)).reshape(n_places, len(ends))
    below = _draws(n_places) @ np.cumsum(counts, axis=1)
    repeats = [values[ends][np.argmax(below >= part * below[:, -1:], axis=1)] for part in parts]
    return [_estimate(one, repeat) for one, repeat in zip(found, repeats, strict=True)]


def _sorted(values: Array, owners: Array) -> tuple[Array, Array]:
    order = np.argsort(values, kind="stable")
    return values[order], owners[order]


def _codes(places: pd.Series) -> tuple[Array, int]:
    """Return places as numbers, in the order of their names: so the order of items changes no interval."""
    names, codes = np.unique(places.to_numpy(dtype=str), return_inverse=True)
    return codes, len(names)


@lru_cache(maxsize=4)
def _draws(n_places: int) -> Array:
    """Return how often each place is drawn in each repeat, (repeat, place) float64, the same each time."""
    rng = np.random.default_rng(SEED)
    draws: Array = rng.multinomial(n_places, np.full(n_places, 1 / n_places), size=REPEATS).astype(np.float64)
    draws.setflags(write=False)
    return draws


def _estimate(value: float, repeats: Array) -> Estimate:
    defined = repeats[np.isfinite(repeats)]
    if not len(defined) or not np.isfinite(value):
        return Estimate(value=value)
    low, high = np.percentile(defined, _ENDS)
    return Estimate(value=value, low=float(low), high=float(high))
