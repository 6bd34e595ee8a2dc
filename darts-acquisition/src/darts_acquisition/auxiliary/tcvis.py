"""Twenty-year Landsat trends of tasselled-cap brightness, greenness and wetness (TCVIS) from a datacube."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_acquisition.auxiliary.cube import STAGE_WITH, check_coverage, open_cube, uncovered, window_around
from darts_acquisition.auxiliary.filling import Chunk
from darts_acquisition.auxiliary.tcvis_download import fill_tcvis, filled_area, missing_in
from darts_acquisition.auxiliary.tcvis_years import accessor, period, tcvis_path
from darts_utils.errors import DataError, MissingDataError

_VARIABLES = {"TCB_slope": "tc_brightness", "TCG_slope": "tc_greenness", "TCW_slope": "tc_wetness"}
_MARGIN_PX = 8
"""What cubic resampling reads beyond a tile, and some more, because GDAL is slower at the edge of what it is given."""
_ANTIMERIDIAN_CRS = "+proj=longlat +datum=WGS84 +pm=180 +no_defs"
"""Longitudes counted from 180 degrees, so that a tile across the antimeridian is in one piece."""


def load_tcvis(
    geobox: GeoBox,
    data_dir: Path,
    offline: bool = False,
    *,
    year: int | None = None,
    stage_with: str = STAGE_WITH,
) -> xr.Dataset:
    """Return the trends around a tile, on the cube's own grid.

    What the cube lacks is fetched into it before, chunk by chunk; if nothing is lacking, nothing is asked.

    Args:
        geobox: Grid of the tile, in any CRS.
        data_dir: The cube's icechunk folder, or the folder that it is in.
        offline: Only read what is staged: no socket is opened and nothing is written.
        year: Last year of the trends, 2019, 2020, 2022 or 2024; None for the newest, in the cube for all images.
        stage_with: Command to name in errors, which fetches what is missing.

    Returns:
        (y, x): `tc_brightness tc_greenness tc_wetness` uint8, 0 to 255, 0 where there is none, in EPSG:4326, or with
        longitudes from the antimeridian for a tile that crosses it. A margin of 8 pixels serves the cubic resampling.

    Raises:
        ConfigError: If there are no trends up to the year.
        MissingDataError: If there is no cube, or, online, the account may not read the trends.
        CoverageError: If the filled part of the cube does not hold the tile.
        DataError: If the cube is damaged.
        CredentialsError: If something must be fetched and the credentials for Earth Engine are missing or refused.
        ServiceError: If something must be fetched and Earth Engine does not answer.
        OutputError: If the cube cannot be written.
    """
    shifted, plain = (geobox.footprint(crs, npoints=100).geom for crs in (_ANTIMERIDIAN_CRS, "EPSG:4326"))
    path, parts = tcvis_path(data_dir, year), _footprint_parts(shifted, plain)
    if not offline:
        fill_tcvis(path, missing_in(path, _with_margin(parts), year), year=year)
    cube = open_cube(path, accessor(year).extent, stage_with)
    check_coverage(cube, shapely.union_all(parts), filled_area(cube), stage_with)
    _, bottom, _, top = shapely.union_all(parts).bounds  # the same rows for both sides of the antimeridian
    boxes = [shapely.box(part.bounds[0], bottom, part.bounds[2], top) for part in parts]
    windows = [
        cube.read(dict.fromkeys(_VARIABLES, "u"), window_around(cube.geobox, box, buffer_px=_MARGIN_PX))
        for box in boxes
    ]
    trends = windows[0] if len(windows) == 1 else _joined(windows)
    return _described(trends.rename(_VARIABLES), year)


def _with_margin(parts: list[shapely.Geometry]) -> shapely.Geometry:
    """Return a footprint with the margin that is read around it."""
    margin = _MARGIN_PX * accessor().extent.resolution.x
    return shapely.union_all(shapely.buffer(parts, margin, join_style="mitre"))


def tcvis_to_fetch(footprints: gpd.GeoDataFrame, data_dir: Path, *, year: int | None = None) -> list[Chunk]:
    """Return what loads of tiles would fetch, without asking the network.

    Args:
        footprints: Outlines of the tiles, with many points an edge.
        data_dir: The cube's icechunk folder, or the folder that it is to be in.
        year: Last year of the trends, 2019, 2020, 2022 or 2024; None for the newest, in the cube for all images.

    Raises:
        DataError: If the cube is damaged.
    """
    needed = [part for parts in _parts_of_all(footprints) for part in parts]
    return missing_in(tcvis_path(data_dir, year), _with_margin(needed), year)


def tcvis_staged(footprints: gpd.GeoDataFrame, data_dir: Path, *, year: int | None = None) -> list[bool]:
    """Tell for each tile whether an offline load finds all that it needs; see `tcvis_to_fetch`."""
    try:
        cube = open_cube(tcvis_path(data_dir, year), accessor(year).extent, STAGE_WITH)
        filled = filled_area(cube)
    except (MissingDataError, DataError):
        return [False] * len(footprints)
    return [uncovered(cube, shapely.union_all(parts), filled) is None for parts in _parts_of_all(footprints)]


def _parts_of_all(footprints: gpd.GeoDataFrame) -> list[list[shapely.Geometry]]:
    shifted, plain = (footprints.to_crs(crs).geometry for crs in (_ANTIMERIDIAN_CRS, "EPSG:4326"))
    return list(map(_footprint_parts, shifted, plain))


def _footprint_parts(shifted: shapely.Geometry, plain: shapely.Geometry) -> list[shapely.Geometry]:
    """Return a footprint in degrees, in two parts (west of 180 first) if it crosses the antimeridian.

    Args:
        shifted: The footprint with longitudes counted from the antimeridian.
        plain: The footprint in EPSG:4326.
    """
    left, _, right, _ = shifted.bounds
    if left < 0 < right and right - left < 180:
        west = shapely.intersection(shifted, shapely.box(-180, -90, 0, 90))
        east = shapely.intersection(shifted, shapely.box(0, -90, 180, 90))
        return [_moved(west, 180), _moved(east, -180)]
    return [plain]


def _moved(geometry: shapely.Geometry, degrees: float) -> shapely.Geometry:
    return shapely.transform(geometry, lambda lonlat: np.add(lonlat, [degrees, 0]))


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


def _described(trends: xr.Dataset, year: int | None) -> xr.Dataset:
    for name in _VARIABLES.values():
        label = name.removeprefix("tc_").capitalize()
        trends[name].attrs = {
            "long_name": f"Tasselled-cap {label} trend",
            "data_source": f"TCVIS, {'twenty years of Landsat' if year is None else f'Landsat of {period(year)}'}",
            "nodata": 0,
        }
    return trends
