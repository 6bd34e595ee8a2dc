"""What an inventory says of a year by cells, regions and latitudes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import shapely

from darts_postprocessing.density.ground import ground_of
from darts_postprocessing.density.regions import Regions
from darts_postprocessing.density.sums import DEGREES, GRIDS, Groups, ground_by, slumps_by, told
from darts_postprocessing.inventory.build import Spread, here
from darts_postprocessing.inventory.cells import CELL_M, Index, cells_under, corner_of
from darts_postprocessing.inventory.parts import Part, parts_of
from darts_postprocessing.inventory.work import Place

_LATITUDE, _REGION = "latitude", "region"


@dataclass(frozen=True, kw_only=True)
class Density:
    """Sums over a year."""

    year: int
    looks: pd.DataFrame
    """`observed_m2` and `n_looks` of each square kilometre that was seen, by `row` and `column` in EPSG:6931."""
    by_cell: Mapping[str, pd.DataFrame]
    """By name of the grid: what `told` gives, by `row` and `column`."""
    by_latitude: pd.DataFrame
    """Likewise, by number of half a degree from the equator."""
    by_region: pd.DataFrame | None
    """Likewise, by name; None without regions."""


def densities(
    inventory: Path, years: Sequence[int], *, regions: Regions | None = None, spread: Spread | None = None
) -> Iterator[Density]:
    """Yield the sums of each of some years of an inventory.

    Args:
        inventory: Its folder.
        years: Years that it has.
        regions: What to add up over beside the grids.
        spread: Calls functions in other processes; here if not given.

    Raises:
        DataError: If a part of the inventory is damaged.
    """
    for year in years:
        slumps = _middles(parts_of(inventory, f"slumps/{year}"))
        yield _density(year, slumps, regions, (spread or here)(ground_of, _work(inventory, year)))


def _work(inventory: Path, year: int) -> list[tuple[Place, list[Part]]]:
    """Return the cells that a look of a year reaches into, with the parts of these looks."""
    looks = parts_of(inventory, f"looks/{year}")
    bounds = [part.bounds for part in looks]
    index, work = Index(bounds), []
    for name in cells_under(bounds):
        left, bottom = corner_of(name)
        near = index.near([(left, bottom, left + CELL_M, bottom + CELL_M)])
        work.append((Place(root=inventory, cell=name, year=year), [looks[at] for at in near]))
    return work


def _density(year: int, slumps: pd.DataFrame, regions: Regions | None, grounds: Iterable[pd.DataFrame]) -> Density:
    grouped: dict[str, tuple[Groups, int]] = {grid.name: (grid.groups, grid.parts) for grid in GRIDS}
    grouped[_LATITUDE] = lambda x, y: DEGREES.groups(x, y)[:1], DEGREES.parts
    if regions is not None:
        grouped[_REGION] = regions.groups, 1
    sums = {name: [slumps_by(slumps, groups)] for name, (groups, _) in grouped.items()}
    by_km = [pd.DataFrame()]
    for ground in grounds:
        by_km.append(ground)
        for name, (groups, parts) in grouped.items():
            sums[name].append(ground_by(ground, groups, parts))
    found = {name: told(several) for name, several in sums.items()}
    return Density(
        year=year,
        looks=_looks(pd.concat(by_km)),
        by_region=found.pop(_REGION, None),
        by_latitude=found.pop(_LATITUDE),
        by_cell=found,
    )


def _looks(ground: pd.DataFrame) -> pd.DataFrame:
    """Return how much of each square kilometre was seen, and by how many images on the mean."""
    if ground.empty:
        return pd.DataFrame({"row": [], "column": [], "observed_m2": [], "n_looks": []}).set_index(["row", "column"])
    told_of = {"row": ground["y"], "column": ground["x"], "observed_m2": ground["observed_m2"]}
    frame = pd.DataFrame(told_of).assign(n_looks=ground["looks_m2"] / ground["observed_m2"])
    return frame.set_index(["row", "column"])


def _middles(parts: Sequence[Part]) -> pd.DataFrame:
    """Return the middles of slumps in the plane, with their areas and tiers."""
    tables = [pd.DataFrame({"x": [], "y": [], "area_majority_m2": [], "tier": []})]
    for part in parts:
        table = part.read(("area_majority_m2", "tier", "geometry"))
        points = shapely.centroid(table.geometry.to_numpy())
        columns = table[["area_majority_m2", "tier"]]
        tables.append(pd.DataFrame(columns).assign(x=shapely.get_x(points), y=shapely.get_y(points)))
    filled = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(filled, ignore_index=True)
