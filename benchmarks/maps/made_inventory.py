"""An inventory that nobody mapped: clustered slumps over the whole Arctic, several years, with verdicts and looks."""

import uuid
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts_utils.rasters.arrays import Array

FIRST_YEAR = 2020
CRS = "EPSG:3413"
_TIERS = np.array(["high", "medium", "low", None], dtype=object)
_STATUSES = np.array(["active", "stable", "stabilised", "unknown"], dtype=object)
_VERDICTS = np.array(["slump", "not", "unsure"], dtype=object)
_VERTICES = 40
_JUDGED = 0.02


def make_inventory(folder: Path, n_slumps: int, n_years: int = 5, seed: int = 7) -> Path:
    """Write the parts of an inventory that a map reads: `slumps tracks looks`, slumps with the columns of verdicts.

    Args:
        folder: Of the inventory.
        n_slumps: How many slumps; a tenth is not seen in a year, a tenth is reviewed.
        n_years: From 2020 on.
        seed: Of where they are and what they look like.
    """
    rng = np.random.default_rng(seed)
    centres = _centres(rng, n_slumps)
    radii = np.clip(rng.lognormal(4.1, 0.5, n_slumps), 15, 400)
    ids = [str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed} {number}")) for number in range(n_slumps)]
    wobble = rng.uniform(0.7, 1.3, (n_slumps, _VERTICES))
    tiers = rng.choice(_TIERS, n_slumps, p=[0.4, 0.3, 0.2, 0.1])
    years = [_year(rng, ids, tiers, centres, radii * (1 + 0.06 * k), wobble, FIRST_YEAR + k) for k in range(n_years)]
    slumps = gpd.GeoDataFrame(pd.concat(years, ignore_index=True), crs=CRS).to_crs("EPSG:4326")
    _write(folder, "slumps", slumps)
    _write(folder, "tracks", _tracks(rng, slumps))
    _write(folder, "looks", _looks(rng, centres, n_years))
    return folder


def _centres(rng: np.random.Generator, number: int) -> Array:
    """Return places in EPSG:3413, most of them close to others: (slump, 2) metres."""
    n_clusters = max(number // 400, 12)
    angle, far = rng.uniform(0, 2 * np.pi, n_clusters), rng.uniform(1.5e6, 2.6e6, n_clusters)
    middles = np.column_stack([far * np.cos(angle), far * np.sin(angle)])
    spread = rng.uniform(5e3, 4e4, n_clusters)
    cluster = rng.integers(n_clusters, size=number)
    places: Array = middles[cluster] + spread[cluster, None] * rng.normal(size=(number, 2))
    return places


def _year(  # noqa: PLR0917  (what slumps are made of)
    rng: np.random.Generator, ids: list[str], tiers: Array, centres: Array, radii: Array, wobble: Array, year: int
) -> gpd.GeoDataFrame:
    is_seen = rng.random(len(ids)) > 0.1
    angles = np.linspace(0, 2 * np.pi, _VERTICES, endpoint=False)
    lengths = radii[is_seen, None] * wobble[is_seen]
    x, y = (centres[is_seen, k, None] + lengths * turn(angles) for k, turn in enumerate((np.cos, np.sin)))
    shapes = shapely.polygons(np.dstack([x, y]))
    areas, looks = shapely.area(shapes), rng.integers(1, 9, is_seen.sum())
    hits = np.ceil(looks * rng.uniform(0.5, 1, looks.size)).astype(int)
    columns = {
        "slump_id": np.array(ids, dtype=object)[is_seen], "year": np.full(looks.size, year), "seen_fraction": 1.0,
        "n_looks": looks, "n_hits": hits, "agreement": hits / looks, "first_acquired": f"{year}-07-04",
        "last_acquired": f"{year}-08-21", "area_m2": areas, "area_majority_m2": 0.9 * areas,
        "area_low_m2": 0.8 * areas, "area_high_m2": 1.1 * areas, "tier": tiers[is_seen],
        "verdict": rng.choice(_VERDICTS, looks.size), "reviewer": "Anna", "reviewed_at": "2026-01-02T03:04:05+00:00",
        "note": "",
    }  # fmt: skip
    table = gpd.GeoDataFrame(columns, geometry=shapes, crs=CRS)
    table.loc[rng.random(looks.size) > _JUDGED, ["verdict", "reviewer", "reviewed_at", "note"]] = None
    return table


def _tracks(rng: np.random.Generator, slumps: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    last = slumps.sort_values("year", kind="stable").drop_duplicates("slump_id", keep="last")
    last = last.sort_values("slump_id").reset_index(drop=True)
    growth = rng.normal(200, 150, len(last))
    columns = {
        "slump_id": last["slump_id"], "growth_m2_per_year": growth, "growth_low": growth - 100,
        "growth_high": growth + 100, "status": rng.choice(_STATUSES, len(last)),
        "split_from": pd.Series([None] * len(last), dtype=object),
        "merged_into": pd.Series([None] * len(last), dtype=object),
    }  # fmt: skip
    return gpd.GeoDataFrame(columns, geometry=last.geometry.to_numpy(), crs=slumps.crs)


def _looks(rng: np.random.Generator, centres: Array, n_years: int) -> gpd.GeoDataFrame:
    """Return squares of 110 km around some places."""
    rows = []
    for year in range(FIRST_YEAR, FIRST_YEAR + n_years):
        x, y = centres[rng.integers(len(centres), size=min(len(centres), 150))].T
        squares = shapely.box(x - 55e3, y - 55e3, x + 55e3, y + 55e3)
        rows.append(gpd.GeoDataFrame({"year": np.full(len(x), year)}, geometry=squares, crs=CRS))
    return gpd.GeoDataFrame(pd.concat(rows, ignore_index=True), crs=CRS).to_crs("EPSG:4326")


def _write(folder: Path, name: str, table: gpd.GeoDataFrame) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / name / "all.parquet", index=False)
