"""The files of a tile: names, headers, and tables with their outlines in the plane."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyproj
import shapely
from pyarrow import ArrowException
from pyproj.exceptions import CRSError
from shapely.errors import ShapelyError

from darts_postprocessing.inventory.plane import PLANE_CRS, to_plane
from darts_utils.crs import LONGLAT, transformer
from darts_utils.errors import DataError, MissingDataError, one_line
from darts_utils.rasters.arrays import Array

SEGMENTS, OBSERVED, EXTENT = "prediction_segments.parquet", "prediction_observed.parquet", "prediction_extent.parquet"
DENSITY = "prediction_density.parquet"
RECORD = "darts_inference.json"
_AREAL = (3, 6)
"""Polygon and multipolygon, as shapely numbers them."""
_EQUATOR_M = 9_100_000.0
"""A little farther from the pole than the equator, in the plane."""


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record of a tile, empty if there is none.

    Raises:
        DataError: If it is damaged.
    """
    file = folder / RECORD
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} cannot be read. Map the tile again with --overwrite.") from error
    if not isinstance(content, dict) or not isinstance(content.get("acquired", ""), str | None):
        raise DataError(f"{file} is no record of a tile. Map the tile again with --overwrite.")
    return content


def header(file: Path) -> Any:
    """Return the schema of a table, whose metadata are the tags of its tile."""
    try:
        return pq.read_schema(file)
    except FileNotFoundError as error:
        raise MissingDataError(
            f"there is no {file}. Export the tile again with `--export-bands polygonized`."
        ) from error
    except (OSError, ArrowException) as error:
        raise damaged(file, error) from error


def damaged(file: Path, why: BaseException | str) -> DataError:
    """Return what is raised about a table that cannot be used, with the reason."""
    reason = why if isinstance(why, str) else one_line(why, 120)
    return DataError(f"{file} cannot be read ({reason}). Map the tile again.")


def geometry_of(metadata: Mapping[bytes, bytes], file: Path) -> tuple[str, pyproj.CRS]:
    """Return the column of the outlines of a table, and their CRS.

    Args:
        metadata: Of the table.
        file: The table.

    Raises:
        DataError: If it does not tell them, or the CRS is unknown.
    """
    try:
        geo = json.loads(metadata[b"geo"])
        name = str(geo["primary_column"])
        crs = geo["columns"][name].get("crs", LONGLAT)  # what GeoParquet leaves out is longitude and latitude
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file} does not say where it lies. Map the tile again.") from error
    if crs is None:
        raise DataError(f"{file} does not say in which coordinates it is. Map the tile again.")
    try:
        return name, _crs_of(crs if isinstance(crs, str) else json.dumps(crs))
    except CRSError as error:
        raise DataError(f"{file} is in coordinates that nobody knows ({error}). Map the tile again.") from error


@lru_cache(maxsize=64)
def _crs_of(said: str) -> pyproj.CRS:
    """Return a CRS; tiles are many, and their systems few."""
    return pyproj.CRS.from_user_input(said)


def read_table(file: Path, needed: Sequence[str] = ()) -> tuple[pd.DataFrame, Array, pyproj.CRS]:
    """Return a table, its outlines, and their CRS; geopandas takes longer to read what the CRS is than all the rest.

    Args:
        file: The table.
        needed: Columns that it must have.

    Raises:
        DataError: If it is damaged, lacks a column, or does not say where it lies.
    """
    try:
        table = pq.read_table(file)
    except (OSError, ArrowException) as error:
        raise damaged(file, error) from error
    column, crs = geometry_of(table.schema.metadata or {}, file)
    try:
        shapes = shapely.from_wkb(table[column].to_numpy())
    except (KeyError, TypeError, ShapelyError) as error:
        raise damaged(file, error) from error
    lacking = [name for name in needed if name not in table.column_names]
    if lacking:
        raise DataError(f"{file} lacks {', '.join(lacking)}: an earlier release wrote it. Export the tile again.")
    return table.drop_columns([column]).to_pandas(), shapes, crs


def placed(outlines: Array, crs: pyproj.CRS, file: Path) -> Array:
    """Return outlines in the plane.

    Args:
        outlines: (row,) shapes.
        crs: Of their coordinates.
        file: The table that they are of.

    Raises:
        DataError: If one is no polygon, is empty, or does not lie on the northern half of the Earth.
    """
    is_ground = np.isin(shapely.get_type_id(outlines), _AREAL) & ~shapely.is_empty(outlines)
    if not is_ground.all():
        raise damaged(file, f"{np.count_nonzero(~is_ground)} rows have no polygon")
    bounds = shapely.bounds(outlines)
    places = transformer(crs, PLANE_CRS).transform(bounds[:, ::2], bounds[:, 1::2])
    if not (np.abs(places) <= _EQUATOR_M).all():  # nor where it is no number
        raise damaged(file, f"its outlines do not lie on the northern half of the Earth, so not in {crs.name}")
    return to_plane(outlines, crs)
