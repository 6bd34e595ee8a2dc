"""Elevation from a datacube of the ArcticDEM mosaics, version 4.1."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from darts_acquisition.auxiliary.cube import (
    STAGE_WITH,
    Cube,
    check_coverage,
    cube_path,
    open_cube,
    uncovered,
    window_around,
)
from darts_acquisition.auxiliary.filling import Chunk, chunk_geobox, fill, missing_chunks
from darts_acquisition.catalog.areas import polar_area
from darts_utils.errors import ConfigError, DataError, MissingDataError
from darts_utils.rasters.row_blocks import row_blocks

type Resolution = Literal[2, 10, 32]

CRS = "EPSG:3413"
_VARIABLES = {"dem": "f", "datamask": "bui"}
"""With the kinds of type that they may have; the mask of most cubes is int8, as xarray long wrote truth values."""
OUTLINE_POINTS = 100
"""Points an edge of a tile's outline, because straight lines bend from CRS to CRS."""
_MOSAIC_TILE_M = 100_000
_MOSAIC_ORIGIN_M = -4_000_000
_SPARE_M = 500
"""Margin around an area that is staged: its edges bend from CRS to CRS, lengths differ by some percent, and a margin
that was drawn with round corners lacks what a load with pointed ones needs."""
_LOWEST_ELEVATION_M = -9000.0
"""Anything below is the mosaics' no-data value -9999, blurred or not."""


def _accessor(resolution: int) -> Any:
    """Return the class of smart-geocubes that defines the cube of a resolution."""
    import smart_geocubes

    accessors = {2: smart_geocubes.ArcticDEM2m, 10: smart_geocubes.ArcticDEM10m, 32: smart_geocubes.ArcticDEM32m}
    if resolution not in accessors:
        raise ConfigError(f"ArcticDEM resolution is {resolution} m but must be 2, 10 or 32.")
    return accessors[resolution]


def _cube_path(data_dir: Path, resolution: int) -> Path:
    return cube_path(data_dir, f"arcticdem_{resolution}m.icechunk")


def load_arcticdem(
    geobox: GeoBox,
    data_dir: Path,
    resolution: Resolution,
    buffer: int = 0,
    offline: bool = False,
    *,
    stage_with: str = STAGE_WITH,
) -> xr.Dataset:
    """Return the elevation around a tile, on the cube's own grid.

    What the cube lacks is fetched into it before, chunk by chunk; if nothing is lacking, nothing is asked.

    Args:
        geobox: Grid of the tile, in any CRS.
        data_dir: The cube's icechunk folder, or the folder that it is in.
        resolution: Pixel size of the mosaics in metres.
        buffer: Margin around the tile in pixels of the cube.
        offline: Only read what is staged: no socket is opened and nothing is written.
        stage_with: Command to name in errors, which fetches what is missing.

    Returns:
        (y, x) in EPSG:3413: `dem` float32, metres, NaN = no data; `datamask` and `arcticdem_data_mask` uint8, 1 = the
        DEM has data.

    Raises:
        ConfigError: If the resolution is none of the mosaics'.
        MissingDataError: If there is no cube, or, online, the service lacks a mosaic tile that its index names.
        CoverageError: If the filled part of the cube does not hold the tile and its margin; online, if some of it lies
            outside of the cube's grid.
        DataError: If the cube is damaged.
        ServiceError: If the service does not answer.
        OutputError: If the cube cannot be written.
    """
    accessor, path = _accessor(resolution), _cube_path(data_dir, resolution)
    needed = _needed(geobox.footprint(CRS, npoints=OUTLINE_POINTS).geom, resolution, buffer)
    if not offline:
        _fill(path, resolution, _missing(path, resolution, needed))
    cube = open_cube(path, accessor.extent, stage_with)
    check_coverage(cube, needed, filled_area(cube), stage_with)
    raw = cube.read(_VARIABLES, window_around(cube.geobox, needed, buffer_px=1))
    return _masked(raw)


def download_arcticdem(
    aoi: gpd.GeoDataFrame,
    data_dir: Path,
    resolution: Resolution,
    *,
    on_bytes: Callable[[int], None] | None = None,
) -> None:
    """Fill the elevation of an area into a datacube, which is made if there is none.

    What is there is not fetched again; if nothing is lacking, nothing is asked. Open sea, for which there are no mosaic
    tiles, counts as staged, too. A load of tiles within the area then needs no network.

    Args:
        aoi: Polygons in any CRS, with the margin around the tiles that a load will ask for.
        data_dir: The cube's icechunk folder, or the folder that it is to be in.
        resolution: Pixel size of the mosaics in metres.
        on_bytes: Is told the size of each chunk's layers, uncompressed, once they are in the cube.

    Raises:
        ConfigError: If the resolution is none of the mosaics', or the area is no area.
        MissingDataError: If the service lacks a mosaic tile that its index names.
        DataError: If the cube is damaged.
        ServiceError: If the service does not answer.
        OutputError: If the cube cannot be written.
    """
    chunks = missing_arcticdem(aoi, data_dir, resolution)
    _fill(_cube_path(data_dir, resolution), resolution, chunks, on_bytes)


def missing_arcticdem(aoi: gpd.GeoDataFrame, data_dir: Path, resolution: Resolution) -> list[Chunk]:
    """Return what `download_arcticdem` would fetch, without asking the network.

    Raises:
        ConfigError: If the resolution is none of the mosaics', or the area is no area.
        DataError: If the cube is damaged.
    """
    _accessor(resolution)
    area = shapely.buffer(polar_area(aoi, CRS), _SPARE_M, join_style="mitre")
    return _missing(_cube_path(data_dir, resolution), resolution, area)


def arcticdem_to_fetch(
    footprints: gpd.GeoDataFrame, data_dir: Path, resolution: Resolution, buffer: int
) -> list[Chunk]:
    """Return what loads of tiles would fetch, without asking the network.

    Args:
        footprints: Outlines of the tiles, `OUTLINE_POINTS` an edge.
        data_dir: The cube's icechunk folder, or the folder that it is to be in.
        resolution: Pixel size of the mosaics in metres.
        buffer: Margin around each tile in pixels of the cube, as of the loads.

    Raises:
        DataError: If the cube is damaged.
    """
    needed = shapely.union_all([_needed(shape, resolution, buffer) for shape in footprints.to_crs(CRS).geometry])
    return _missing(_cube_path(data_dir, resolution), resolution, needed)


def arcticdem_staged(footprints: gpd.GeoDataFrame, data_dir: Path, resolution: Resolution, buffer: int) -> list[bool]:
    """Tell for each tile whether an offline load finds all that it needs; see `arcticdem_to_fetch`."""
    try:
        cube = open_cube(_cube_path(data_dir, resolution), _accessor(resolution).extent, STAGE_WITH)
        filled = filled_area(cube)
    except (MissingDataError, DataError):
        return [False] * len(footprints)
    shapes = footprints.to_crs(CRS).geometry
    return [uncovered(cube, _needed(shape, resolution, buffer), filled) is None for shape in shapes]


def _needed(footprint: shapely.Geometry, resolution: int, buffer: int) -> shapely.Geometry:
    """Return the ground that a load needs around the footprint of a tile, in EPSG:3413."""
    return shapely.buffer(footprint, buffer * resolution, join_style="mitre")


def _missing(path: Path, resolution: int, area: shapely.Geometry) -> list[Chunk]:
    return missing_chunks(path, _accessor(resolution), area, filled_area, _chunk_id)


def _chunk_id(row: int, column: int) -> str:
    """Return the patch id of a chunk; the ids of mosaic tiles, which older cubes were filled with, begin otherwise."""
    return f"chunk-{row}-{column}"


def _fill(path: Path, resolution: int, chunks: list[Chunk], on_bytes: Callable[[int], None] | None = None) -> None:
    if not chunks:
        return
    from darts_acquisition.auxiliary.arcticdem_mosaics import Mosaics, read_index

    mosaics = Mosaics(read_index(path.parent / "arcticdem_index", resolution), resolution)
    fill(path, _accessor(resolution), chunks, mosaics.read, on_bytes)


def _masked(raw: xr.Dataset) -> xr.Dataset:
    """Return elevation with NaN where the mosaics have none: unfilled parts of a cube hold zeros, masked ones -9999."""
    # in place and strip by strip: around an orthotile the arrays have 300 million cells, and nobody else has seen them
    elevation = raw.dem.values.astype(np.float32, copy=False)
    has_data = raw.datamask.values.astype(np.uint8, copy=False)
    for rows in row_blocks(len(elevation)):
        known = (has_data[rows] != 0) & (elevation[rows] > _LOWEST_ELEVATION_M) & (elevation[rows] < np.inf)
        elevation[rows][~known] = np.nan
        has_data[rows] = known
    mask = raw.datamask.copy(data=has_data)
    mask.attrs = {"long_name": "ArcticDEM data mask", "description": "1 = the DEM has data", "data_source": "ArcticDEM"}
    dem = raw.dem.copy(data=elevation)
    dem.attrs = {"long_name": "Elevation", "units": "m", "data_source": "ArcticDEM v4.1", "nodata": np.nan}
    return xr.Dataset({"dem": dem, "datamask": mask, "arcticdem_data_mask": mask.copy(deep=False)})


def filled_area(cube: Cube) -> shapely.Geometry:
    """Return the union of all areas that were filled into the cube, in EPSG:3413."""
    recorded = cube.recorded_bounds
    boxes = [shapely.box(*bounds) for bounds in recorded.values()]
    others = [patch for patch in cube.patches if patch not in recorded]
    return shapely.union_all(boxes + _chunks(others, cube.geobox) + _mosaic_tiles(others))


def _chunks(patches: list[str], grid: GeoBox) -> list[shapely.Geometry]:
    """Return the footprints of chunks by their ids, as `_chunk_id` gives them."""
    accessor = _accessor(round(grid.resolution.x))
    found = [re.fullmatch(r"chunk-(\d+)-(\d+)", patch) for patch in patches]
    return [chunk_geobox(accessor, int(chunk[1]), int(chunk[2])).extent.geom for chunk in found if chunk is not None]


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
