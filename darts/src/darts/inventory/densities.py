"""Densities of an inventory, as rasters and tables, and what is said of them."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from darts.datasets.build.regions import fetch_boundaries
from darts.inventory.boundaries import regions_near
from darts.inventory.spreading import spread_over_cores
from darts.utils.console import show_table
from darts.utils.terminal import say
from darts_export.raster import raster_bytes
from darts_postprocessing.density.density import Density, densities
from darts_postprocessing.density.ground import KM_M
from darts_postprocessing.density.sums import DEGREES, GRIDS, Grid
from darts_postprocessing.inventory.said import inventory_in, read_said
from darts_utils.crs import EQUAL_AREA
from darts_utils.errors import ConfigError, MissingDataError, ServiceError
from darts_utils.files import atomic_file, make_folder
from darts_utils.machine.outputs import check_writable, writing
from darts_utils.paths import PathManager, user_path

_SQUARE_KILOMETRES = Grid(name="1km", crs=EQUAL_AREA, step=KM_M, parts=1)
_LATITUDES, _REGIONS = "latitudes.csv", "regions.csv"
_NAMES = "|".join(["looks-1km", *(f"density-{grid.name}" for grid in GRIDS)])
_RASTER = re.compile(rf"({_NAMES})-\d+\.tif")


@dataclass(frozen=True, kw_only=True)
class Boundaries:
    """Where the polygons of regions are."""

    file: Path | None
    """None: the districts, in their folder."""
    column: str
    folder: Path | None
    """None: the usual one."""
    offline: bool

    def path(self) -> Path:
        """Return the file, after the districts were fetched if they are needed.

        Raises:
            MissingDataError: If the districts are missing offline.
            ServiceError: If they cannot be fetched.
        """
        if self.file is not None:
            return user_path(self.file)
        folder = PathManager().admin_boundaries if self.folder is None else user_path(self.folder)
        try:
            return fetch_boundaries(folder, offline=self.offline)
        except (MissingDataError, ServiceError) as error:
            raise type(error)(
                f"{error} Or give polygons with --regions, or leave them out with --no-by-region."
            ) from error


def write_densities(
    inventory: Path,
    year: int | None,
    boundaries: Boundaries | None,
    *,
    workers: int | None,
    out: Path,
    as_json: bool = False,
) -> None:
    """Write densities, see `darts.inventory.density.density_of_inventory`."""
    inventory, out = inventory_in(user_path(inventory)), user_path(out)
    check_writable(out)
    years, cores = _years(inventory, year), spread_over_cores(workers)
    regions = None if boundaries is None else regions_near(inventory, boundaries.path(), boundaries.column)
    with cores as spread:
        found = list(densities(inventory, years, regions=regions, spread=spread))
    with writing(out):
        _write(found, inventory, out)
    (_print if as_json else _show)(found, out)


def _write(found: Sequence[Density], inventory: Path, out: Path) -> None:
    """Write rasters and tables, and remove those that were written here before and are not any more."""
    make_folder(out)
    before = _written_in(out)
    files = [file for one in found for file in _write_rasters(one, inventory, out)]
    half = DEGREES.step
    latitudes = {one.year: one.by_latitude.rename(index=lambda row: row * half) for one in found}
    by_region = {one.year: one.by_region for one in found if one.by_region is not None}
    for name, tables, key in ((_LATITUDES, latitudes, "latitude_from"), (_REGIONS, by_region, "region")):
        if tables:
            _write_table(out / name, tables, key)
            files.append(out / name)
    for file in before.difference(files):
        file.unlink()


def _written_in(out: Path) -> set[Path]:
    """Return what an earlier run wrote to a folder; nothing if it is not known that one did."""
    if not (out / _LATITUDES).is_file():
        return set()
    return {file for file in out.iterdir() if file.name in (_LATITUDES, _REGIONS) or _RASTER.fullmatch(file.name)}


def _years(inventory: Path, year: int | None) -> list[int]:
    years = [int(one) for one in read_said(inventory).counted.years]
    if year is not None and year not in years:
        raise ConfigError(f"{inventory} has nothing of {year}, but of {', '.join(map(str, years))}.")
    return years if year is None else [year]


def _write_rasters(density: Density, inventory: Path, out: Path) -> list[Path]:
    """Write what is told of cells as cloud-optimised GeoTIFFs, NaN in cells of which nothing is, and return them."""
    tags = {"DARTS_inventory": inventory.name, "DARTS_year": density.year}
    layers = [(_SQUARE_KILOMETRES, "looks", density.looks.astype(np.float32))]
    layers += [(grid, "density", density.by_cell[grid.name]) for grid in GRIDS]
    files = []
    for grid, name, table in layers:
        if len(table):
            files.append(out / f"{name}-{grid.name}-{density.year}.tif")
            with atomic_file(files[-1]) as part:
                part.write_bytes(raster_bytes(raster_of(table, grid), list(table.columns), tags))
    return files


def raster_of(table: pd.DataFrame, grid: Grid) -> xr.Dataset:
    """Return the cells of a table as bands, (y, x), north up, NaN where the table has none.

    Args:
        table: One row a cell, by `row` and `column`.
        grid: What they are cells of.
    """
    rows, columns = (table.index.get_level_values(level).to_numpy() for level in (0, 1))
    top, left = rows.max(), columns.min()
    shape = (int(top - rows.min()) + 1, int(columns.max() - left) + 1)
    affine = Affine(grid.step, 0, float(left * grid.step), 0, -grid.step, float((top + 1) * grid.step))
    coordinates = xr_coords(GeoBox(shape, affine, grid.crs))
    dims = [name for name in coordinates if name != "spatial_ref"]
    raster = xr.Dataset(coords=coordinates)
    for name in table:
        band = np.full(shape, np.nan, dtype=table[name].to_numpy().dtype)
        band[top - rows, columns - left] = table[name].to_numpy()
        raster[name] = (dims, band, {"units": "m2" if str(name).endswith("m2") else ""})
    return raster


def _write_table(file: Path, by_year: dict[int, pd.DataFrame], key: str) -> None:
    tables = [table.rename_axis(key).reset_index().assign(year=year) for year, table in by_year.items()]
    table = pd.concat(tables, ignore_index=True)
    counts = {name: "int64" for name in table if str(name).startswith("n_") and name != "n_looks"}
    plain = table[["year", *table.columns.drop("year")]].round(3).astype(counts)
    with atomic_file(file) as part:
        plain.to_csv(part, index=False)


def _print(found: Sequence[Density], out: Path) -> None:
    years = []
    for one in found:
        cells = one.by_cell[GRIDS[0].name]
        sums = {name: float(cells[name].sum()) for name in ("observed_m2", "n_slumps", "area_m2")}
        expected = cells.loc[cells["observed_m2"] > 0, "expected_m2"]
        years.append(
            {"year": one.year, **sums, "expected_m2": float(expected.sum()) if expected.notna().any() else None}
        )
    say(json.dumps({"years": years, "folder": str(out)}, indent=2))


def _show(found: Sequence[Density], out: Path) -> None:
    rows = []
    n_unknown = n_seen = 0
    for one in found:
        cells = one.by_cell[GRIDS[0].name]
        seen = cells[cells["observed_m2"] > 0]
        n_seen, n_unknown = n_seen + len(seen), n_unknown + int(seen["expected_m2"].isna().sum())
        sums = cells[["observed_m2", "area_m2", "expected_m2"]].sum() / 1e6
        figures = [f"{sums['observed_m2']:.1f}", f"{cells['n_slumps'].sum():.0f}", f"{sums['area_m2']:.3f}"]
        expected = f"{sums['expected_m2']:.3f}" if seen["expected_m2"].notna().any() else "unknown"
        rows.append((str(one.year), *figures, expected))
    show_table("Ground and slumps", ("year", "seen km2", "slumps", "area km2", "expected km2"), rows)
    if n_unknown:
        say(
            f"of {n_unknown} of {n_seen} cells nothing is expected: tiles there tell no calibrated probabilities."
            " Map them with a calibrated model."
        )
    say(f"Written: {out}")
