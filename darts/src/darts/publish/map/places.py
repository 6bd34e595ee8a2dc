"""Where slumps are on the map, and the order in which its files tell of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts.maps.ground import CRS
from darts_utils.rasters.arrays import Array

CELL_M = 64_000
"""Edge of the cells of outlines and histories."""
JUDGED = ("verdict", "reviewer", "reviewed_at", "note")


@dataclass(frozen=True, kw_only=True)
class Places:
    """Slumps by cell, from south to north and west to east, and by id in each."""

    tracks: pd.DataFrame
    """One row a slump: `slump_id x y` (whole metres) `cell verdict`, and the columns of tracks but its outline."""
    rows: gpd.GeoDataFrame
    """Slumps of each year in the order of `tracks`, then by year, in EPSG:3413, with the columns of verdicts."""
    starts: Array
    """(slump + 1) int64: where in `rows` those of each slump begin."""
    years: Sequence[int]


def places_of(slumps: gpd.GeoDataFrame, tracks: pd.DataFrame, years: Sequence[int]) -> Places:
    """Return slumps as the map has them; a slump is where its last outline is.

    Args:
        slumps: Level 2, with or without the columns of verdicts.
        tracks: Level 3.
        years: Those of the inventory, rising, also without slumps.
    """
    plane = slumps.to_crs(CRS).sort_values(["slump_id", "year"], kind="stable", ignore_index=True)
    for name in JUDGED:
        if name not in plane:
            plane[name] = None
    last = plane.drop_duplicates("slump_id", keep="last")
    points = shapely.point_on_surface(last.geometry.to_numpy())
    whole = np.rint(shapely.get_coordinates(points)).astype(np.int64)
    table = pd.DataFrame({"slump_id": last["slump_id"].to_numpy(), "x": whole[:, 0], "y": whole[:, 1]})
    table["verdict"] = table["slump_id"].map(plane.dropna(subset="verdict").groupby("slump_id")["verdict"].last())
    told = pd.DataFrame(tracks.drop(columns=["geometry", "first_year", "last_year"], errors="ignore"))
    table = table.merge(told, how="left", on="slump_id")
    table["cell_x"], table["cell_y"] = table["x"] // CELL_M, table["y"] // CELL_M
    table = table.sort_values(["cell_y", "cell_x", "slump_id"], kind="stable", ignore_index=True)
    table["cell"] = [cell_name(x, y) for x, y in zip(table["cell_x"], table["cell_y"], strict=True)]
    rank = pd.Series(np.arange(len(table)), index=table["slump_id"])
    order = plane["slump_id"].map(rank).to_numpy()
    rows = plane.iloc[np.argsort(order, kind="stable")].reset_index(drop=True)
    starts = np.searchsorted(np.sort(order), np.arange(len(table) + 1))
    return Places(tracks=table.drop(columns=["cell_x", "cell_y"]), rows=rows, starts=starts, years=list(years))


def cell_name(x: int, y: int) -> str:
    """Return the name of a cell by its column and row, such as `x-018y+015`."""
    return f"x{x:+04d}y{y:+04d}"
