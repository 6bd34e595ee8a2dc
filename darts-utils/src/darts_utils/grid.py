"""Metres to pixels, square metric grids, and the direction of true north on a projected grid."""

import math

import numpy as np
import pyproj
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from darts_utils.errors import GridError
from darts_utils.rasters.arrays import Array


def pixel_size_m(geobox: GeoBox) -> float:
    """Return the edge length of a pixel in metres.

    Raises:
        GridError: If the CRS is missing or not in metres, or the pixels are not square and north up.
    """
    crs = geobox.crs
    if crs is None or not crs.projected or crs.units[0] not in ("metre", "meter", "m"):
        raise GridError(f"the grid is in {crs}, but a projected CRS in metres is needed. Reproject it, e.g. to UTM.")
    a, b, _, d, e, _ = geobox.affine[:6]
    if b != 0 or d != 0 or e >= 0 or not math.isclose(a, -e, rel_tol=1e-6):
        raise GridError(f"the grid has the transform {geobox.affine[:6]}, but square, north-up pixels are needed.")
    return float(a)


def crs_of(geobox: GeoBox) -> CRS:
    """Return the CRS of a grid.

    Raises:
        GridError: If it has none.
    """
    if geobox.crs is None:
        raise GridError("the grid has no CRS, so where it lies is unknown. Give it one.")
    return geobox.crs


def metres_to_pixels(length_m: float, pixel_m: float) -> int:
    """Return the smallest whole number of pixels that is at least as long as `length_m`.

    Raises:
        GridError: If the length is negative or the pixel size is not positive.
    """
    if length_m < 0 or pixel_m <= 0:
        raise GridError(f"length {length_m} m must not be negative and pixel size {pixel_m} m must be positive.")
    return math.ceil(round(length_m / pixel_m, 9))


def grid_convergence(geobox: GeoBox, step_px: int = 256) -> Array:
    """Return, for each pixel, the angle from grid north to true north, in degrees, clockwise positive.

    A direction relative to true north is the direction relative to grid north minus this angle. It is found by
    projecting points a little to the north of each place, on a coarse grid of `step_px` pixels, and interpolated
    bilinearly: it varies smoothly (below 1e-3 degrees of error at 10 m pixels), except at the pole itself.

    Returns:
        (y, x) float32.
    """
    height, width = geobox.shape
    rows = _coarse_positions(height, step_px)
    columns = _coarse_positions(width, step_px)
    xs, ys = _to_metres(geobox, columns[None, :] + 0.5, rows[:, None] + 0.5)
    angle = _convergence_at(geobox, xs, ys)
    # interpolated as a unit vector, because the angle jumps by 360 degrees at the antimeridian of a polar grid
    east = _bilinear(np.sin(angle), rows, columns, height, width)
    north = _bilinear(np.cos(angle), rows, columns, height, width)
    convergence: Array = np.degrees(np.arctan2(east, north))
    return convergence.astype(np.float32)


def convergence_at_centre(geobox: GeoBox) -> float:
    """Return the angle from grid north to true north at the middle of the grid, in degrees, clockwise positive."""
    height, width = geobox.shape
    x, y = _to_metres(geobox, np.asarray(width / 2), np.asarray(height / 2))
    return float(np.degrees(_convergence_at(geobox, x, y)))


def _to_metres(geobox: GeoBox, columns: Array, rows: Array) -> tuple[Array, Array]:
    """Return the projected coordinates of pixel positions, 0.5 being the middle of the first pixel."""
    columns, rows = np.broadcast_arrays(columns, rows)
    a, b, c, d, e, f = geobox.affine[:6]
    return a * columns + b * rows + c, d * columns + e * rows + f


def _convergence_at(geobox: GeoBox, xs: Array, ys: Array) -> Array:
    """Return the convergence in radians at projected coordinates, by a step of 1e-4 degrees to the north."""
    to_lonlat = pyproj.Transformer.from_crs(str(geobox.crs), "EPSG:4326", always_xy=True)
    to_grid = pyproj.Transformer.from_crs("EPSG:4326", str(geobox.crs), always_xy=True)
    lon, lat = to_lonlat.transform(xs, ys)
    step = np.where(lat > 89.0, -1e-4, 1e-4)
    x_north, y_north = to_grid.transform(lon, lat + step)
    x_here, y_here = to_grid.transform(lon, lat)
    sign = np.sign(step)
    angle: Array = np.arctan2((x_north - x_here) * sign, (y_north - y_here) * sign)
    return angle


def _coarse_positions(length: int, step: int) -> Array:
    """Return positions from the first to the last pixel, at most `step` apart; two at least, so they bracket all."""
    return np.linspace(0, max(length - 1, 1), max(2, math.ceil(length / step) + 1))


def _bilinear(coarse: Array, rows: Array, columns: Array, height: int, width: int) -> Array:
    """Return a coarse grid interpolated to every pixel, one axis after the other."""
    y, x = np.arange(height), np.arange(width)
    along_x = np.stack([np.interp(x, columns, line) for line in coarse])
    weights = np.empty((height, len(rows)), dtype=np.float32)
    for index in range(len(rows)):
        weights[:, index] = np.interp(y, rows, np.eye(len(rows))[index])
    return weights @ along_x.astype(np.float32)
