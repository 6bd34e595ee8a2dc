"""Meridian convergence, the angle from grid north to true north, at each pixel of a projected grid, block by block."""

import math

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from darts_preprocessing.blocks import Block
from darts_utils.grid import grid_convergence
from darts_utils.rasters.arrays import Array

STEP_PX = 256
"""Distance of the nodes between which the direction is interpolated; at 10 m pixels the error is below 1e-4 degrees."""


class MeridianConvergence:
    """Cosine and sine of the angle from grid north to true north, clockwise, interpolated between nodes.

    The components of a direction can be interpolated anywhere; the angle itself jumps at the date line of a polar grid.
    """

    def __init__(self, geobox: GeoBox) -> None:
        n_rows, n_columns = (math.ceil((length - 1) / STEP_PX) + 1 for length in geobox.shape)
        convergence = np.deg2rad(grid_convergence(GeoBox((n_rows, n_columns), _nodes(geobox), geobox.crs), step_px=1))
        self._cosine, self._sine = (_across(part(convergence), geobox.shape[1]) for part in (np.cos, np.sin))

    def of(self, block: Block) -> tuple[Array, Array]:
        """Return cosine and sine in a block, each (y, x) float32."""
        cosines, sines, upper, down = self.lines(block.rows)
        lower = np.minimum(upper + 1, len(cosines) - 1)
        parts = (part[:, block.columns] for part in (cosines, sines))
        cosine, sine = (part[upper] + (part[lower] - part[upper]) * down[:, None] for part in parts)
        return cosine, sine

    def lines(self, rows: slice) -> tuple[Array, Array, Array, Array]:
        """Return what rows of the grid are interpolated between.

        Returns:
            Cosine and sine in each row of nodes, (node, x) float32; for each row asked for the index of the row of
            nodes at or above it, (y,) int64, and how far it is from that to the next, 0..1, (y,) float32.
        """
        positions = np.arange(rows.start, rows.stop) / STEP_PX
        upper = np.floor(positions).astype(np.int64)
        return self._cosine, self._sine, upper, (positions - upper).astype(np.float32)


def _nodes(geobox: GeoBox) -> Affine:
    """Return the transform of a grid whose pixel k has its centre on the centre of pixel k * STEP_PX."""
    pixel_x, _, left, _, pixel_y, top = geobox.affine[:6]
    shift = 0.5 - STEP_PX / 2
    return Affine(pixel_x * STEP_PX, 0, left + pixel_x * shift, 0, pixel_y * STEP_PX, top + pixel_y * shift)


def _across(nodes: Array, width: int) -> Array:
    """Return (node, x) float32, linear between the columns of nodes."""
    positions = np.arange(width) / STEP_PX
    left = np.floor(positions).astype(np.intp)
    right = np.minimum(left + 1, nodes.shape[1] - 1)
    return (nodes[:, left] + (nodes[:, right] - nodes[:, left]) * (positions - left)).astype(np.float32)
