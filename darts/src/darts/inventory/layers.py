"""Layers of outlines that a user names: inventories, and files of whatever kind."""

from pathlib import Path

import geopandas as gpd
from pyarrow import ArrowException

from darts_utils.errors import ConfigError, DataError

_SLUMPS = "slumps"


def read_layer(path: Path, year: int | None = None) -> gpd.GeoDataFrame:
    """Return a layer of outlines with its columns, of one year.

    Args:
        path: An inventory, of which the slumps of a year are read, or a file of polygons, see `read_years`.
        year: The year of an inventory; its only one if not given. Of a file with a column `year` those rows.

    Raises:
        ConfigError: If there is no such file or year, or an inventory of several years is to give all of them.
        DataError: If it cannot be read.
    """
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
    if not path.exists():
        raise ConfigError(f"there is no layer {path}. Give an inventory or a file of polygons.")
    try:
        if _is_inventory(path):
            return gpd.read_parquet(path / _SLUMPS)
        is_parquet = path.suffix == ".parquet"
        table: gpd.GeoDataFrame = gpd.read_parquet(path) if is_parquet else gpd.read_file(path, layer=_layer_in(path))
    except (OSError, ValueError, RuntimeError, ArrowException) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path} cannot be read as polygons ({reason}). Give an inventory or a layer.") from error
    if not isinstance(table, gpd.GeoDataFrame):
        raise DataError(f"{path} is a table without outlines. Give an inventory or a layer of polygons.")
    return table


def _is_inventory(path: Path) -> bool:
    return (path / _SLUMPS).is_dir()


def _layer_in(file: Path) -> str | None:
    """Return the layer of a file that is meant: the slumps, else the first one with outlines."""
    layers = gpd.list_layers(file)
    names = [str(name) for name in layers["name"][layers["geometry_type"].notna()]]
    return _SLUMPS if _SLUMPS in names else next(iter(names), None)


def _of_year(table: gpd.GeoDataFrame, path: Path, year: int | None) -> gpd.GeoDataFrame:
    years = sorted(int(one) for one in table["year"].dropna().unique())
    if year is None and len(years) > 1:
        raise ConfigError(f"{path} has the years {', '.join(map(str, years))}. Choose one with --year.")
    if year is not None and year not in years:
        raise ConfigError(f"{path} has no slumps of {year}, but of {', '.join(map(str, years)) or 'no year'}.")
    wanted: gpd.GeoDataFrame = table if year is None else table[table["year"] == year].reset_index(drop=True)
    return wanted
