"""Layers of outlines that a user names: inventories, and files of whatever kind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from pyarrow import ArrowException
from shapely.errors import ShapelyError

from darts.utils.terminal import note
from darts_postprocessing.inventory.published import whole_years
from darts_postprocessing.inventory.said import FILE, inventory_in, read_said
from darts_postprocessing.review.verdicts import FOLDER, of_this_map
from darts_utils.errors import ConfigError, DataError, one_line

_SLUMPS = "slumps"
_HIGHEST = (180.0, 90.0)
_UNREADABLE = (OSError, ValueError, RuntimeError, KeyError, TypeError, ArrowException, ShapelyError)
"""What GDAL, pyarrow, geopandas and shapely raise about damaged files."""


def read_layer(path: Path, year: int | None = None) -> gpd.GeoDataFrame:
    """Return a layer of outlines with its columns, of one year.

    Args:
        path: An inventory, of which the slumps of a year are read, or a file of polygons, see `read_years`.
        year: The year of an inventory; its only one if not given. Of a file with a column `year` those rows; it is said
            how many rows tell none.

    Raises:
        ConfigError: If there is no such file or year, or an inventory of several years is to give all of them.
        DataError: If it cannot be read, or has years that are no whole numbers.
    """
    path = inventory_in(path)
    table = read_years(path)
    if "year" not in table or (year is None and not _is_inventory(path)):
        return table
    return _of_year(table, path, year)


def read_years(path: Path) -> gpd.GeoDataFrame:
    """Return a layer of outlines with its columns, of all years.

    Args:
        path: An inventory, of which the slumps are read, or a file of polygons: GeoParquet, or what GDAL reads
            (GeoPackage, Shapefile, GeoJSON, also inside of a zip).

    Raises:
        ConfigError: If there is no such file.
        DataError: If it cannot be read, or has no outlines.
    """
    path = inventory_in(path)
    if not path.exists():
        raise ConfigError(f"there is no layer {path}. Give an inventory or a file of polygons.")
    try:
        if _is_inventory(path):
            return read_part(path, _SLUMPS)
        is_parquet = path.suffix == ".parquet"
        table: gpd.GeoDataFrame = gpd.read_parquet(path) if is_parquet else gpd.read_file(path, layer=_layer_in(path))
    except DataError:
        raise
    except _UNREADABLE as error:
        reason = one_line(error, 160)
        raise DataError(f"{path} cannot be read as polygons ({reason}). Give an inventory or a layer.") from error
    if not isinstance(table, gpd.GeoDataFrame):
        raise DataError(f"{path} is a table without outlines. Give an inventory or a layer of polygons.")
    return table


def read_part(inventory: Path, name: str, columns: Sequence[str] | None = None, **how: Any) -> gpd.GeoDataFrame:
    """Return a layer of an inventory, in longitude and latitude.

    Args:
        inventory: Its folder.
        name: Of the layer, such as `slumps`.
        columns: Those that are wanted; all if not given.
        how: Further arguments of `geopandas.read_parquet`.

    Raises:
        DataError: If it is missing or damaged, or a command that changed the inventory was not finished.
    """
    if (inventory / FILE).is_file():
        read_said(inventory)
    wanted = None if columns is None else list(columns)
    try:
        table: gpd.GeoDataFrame = gpd.read_parquet(inventory / name, columns=wanted, **how)
        if not _are_degrees(table):
            raise ValueError("it has coordinates that are no degrees")
    except _UNREADABLE as error:
        reason = one_line(error, 160)
        raise DataError(f"{inventory / name} cannot be read ({reason}). Build the inventory again.") from error
    return table


def read_verdicts(inventory: Path) -> gpd.GeoDataFrame | None:
    """Return the verdicts of an inventory on slumps that it has; None if there are none.

    Raises:
        DataError: If they are damaged.
    """
    if not (inventory / FOLDER).is_dir():
        return None
    slumps = read_part(inventory, _SLUMPS, ["slump_id", "year", "geometry"])
    rows = read_part(inventory, FOLDER)
    if lacking := [name for name in ("reviewed_at", "first_at", "verdict") if name not in rows]:
        raise DataError(
            f"{inventory / FOLDER} has no {' and '.join(lacking)}, so it is of another release, or damaged. Delete it, "
            "and bring the verdicts again with `darts inventory verdicts`."
        )
    found = of_this_map(rows, slumps)
    return None if found.empty else gpd.GeoDataFrame(found).reset_index(drop=True)


def _are_degrees(table: gpd.GeoDataFrame) -> bool:
    """Tell whether all coordinates, of all outlines, are longitudes and latitudes."""
    geometries = table.select_dtypes("geometry")
    corners = [np.abs(shapely.get_coordinates(geometries[name].to_numpy())) for name in geometries]
    return all(bool((one <= _HIGHEST).all()) for one in corners)  # of what is no number, too, this is false


def _is_inventory(path: Path) -> bool:
    return (path / _SLUMPS).is_dir()


def _layer_in(file: Path) -> str | None:
    """Return the layer of a file that is meant: the slumps, else the first one with outlines."""
    layers = gpd.list_layers(file)
    names = [str(name) for name in layers["name"][layers["geometry_type"].notna()]]
    return _SLUMPS if _SLUMPS in names else next(iter(names), None)


def _of_year(table: gpd.GeoDataFrame, path: Path, year: int | None) -> gpd.GeoDataFrame:
    of_rows = whole_years(table, str(path))
    years = sorted(int(one) for one in of_rows.dropna().unique())
    if year is None and len(years) > 1:
        raise ConfigError(f"{path} has the years {', '.join(map(str, years))}. Choose one with --year.")
    if year is not None and year not in years:
        raise ConfigError(f"{path} has no slumps of {year}, but of {', '.join(map(str, years)) or 'no year'}.")
    if year is None:
        return table
    if n_unknown := int(of_rows.isna().sum()):
        note(f"{n_unknown} of {len(table)} rows of {path} have no year, and are left out.")
    wanted: gpd.GeoDataFrame = table[of_rows.eq(year).fillna(value=False)].reset_index(drop=True)
    return wanted
