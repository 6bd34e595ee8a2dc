"""Outlines and histories of slumps, a file a cell: it changes only if its slumps do."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from darts.maps.shapes import compact
from darts.publish.map.places import Places

YEAR_COLUMNS = (
    "year", "area_majority_m2", "area_low_m2", "area_high_m2", "n_looks", "n_hits", "agreement", "tier",
    "first_acquired", "last_acquired", "seen_fraction", "verdict", "reviewer", "reviewed_at", "note",
)  # fmt: skip
_TRACK_COLUMNS = ("slump_id", "status", "growth_m2_per_year", "growth_low", "growth_high", "split_from", "merged_into")
_MOST_NUMBERS = 500_000
"""Of the outlines of a cell: some 1.5 MB."""


def cell_files(places: Places, pictures: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each cell with slumps, and what its file holds.

    Args:
        places: Slumps.
        pictures: Places of pictures in the catalogue, by slump.

    Yields:
        `slumps`: in their order, the columns of tracks, `picture`, `years` (values in the order of `YEAR_COLUMNS`) and
        `outlines` of these years, as `compact` returns them.
    """
    cells = places.tracks["cell"].to_numpy()
    begins = np.flatnonzero(np.r_[True, cells[1:] != cells[:-1]])
    for begin, end in zip(begins, [*begins[1:], len(cells)], strict=True):
        yield str(cells[begin]), _cell(places, int(begin), int(end), pictures)


def _cell(places: Places, begin: int, end: int, pictures: Mapping[str, str]) -> dict[str, Any]:
    starts = places.starts[begin : end + 1] - places.starts[begin]
    rows = places.rows.iloc[int(places.starts[begin]) : int(places.starts[end])]
    outlines = compact(list(rows.geometry), _MOST_NUMBERS)
    years = list(zip(*(_plain(rows, name) for name in YEAR_COLUMNS), strict=True))
    told = places.tracks.iloc[begin:end]
    columns = [_plain(told, name) for name in _TRACK_COLUMNS]
    slumps = []
    for values, first, last in zip(zip(*columns, strict=True), starts[:-1], starts[1:], strict=True):
        slump = dict(zip(_TRACK_COLUMNS, values, strict=True))
        slump["picture"] = pictures.get(str(slump["slump_id"]))
        slumps.append({**slump, "years": years[first:last], "outlines": outlines[first:last]})
    return {"slumps": slumps}


def _plain(table: pd.DataFrame, name: str) -> list[Any]:
    """Return a column for JSON: areas in whole m2, shares to a thousandth, None for what is not there."""
    if name not in table:
        return [None] * len(table)
    is_area = name.startswith(("area", "growth"))
    return [_value(value, is_area) for value in table[name]]


def _value(value: Any, is_area: bool) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, str):
        return value
    if is_area:
        return round(float(value))
    return int(value) if float(value).is_integer() else round(float(value), 3)
