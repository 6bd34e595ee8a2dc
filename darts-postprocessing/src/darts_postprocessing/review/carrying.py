"""Verdicts of an inventory that another one goes on with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from darts_postprocessing.inventory.plane import LONGLAT_CRS, PLANE_CRS, to_plane
from darts_postprocessing.review.told import figures_in, write_figures
from darts_postprocessing.review.verdicts import FOLDER, of_this_map, write_verdicts
from darts_utils.files import exclusive_lock


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What people said of an inventory."""

    verdicts: gpd.GeoDataFrame
    """As the inventory has them, in degrees."""
    told: Sequence[Mapping[str, Any]]
    """As `figures_in` gives it."""


def in_plane(verdicts: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a table in degrees with its outlines in the plane."""
    outlines = to_plane(verdicts.geometry.to_numpy(), LONGLAT_CRS)
    return verdicts.set_geometry(gpd.GeoSeries(outlines, crs=PLANE_CRS, index=verdicts.index))


def carry(judged: Judged, target: Path) -> tuple[int, int]:
    """Let an inventory have the verdicts of the one that it goes on with, where slump and year are there still.

    Figures come along as they are, of the map that they are of. Reviews that it has already stay as they are.

    Args:
        judged: What was said of the other one.
        target: Folder of the inventory.

    Returns:
        How many verdicts have come along, and how many were left behind because their slumps are not there.
    """
    with exclusive_lock(target / ".lock", timeout_s=0):
        slumps = pd.read_parquet(target / "slumps", columns=["slump_id", "year"])
        before = [gpd.read_parquet(target / FOLDER)] if (target / FOLDER).is_dir() else []
        known = {review for one in before for review in one["review"]}
        new = judged.verdicts[~judged.verdicts["review"].isin(known)]
        there = gpd.GeoDataFrame(of_this_map(new, slumps))
        if len(there):
            every = pd.concat([*(in_plane(one) for one in before), in_plane(there)], ignore_index=True)
            write_verdicts(target, gpd.GeoDataFrame(every, crs=PLANE_CRS))
            come = [one for one in judged.told if one["review"] in set(there["review"])]
            write_figures(target, [*figures_in(target), *come])
    return len(there), len(new) - len(there)
