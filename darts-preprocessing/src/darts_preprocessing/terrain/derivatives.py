"""Shape of the terrain from 3x3 neighbourhoods: slope, aspect, hillshade and curvature in one read of the DEM."""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from darts_preprocessing.blocks import DEVICE_BLOCK_PX, ROW_BLOCK_ROWS, Block, for_each_block, split, whole
from darts_preprocessing.terrain.derivatives_device import DeviceWindow
from darts_preprocessing.terrain.derivatives_kernel import write_terrain
from darts_preprocessing.terrain.meridian_convergence import MeridianConvergence
from darts_utils.bands import FLAT_GRADIENT
from darts_utils.grid import pixel_size_m
from darts_utils.machine.devices import DeviceSpec, decide_device
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.packed import Packed
from darts_utils.tile import geobox_of

if TYPE_CHECKING:
    import torch

_ATTRIBUTES = {
    "slope": {"long_name": "Slope", "units": "degrees"},
    "aspect": {"long_name": "Aspect, clockwise from true north, -1 where flat", "units": "degrees"},
    "hillshade": {"long_name": "Hillshade", "units": "1"},
    "curvature": {"long_name": "Curvature, positive where convex", "units": "1/100 m-1"},
}
TERRAIN_BANDS = tuple(_ATTRIBUTES)


@dataclass(frozen=True, kw_only=True)
class Sun:
    """Where the sun stands."""

    azimuth_deg: float = 225.0
    """Clockwise from true north."""
    elevation_deg: float = 25.0
    """Above the horizon."""

    @property
    def direction(self) -> tuple[float, float, float]:
        """The unit vector towards it: east, north, up."""
        azimuth, elevation = math.radians(self.azimuth_deg), math.radians(self.elevation_deg)
        level = math.cos(elevation)
        return level * math.sin(azimuth), level * math.cos(azimuth), math.sin(elevation)


def slope(dem: xr.DataArray, *, device: DeviceSpec = None) -> xr.DataArray:
    """Return the steepest slope, in degrees from 0 (flat) to 90.

    Args:
        dem: Elevation in metres, (y, x) float32, NaN where unknown, on a metric square grid.
        device: Where to compute: compiled code in host memory, torch on a GPU.

    Returns:
        (y, x) float32; NaN within one pixel of a NaN and at the edge. Method: Horn (1981), doi:10.1109/PROC.1981.11918.

    Raises:
        GridError: If the grid is not metric with square pixels.
    """
    return derive_terrain(dem, ("slope",), device=device)["slope"]


def aspect(dem: xr.DataArray, *, device: DeviceSpec = None) -> xr.DataArray:
    """Return the direction that the ground faces, in degrees from 0 to 360 clockwise from true north, -1 where flat.

    Args:
        dem: Elevation in metres, (y, x) float32, NaN where unknown, on a metric square grid.
        device: Where to compute: compiled code in host memory, torch on a GPU.

    Returns:
        (y, x) float32; NaN within one pixel of a NaN and at the edge. Method: Horn (1981), doi:10.1109/PROC.1981.11918,
        turned by the convergence of the grid at each place.

    Raises:
        GridError: If the grid is not metric with square pixels.
    """
    return derive_terrain(dem, ("aspect",), device=device)["aspect"]


def hillshade(
    dem: xr.DataArray, azimuth_deg: float = 225.0, elevation_deg: float = 25.0, *, device: DeviceSpec = None
) -> xr.DataArray:
    """Return how squarely the sun meets the ground, from 0 (turned away) to 1 (at right angles).

    Args:
        dem: Elevation in metres, (y, x) float32, NaN where unknown, on a metric square grid.
        azimuth_deg: Direction of the sun, clockwise from true north.
        elevation_deg: Height of the sun above the horizon.
        device: Where to compute: compiled code in host memory, torch on a GPU.

    Returns:
        (y, x) float32; NaN within one pixel of a NaN and at the edge. No shadows are cast.
        Method: Horn (1981), doi:10.1109/PROC.1981.11918, with plain central differences.

    Raises:
        GridError: If the grid is not metric with square pixels.
    """
    sun = Sun(azimuth_deg=azimuth_deg, elevation_deg=elevation_deg)
    return derive_terrain(dem, ("hillshade",), sun, device=device)["hillshade"]


def curvature(dem: xr.DataArray, *, device: DeviceSpec = None) -> xr.DataArray:
    """Return the curvature, positive where the ground is convex (ridges, headwalls), in hundredths per metre.

    Args:
        dem: Elevation in metres, (y, x) float32, NaN where unknown, on a metric square grid.
        device: Where to compute: compiled code in host memory, torch on a GPU.

    Returns:
        (y, x) float32; NaN within one pixel of a NaN and at the edge.
        Method: Zevenbergen and Thorne (1987), doi:10.1002/esp.3290120107.

    Raises:
        GridError: If the grid is not metric with square pixels.
    """
    return derive_terrain(dem, ("curvature",), device=device)["curvature"]


def derive_terrain(
    dem: xr.DataArray, bands: Collection[str] = TERRAIN_BANDS, sun: Sun | None = None, *, device: DeviceSpec = None
) -> xr.Dataset:
    """Return the terrain bands asked for, as `slope`, `aspect`, `hillshade` and `curvature` give them one by one."""
    dem_window = DemWindow.of(dem.values, geobox_of(dem), halo=0, sun=sun)
    arrays = dem_window.terrain(bands, whole(dem_window.shape), device)
    return xr.Dataset(
        {name: (("y", "x"), values, band_attributes(name)) for name, values in arrays.items()}, dem.coords
    )


def band_attributes(name: str) -> dict[str, str]:
    """Return the long name and the unit of a terrain band."""
    return dict(_ATTRIBUTES[name])


@dataclass(frozen=True, kw_only=True)
class DemWindow:
    """A DEM and what is needed to make terrain of any window of it."""

    dem: Array | Packed
    """(y, x) float32 elevation in metres, NaN where unknown."""
    halo: int
    """Cells along each edge of `dem` that are only read; windows are counted in what lies within."""
    pixel_m: float
    convergence: MeridianConvergence
    """Of what lies within."""
    sun: Sun
    """For the hillshade."""

    @classmethod
    def of(cls, dem: Array, geobox: GeoBox, halo: int, sun: Sun | None = None) -> "DemWindow":
        """Return the window of a (y, x) DEM on a grid."""
        grid = geobox[halo : dem.shape[0] - halo, halo : dem.shape[1] - halo]
        convergence = MeridianConvergence(grid)
        return cls(dem=dem, halo=halo, pixel_m=pixel_size_m(geobox), convergence=convergence, sun=sun or Sun())

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns within the halo."""
        return self.dem.shape[0] - 2 * self.halo, self.dem.shape[1] - 2 * self.halo

    def read(self, window: Block, halo: int = 0) -> Array:
        """Return (y, x) float32 elevation of a window and `halo` pixels around it, NaN beyond what is known."""
        return window.read(self.dem, self.halo, halo)

    def packed(self) -> "DemWindow":
        """Return the same, kept compressed until windows are read."""
        return self if isinstance(self.dem, Packed) else replace(self, dem=Packed(self.dem))

    def terrain(self, bands: Collection[str], window: Block, device: DeviceSpec = None) -> dict[str, Array]:
        """Return terrain bands in a window, (y, x) float32 each.

        Args:
            bands: Which of `TERRAIN_BANDS` to make.
            window: In pixels within the halo.
            device: Where to compute: compiled code in host memory, torch on a GPU.
        """
        shape = window.shape
        out: dict[str, Array] = {name: np.empty(shape, dtype=np.float32) for name in TERRAIN_BANDS if name in bands}
        if not out:
            return out
        chosen = decide_device(device)
        if chosen.type == "cpu":
            for_each_block(lambda block: self._host_rows(out, window, block), shape, ROW_BLOCK_ROWS, shape[1])
        else:
            for block in split(shape, DEVICE_BLOCK_PX):
                self._device_block(out, window, block, chosen)
        return out

    def _host_rows(self, out: dict[str, Array], window: Block, block: Block) -> None:
        """Write some rows of a window; the kernel gets whole rows of all arrays, which compile to vector code."""
        place = block.within(window)
        heights, left = place.read_rows(self.dem, self.halo, 1)
        bands = [out[name][block.rows] if name in out else None for name in TERRAIN_BANDS]
        constants = tuple(map(np.float32, (self.pixel_m, FLAT_GRADIENT, *self.sun.direction)))
        lefts = (left, place.columns.start)
        write_terrain(heights, lefts, constants, self.convergence.lines(place.rows), block.shape[1], *bands)

    def _device_block(self, out: dict[str, Array], window: Block, block: Block, device: "torch.device") -> None:
        """Write a block of a window, computed by torch."""
        place = block.within(window)
        heights = self.read(place, 1)
        made = DeviceWindow(heights, self.pixel_m, self.convergence.of(place), device)
        for name, values in made.bands(out, self.sun.direction, FLAT_GRADIENT).items():
            out[name][block.rows, block.columns] = values
