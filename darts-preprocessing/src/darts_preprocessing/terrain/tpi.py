"""Topographic position: how far a place lies above or below the mean of its surroundings."""

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from darts_preprocessing.blocks import DEVICE_BLOCK_PX, HOST_BLOCK_PX, Block, for_each_block, split
from darts_preprocessing.terrain.tpi_kernel import write_index
from darts_utils.errors import ConfigError
from darts_utils.grid import metres_to_pixels, pixel_size_m
from darts_utils.machine.devices import DeviceSpec, decide_device
from darts_utils.rasters.arrays import Array
from darts_utils.tile import geobox_of

if TYPE_CHECKING:
    import torch


def topographic_position_index(
    dem: xr.DataArray, outer_radius_m: float, inner_radius_m: float = 0, *, device: DeviceSpec = None
) -> xr.DataArray:
    """Return elevation minus the mean elevation of the disk, or of the ring, around each pixel.

    Args:
        dem: Elevation in metres, (y, x) float32, NaN where unknown, on a metric square grid. Ground beyond its edge
            counts as unknown, so pad it by the outer radius where that matters.
        outer_radius_m: Radius of the disk, rounded up to whole pixels.
        inner_radius_m: Radius of the disk that is left out, rounded up to whole pixels; 0 leaves nothing out.
        device: Where to compute: compiled code in host memory, torch on a GPU.

    Returns:
        (y, x) float32 in metres, positive on ridges; NaN where the pixel or more than half of its surroundings is
        unknown. Method: Weiss (2001), as in De Reu et al. (2013), doi:10.1016/j.geomorph.2012.12.015.

    Raises:
        ConfigError: If a radius is negative, or no pixel lies between the two.
        GridError: If the grid is not metric with square pixels.
    """
    kernel = disk_kernel(*radii_px(outer_radius_m, inner_radius_m, pixel_size_m(geobox_of(dem))))
    values = position_index(dem.values, kernel, halo=0, device=device)
    attributes = {"long_name": "Topographic position index", "units": "m"}
    return xr.DataArray(values, dims=("y", "x"), coords=dem.coords, name="relative_elevation", attrs=attributes)


def check_radii(outer_radius_m: float, inner_radius_m: float) -> None:
    """Refuse radii that no kernel can be made of.

    Raises:
        ConfigError: If the outer radius is not positive, or the inner one is negative or not below it.
    """
    if not (math.isfinite(outer_radius_m) and outer_radius_m > 0):
        raise ConfigError(f"tpi_outer_radius is {outer_radius_m} m but must be above 0 m. Set it to e.g. 100.")
    if not (math.isfinite(inner_radius_m) and inner_radius_m >= 0):
        raise ConfigError(f"tpi_inner_radius is {inner_radius_m} m but must not be negative. Set 0 for a full disk.")
    if inner_radius_m >= outer_radius_m:
        raise ConfigError(
            f"tpi_inner_radius is {inner_radius_m} m but must be below tpi_outer_radius ({outer_radius_m} m). "
            "Lower the inner or raise the outer radius."
        )


def radii_px(outer_radius_m: float, inner_radius_m: float, pixel_m: float) -> tuple[int, int]:
    """Return the outer and the inner radius in pixels, both rounded up.

    Raises:
        ConfigError: If a radius is illegal, or both come out as the same number of pixels.
    """
    check_radii(outer_radius_m, inner_radius_m)
    outer_px, inner_px = metres_to_pixels(outer_radius_m, pixel_m), metres_to_pixels(inner_radius_m, pixel_m)
    if inner_px >= outer_px:
        raise ConfigError(
            f"tpi_inner_radius ({inner_radius_m} m) and tpi_outer_radius ({outer_radius_m} m) are both {outer_px} px "
            f"of {pixel_m:g} m, so no pixel lies between them. Lower the inner or raise the outer radius."
        )
    return outer_px, inner_px


def disk_kernel(outer_px: int, inner_px: int = 0) -> Array:
    """Return the cells with dx^2 + dy^2 <= outer_px^2, without the disk of inner_px if that is above 0.

    Returns:
        (2 outer_px + 1, 2 outer_px + 1) bool.
    """
    y, x = np.ogrid[-outer_px : outer_px + 1, -outer_px : outer_px + 1]
    distance_squared = y * y + x * x
    kernel: Array = distance_squared <= outer_px * outer_px
    return kernel & (distance_squared > inner_px * inner_px) if inner_px > 0 else kernel


def position_index(dem: Array, kernel: Array, halo: int, device: DeviceSpec = None) -> Array:
    """Return each cell minus the mean of the known cells under the kernel.

    Args:
        dem: (y, x) float32 elevation, NaN where unknown.
        kernel: (2 R + 1, 2 R + 1) bool.
        halo: Cells along each edge of `dem` that are only read; the result is smaller by them.
        device: Where to compute: compiled code in host memory, torch on a GPU.
    """
    shape = (dem.shape[0] - 2 * halo, dem.shape[1] - 2 * halo)
    out = np.empty(shape, dtype=np.float32)
    chosen = decide_device(device)
    if chosen.type == "cpu":
        block_px = max(HOST_BLOCK_PX, 2 * kernel.shape[0])  # a halo wider than its block would cost more than the block
        for_each_block(partial(_host_block, dem, kernel, halo, out), shape, block_px)
    else:
        device_position_index(dem, kernel, halo, out, chosen)
    return out


def _host_block(dem: Array, kernel: Array, halo: int, out: Array, block: Block) -> None:
    """Write one block of the index."""
    window = np.ascontiguousarray(block.read(dem, halo, kernel.shape[0] // 2))
    write_index(window, _chords(kernel), int(kernel.sum()), out[block.rows, block.columns])


def _chords(kernel: Array) -> Array:
    """Return stretches of cells in rows of a kernel, (chord, 3) int64: row, first column, the one behind the last."""
    edges = np.diff(np.pad(kernel.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, firsts = np.nonzero(edges == 1)
    return np.stack([rows, firsts, np.nonzero(edges == -1)[1]], axis=1)


def device_position_index(dem: Array, kernel: Array, halo: int, out: Array, device: "torch.device") -> None:
    """Write the index into `out`, computed by torch block by block, so that device memory does not grow with the scene.

    The sums are products in the frequency domain: convolutions on tensor cores would round to 10 bits (TF32).
    """
    import torch

    radius = kernel.shape[0] // 2
    size_px = min(max(DEVICE_BLOCK_PX, 4 * radius), max(out.shape)) + 2 * radius
    spectrum = _kernel_spectrum(torch.from_numpy(kernel).to(device, torch.float32), size_px)
    for block in split((out.shape[0], out.shape[1]), size_px - 2 * radius):
        window = torch.from_numpy(np.ascontiguousarray(block.read(dem, halo, radius))).to(device)
        out[block.rows, block.columns] = (
            _torch_block(window, spectrum, int(kernel.sum()), radius, size_px).cpu().numpy()
        )


def _kernel_spectrum(kernel: "torch.Tensor", size_px: int) -> "torch.Tensor":
    """Return the transform of a kernel whose centre lies at (0, 0) of a (size_px, size_px) torus."""
    import torch

    radius = kernel.shape[0] // 2
    torus = kernel.new_zeros(size_px, size_px)
    torus[: kernel.shape[0], : kernel.shape[1]] = kernel
    return torch.fft.rfft2(torch.roll(torus, (-radius, -radius), (0, 1)))


def _torch_block(
    window: "torch.Tensor", spectrum: "torch.Tensor", kernel_size: int, radius: int, size_px: int
) -> "torch.Tensor":
    """Return the index of a window, smaller by the radius on each side, which keeps clear of the torus' wrap."""
    import torch

    def windowed_sum(values: torch.Tensor) -> torch.Tensor:
        transform = torch.fft.rfft2(values, s=(size_px, size_px))
        return torch.fft.irfft2(transform * spectrum, s=(size_px, size_px))[inner]

    height, width = window.shape
    inner = (slice(radius, height - radius), slice(radius, width - radius))
    known = torch.isfinite(window)
    offset = window[known].double().mean().float() if known.any() else window.new_zeros(())
    heights = torch.where(known, window - offset, 0)
    total = windowed_sum(heights)
    count = total.new_full((), kernel_size) if known.all() else windowed_sum(known.float()).round()
    lacking = ~known[inner] | (2 * count < kernel_size)
    return torch.where(lacking, torch.nan, heights[inner] - total / count.clamp(min=1))
