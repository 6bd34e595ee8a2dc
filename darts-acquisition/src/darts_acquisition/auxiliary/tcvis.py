"""Twenty-year Landsat trends of tasselled-cap brightness, greenness and wetness (TCVIS) from a datacube."""

from pathlib import Path

import numpy as np
import shapely
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_acquisition.auxiliary.cube import STAGE_WITH, Cube, check_coverage, cube_path, open_cube, window_around

_VARIABLES = {"TCB_slope": "tc_brightness", "TCG_slope": "tc_greenness", "TCW_slope": "tc_wetness"}
_ANTIMERIDIAN_CRS = "+proj=longlat +datum=WGS84 +pm=180 +no_defs"
"""Longitudes counted from 180 degrees, so that a tile across the antimeridian is in one piece."""


def _grid() -> GeoBox:
    """Return the grid of the whole cube, as smart-geocubes defines it."""
    import smart_geocubes

    return smart_geocubes.TCTrend.extent


def load_tcvis(
    geobox: GeoBox,
    data_dir: Path,
    offline: bool = False,  # noqa: ARG001  (nothing is fetched yet, see below)
    *,
    stage_with: str = STAGE_WITH,
) -> xr.Dataset:
    """Return the trends around a tile, on the cube's own grid.

    Only what was filled into the cube is read, whether `offline` is set or not.

    Args:
        geobox: Grid of the tile, in any CRS.
        data_dir: The cube's icechunk folder, or the folder that it is in.
        offline: Only read what is staged.
        stage_with: Command to name in errors, which fetches what is missing.

    Returns:
        (y, x): `tc_brightness tc_greenness tc_wetness` uint8, 0 to 255, 0 where there is none, in EPSG:4326, or with
        longitudes from the antimeridian for a tile that crosses it. A margin of 4 pixels serves the cubic resampling.

    Raises:
        MissingDataError: If there is no cube.
        CoverageError: If the filled part of the cube does not hold the tile.
        DataError: If the cube is damaged.
    """
    cube = open_cube(cube_path(data_dir, "tcvis.icechunk"), _grid(), stage_with)
    parts = _footprint_parts(geobox)
    check_coverage(cube, shapely.union_all(parts), _filled_area(cube), stage_with)
    _, bottom, _, top = shapely.union_all(parts).bounds  # the same rows for both sides of the antimeridian
    boxes = [shapely.box(part.bounds[0], bottom, part.bounds[2], top) for part in parts]
    windows = [cube.read(list(_VARIABLES), window_around(cube.geobox, box, buffer_px=4)) for box in boxes]
    trends = windows[0] if len(windows) == 1 else _joined(windows)
    return _described(trends.rename(_VARIABLES))


def _footprint_parts(geobox: GeoBox) -> list[shapely.Geometry]:
    """Return the footprint in degrees, in two parts (west of 180 first) if it crosses the antimeridian."""
    shifted = geobox.footprint(_ANTIMERIDIAN_CRS, npoints=100).geom
    left, _, right, _ = shifted.bounds
    if left < 0 < right and right - left < 180:
        west = shapely.intersection(shifted, shapely.box(-180, -90, 0, 90))
        east = shapely.intersection(shifted, shapely.box(0, -90, 180, 90))
        return [_moved(west, 180), _moved(east, -180)]
    return [geobox.footprint("EPSG:4326", npoints=100).geom]


def _moved(geometry: shapely.Geometry, degrees: float) -> shapely.Geometry:
    return shapely.transform(geometry, lambda lonlat: np.add(lonlat, [degrees, 0]))


def _filled_area(cube: Cube) -> shapely.Geometry:
    """Return the union of all areas that were filled into the cube, in degrees."""
    recorded = cube.recorded_bounds
    boxes = [shapely.box(*bounds) for bounds in recorded.values()]
    chunk = _chunk_px(cube)
    for patch in cube.patches:
        row, _, column = patch.partition("-")
        if patch not in recorded and row.isdigit() and column.isdigit():
            rows = slice(int(row) * chunk, min((int(row) + 1) * chunk, cube.geobox.shape[0]))
            columns = slice(int(column) * chunk, min((int(column) + 1) * chunk, cube.geobox.shape[1]))
            boxes.append(cube.geobox[rows, columns].extent.geom)
    # bounds of neighbouring chunks differ in the last bits; a hair of overlap closes the cracks between them
    return shapely.union_all(shapely.buffer(boxes, 1e-9, join_style="mitre"))


def _chunk_px(cube: Cube) -> int:
    return int(cube.group["TCB_slope"].chunks[0])  # type: ignore[union-attr]


def _joined(windows: list[xr.Dataset]) -> xr.Dataset:
    """Return the windows west and east of the antimeridian side by side, with longitudes counted from 180 degrees."""
    west = windows[0].odc.geobox
    width = sum(window.sizes["x"] for window in windows)
    affine = Affine(west.affine.a, 0, west.affine.c - 180, 0, west.affine.e, west.affine.f)
    grid = GeoBox((west.shape[0], width), affine, _ANTIMERIDIAN_CRS)
    return xr.Dataset(
        {
            name: wrap_xr(
                np.concatenate([window[name].values for window in windows], axis=1), grid, nodata=None, always_yx=True
            )
            for name in _VARIABLES
        }
    )


def _described(trends: xr.Dataset) -> xr.Dataset:
    for name in _VARIABLES.values():
        label = name.removeprefix("tc_").capitalize()
        trends[name].attrs = {"long_name": f"Tasselled-cap {label} trend", "data_source": "TCVIS, Landsat 2000-2019"}
    return trends
