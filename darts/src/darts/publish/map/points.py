"""All slumps as points: what the map needs to count, filter and find them."""

from typing import Any

import numpy as np
import pandas as pd

from darts.publish.map.places import Places
from darts_utils.rasters.arrays import Array

TIERS = ("", "low", "medium", "high")
STATUSES = ("unknown", "active", "stable", "stabilised")
VERDICTS = ("", "slump", "not", "unsure")
MOST_POINTS = 100_000
ID_LETTERS = 8
"""Of a beginning of ids: more is in cells."""
_ABSENT = "."


def point_files(places: Places) -> dict[str, dict[str, Any]]:
    """Return what each file of points holds, by its name.

    `x`, `y`: metres in EPSG:3413, the first one and steps; `ids`: eight letters a slump; `tiers`: a letter a slump
    and year, `.` where it was not mapped, else a place in `TIERS`; `areas`: majority area in m2 of the years in which
    it was mapped, the first one of each slump and steps; `status`: a letter a slump, a place in `STATUSES`, plus 4 if
    it ended in another; `verdict`: likewise a place in `VERDICTS`.
    """
    total = len(places.tracks)
    cuts = range(0, total, MOST_POINTS)
    return {
        "points" if cut == 0 else f"points-{1 + cut // MOST_POINTS}": _points(
            places, cut, min(cut + MOST_POINTS, total)
        )
        for cut in cuts
    }


def _points(places: Places, begin: int, end: int) -> dict[str, Any]:
    table = places.tracks.iloc[begin:end]
    first, last = int(places.starts[begin]), int(places.starts[end])
    rows = places.rows.iloc[first:last]
    owner = np.repeat(np.arange(end - begin), np.diff(places.starts[begin : end + 1]))
    tiers = np.full((end - begin, len(places.years)), _ABSENT)
    tiers[owner, np.searchsorted(places.years, rows["year"])] = codes(rows["tier"], TIERS).astype(str)
    status = codes(table["status"], STATUSES) + 4 * table["merged_into"].notna().to_numpy()
    return {
        "n": end - begin,
        "x": _steps(table["x"].to_numpy()),
        "y": _steps(table["y"].to_numpy()),
        "ids": "".join(str(one)[:ID_LETTERS].ljust(ID_LETTERS) for one in table["slump_id"]),
        "tiers": "".join(tiers.ravel().tolist()),
        "areas": _area_steps(rows["area_majority_m2"], owner),
        "status": "".join(map(str, status)),
        "verdict": "".join(map(str, codes(table["verdict"], VERDICTS))),
    }


def codes(values: pd.Series, known: tuple[str, ...]) -> Array:
    """Return where values are in a list, (value) int64; 0 for null and what is not in it."""
    places = {value: number for number, value in enumerate(known)}
    return np.array([0 if pd.isna(value) else places.get(value, 0) for value in values], dtype=np.int64)


def _steps(values: Array) -> list[int]:
    steps: list[int] = np.diff(values, prepend=0).tolist()
    return steps


def _area_steps(areas: pd.Series, owner: Array) -> list[int]:
    whole = np.rint(areas.to_numpy(dtype=float, na_value=0.0)).astype(np.int64)
    is_first = np.diff(owner, prepend=-1) > 0
    steps: list[int] = np.where(is_first, whole, np.diff(whole, prepend=0)).tolist()
    return steps
