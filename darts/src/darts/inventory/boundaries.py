"""The regions around an inventory, of a file of polygons; only those near are read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import shapely

from darts_postprocessing.density.regions import Regions
from darts_postprocessing.inventory.parts import parts_of
from darts_postprocessing.inventory.plane import PLANE_CRS
from darts_utils.crs import transformer
from darts_utils.errors import ConfigError, DataError, one_line
from darts_utils.rasters.arrays import Array

type Bounds = tuple[float, float, float, float]

_EDGE_M = 10_000.0
"""Of places: straight in the plane is curved elsewhere, by some ten metres over such a length."""
_GREENWICH, _ANTIMERIDIAN = (shapely.LineString([(0, 0), (0, y)]) for y in (-9_000_000, 9_000_000))
"""In the plane, from the pole on."""
_BESIDE = 1e-3
"""Share of its extent by which a place is looked at beyond it."""


def regions_near(inventory: Path, file: Path, column: str) -> Regions:
    """Return the regions around an inventory.

    Args:
        inventory: Its folder.
        file: GeoParquet, or what GDAL reads.
        column: With the names of regions.

    Raises:
        ConfigError: If there is no such file.
        DataError: If it cannot be read, or has no polygons.
    """
    if not file.exists():
        raise ConfigError(f"there are no regions {file}. Give a file of polygons.")
    bounds = [part.bounds for part in parts_of(inventory, "looks")]
    near = np.array([shapely.box(*one) for one in bounds if one is not None], dtype=object)
    return Regions(_read(file, near), column, str(file))


def _read(file: Path, near: Array) -> gpd.GeoDataFrame:
    """Return the polygons of a file around some places of the plane; all of a file of other than GDAL's."""
    try:
        table = gpd.read_parquet(file) if file.suffix == ".parquet" else _read_near(file, near)
    except DataError:
        raise
    except Exception as error:  # GDAL and geopandas have many errors about what they cannot read
        raise DataError(
            f"the regions {file} cannot be read ({one_line(error, 160)}). Give a layer of polygons."
        ) from error
    if not isinstance(table, gpd.GeoDataFrame):
        raise DataError(f"{file} is a table without outlines. Give a layer of polygons.")
    if file.suffix == ".parquet" and table.empty:
        raise _no_polygons(file)
    return table


def _read_near(file: Path, near: Array) -> Any:
    """Return what a file of GDAL's has around some places, each row once."""
    said = pyogrio.read_info(file, force_feature_count=True)
    if not said["features"] or any(kind in (said["geometry_type"] or "") for kind in ("Point", "Line")):
        raise _no_polygons(file)
    windows: Sequence[Bounds | None] = [] if said["crs"] is None else windows_around(near, said["crs"])
    extent = said["total_bounds"]  # None where that would take long
    reached = [window for window in windows if window is None or extent is None or _overlap(window, extent)]
    tables = [gpd.read_file(file, bbox=window, fid_as_index=True) for window in reached or windows[:1] or [None]]
    filled = [table for table in tables if len(table)] or tables[:1]
    table = pd.concat(filled)
    return table[~table.index.duplicated()].sort_index()


def windows_around(near: Array, crs: Any) -> list[Bounds]:
    """Return bounds, in some CRS, that hold all that lies around some places; none where that is not known.

    In degrees there are several: the west and the east, and each of them as layers write it whose polygons go on beyond
    180 degrees; that of the whole world is read for nothing else than a slump on the antimeridian.

    Args:
        near: (place,) polygons of the plane.
        crs: Of the layer that is to be read.
    """
    corners = shapely.get_coordinates(shapely.segmentize(near, _EDGE_M))
    x, y = transformer(PLANE_CRS, pyproj.CRS(crs)).transform(corners[:, 0], corners[:, 1])
    if not len(corners) or not np.isfinite([x, y]).all():
        return []
    if not pyproj.CRS(crs).is_geographic:
        return [_widened(x, y)]
    if shapely.dwithin(near, shapely.Point(0, 0), _EDGE_M).any():  # all meridians meet at the pole
        return [(-540.0, float(np.min(y)), 540.0, 90.0)]
    sides = []
    for side, half in ((-1, x < 0), (1, x >= 0)):  # corners do not reach the meridians that a place lies across
        across = [
            edge for edge, line in ((0, _GREENWICH), (180, _ANTIMERIDIAN)) if shapely.intersects(near, line).any()
        ]
        sides.append(np.concatenate([x[half], side * np.array(across, dtype=np.float64)]))
    return [_widened(side + turn, y) for side in sides if len(side) for turn in (0, 360, -360)]


def _overlap(one: Bounds, other: Sequence[float]) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _widened(x: Array, y: Array) -> Bounds:
    left, right, bottom, top = (float(edge(one)) for one in (x, y) for edge in (np.min, np.max))
    more = _BESIDE * max(right - left, top - bottom)
    return left - more, bottom - more, right + more, top + more


def _no_polygons(file: Path) -> DataError:
    return DataError(f"{file} has no polygons. Give a layer of regions.")
