"""How an inventory of a world over years compares with what is true of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from darts.demo.years.write import WrittenYears
from darts_postprocessing.evaluation.matching import matched_pairs, overlaps_of
from darts_postprocessing.inventory.plane import to_plane
from darts_utils.errors import MissingDataError
from darts_utils.rasters.arrays import Array

MATCHED_AT = 0.3
"""IoU from which on an outline is that of a true slump, one to one."""
ENOUGH_YEARS = 5
"""From as many years on growth has an interval."""


@dataclass(frozen=True, kw_only=True)
class YearsScore:
    """What of the truth is found."""

    by_year: pd.DataFrame
    """One row a year: `year n_true n_found n_false recall`."""
    pairs: pd.DataFrame
    """One row a true slump and year that is found: `slump year slump_id`."""
    ids: pd.DataFrame
    """One row a true slump that is found in two years or more: `slump is_kept`; kept: one id in all years, which no
    other one has."""
    growth: pd.DataFrame
    """One row a true slump of all years, five or more, that neither merges nor splits and has an interval: `slump
    true_m2_per_year low high growth_m2_per_year is_held`."""

    @property
    def document(self) -> dict[str, Any]:
        """Its figures, for other programs."""
        by_year = json.loads(self.by_year.to_json(orient="records"))
        growth = {"n_growth": len(self.growth), "growth_held": self.growth_held if len(self.growth) else None}
        return {"by_year": by_year, "n_ids": len(self.ids), "ids_kept": self.ids_kept, **growth}

    @property
    def ids_kept(self) -> float:
        """Share of slumps found in two years or more that keep their id, NaN if there are none."""
        return float(self.ids["is_kept"].mean())

    @property
    def growth_held(self) -> float:
        """Share of the intervals of growth that hold the truth, NaN if there are none."""
        return float(self.growth["is_held"].mean())


def compare_years(inventory: Path, written: WrittenYears) -> YearsScore:
    """Return how an inventory compares with the truth.

    Args:
        inventory: Folder of the inventory.
        written: The world.

    Raises:
        MissingDataError: If one of them is not there.
    """
    for path in (inventory / "slumps", inventory / "tracks", written.outlines, written.tracks):
        if not path.exists():
            raise MissingDataError(f"{path} is missing, so there is nothing to compare. Map the world first.")
    slumps, outlines = gpd.read_parquet(inventory / "slumps"), gpd.read_parquet(written.outlines)
    rows, found = [], []
    for year in sorted(outlines["year"].unique()):
        here, true = slumps[slumps["year"] == year], outlines[outlines["year"] == year]
        of_here, of_true = _matched(here, true)
        rows.append((year, len(true), len(of_true), len(here) - len(of_here), len(of_true) / len(true)))
        found.append(pd.DataFrame({
            "slump": true["slump"].to_numpy()[of_true], "year": year, "slump_id": here["slump_id"].to_numpy()[of_here],
        }))  # fmt: skip
    pairs = pd.concat(found, ignore_index=True)
    tracks = gpd.read_parquet(inventory / "tracks").set_index("slump_id")
    return YearsScore(
        by_year=pd.DataFrame(rows, columns=["year", "n_true", "n_found", "n_false", "recall"]),
        pairs=pairs,
        ids=_ids(pairs),
        growth=_growth(pairs, tracks, pd.read_parquet(written.tracks)),
    )


def _matched(slumps: gpd.GeoDataFrame, outlines: gpd.GeoDataFrame) -> tuple[Array, Array]:
    """Return the rows of slumps and of true outlines that belong together."""
    planes = (to_plane(table.geometry.to_numpy(), str(table.crs)) for table in (slumps, outlines))
    overlaps = overlaps_of(*planes)
    pairs = matched_pairs(overlaps, MATCHED_AT)
    return overlaps.predictions[pairs], overlaps.references[pairs]


def _ids(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return which true slumps keep an id of their own."""
    often = pairs.groupby("slump").filter(lambda rows: len(rows) >= 2)
    n_ids = often.groupby("slump")["slump_id"].nunique()
    owners = pairs.groupby("slump_id")["slump"].nunique()
    n_owners = often.assign(owners=often["slump_id"].map(owners)).groupby("slump")["owners"].max()
    return pd.DataFrame({"slump": n_ids.index, "is_kept": ((n_ids == 1) & (n_owners == 1)).to_numpy()})


def _growth(pairs: pd.DataFrame, tracks: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Return the true growth of slumps of all years beside the interval of the track that they are found in."""
    most = max(ENOUGH_YEARS, *truth["n_years"])
    lasting = truth[(truth["n_years"] == most) & truth["growth_m2_per_year"].notna()]
    ids = pairs.groupby("slump")["slump_id"].agg(lambda names: names.mode().iloc[0])
    rows = []
    for slump, true in zip(lasting["slump"], lasting["growth_m2_per_year"], strict=True):
        if slump in ids.index and np.isfinite(tracks["growth_low"][ids[slump]]):
            track = tracks.loc[ids[slump]]
            held = track.growth_low <= true <= track.growth_high
            rows.append((slump, true, track.growth_low, track.growth_high, track.growth_m2_per_year, held))
    columns = ["slump", "true_m2_per_year", "low", "high", "growth_m2_per_year", "is_held"]
    return pd.DataFrame(rows, columns=columns)
