"""The terrain bands on a device, by torch; the same formulas as in host memory."""

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from darts_utils.rasters.arrays import Array

if TYPE_CHECKING:
    import torch


class DeviceWindow:
    """A window of a DEM on a device.

    Args:
        heights: (y + 2, x + 2) float32 in metres, NaN where unknown; the outermost cells are only neighbours.
        pixel_m: Size of a pixel.
        convergence: Cosine and sine of the convergence, (y, x) float32 each.
        device: Where to compute.
    """

    def __init__(
        self, heights: Array, pixel_m: float, convergence: tuple[Array, Array], device: "torch.device"
    ) -> None:
        import torch

        self._z = torch.from_numpy(np.ascontiguousarray(heights)).to(device)
        self._pixel_m = pixel_m
        self._cosine, self._sine = (torch.from_numpy(part).to(device) for part in convergence)

    def bands(self, names: Collection[str], sun: tuple[float, float, float], flat: float) -> dict[str, Array]:
        """Return the bands asked for, (y, x) float32 in host memory.

        Args:
            names: Some of slope, aspect, hillshade, curvature.
            sun: Unit vector towards the sun: east, north, up.
            flat: Gradient below which ground has no aspect.
        """
        east, north = self._horn()
        gap = (east + north + self._z[1:-1, 1:-1]) * 0  # NaN where one of the nine cells is
        made = {}
        if "slope" in names:
            made["slope"] = (east**2 + north**2).sqrt().atan().rad2deg()
        if "aspect" in names:
            made["aspect"] = self._aspect(east, north, flat)
        if "hillshade" in names:
            made["hillshade"] = self._hillshade(sun)
        if "curvature" in names:
            made["curvature"] = self._curvature()
        return {name: (values + gap).cpu().numpy() for name, values in made.items()}

    def _horn(self) -> tuple["torch.Tensor", "torch.Tensor"]:
        """Return the rise towards east and north of the grid, each from six neighbours."""
        z, scale = self._z, 1 / (8 * self._pixel_m)
        east, north = z[:, 2:] - z[:, :-2], z[:-2] - z[2:]
        east = east[:-2] + 2 * east[1:-1] + east[2:]
        north = north[:, :-2] + 2 * north[:, 1:-1] + north[:, 2:]
        return east * scale, north * scale

    def _turned(self, east: "torch.Tensor", north: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
        """Return a vector along true east and north, from that along the axes of the grid."""
        return east * self._cosine - north * self._sine, north * self._cosine + east * self._sine

    def _aspect(self, east: "torch.Tensor", north: "torch.Tensor", flat: float) -> "torch.Tensor":
        level = east**2 + north**2 < flat**2
        east, north = self._turned(east, north)
        angle = (-east).atan2(-north).rad2deg() % 360
        angle[angle >= 360] = 0
        angle[level] = -1
        return angle

    def _hillshade(self, sun: tuple[float, float, float]) -> "torch.Tensor":
        """Return the cosine of the angle between the normal (-east, -north, 1) and the sun, at least 0."""
        z, scale = self._z, 1 / (2 * self._pixel_m)
        east, north = self._turned((z[1:-1, 2:] - z[1:-1, :-2]) * scale, (z[:-2, 1:-1] - z[2:, 1:-1]) * scale)
        cosine = (sun[2] - east * sun[0] - north * sun[1]) / (1 + east**2 + north**2).sqrt()
        return cosine.clip(0, 1)

    def _curvature(self) -> "torch.Tensor":
        z, centre = self._z, self._z[1:-1, 1:-1]
        across = (z[1:-1, 2:] - centre) + (z[1:-1, :-2] - centre)
        along = (z[2:, 1:-1] - centre) + (z[:-2, 1:-1] - centre)
        return -100 * (across + along) / self._pixel_m**2
