"""Ground and slumps added up over the cells of a grid, or over regions."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from darts_postprocessing.density.ground import KM_M
from darts_postprocessing.inventory.plane import PLANE_CRS
from darts_postprocessing.inventory.slumps import TIERS
from darts_utils.crs import EQUAL_AREA, LONGLAT, transformer
from darts_utils.rasters.arrays import Array

type Groups = Callable[[Array, Array], tuple[Array, ...]]
"""Tells which group each place of the plane is of, as one or more arrays of keys."""

_GROUND = ("observed_m2", "looks_m2", "expected_m2", "unknown_m2")
COLUMNS = (
    "observed_m2", "n_looks", "expected_m2", "n_slumps", "area_m2",
    *(f"n_{tier}" for tier in reversed(TIERS)), *(f"area_{tier}_m2" for tier in reversed(TIERS)),
)  # fmt: skip
"""What is told of each cell or region, see `told`."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Cells of equal steps from the origin of coordinates on, numbered by column and row."""

    name: str
    crs: str
    step: float
    """Metres or degrees."""
    parts: int
    """How finely a kilometre is divided among its cells: into so many parts along each side."""

    def groups(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return row and column of the cells in which places of the plane lie, (place,) int64 each."""
        x, y = (x, y) if self.crs == EQUAL_AREA else transformer(PLANE_CRS, self.crs).transform(x, y)
        column, row = (np.floor(np.asarray(one) / self.step).astype(np.int64) for one in (x, y))
        if self.crs == LONGLAT:  # 180 degrees east are 180 degrees west
            column = np.where(column * self.step >= 180, column - round(360 / self.step), column)
        return row, column


PLANE = Grid(name="10km", crs=EQUAL_AREA, step=10_000.0, parts=1)
DEGREES = Grid(name="half-degree", crs=LONGLAT, step=0.5, parts=5)
GRIDS = (PLANE, DEGREES)


def ground_by(ground: pd.DataFrame, groups: Groups, parts: int = 1) -> pd.DataFrame:
    """Return the ground of square kilometres added up by groups.

    Args:
        ground: As `darts_postprocessing.density.ground.ground_of` gives it.
        groups: Tells the group of each place.
        parts: A kilometre is shared among groups by so many times so many places in it.

    Returns:
        The columns of the ground and `unknown_m2`, ground of which nobody tells what to expect, by the keys of groups.
    """
    at = (np.arange(parts) + 0.5) / parts
    right, up = (one.ravel() for one in np.meshgrid(at, at))
    x, y = ((ground[name].to_numpy()[:, None] + shift).ravel() * KM_M for name, shift in (("x", right), ("y", up)))
    known = ground.assign(unknown_m2=ground["observed_m2"].where(ground["expected_m2"].isna(), 0.0))
    values = known[list(_GROUND)].fillna(0.0).to_numpy(dtype=np.float64) / parts**2
    return _added(pd.DataFrame(np.repeat(values, parts**2, axis=0), columns=list(_GROUND)), groups(x, y))


def slumps_by(slumps: pd.DataFrame, groups: Groups) -> pd.DataFrame:
    """Return numbers and areas of slumps by groups, each where its middle lies.

    Args:
        slumps: `x y`, the middle in the plane, `area_majority_m2` and `tier`.
        groups: Tells the group of each place.
    """
    areas, tiers = (
        slumps["area_majority_m2"].to_numpy(dtype=np.float64),
        slumps["tier"].fillna("").to_numpy(dtype=object),
    )
    values = {"n_slumps": np.ones(len(slumps)), "area_m2": areas}
    for tier in TIERS:
        is_of_it = tiers == tier
        values |= {f"n_{tier}": is_of_it.astype(np.float64), f"area_{tier}_m2": np.where(is_of_it, areas, 0.0)}
    return _added(pd.DataFrame(values), groups(slumps["x"].to_numpy(), slumps["y"].to_numpy()))


def _added(values: pd.DataFrame, keys: tuple[Array, ...]) -> pd.DataFrame:
    return values.groupby(list(keys)).sum()


def told(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return what is told of each group, from sums over ground and slumps.

    Returns:
        By the keys of groups, float64: `observed_m2`, ground that was seen; `n_looks`, by how many images, on the mean
        over that ground; `expected_m2`, slump area without a threshold, NaN where of any of the ground nobody tells it;
        `n_slumps` and `area_m2` (majority areas), and the same of each tier; those of no tier are the rest.
    """
    stacked = pd.concat(list(parts))
    sums = stacked.groupby(level=list(range(stacked.index.nlevels))).sum()
    sums = sums.reindex(columns=[*_GROUND, *COLUMNS[3:]], fill_value=0.0).fillna(0.0)
    is_seen = sums["observed_m2"] > 0
    sums["n_looks"] = (sums["looks_m2"] / sums["observed_m2"]).where(is_seen, 0.0)
    sums["expected_m2"] = sums["expected_m2"].where(is_seen & (sums["unknown_m2"] == 0))
    return sums[list(COLUMNS)]
