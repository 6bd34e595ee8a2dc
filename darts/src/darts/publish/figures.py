"""The figures of a publication: how many, how large, where, how they change, and how good the map is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely

from darts_postprocessing.evaluation.items import SIZES, size_classes
from darts_postprocessing.review.told import figures_in
from darts_postprocessing.review.verdicts import map_of
from darts_utils.errors import DataError, MissingDataError

TIERS = ("high", "medium", "low", "none")
_BELT_DEGREES = 1
_SCORES = "scores.json"
_OF_SCORE = frozenset({"group", "score", "iou", "value", "low", "high"})

type Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What the factsheet shows; areas in square kilometres."""

    by_year: Rows
    """`year n km2 low_km2 high_km2 seen_km2`, and of tiers `n_high` ... and `km2_high` ..."""
    by_size: Rows
    """`size n km2` of the last year."""
    by_latitude: Rows
    """`latitude n km2` of the last year, by belts of a degree, the southern edge named."""
    by_status: Rows
    """`status n`."""
    n_slumps: int
    """Over all years, each once."""
    n_merged: int
    """More that ended in others."""
    growth: Mapping[str, float | None]
    """`n n_seen_again median low high`: of how many it is known, and of how many that were seen in at least two years;
    quartiles, m2 a year."""
    reviews: Sequence[Mapping[str, Any]]
    """As `verdicts.json` has them, those of this map."""
    earlier: Sequence[str]
    """Ids of reviews whose figures are of an earlier map."""
    scores: Mapping[str, Any] | None
    """Of an evaluation."""


def figures_of(
    inventory: Path, slumps: pd.DataFrame, tracks: pd.DataFrame, seen_km2: Mapping[int, float], scores: Any
) -> Figures:
    """Return the figures of an inventory.

    Args:
        inventory: Its folder.
        slumps: Level 2, outlines in degrees.
        tracks: One row a slump.
        seen_km2: Ground that was seen in each year of the inventory: one without slumps is a year, too.
        scores: Of an evaluation, as `scores_of` gives them, or None.

    Raises:
        DataError: If the figures of reviews cannot be read.
    """
    years = sorted(seen_km2)
    last = slumps[slumps["year"] == years[-1]]
    told, this_map = figures_in(inventory), map_of(slumps)
    return Figures(
        by_year=[_of_year(year, slumps[slumps["year"] == year], seen_km2) for year in years],
        by_size=_by_size(last),
        by_latitude=_by_latitude(last),
        by_status=[
            {"status": str(name), "n": int(n)} for name, n in sorted(_ended(tracks)["status"].value_counts().items())
        ],
        n_slumps=len(_ended(tracks)),
        n_merged=len(tracks) - len(_ended(tracks)),
        growth=_growth(_ended(tracks)),
        reviews=[one for one in told if one.get("map") == this_map],
        earlier=[one["review"] for one in told if one.get("map") != this_map],
        scores=scores,
    )


def _ended(tracks: pd.DataFrame) -> pd.DataFrame:
    """Return tracks without those that ended in others, which are counted there."""
    return tracks[tracks["merged_into"].isna()]


def _of_year(year: int, rows: pd.DataFrame, seen_km2: Mapping[int, float]) -> dict[str, Any]:
    tiers = rows["tier"].astype("string").fillna("none")
    by_tier = {tier: rows[tiers == tier] for tier in TIERS}
    return {
        "year": year,
        "n": len(rows),
        "km2": _km2(rows["area_majority_m2"]),
        "low_km2": _known_km2(rows["area_low_m2"]),
        "high_km2": _known_km2(rows["area_high_m2"]),
        "seen_km2": seen_km2.get(year),
        **{f"n_{tier}": len(one) for tier, one in by_tier.items()},
        **{f"km2_{tier}": _km2(one["area_majority_m2"]) for tier, one in by_tier.items()},
    }


def _km2(areas: pd.Series) -> float:
    return float(areas.sum()) / 1e6


def _known_km2(areas: pd.Series) -> float | None:
    """Return a sum of areas, None if one of them is not known."""
    return None if areas.isna().any() else _km2(areas)


def _by_size(rows: pd.DataFrame) -> Rows:
    classes = size_classes(rows["area_majority_m2"].to_numpy(np.float64))
    found = [(size, rows[classes == size]) for size in SIZES]
    return [{"size": size, "n": len(one), "km2": _km2(one["area_majority_m2"])} for size, one in found]


def _by_latitude(rows: pd.DataFrame) -> Rows:
    outlines = rows["geometry"].to_numpy()
    belts = np.floor(shapely.get_y(shapely.centroid(outlines)) / _BELT_DEGREES).astype(int) * _BELT_DEGREES
    return [
        {
            "latitude": int(belt),
            "n": int((belts == belt).sum()),
            "km2": _km2(rows.loc[belts == belt, "area_majority_m2"]),
        }
        for belt in sorted(set(belts.tolist()))
    ]


def _growth(tracks: pd.DataFrame) -> Mapping[str, float | None]:
    known = tracks["growth_m2_per_year"].dropna().to_numpy(np.float64)
    low, median, high = np.percentile(known, (25, 50, 75)) if len(known) else (None, None, None)
    n_seen_again = int((tracks["n_years"] > 1).sum())
    return {"n": len(known), "n_seen_again": n_seen_again, "median": median, "low": low, "high": high}


def scores_of(folder: Path) -> Any:
    """Return the scores of an evaluation, `scores.json` of `darts inventory evaluate`.

    Raises:
        MissingDataError: If there are none.
        DataError: If they cannot be read.
    """
    if not folder.is_dir():
        raise MissingDataError(f"there is no folder {folder}. Correct --evaluation, or leave it out.")
    if not (folder / _SCORES).is_file():
        raise MissingDataError(f"there is no {folder / _SCORES}. Make it with `darts inventory evaluate`.")
    scores = _json(folder / _SCORES)
    rows = scores.get("scores") if isinstance(scores, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.keys() >= _OF_SCORE for row in rows):
        raise DataError(f"{folder / _SCORES} is no file of scores. Make it again with `darts inventory evaluate`.")
    return scores


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} cannot be read ({error}). Make it again.") from error
