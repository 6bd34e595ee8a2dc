"""Tracks: one row a slump over all years, and what of it changed from year to year."""

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts_postprocessing.inventory import robust
from darts_postprocessing.inventory.dissolve import share_enough
from darts_postprocessing.inventory.majority import HALF, meeting, seen_by_any
from darts_postprocessing.inventory.overlay import unions
from darts_postprocessing.inventory.plane import PLANE_CRS
from darts_postprocessing.inventory.rules import Rules
from darts_postprocessing.inventory.tracks import Links, Published, YearOfSlumps, link_years
from darts_utils.objects.geodesy import ground_areas_m2
from darts_utils.rasters.arrays import Array

STATUSES = ("active", "stable", "stabilised", "unknown")
FEWEST_YEARS_FOR_INTERVAL = 5
WHOLE = 0.95
"""Share of the ground of a slump that must have been seen for its area to be compared with those of other years."""
_SLIVER_M2 = 1.0
_LAST_YEARS = 2
"""A slump is stabilised if it was looked at, and not seen, in this many last years."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Growth in square metres a year; None where it cannot be told."""

    m2_per_year: float | None = None
    low: float | None = None
    """Lower end of the 95 % interval, from five years on."""
    high: float | None = None
    """Its upper end."""


def growth_of(years: Array, areas_m2: Array) -> Growth:
    """Return the growth of a slump.

    Args:
        years: (year,) whole numbers, each once.
        areas_m2: (year,) its areas in them.

    Returns:
        The median of the slopes between all pairs of years, and its 95 % interval from
        `FEWEST_YEARS_FOR_INTERVAL` years on: Theil (1950), Sen (1968), doi:10.1080/01621459.1968.10480934. One
        year tells no growth.
    """
    if len(years) < 2:
        return Growth()
    from scipy.stats import theilslopes  # as much as all else together at the start of a run, which has one year

    slope, _, low, high = (float(value) for value in theilslopes(areas_m2, years, alpha=0.95))
    if len(years) < FEWEST_YEARS_FOR_INTERVAL:
        return Growth(m2_per_year=slope)
    return Growth(m2_per_year=slope, low=low, high=high)


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """Slumps over years."""

    slumps: gpd.GeoDataFrame
    """Level 2, with `slump_id` first."""
    tracks: gpd.GeoDataFrame
    """One row a slump; see `tracked`."""
    changes: gpd.GeoDataFrame
    """One row a slump, pair of years and kind of change; see `tracked`."""


def tracked(
    slumps: gpd.GeoDataFrame,
    looks: gpd.GeoDataFrame,
    years: Sequence[int],
    rules: Rules,
    published: Published | None = None,
) -> Tracked:
    """Return slumps with their ids, and what became of each over the years.

    Args:
        slumps: Level 2 of all years in the plane: see `slumps_of_year`, with `year` and, if some are left out by a
            rule, `counts` bool. Those get no id, but where they are a slump was seen.
        looks: What images saw in all years, in the plane, with `year` and `is_observed`.
        years: All years of the inventory, rising.
        rules: What is counted.
        published: Slumps that have ids already.

    Returns:
        `tracks` has `slump_id first_year last_year n_years area_first_m2 area_last_m2` (majority area of the first and
        the last of them in which nearly all of its ground was seen),
        `growth_m2_per_year growth_low growth_high` (see `growth_of`; over such years in which enough images looked,
        from the last one on in which it took in another slump or gave a part away),
        `status`, `split_from merged_into` text, null where it is not so, and the last outline. `status` is

        - `stabilised`: not seen in the last two years of the inventory, also by none that a rule leaves out, though in
          each enough images (`min_looks`, at least one) saw half of where it was;
        - `active`: the interval of its growth excludes 0, or its area changed from the first to the last year by more
          than both are uncertain (`area_low_m2` to `area_high_m2`);
        - `stable`: neither, over two years or more;
        - `unknown`: of one such year alone, or where areas do not tell how uncertain they are.

        `changes` has `slump_id from_year to_year kind area_m2` and the ground that was `gained` or `lost` of the
        majority ground from a year to the next one in which the slump was seen; ground that was hidden in the one or
        the other is neither, and so is ground that was another slump's before or is afterwards, as where slumps merge
        and split. `slumps` has `seen_fraction` float64, the share of all ground that a slump covers in any
        year that was seen in this one.
    """
    counts = slumps["counts"].to_numpy(dtype=bool) if "counts" in slumps else np.ones(len(slumps), dtype=bool)
    left_out = slumps[~counts]
    slumps = slumps[counts].drop(columns="counts", errors="ignore").reset_index(drop=True)
    links = _links(slumps, years, rules, published)
    named = _named(slumps, links).sort_values(["slump_id", "year"], ignore_index=True)
    seen, share = _seen(named, looks, years)
    named.insert(named.columns.get_loc("n_looks"), "seen_fraction", share)
    missed = _missed(named, looks, years, max(rules.min_looks, 1))
    hidden = _shown_by(left_out, named, rules.min_overlap)
    missed = {
        slump_id: [year for year in of_it if (slump_id, year) not in hidden] for slump_id, of_it in missed.items()
    }
    tracks = _tracks(named, links, missed, rules)
    return Tracked(slumps=named, tracks=tracks, changes=_changes(named, seen))


def _links(slumps: gpd.GeoDataFrame, years: Sequence[int], rules: Rules, published: Published | None) -> Links:
    of_years = []
    for year in years:
        rows = slumps[slumps["year"] == year]
        of_years.append(
            YearOfSlumps(year=year, outlines=rows.geometry.to_numpy(), first_objects=rows["first_object"].to_numpy())
        )
    return link_years(of_years, published, rules.min_overlap)


def _named(slumps: gpd.GeoDataFrame, links: Links) -> gpd.GeoDataFrame:
    ids = pd.Series("", index=slumps.index, dtype=object)
    for year, of_year in links.ids.items():
        ids[slumps["year"] == year] = of_year
    named = slumps.copy()
    named.insert(0, "slump_id", ids.astype(str))
    return named


def _seen(slumps: gpd.GeoDataFrame, looks: gpd.GeoDataFrame, years: Sequence[int]) -> tuple[Array, Array]:
    """Return what was seen in a year of all ground that a slump covers in any year, None where all, and its share."""
    owners, _ = pd.factorize(slumps["slump_id"])
    outlines = slumps.geometry.to_numpy()
    grounds = unions(outlines, owners, int(owners.max(initial=-1)) + 1)[owners]
    seen, share = np.full(len(slumps), None, dtype=object), np.ones(len(slumps))
    for year in years:
        rows = np.flatnonzero(slumps["year"] == year)
        of_year = looks.geometry.to_numpy()[looks["year"] == year]
        seen[rows], share[rows] = seen_by_any(grounds[rows], of_year, outlines[rows])
    return seen, share


def _shown_by(left_out: gpd.GeoDataFrame, slumps: gpd.GeoDataFrame, min_overlap: float) -> set[tuple[str, int]]:
    """Return slumps, and years in which something is where they were last, though a rule leaves it out."""
    last = slumps.drop_duplicates("slump_id", keep="last")
    outlines, others = last.geometry.to_numpy(), left_out.geometry.to_numpy()
    at, of_other = shapely.STRtree(others).query(outlines, predicate="intersects")
    is_enough, _ = share_enough(outlines[at], others[of_other], min_overlap)
    ids, years = last["slump_id"].to_numpy()[at], left_out["year"].to_numpy()[of_other]
    return {(str(ids[row]), int(years[row])) for row in np.flatnonzero(is_enough)}


def _missed(
    slumps: gpd.GeoDataFrame, looks: gpd.GeoDataFrame, years: Sequence[int], n_looks: int
) -> dict[str, list[int]]:
    """Return the years after its last one in which a slump was not seen, though enough images saw half of its place.

    Images of which nobody knows what clouds hid tell nothing here.
    """
    last = slumps.drop_duplicates("slump_id", keep="last")
    found: dict[str, list[int]] = {}
    for year in years:
        seen = looks[(looks["year"] == year) & looks["is_observed"]].geometry.to_numpy()
        rows = last[last["year"] < year]
        outlines = rows.geometry.to_numpy()
        at, of_look = meeting(outlines, seen, "intersects")
        shared = shapely.area(robust.intersection(outlines[at], seen[of_look]))
        n_saw = np.bincount(at[shared >= HALF * shapely.area(outlines)[at]], minlength=len(rows))
        for slump_id in rows["slump_id"].to_numpy()[n_saw >= n_looks]:
            found.setdefault(str(slump_id), []).append(year)
    return found


def _tracks(slumps: gpd.GeoDataFrame, links: Links, missed: dict[str, list[int]], rules: Rules) -> gpd.GeoDataFrame:
    last_years, since = sorted(links.ids)[-_LAST_YEARS:], _last_events(slumps, links)
    plain = pd.DataFrame(slumps.drop(columns=["geometry", "geometry_majority"]))  # a geometry makes each row dear
    plain["geometry"] = slumps.geometry.to_numpy()
    rows = []
    for slump_id, track in plain.groupby("slump_id", sort=True):
        first, last = track.iloc[0], track.iloc[-1]
        whole = track[track["seen_fraction"] >= WHOLE]
        ends = whole["area_majority_m2"].to_numpy() if len(whole) else np.array([np.nan])
        one_slump = whole["year"] >= since.get(str(slump_id), 0)
        enough = whole[one_slump & (whole["n_looks"] >= max(rules.min_looks, 1))]
        growth = growth_of(enough["year"].to_numpy(), enough["area_majority_m2"].to_numpy())
        gone = [year for year in missed.get(str(slump_id), []) if year in last_years]
        merged = links.merged_into.get(str(slump_id))
        rows.append({
            "slump_id": slump_id,
            "first_year": int(first["year"]),
            "last_year": int(last["year"]),
            "n_years": len(track),
            "area_first_m2": ends[0],
            "area_last_m2": ends[-1],
            "growth_m2_per_year": growth.m2_per_year,
            "growth_low": growth.low,
            "growth_high": growth.high,
            "status": _status(enough, growth, is_gone=merged is None and len(gone) == _LAST_YEARS),
            "split_from": links.split_from.get(str(slump_id)),
            "merged_into": None if merged is None else merged[0],
            "geometry": last["geometry"],
        })  # fmt: skip
    return _typed(rows, _TRACKS)


def _last_events(slumps: gpd.GeoDataFrame, links: Links) -> dict[str, int]:
    """Return the last year in which each slump took in another one, or gave a part of itself away; none if never.

    From then on it is another piece of ground: its areas before and after say nothing of how fast it grows.
    """
    began = slumps.groupby("slump_id")["year"].min()
    events = list(links.merged_into.values())
    events += [(parent, int(began[child])) for child, parent in links.split_from.items() if child in began.index]
    last: dict[str, int] = {}
    for slump_id, year in events:
        last[slump_id] = max(year, last.get(slump_id, year))
    return last


def _status(track: pd.DataFrame, growth: Growth, *, is_gone: bool) -> str:
    if is_gone:
        return "stabilised"
    if growth.low is not None and growth.high is not None and not growth.low <= 0 <= growth.high:
        return "active"
    if len(track) < 2:
        return "unknown"
    first, last = track.iloc[0], track.iloc[-1]
    ends = [first["area_low_m2"], first["area_high_m2"], last["area_low_m2"], last["area_high_m2"]]
    if any(pd.isna(value) for value in ends):
        return "unknown"
    apart = last["area_low_m2"] > first["area_high_m2"] or last["area_high_m2"] < first["area_low_m2"]
    return "active" if apart else "stable"


def _changes(slumps: gpd.GeoDataFrame, seen: Array) -> gpd.GeoDataFrame:
    """Return what each slump gained and lost between the years in which it was seen, of the ground that both saw."""
    after = np.flatnonzero(slumps["slump_id"].eq(slumps["slump_id"].shift()).to_numpy())
    before = after - 1
    ground = slumps["geometry_majority"].to_numpy()
    parts = []
    for kind, one, other in (("gained", after, before), ("lost", before, after)):
        shapes = robust.difference(ground[one], ground[other])
        hidden = np.flatnonzero([ground is not None for ground in seen[other]])
        shapes[hidden] = robust.intersection(shapes[hidden], seen[other[hidden]])
        shapes = _without_others(shapes, slumps["year"].to_numpy()[other], slumps)
        shapes = _without_slivers(shapes)
        frame = gpd.GeoDataFrame(
            {
                "slump_id": slumps["slump_id"].to_numpy()[after],
                "from_year": slumps["year"].to_numpy()[before],
                "to_year": slumps["year"].to_numpy()[after],
                "kind": kind,
                "area_m2": ground_areas_m2(shapes, PLANE_CRS),
            },
            geometry=shapes,
            crs=PLANE_CRS,
        )
        parts.append(frame[~frame.geometry.is_empty])
    changes: gpd.GeoDataFrame = pd.concat(parts).sort_values(["slump_id", "to_year", "kind"], ignore_index=True)
    return changes.astype(_CHANGES)


def _without_others(shapes: Array, years: Array, slumps: gpd.GeoDataFrame) -> Array:
    """Return ground without what was any slump's in a year, given for each shape."""
    grounds, of_year = slumps["geometry_majority"].to_numpy(), slumps["year"].to_numpy()
    at, of_slump = shapely.STRtree(grounds).query(shapes, predicate="intersects")
    there = of_year[of_slump] == years[at]
    at, of_slump = at[there], of_slump[there]
    taken, places = np.unique(at, return_inverse=True)
    result = shapes.copy()
    result[taken] = robust.difference(shapes[taken], unions(grounds[of_slump], places, len(taken)))
    return result


def _without_slivers(shapes: Array) -> Array:
    """Return shapes without pieces smaller than any pixel: sides that are straight in one image bend in the plane."""
    pieces, owners = shapely.get_parts(shapes, return_index=True)
    kept = shapely.area(pieces) >= _SLIVER_M2
    left, places = np.unique(owners[kept], return_inverse=True)
    result = np.full(len(shapes), shapely.Polygon(), dtype=object)
    result[left] = shapely.multipolygons(pieces[kept], indices=places)
    return result


def _typed(rows: Sequence[dict[str, object]], types: dict[str, str]) -> gpd.GeoDataFrame:
    """Return rows as a table whose columns have their types, also where there is no row."""
    plain = pd.DataFrame(rows, columns=[*types, "geometry"])
    shapes: Array = plain.pop("geometry").to_numpy()
    return gpd.GeoDataFrame(plain.astype(types), geometry=shapes, crs=PLANE_CRS)


_TRACKS = {
    "slump_id": "string", "first_year": "int32", "last_year": "int32", "n_years": "int32", "area_first_m2": "float64",
    "area_last_m2": "float64", "growth_m2_per_year": "float64", "growth_low": "float64", "growth_high": "float64",
    "status": "string", "split_from": "string", "merged_into": "string",
}  # fmt: skip
_CHANGES = {"slump_id": "string", "from_year": "int32", "to_year": "int32", "kind": "string", "area_m2": "float64"}
