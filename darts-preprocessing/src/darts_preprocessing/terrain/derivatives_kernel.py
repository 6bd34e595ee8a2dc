"""The terrain bands in host memory: one compiled pass reads nine cells and writes all bands.

A pass in NumPy or OpenCV for each operation moves some thirty arrays through memory; this one moves the DEM once in and
each band once out.
"""

from typing import Any

import numpy as np

from darts_utils.machine.jit import compiled
from darts_utils.rasters.arrays import Array

_ZERO, _ONE, _TWO, _EIGHT, _QUARTER, _HUNDRED, _HALF, _TURN = map(np.float32, (0, 1, 2, 8, 90, 100, 180, 360))
_DEGREES = np.float32(180 / np.pi)

# atan(t) / t - 1 for t from 0 to 1 in powers of t^2, within 2e-8: Abramowitz and Stegun (1964), 4.4.49
_A = "-0.3333314528 0.1999355085 -0.1420889944 0.1065626393 -0.0752896400 0.0429096138 -0.0161657367 0.0028662257"
_A1, _A2, _A3, _A4, _A5, _A6, _A7, _A8 = map(np.float32, _A.split())


@compiled(inline="always")
def _arctan_deg(t: Any) -> Any:
    """Return the arc tangent of 0 to 1, in degrees; the library's own cannot work on eight pixels at once."""
    s = t * t
    series = _A1 + s * (_A2 + s * (_A3 + s * (_A4 + s * (_A5 + s * (_A6 + s * (_A7 + s * _A8))))))
    return (t + t * s * series) * _DEGREES


@compiled(inline="always")
def _direction_deg(east: Any, north: Any) -> Any:
    """Return the direction of a vector from 0 up to but not including 360, clockwise from north."""
    x, y = abs(east), abs(north)
    angle = _arctan_deg(min(x, y) / max(x, y))
    angle = _QUARTER - angle if x > y else angle
    angle = _HALF - angle if north < _ZERO else angle
    angle = _TURN - angle if east < _ZERO else angle
    return angle - _TURN if angle >= _TURN else angle  # 360 - 1e-6 is 360 in float32


@compiled()
def write_terrain(  # noqa: PLR0917  (compiled functions take no parameters by name only)
    dem: Array,
    lefts: Any,
    constants: Any,
    convergence: Any,
    width: int,
    slope: Any,
    aspect: Any,
    hillshade: Any,
    curvature: Any,
) -> None:
    """Write terrain bands, (y, x) float32 each.

    Heights are only ever subtracted from their neighbours', which float32 does exactly however high the ground is.
    All rows are cut out of whole rows in memory, so that the loop along them becomes vector code.

    Args:
        dem: (y + 2, any) float32 in metres, NaN where unknown.
        lefts: Columns of `dem` and of the nodes at which the bands begin; two more columns of `dem` are read.
        constants: float32 size of a pixel, gradient below which ground has no aspect, direction towards the sun (east,
            north, up).
        convergence: As `MeridianConvergence.lines` gives it.
        width: Columns of the bands.
        slope: Array that is filled, or None.
        aspect: As `slope`.
        hillshade: As `slope`.
        curvature: As `slope`.
    """
    pixel_m, flat, sun_east, sun_north, sun_up = constants
    horn, central, second = _ONE / (_EIGHT * pixel_m), _ONE / (_TWO * pixel_m), -_HUNDRED / (pixel_m * pixel_m)
    cosines, sines, uppers, downs = convergence
    left, node = lefts
    cosine_here, sine_here = np.empty(width, np.float32), np.empty(width, np.float32)
    for row in range(len(uppers)):
        above, level, below = dem[row][left:], dem[row + 1][left:], dem[row + 2][left:]
        upper, down = uppers[row], downs[row]
        lower = min(upper + 1, len(cosines) - 1)
        if aspect is not None or hillshade is not None:
            for x in range(width):
                cosine_here[x] = cosines[upper, node + x] + (cosines[lower, node + x] - cosines[upper, node + x]) * down
                sine_here[x] = sines[upper, node + x] + (sines[lower, node + x] - sines[upper, node + x]) * down
        for x in range(width):
            z = level[x + 1]
            across, along = level[x + 2] - level[x], above[x + 1] - below[x + 1]
            rise_x = ((above[x + 2] - above[x]) + _TWO * across + (below[x + 2] - below[x])) * horn
            rise_y = ((above[x] - below[x]) + _TWO * along + (above[x + 2] - below[x + 2])) * horn
            gap = (rise_x + rise_y + z) * _ZERO  # NaN where one of the nine is
            squared = rise_x * rise_x + rise_y * rise_y
            if slope is not None:
                rise = np.sqrt(squared)
                angle = _arctan_deg(_ONE / rise if rise > _ONE else rise)
                slope[row, x] = (_QUARTER - angle if rise > _ONE else angle) + gap
            cosine, sine = cosine_here[x], sine_here[x]
            if aspect is not None:
                angle = _direction_deg(rise_y * sine - rise_x * cosine, -rise_y * cosine - rise_x * sine)
                aspect[row, x] = (-_ONE if squared < flat * flat else angle) + gap
            if hillshade is not None:
                east, upward = across * central, along * central
                towards_sun = (east * cosine - upward * sine) * sun_east + (upward * cosine + east * sine) * sun_north
                shade = (sun_up - towards_sun) / np.sqrt(_ONE + east * east + upward * upward)
                hillshade[row, x] = min(max(shade, _ZERO), _ONE) + gap
            if curvature is not None:
                bend = (level[x + 2] - z) + (level[x] - z) + (above[x + 1] - z) + (below[x + 1] - z)
                curvature[row, x] = bend * second + gap
