"""What verdicts say about a map: precision by tier and size, and how far people agree with themselves and others."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from darts_postprocessing.evaluation.items import SIZES, size_classes
from darts_utils.rasters.arrays import Array

VERDICTS = ("slump", "not", "unsure")
_Z = 1.959963984540054
"""Of the normal distribution, for 95 %."""


def wilson_interval(share: float, number: float) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Args:
        share: What was found, 0 to 1.
        number: Of how many; of a weighted sample the number of equal weights that tells as much.

    Returns:
        Both ends, 0 to 1; NaN of nothing.
    """
    if not number > 0:
        return np.nan, np.nan
    middle = (share + _Z**2 / (2 * number)) / (1 + _Z**2 / number)
    half = _Z / (1 + _Z**2 / number) * np.sqrt(share * (1 - share) / number + _Z**2 / (4 * number**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def precision_table(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return which share of the slumps of a map are slumps, of all, by tier and by size.

    Args:
        verdicts: One row a slump that was asked about: `verdict` (slump, not, unsure; null while it is open), `tier`
            text or null, `area_m2`, `weight` (for how many slumps of the map it stands).

    Returns:
        One row a group (`all`, `tier:high`, `size:500-2000`, ...): `n_slump n_not n_unsure n_open` int64, `precision
        low high` float64, NaN of nothing, and of a group with an open question: what is sure is asked first, so that
        the answers so far are no fair part of it. Who was unsure counts in neither. Shares are weighted; the number of
        the interval is that of Kish (1965): squared sum of weights by sum of squared weights.
    """
    return pd.DataFrame([{"group": name, **_figures(rows)} for name, rows in _groups(verdicts)])


def _groups(verdicts: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    yield "all", verdicts
    tiers = verdicts["tier"].astype("string").fillna("none")
    for tier in ("high", "medium", "low", "none"):
        if (tiers == tier).any():
            yield f"tier:{tier}", verdicts[tiers == tier]
    sizes = size_classes(verdicts["area_m2"].to_numpy(np.float64))
    for size in SIZES:
        if (sizes == size).any():
            yield f"size:{size}", verdicts[sizes == size]


def _figures(rows: pd.DataFrame) -> dict[str, float]:
    counts = {f"n_{verdict}": int((rows["verdict"] == verdict).sum()) for verdict in VERDICTS}
    counts["n_open"] = int(rows["verdict"].isna().sum())
    told = rows[rows["verdict"].isin(("slump", "not"))]
    weights = told["weight"].to_numpy(np.float64)
    if counts["n_open"] or not len(told):
        return {**counts, "precision": np.nan, "low": np.nan, "high": np.nan}
    precision = float(weights[(told["verdict"] == "slump").to_numpy()].sum() / weights.sum())
    low, high = wilson_interval(precision, weights.sum() ** 2 / (weights**2).sum())
    return {**counts, "precision": precision, "low": low, "high": high}


def cohen_kappa(first: Array, second: Array) -> float:
    """Return how far two series of verdicts on the same things agree beyond chance (Cohen 1960).

    Args:
        first: (thing,) text.
        second: (thing,) text, in the same order.

    Returns:
        1 if they agree in all, 0 if as by chance, below 0 if less; NaN of nothing, and where both always say the same
        one word, of which chance is certain.
    """
    if not len(first):
        return np.nan
    agreed = float((first == second).mean())
    words = np.unique(np.r_[first, second])
    by_chance = float(sum((first == word).mean() * (second == word).mean() for word in words))
    return np.nan if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)
