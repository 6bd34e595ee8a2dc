"""Elevation from a datacube of the ArcticDEM mosaics, version 4.1."""

import re
from pathlib import Path
from typing import Literal

import numpy as np
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from darts_acquisition.auxiliary.cube import Cube, check_coverage, cube_path, open_cube, window_around
from darts_utils.errors import ConfigError

type Resolution = Literal[2, 10, 32]

CRS = "EPSG:3413"
_MOSAIC_TILE_M = 100_000
_MOSAIC_ORIGIN_M = -4_000_000
_LOWEST_ELEVATION_M = -9000.0
"""Anything below is the mosaics' no-data value -9999, blurred or not."""


def _grid(resolution: int) -> GeoBox:
    """Return the grid of the whole cube, as smart-geocubes defines it."""
    import smart_geocubes

    cubes = {2: smart_geocubes.ArcticDEM2m, 10: smart_geocubes.ArcticDEM10m, 32: smart_geocubes.ArcticDEM32m}
    if resolution not in cubes:
        raise ConfigError(f"ArcticDEM resolution is {resolution} m but must be 2, 10 or 32.")
    return cubes[resolution].extent


def load_arcticdem(
    geobox: GeoBox,
    data_dir: Path,
    resolution: Resolution,
    buffer: int = 0,
    offline: bool = False,  # noqa: ARG001  (nothing is fetched yet, see below)
    *,
    stage_with: str = "darts prep-data sentinel2 --aux",
) -> xr.Dataset:
    """Return the elevation around a tile, on the cube's own grid.

    Only what was filled into the cube is read, whether `offline` is set or not.

    Args:
        geobox: Grid of the tile, in any CRS.
        data_dir: The cube's icechunk folder, or the folder that it is in.
        resolution: Pixel size of the mosaics in metres.
        buffer: Margin around the tile in pixels of the cube.
        offline: Only read what is staged.
        stage_with: Command to name in errors, which fetches what is missing.

    Returns:
        (y, x) in EPSG:3413: `dem` float32, metres, NaN = no data; `datamask` and `arcticdem_data_mask` uint8, 1 = the
        DEM has data.

    Raises:
        ConfigError: If the resolution is none of the mosaics'.
        MissingDataError: If there is no cube.
        CoverageError: If the filled part of the cube does not hold the tile and its margin.
        DataError: If the cube is damaged.
    """
    cube = open_cube(cube_path(data_dir, f"arcticdem_{resolution}m.icechunk"), _grid(resolution), stage_with)
    footprint = geobox.footprint(CRS, npoints=100).geom
    needed = shapely.buffer(footprint, buffer * resolution, join_style="mitre")
    check_coverage(cube, needed, filled_area(cube), stage_with)
    raw = cube.read(["dem", "datamask"], window_around(cube.geobox, needed, buffer_px=1))
    return _masked(raw)


def _masked(raw: xr.Dataset) -> xr.Dataset:
    """Return elevation with NaN where the mosaics have none: unfilled parts of a cube hold zeros, masked ones -9999."""
    elevation = raw.dem.values.astype(np.float32)
    has_data = raw.datamask.values.astype(bool) & np.isfinite(elevation) & (elevation > _LOWEST_ELEVATION_M)
    elevation[~has_data] = np.nan
    mask = raw.datamask.copy(data=has_data.astype(np.uint8))
    mask.attrs = {"long_name": "ArcticDEM data mask", "description": "1 = the DEM has data", "data_source": "ArcticDEM"}
    dem = raw.dem.copy(data=elevation)
    dem.attrs = {"long_name": "Elevation", "units": "m", "data_source": "ArcticDEM v4.1"}
    return xr.Dataset({"dem": dem, "datamask": mask, "arcticdem_data_mask": mask.copy()})


def filled_area(cube: Cube) -> shapely.Geometry:
    """Return the union of all areas that were filled into the cube, in EPSG:3413."""
    recorded = cube.recorded_bounds
    boxes = [shapely.box(*bounds) for bounds in recorded.values()]
    return shapely.union_all(boxes + _mosaic_tiles([patch for patch in cube.patches if patch not in recorded]))


def _mosaic_tiles(patches: list[str]) -> list[shapely.Geometry]:
    """Return the footprints of mosaic tiles by their ids: `row_column_...`, or quarters of them at 2 m.

    A tile of which only some quarters are there does not count: which quarter is where is not in the id.
    """
    quarters: dict[tuple[int, int], set[str]] = {}
    boxes = []
    for patch in patches:
        tile = re.match(r"(\d{2})_(\d{2})_(?:([12]_[12])_)?\d+m", patch)
        if tile is None:
            continue
        row_column = int(tile[1]), int(tile[2])
        found = quarters.setdefault(row_column, set())
        found.add(tile[3] or "whole")
        if "whole" in found or len(found) == 4:
            boxes.append(_mosaic_tile(*row_column))
    return boxes


def _mosaic_tile(row: int, column: int) -> shapely.Geometry:
    """Return the footprint of a mosaic tile: rows count from the south, columns from the west, from 1."""
    left = _MOSAIC_ORIGIN_M + (column - 1) * _MOSAIC_TILE_M
    bottom = _MOSAIC_ORIGIN_M + (row - 1) * _MOSAIC_TILE_M
    return shapely.box(left, bottom, left + _MOSAIC_TILE_M, bottom + _MOSAIC_TILE_M)
