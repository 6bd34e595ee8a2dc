"""Shape of the terrain from 3x3 neighbourhoods: slope, aspect, hillshade and curvature in one read of the DEM.

Two engines take the differences, OpenCV in host memory and torch on a device; the formulas are written once for both.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from darts_preprocessing.blocks import DEVICE_BLOCK_PX, STENCIL_BLOCK_PX, Array, Block, for_each_block, split
from darts_preprocessing.north import TrueNorth
from darts_preprocessing.stencils import DeviceStencil, HostStencil
from darts_utils.devices import DeviceSpec, decide_device
from darts_utils.grid import pixel_size_m
from darts_utils.tile import geobox_of

FLAT_GRADIENT = 1e-5
"""Below this gradient (1 cm in 1 km) ground is flat: float32 elevations of a resampled lake differ by as much."""

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


def slope(dem: xr.DataArray, *, device: DeviceSpec = None) -> xr.DataArray:
    """Return the steepest slope, in degrees from 0 (flat) to 90.

    Args:
        dem: Elevation in metres, (y, x) float32, NaN where unknown, on a metric square grid.
        device: Where to compute: OpenCV in host memory, torch on a GPU.

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
        device: Where to compute: OpenCV in host memory, torch on a GPU.

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
        device: Where to compute: OpenCV in host memory, torch on a GPU.

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
        device: Where to compute: OpenCV in host memory, torch on a GPU.

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
    arrays = terrain_arrays(dem.values, geobox_of(dem), bands, Sun() if sun is None else sun, margin=0, device=device)
    return xr.Dataset(
        {name: (("y", "x"), values, band_attributes(name)) for name, values in arrays.items()}, dem.coords
    )


def band_attributes(name: str) -> dict[str, str]:
    """Return the long name and the unit of a terrain band."""
    return dict(_ATTRIBUTES[name])


def terrain_arrays(
    dem: Array, geobox: GeoBox, bands: Collection[str], sun: Sun, margin: int, device: DeviceSpec = None
) -> dict[str, Array]:
    """Return terrain bands as arrays.

    Args:
        dem: (y, x) float32 elevation in metres, NaN where unknown.
        geobox: The grid of `dem`.
        bands: Which of `TERRAIN_BANDS` to make.
        sun: For the hillshade.
        margin: Cells along each edge of `dem` that are only read; the results are smaller by them.
        device: Where to compute: OpenCV in host memory, torch on a GPU.
    """
    shape = (dem.shape[0] - 2 * margin, dem.shape[1] - 2 * margin)
    out: dict[str, Array] = {name: np.empty(shape, dtype=np.float32) for name in TERRAIN_BANDS if name in bands}
    grid = geobox[margin : margin + shape[0], margin : margin + shape[1]]
    work = _Work(dem=dem, margin=margin, pixel_m=pixel_size_m(geobox), north=TrueNorth(grid), sun=sun, out=out)
    chosen = decide_device(device)
    if chosen.type == "cpu":
        for_each_block(partial(_host_block, work), shape, STENCIL_BLOCK_PX)
    else:
        for block in split(shape, DEVICE_BLOCK_PX):
            _device_block(work, block, chosen)
    return out


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What all blocks share."""

    dem: Array
    margin: int
    pixel_m: float
    north: TrueNorth
    sun: Sun
    out: Mapping[str, Array]

    def true_north(self, block: Block) -> tuple[Array, Array] | None:
        """Return the cosine and sine of the convergence in a block, None where no band asks for it."""
        return self.north.of(block) if "aspect" in self.out or "hillshade" in self.out else None


def _host_block(work: _Work, block: Block) -> None:
    """Write one block of all bands with OpenCV's differences."""
    window = np.ascontiguousarray(block.read(work.dem, work.margin, 1))
    heights, lacking = _relative_heights(window)
    bands = _shape_of_ground(HostStencil(heights, work.pixel_m), work.sun, work.true_north(block), work.out)
    for name, values in bands.items():
        if lacking is not None:
            values[lacking] = np.nan
        work.out[name][block.rows, block.columns] = values


def _relative_heights(window: Array) -> tuple[Array, Array | None]:
    """Return heights relative to their mean, and which inner cells have an unknown neighbour (None if none has).

    Small numbers keep the precision of float32 in sums: four times 3000 m is only known to 1 mm.
    """
    mean = cv2.mean(window)[0]
    if np.isfinite(mean):
        return window - np.float32(mean), None
    unknown = ~np.isfinite(window)
    heights: Array = np.where(unknown, np.float32(0), window)
    heights -= np.float32(cv2.mean(window, mask=(~unknown).astype(np.uint8))[0])
    return heights, cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1].astype(bool)


def _device_block(work: _Work, block: Block, device: Any) -> None:
    """Write one block of all bands with torch's differences, on a device."""
    import torch

    window = torch.from_numpy(np.ascontiguousarray(block.read(work.dem, work.margin, 1))).to(device)
    known = torch.isfinite(window)
    heights = window - window[known].double().mean().float() if known.any() else window
    north = work.true_north(block)
    turn = None if north is None else (torch.from_numpy(north[0]).to(device), torch.from_numpy(north[1]).to(device))
    bands = _shape_of_ground(DeviceStencil(heights, work.pixel_m), work.sun, turn, work.out)
    whole = torch.nn.functional.max_pool2d((~known).float()[None], 3, stride=1)[0] == 0
    for name, values in bands.items():
        work.out[name][block.rows, block.columns] = torch.where(whole, values, torch.nan).cpu().numpy()


def _shape_of_ground(
    stencil: HostStencil | DeviceStencil, sun: Sun, north: tuple[Any, Any] | None, bands: Collection[str]
) -> dict[str, Any]:
    """Return the bands asked for, as arrays of the stencil's engine; `north` is cosine and sine of the convergence."""
    made = {}
    if "slope" in bands or "aspect" in bands:
        rise = stencil.horn()
        if "slope" in bands:
            made["slope"] = stencil.slope_deg((rise[0] ** 2 + rise[1] ** 2) ** 0.5)
        if "aspect" in bands and north is not None:
            made["aspect"] = _aspect(stencil, *_turned(rise, north))
    if "hillshade" in bands and north is not None:
        made["hillshade"] = _hillshade(*_turned(stencil.central(), north), sun)
    if "curvature" in bands:
        made["curvature"] = -100 * stencil.second()
    return made


def _turned(rise: tuple[Any, Any], north: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the rise towards true east and true north, from that along the axes of the grid."""
    (east, north_of_grid), (cosine, sine) = rise, north
    return east * cosine - north_of_grid * sine, north_of_grid * cosine + east * sine


def _aspect(stencil: HostStencil | DeviceStencil, east: Any, north: Any) -> Any:
    """Return the downhill direction, clockwise from north; -1 where there is none."""
    angle = stencil.angle_deg(-east, -north)
    angle[east**2 + north**2 < FLAT_GRADIENT**2] = -1
    return angle


def _hillshade(east: Any, north: Any, sun: Sun) -> Any:
    """Return the cosine of the angle between the normal (-east, -north, 1) and the sun, at least 0."""
    azimuth, elevation = math.radians(sun.azimuth_deg), math.radians(sun.elevation_deg)
    towards_sun = east * (math.cos(elevation) * math.sin(azimuth)) + north * (math.cos(elevation) * math.cos(azimuth))
    cosine = (math.sin(elevation) - towards_sun) / (1 + east**2 + north**2) ** 0.5
    return cosine.clip(0, 1)
