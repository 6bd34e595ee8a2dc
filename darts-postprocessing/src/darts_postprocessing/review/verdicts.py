"""Verdicts as a table of an inventory, what they say of its map, and how far people agree."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from darts_postprocessing.inventory.parts import Part, note_all, remove_others
from darts_postprocessing.review.figures import VERDICTS, cohen_kappa, precision_table
from darts_utils.canonical import sha256_of

FOLDER = "verdicts"
"""In an inventory, beside `slumps`."""
REVIEW = "review.sqlite"
"""In an inventory: what is asked of people, and what they said."""
COLUMNS = ("verdict", "reviewer", "reviewed_at", "note")
"""What slumps get of the verdict that counts."""
_FILE = f"{FOLDER}/verdicts.parquet"
_KEY = ["review", "question"]
_SLUMP = ["slump_id", "year"]


def is_reviewed(inventory: Path) -> bool:
    """Tell whether people have begun to review an inventory: then whatever is made of it keeps its ids."""
    return (inventory / REVIEW).is_file() or (inventory / FOLDER).is_dir()


def write_verdicts(inventory: Path, verdicts: gpd.GeoDataFrame) -> None:
    """Write the verdicts of an inventory; equal ones give equal bytes.

    Args:
        inventory: Its folder.
        verdicts: One row a verdict, the outline as the reviewer left it in the plane: `review question slump_id year
            verdict reviewer reviewed_at first_at note edited weight batch repeat_of`; see the data dictionary.
    """
    note_all(inventory)
    Part(inventory, _FILE).write(verdicts.sort_values([*_KEY, "reviewer"], kind="stable", ignore_index=True), "")


def drop_verdicts(inventory: Path) -> None:
    """Let an inventory have no verdicts."""
    remove_others(inventory, (FOLDER,), ())
    if (inventory / FOLDER).is_dir():
        (inventory / FOLDER).rmdir()


def of_this_map(rows: pd.DataFrame, slumps: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose slump and year, `slump_id year`, a map has."""
    there = pd.MultiIndex.from_frame(pd.DataFrame(slumps[_SLUMP]).astype({"year": "int64"}))
    return rows[pd.MultiIndex.from_frame(pd.DataFrame(rows[_SLUMP]).astype({"year": "int64"})).isin(there)]


def map_of(slumps: pd.DataFrame) -> str:
    """Return what tells a map from others: equal where slumps and years, `slump_id year`, are the same."""
    return sha256_of(sorted([str(slump), int(year)] for slump, year in slumps[_SLUMP].itertuples(index=False)))[:16]


def final_verdicts(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the verdict that counts of each slump and year: of its last review that of who answered first.

    That is their last word on it, also if somebody else has said something meanwhile.
    What was asked again, or answered by somebody else too, tells only how far people agree: were it to decide, slumps
    that happened to be asked twice would be judged by another rule.
    """
    asked_first = verdicts[verdicts["repeat_of"].isna()]
    in_time = asked_first.sort_values(["first_at", "reviewer"], kind="stable")
    of_reviews = in_time.drop_duplicates(_KEY)
    final = of_reviews.drop_duplicates(_SLUMP, keep="last")
    return final.sort_values(_SLUMP, ignore_index=True)


def with_verdicts(slumps: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return slumps with `verdict reviewer reviewed_at note` of the verdict that counts, null where nobody judged."""
    final = pd.DataFrame(final_verdicts(verdicts)[[*_SLUMP, *COLUMNS]])
    return slumps.merge(final.astype({"year": slumps["year"].dtype}), how="left", on=_SLUMP)


def review_figures(verdicts: pd.DataFrame, still_open: pd.DataFrame, slumps: pd.DataFrame) -> dict[str, Any]:
    """Return what the verdicts of a review say of a map, and of the people.

    Args:
        verdicts: As `write_verdicts` takes them, of one review and of slumps that are there.
        still_open: Its questions without a verdict, about slumps that are there: `slump_id year`, and `is_repeat`,
            whether the same was asked before.
        slumps: Level 2, with `slump_id year tier area_m2`.

    Returns:
        `asked` and `answered`: questions; `slump`, `not` and `unsure`: verdicts, those on what was asked again too;
        `precision`: rows of `precision_table`, without what was asked again; `agreement`: of `within` people and
        `between` them `n` pairs of verdicts on the same slump, `agreed` (share of equal ones, 0 to 1) and `kappa`
        (Cohen's); NaN of no pairs; `map`: of which map all this is, see `map_of`.
    """
    first = still_open.loc[~still_open["is_repeat"].astype(bool), _SLUMP]
    judged = pd.DataFrame(final_verdicts(verdicts)[[*_SLUMP, "verdict", "weight"]])
    asked = pd.concat([judged, first.assign(verdict=None, weight=1.0)] if len(first) else [judged], ignore_index=True)
    rows = asked.merge(slumps[[*_SLUMP, "tier", "area_m2"]], how="inner", on=_SLUMP)
    pairs = _pairs(verdicts.reset_index(drop=True))
    is_own = pairs["reviewer_first"] == pairs["reviewer"]
    n_answered = int(verdicts["question"].nunique())
    return {
        "asked": n_answered + len(still_open),
        "answered": n_answered,
        **{verdict: int((verdicts["verdict"] == verdict).sum()) for verdict in VERDICTS},
        "precision": precision_table(rows).to_dict(orient="records"),
        "agreement": {"within": _agreement(pairs[is_own]), "between": _agreement(pairs[~is_own])},
        "map": map_of(slumps),
    }


def _pairs(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return pairs of verdicts on the same slump: what was asked again with the first, and others on one question."""
    columns = ["question", "reviewer", "verdict"]
    in_time = verdicts.sort_values(["question", "first_at", "reviewer"], kind="stable")
    firsts = in_time.drop_duplicates("question")[columns]
    again = in_time[in_time["repeat_of"].notna()].astype({"repeat_of": "int64"})
    repeated = again.merge(firsts, left_on="repeat_of", right_on="question", suffixes=("", "_first"))
    others = in_time.drop(firsts.index).merge(firsts, on="question", suffixes=("", "_first"))
    return pd.concat([repeated, others], ignore_index=True)[["reviewer", "verdict", "reviewer_first", "verdict_first"]]


def _agreement(pairs: pd.DataFrame) -> Mapping[str, float]:
    first, second = (pairs[name].to_numpy(dtype=str) for name in ("verdict_first", "verdict"))
    agreed = float((first == second).mean()) if len(pairs) else np.nan
    return {"n": len(pairs), "agreed": agreed, "kappa": cohen_kappa(first, second)}
