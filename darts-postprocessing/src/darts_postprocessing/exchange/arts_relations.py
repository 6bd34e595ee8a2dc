"""How slumps of ARTS are related: by their tracks, and by the ground that they share.

ARTS asks that slumps which share ground say how. Rows of one year share little of it, and tracks say what became of
slumps over years. Each is a text of UIDs with commas between them, in rising order, empty where there is none:

- `MergedRTS`: the slumps that ended in this one (their `merged_into` is its `slump_id`);
- `SplitRTS`: the slump that this one is a part of (its `split_from`);
- `StabilizedRTS`: slumps with `status` stabilised under this one, which is not; `NewRTS`: the other way round;
- `UnknownRelationship`: others that share at least `SHARED_M2` with it.
"""

from collections.abc import Iterator, Mapping, Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts_postprocessing.exchange.arts_schema import RELATIONS, texts_of, uids_in
from darts_postprocessing.exchange.places import is_areal
from darts_postprocessing.inventory import robust
from darts_postprocessing.inventory.plane import to_plane
from darts_utils.errors import DataError

SHARED_M2 = 1.0
"""Outlines that touch along a border share slivers that come from rounding."""
STABILISED = "stabilised"

type _Row = dict[str, set[str]]


def related(
    slumps: gpd.GeoDataFrame, uids: Sequence[str], earlier: pd.DataFrame | None = None
) -> tuple[dict[str, pd.Series], list[str]]:
    """Return the relations of slumps, and what could not be told as such.

    Args:
        slumps: Outlines; where there, `slump_id merged_into split_from status` text, null where none, and of rows that
            came from ARTS `arts_uid` and the relations.
        uids: (slump,) what each is called now.
        earlier: Rows of earlier years, later ones last: `slump_id UID`, where there `merged_into`.

    Returns:
        By the name of the relation one text a slump, with the index of `slumps`; and one text a slump for notes.

    Raises:
        DataError: If `earlier` lacks a column.
    """
    if earlier is not None and (missing := [name for name in ("slump_id", "UID") if name not in earlier]):
        raise DataError(f"what was exported earlier has no column {' and no '.join(missing)}. Give both.")
    rows = _own(slumps, uids)
    known = _known(slumps, uids, earlier)
    _add_tracks(rows, slumps, uids, known, earlier)
    _add_shared(rows, slumps, uids)
    columns = {
        name: pd.Series([",".join(sorted(row[name])) for row in rows], index=slumps.index, dtype=object)
        for name in RELATIONS
    }
    return columns, _notes(slumps, known)


def _own(slumps: gpd.GeoDataFrame, uids: Sequence[str]) -> list[_Row]:
    """Return what rows that came from ARTS tell; UIDs of them that changed are replaced."""
    told = {name: _texts(slumps, name) for name in RELATIONS}
    old = _texts(slumps, "arts_uid")
    renamed = {before: now for before, now in zip(old, uids, strict=True) if before}
    return [
        {
            name: {renamed.get(uid, uid) for uid in uids_in(texts[row])} if old[row] else set()
            for name, texts in told.items()
        }
        for row in range(len(slumps))
    ]


def _texts(frame: pd.DataFrame, name: str) -> list[str]:
    return texts_of(frame[name]) if name in frame else [""] * len(frame)


def _known(slumps: pd.DataFrame, uids: Sequence[str], earlier: pd.DataFrame | None) -> dict[str, str]:
    """Return the UID by which each `slump_id` is known: that of its latest earlier row, else of this year."""
    known = dict(zip(_texts(slumps, "slump_id"), uids, strict=True))
    if earlier is not None:
        known |= zip(_texts(earlier, "slump_id"), _texts(earlier, "UID"), strict=True)
    return {slump_id: uid for slump_id, uid in known.items() if slump_id and uid}


def _add_tracks(
    rows: list[_Row], slumps: pd.DataFrame, uids: Sequence[str], known: Mapping[str, str], earlier: pd.DataFrame | None
) -> None:
    """Add what the tracks say of merges and splits."""
    places = {slump_id: row for row, slump_id in enumerate(_texts(slumps, "slump_id")) if slump_id}
    for table in (slumps,) if earlier is None else (earlier, slumps):
        for ended, target in zip(_texts(table, "slump_id"), _texts(table, "merged_into"), strict=True):
            if target in places and ended in known:
                rows[places[target]]["MergedRTS"].add(known[ended])
    for row, parent in enumerate(_texts(slumps, "split_from")):
        if parent in known and known[parent] != uids[row]:
            rows[row]["SplitRTS"].add(known[parent])


def _add_shared(rows: list[_Row], slumps: gpd.GeoDataFrame, uids: Sequence[str]) -> None:
    """Add what shares ground and is not related yet; of two rows that came from ARTS it has said all that it knows."""
    came = [bool(uid) for uid in _texts(slumps, "arts_uid")]
    is_scar = [status == STABILISED for status in _texts(slumps, "status")]
    for one, other in _pairs(slumps):
        if (came[one] and came[other]) or _are_related(rows, uids, one, other):
            continue
        if is_scar[one] == is_scar[other]:
            rows[one]["UnknownRelationship"].add(uids[other])
            rows[other]["UnknownRelationship"].add(uids[one])
        else:
            scar, new = (one, other) if is_scar[one] else (other, one)
            rows[scar]["NewRTS"].add(uids[new])
            rows[new]["StabilizedRTS"].add(uids[scar])


def _are_related(rows: list[_Row], uids: Sequence[str], one: int, other: int) -> bool:
    return any(uids[other] in named for named in rows[one].values()) or any(
        uids[one] in named for named in rows[other].values()
    )


def _pairs(slumps: gpd.GeoDataFrame) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows that share ground, each once."""
    places = np.flatnonzero(is_areal(slumps.geometry.to_numpy()))
    outlines = to_plane(slumps.geometry.to_numpy()[places], slumps.crs)
    one, other = shapely.STRtree(outlines).query(outlines, predicate="intersects")
    one, other = one[one < other], other[one < other]
    shared = shapely.area(robust.intersection(outlines[one], outlines[other])) >= SHARED_M2
    yield from zip(places[one[shared]].tolist(), places[other[shared]].tolist(), strict=True)


def _notes(slumps: pd.DataFrame, known: Mapping[str, str]) -> list[str]:
    """Return what ARTS has no column for: whose row it is, its status, and relations that lead nowhere."""
    columns = {name: _texts(slumps, name) for name in ("slump_id", "status", "split_from", "merged_into")}
    told = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    for row in told:
        if row["split_from"] in known:
            row["split_from"] = ""
    return ["; ".join(f"{name}={value}" for name, value in row.items() if value) for row in told]
