"""Which slumps people look at, and in which order.

All of them, or a sample that is stratified by tier, size and longitude (Cochran 1977, Sampling Techniques, ch. 5); each
row says by its weight for how many slumps it stands.
"""

import math

import numpy as np
import pandas as pd

from darts_utils.rasters.arrays import Array

PER_TIER = 60
"""As many of a tier are sampled."""
N_SIZES, N_LONGITUDES = 6, 3
"""Classes of equal numbers of slumps, within a tier."""
BATCH = 200
"""So many are shuffled among each other: nobody is to see from its place how sure the models were."""
REPEATED_SHARE = 0.05
LEAST_BETWEEN = 20
"""Before somebody is asked again, so many others have come, if there are so many."""


def everything(slumps: pd.DataFrame) -> pd.DataFrame:
    """Return all slumps with the weight 1.

    Args:
        slumps: One row a slump: `slump_id` and whatever else.

    Returns:
        The same rows with `weight`, float64.
    """
    return slumps.assign(weight=1.0)


def stratified(slumps: pd.DataFrame, *, per_tier: int = PER_TIER, seed: int = 42) -> pd.DataFrame:
    """Return a sample of each tier, spread evenly over sizes and longitudes.

    Args:
        slumps: One row a slump: `slump_id` text, `tier` text or null (a tier of its own), `area_m2` and `longitude`
            float.
        per_tier: How many of a tier; all of one that has no more. What a stratum lacks is taken from the others.
        seed: Of what is drawn; the order of the rows changes nothing.

    Returns:
        The rows drawn with `weight`, float64: slumps by drawn ones of the stratum, so that a tier's weights add up to
        its number of slumps.
    """
    ordered = slumps.sort_values("slump_id", kind="stable")
    tiers = ordered["tier"].astype("string").fillna("")
    drawn = [
        _of_tier(rows, per_tier, np.random.default_rng([seed, index]))
        for index, (_, rows) in enumerate(ordered.groupby(tiers, sort=True))
    ]
    return pd.concat(drawn) if drawn else everything(ordered)


def _of_tier(rows: pd.DataFrame, wanted: int, random: np.random.Generator) -> pd.DataFrame:
    """Return rows drawn of one tier."""
    sizes = _classes(rows["area_m2"].to_numpy(), N_SIZES)
    longitudes = _classes(rows["longitude"].to_numpy(), N_LONGITUDES)
    strata = [np.flatnonzero(sizes * N_LONGITUDES + longitudes == one) for one in range(N_SIZES * N_LONGITUDES)]
    strata = [one for one in strata if len(one)]
    shares = _shared(min(wanted, len(rows)), [len(one) for one in strata], random)
    parts = [
        rows.iloc[np.sort(random.choice(one, share, replace=False))].assign(weight=len(one) / share)
        for one, share in zip(strata, shares, strict=True)
        if share
    ]
    found = pd.concat(parts)
    # strata of which nothing was drawn are stood for by the others
    return found.assign(weight=found["weight"] * len(rows) / found["weight"].sum())


def _classes(values: Array, number: int) -> Array:
    """Return the class of each value, (value,) int64, of which all have as many values, as far as that can be."""
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks * number // max(len(values), 1)


def _shared(wanted: int, most: list[int], random: np.random.Generator) -> list[int]:
    """Return how many each stratum gives: the same, but no more than it has; what is left over goes to some by lot."""
    shares = [0] * len(most)
    while wanted:
        open_ones = [one for one, share in enumerate(shares) if share < most[one]]
        if wanted < len(open_ones):
            open_ones = [int(one) for one in random.choice(open_ones, wanted, replace=False)]
        for one in open_ones:
            shares[one] += 1
        wanted -= len(open_ones)
    return shares


def in_order(slumps: pd.DataFrame, *, batch: int = BATCH, seed: int = 42) -> pd.DataFrame:
    """Return slumps in the order in which they are asked: batches by falling probability, shuffled inside.

    Args:
        slumps: One row a slump: `slump_id` text, `mean_probability` float.
        batch: Slumps of a batch.
        seed: Of the shuffling.

    Returns:
        The rows with `batch`, int64 from 0.
    """
    by_id = slumps.sort_values("slump_id", kind="stable")
    falling = by_id.sort_values("mean_probability", ascending=False, kind="stable", na_position="last")
    numbers = np.arange(len(falling)) // batch
    shuffled = np.random.default_rng(seed).random(len(falling))
    return falling.assign(batch=numbers).iloc[np.lexsort((shuffled, numbers))].reset_index(drop=True)


def with_repeats(slumps: pd.DataFrame, *, share: float = REPEATED_SHARE, seed: int = 42) -> pd.DataFrame:
    """Return slumps in order with some of them asked again later, without a word of it.

    Args:
        slumps: What is asked, in order.
        share: How many of them are asked twice, 0 to 1.
        seed: Of which, and where.

    Returns:
        The rows with `repeat_of`, Int64: the place, from 0, at which the same was asked before; null for most.
    """
    random, number = np.random.default_rng(seed), len(slumps)
    asked = slumps.reset_index(drop=True)
    chosen = np.sort(random.choice(number, math.ceil(number * share), replace=False)) if number else np.empty(0, int)
    earliest = np.minimum(chosen + LEAST_BETWEEN, number - 1)
    after = random.integers(earliest, number).astype(np.float64) if number else np.empty(0)  # the row before it
    again = asked.iloc[chosen].assign(first=chosen)
    both = pd.concat([asked.assign(first=-1), again])
    both = both.iloc[np.argsort(np.r_[np.arange(number), after + 0.5], kind="stable")].reset_index(drop=True)
    places = np.flatnonzero(both["first"] < 0)
    repeat_of = pd.array([None if first < 0 else places[first] for first in both["first"]], dtype="Int64")
    return both.drop(columns="first").assign(repeat_of=repeat_of)
