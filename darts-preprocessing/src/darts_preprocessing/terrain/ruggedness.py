"""How rough the ground is, from small and from wide neighbourhoods of a DEM."""

import math
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import xarray as xr

from darts_preprocessing.blocks import HOST_BLOCK_PX, Block, for_each_block
from darts_utils.errors import ConfigError
from darts_utils.grid import metres_to_pixels, pixel_size_m
from darts_utils.rasters.arrays import Array
from darts_utils.tile import geobox_of

_ATTRIBUTES = {
    "terrain_ruggedness_index": {"long_name": "Terrain ruggedness index", "units": "m"},
    "vector_ruggedness_measure": {"long_name": "Vector ruggedness measure", "units": "1"},
    "dissection_index": {"long_name": "Dissection index, 0 in the lowest place around, 1 in the highest", "units": "1"},
}
NORMALS_REACH_PX = 2
"""Of the vector ruggedness measure: normals of the eight neighbours, which are made of theirs."""


def terrain_ruggedness_index(dem: xr.DataArray) -> xr.DataArray:
    """Return how much a place differs in height from its eight neighbours: the root of the sum of squares.

    Args:
        dem: Elevation in metres, (y, x) float32, NaN where unknown.

    Returns:
        (y, x) float32 in metres, from 0; NaN within one pixel of a NaN and at the edge. It grows with the size of
        pixels. Method: Riley et al. (1999), A terrain ruggedness index that quantifies topographic heterogeneity.
    """
    return _of_dem(dem, "terrain_ruggedness_index", ruggedness_index(dem.values, halo=0))


def vector_ruggedness_measure(dem: xr.DataArray) -> xr.DataArray:
    """Return how much the directions differ that the ground faces in 3 x 3 pixels: slope alone does not count.

    Args:
        dem: Elevation in metres, (y, x) float32, NaN where unknown, on a metric square grid.

    Returns:
        (y, x) float32 from 0 (a plane, however steep) to 1; NaN within two pixels of a NaN and at the edge.
        Method: Sappington et al. (2007), doi:10.2193/2005-723, with the slopes of Horn (1981).

    Raises:
        GridError: If the grid is not metric with square pixels.
    """
    values = vector_ruggedness(dem.values, pixel_size_m(geobox_of(dem)), halo=0)
    return _of_dem(dem, "vector_ruggedness_measure", values)


def dissection_index(dem: xr.DataArray, radius_m: float) -> xr.DataArray:
    """Return where between the lowest and the highest ground around a place lies: (z - min) / (max - min).

    Args:
        dem: Elevation in metres, (y, x) float32, NaN where unknown, on a metric square grid. Ground beyond its edge
            counts as unknown, so pad it by the radius where that matters.
        radius_m: Half of the edge of the square that is looked at, rounded up to whole pixels.

    Returns:
        (y, x) float32 from 0 to 1; NaN where the pixel is unknown or all that is known around it is level. Low in
        valleys and scars, high on ridges. Method: Evans (1972), General
        geomorphometry, derivatives of altitude, and descriptive statistics.

    Raises:
        ConfigError: If the radius is not above 0.
        GridError: If the grid is not metric with square pixels.
    """
    if not (math.isfinite(radius_m) and radius_m > 0):
        raise ConfigError(f"the radius of the dissection index is {radius_m} m but must be above 0 m.")
    radius_px = metres_to_pixels(radius_m, pixel_size_m(geobox_of(dem)))
    return _of_dem(dem, "dissection_index", dissection(dem.values, radius_px, halo=0))


def ruggedness_attributes(name: str) -> dict[str, str]:
    """Return the long name and the unit of a band."""
    return dict(_ATTRIBUTES[name])


def _of_dem(dem: xr.DataArray, name: str, values: Array) -> xr.DataArray:
    return xr.DataArray(values, dims=("y", "x"), coords=dem.coords, name=name, attrs=ruggedness_attributes(name))


def ruggedness_index(dem: Array, halo: int) -> Array:
    """Return the terrain ruggedness index of a (y, x) float32 DEM without the cells of a halo, which are only read."""
    return _in_blocks(dem, halo, 1, _differences)


def vector_ruggedness(dem: Array, pixel_m: float, halo: int) -> Array:
    """Return the vector ruggedness measure of a (y, x) float32 DEM without the cells of a halo, which are only read."""
    return _in_blocks(dem, halo, NORMALS_REACH_PX, partial(_spread_of_normals, pixel_m=pixel_m))


def dissection(dem: Array, radius_px: int, halo: int) -> Array:
    """Return the dissection index of a (y, x) float32 DEM without the cells of a halo, which are only read."""
    return _in_blocks(dem, halo, radius_px, partial(_place_in_relief, radius_px=radius_px))


def _in_blocks(dem: Array, halo: int, reach: int, make: Callable[[Array], Array]) -> Array:
    """Return what is made of each cell and those within a reach, float32; cells beyond the DEM are NaN."""
    shape = (dem.shape[0] - 2 * halo, dem.shape[1] - 2 * halo)
    out = np.empty(shape, dtype=np.float32)

    def write(block: Block) -> None:
        out[block.rows, block.columns] = make(np.ascontiguousarray(block.read(dem, halo, reach)))

    for_each_block(write, shape, max(HOST_BLOCK_PX, 2 * reach))
    return out


def _differences(heights: Array) -> Array:
    """Return the root of the sum of squares of differences to the neighbours, smaller by a cell on each side."""
    middle, (height, width) = heights[1:-1, 1:-1], heights.shape
    total = np.zeros_like(middle)
    for row in range(3):
        for column in range(3):
            total += (heights[row : height - 2 + row, column : width - 2 + column] - middle) ** 2
    root: Array = np.sqrt(total)
    return root


def _spread_of_normals(heights: Array, pixel_m: float) -> Array:
    """Return 1 - the length of the mean of 3 x 3 unit normals, smaller by two cells on each side."""
    down = heights[2:] - heights[:-2]
    across = heights[:, 2:] - heights[:, :-2]
    scale = np.float32(1 / (8 * pixel_m))
    slope_y = (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) * scale
    slope_x = (across[:-2] + 2 * across[1:-1] + across[2:]) * scale
    up = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    squares = sum(_sum_of_nine(part).astype(np.float64) ** 2 for part in (slope_x * up, slope_y * up, up))
    spread: Array = np.clip(1 - np.sqrt(squares) / 9, 0, 1).astype(np.float32)
    return spread


def _sum_of_nine(values: Array) -> Array:
    """Return sums of 3 x 3 cells, smaller by a cell on each side."""
    rows = values[:-2] + values[1:-1] + values[2:]
    total: Array = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return total


def _place_in_relief(heights: Array, radius_px: int) -> Array:
    """Return (z - min) / (max - min) of squares, smaller by the radius on each side."""
    square = np.ones((2 * radius_px + 1, 2 * radius_px + 1), dtype=np.uint8)
    inner = (slice(radius_px, -radius_px), slice(radius_px, -radius_px))
    unknown = np.isnan(heights)
    lowest = cv2.erode(np.where(unknown, np.float32(np.inf), heights), square)[inner]
    highest = cv2.dilate(np.where(unknown, np.float32(-np.inf), heights), square)[inner]
    with np.errstate(divide="ignore", invalid="ignore"):
        place: Array = (heights[inner] - lowest) / (highest - lowest)
    return place
