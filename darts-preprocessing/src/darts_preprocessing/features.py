"""One feature at a time, for scripts of one's own: a tile goes in, and a new tile with the feature comes out.

Pipelines make all features in one pass, see `preprocess_v2`; these give the same values away from the edge of a tile.
"""

import xarray as xr

from darts_preprocessing.terrain.derivatives import aspect, curvature, hillshade, slope
from darts_preprocessing.terrain.ruggedness import (
    dissection_index,
    terrain_ruggedness_index,
    vector_ruggedness_measure,
)
from darts_preprocessing.terrain.tpi import topographic_position_index
from darts_utils.errors import DataError
from darts_utils.machine.devices import DeviceSpec


def calculate_slope(tile: xr.Dataset, *, device: DeviceSpec = None) -> xr.Dataset:
    """Return the tile with `slope`, (y, x) float32 degrees from 0 (flat) to 90; see `slope`.

    Args:
        tile: Holds `dem`, (y, x) float32 in metres, NaN where unknown, on a metric square grid.
        device: Where to compute.

    Raises:
        DataError: If the tile has no `dem`.
        GridError: If the grid is not metric with square pixels.
    """
    return tile.assign(slope=slope(_dem(tile), device=device))


def calculate_aspect(tile: xr.Dataset, *, device: DeviceSpec = None) -> xr.Dataset:
    """Return the tile with `aspect`, (y, x) float32 degrees clockwise from true north, -1 where flat; see `aspect`.

    Args:
        tile: Holds `dem`, (y, x) float32 in metres, NaN where unknown, on a metric square grid.
        device: Where to compute.

    Raises:
        DataError: If the tile has no `dem`.
        GridError: If the grid is not metric with square pixels.
    """
    return tile.assign(aspect=aspect(_dem(tile), device=device))


def calculate_hillshade(
    tile: xr.Dataset, azimuth: float = 225.0, angle_altitude: float = 25.0, *, device: DeviceSpec = None
) -> xr.Dataset:
    """Return the tile with `hillshade`, (y, x) float32 from 0 to 1; see `hillshade`.

    Args:
        tile: Holds `dem`, (y, x) float32 in metres, NaN where unknown, on a metric square grid.
        azimuth: Direction of the sun in degrees, clockwise from true north.
        angle_altitude: Height of the sun above the horizon in degrees.
        device: Where to compute.

    Raises:
        DataError: If the tile has no `dem`.
        GridError: If the grid is not metric with square pixels.
    """
    return tile.assign(hillshade=hillshade(_dem(tile), azimuth, angle_altitude, device=device))


def calculate_curvature(tile: xr.Dataset, *, device: DeviceSpec = None) -> xr.Dataset:
    """Return the tile with `curvature`, (y, x) float32, positive where convex; see `curvature`.

    Args:
        tile: Holds `dem`, (y, x) float32 in metres, NaN where unknown, on a metric square grid.
        device: Where to compute.

    Raises:
        DataError: If the tile has no `dem`.
        GridError: If the grid is not metric with square pixels.
    """
    return tile.assign(curvature=curvature(_dem(tile), device=device))


def calculate_topographic_position_index(
    tile: xr.Dataset, outer_radius: float, inner_radius: float = 0, *, device: DeviceSpec = None
) -> xr.Dataset:
    """Return the tile with `relative_elevation`, (y, x) float32 in metres; see `topographic_position_index`.

    Args:
        tile: Holds `dem`, (y, x) float32 in metres, NaN where unknown, on a metric square grid.
        outer_radius: Radius of the disk in metres.
        inner_radius: Radius in metres of the disk that is left out; 0 leaves nothing out.
        device: Where to compute.

    Raises:
        ConfigError: If a radius is negative, or no pixel lies between the two.
        DataError: If the tile has no `dem`.
        GridError: If the grid is not metric with square pixels.
    """
    made = topographic_position_index(_dem(tile), outer_radius, inner_radius, device=device)
    return tile.assign(relative_elevation=made)


def calculate_terrain_ruggedness_index(tile: xr.Dataset) -> xr.Dataset:
    """Return the tile with `terrain_ruggedness_index`, (y, x) float32 in metres; see `terrain_ruggedness_index`.

    Args:
        tile: Holds `dem`, (y, x) float32 in metres, NaN where unknown.

    Raises:
        DataError: If the tile has no `dem`.
    """
    return tile.assign(terrain_ruggedness_index=terrain_ruggedness_index(_dem(tile)))


def calculate_vector_ruggedness_measure(tile: xr.Dataset) -> xr.Dataset:
    """Return the tile with `vector_ruggedness_measure`, (y, x) float32 from 0 to 1; see `vector_ruggedness_measure`.

    Args:
        tile: Holds `dem`, (y, x) float32 in metres, NaN where unknown, on a metric square grid.

    Raises:
        DataError: If the tile has no `dem`.
        GridError: If the grid is not metric with square pixels.
    """
    return tile.assign(vector_ruggedness_measure=vector_ruggedness_measure(_dem(tile)))


def calculate_dissection_index(tile: xr.Dataset, radius: float = 100) -> xr.Dataset:
    """Return the tile with `dissection_index`, (y, x) float32 from 0 to 1; see `dissection_index`.

    Args:
        tile: Holds `dem`, (y, x) float32 in metres, NaN where unknown, on a metric square grid.
        radius: Half of the edge of the square that is looked at, in metres.

    Raises:
        ConfigError: If the radius is not above 0.
        DataError: If the tile has no `dem`.
        GridError: If the grid is not metric with square pixels.
    """
    return tile.assign(dissection_index=dissection_index(_dem(tile), radius))


def _dem(tile: xr.Dataset) -> xr.DataArray:
    if "dem" not in tile:
        present = ", ".join(map(str, tile.data_vars)) or "nothing"
        raise DataError(f"the tile lacks dem, of which terrain is made; it has {present}. Load elevation first.")
    return tile["dem"]
