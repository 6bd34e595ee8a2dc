"""Where water gathers on a slope, and the gullies that it cuts."""

import heapq
from dataclasses import dataclass

import cv2
import numpy as np

from darts.demo.world.fields import blurred, enlarged
from darts_utils.rasters.arrays import Array

_NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True, kw_only=True)
class Drainage:
    """What running water did to the ground, (y, x) float32."""

    incision_m: Array
    """Depth of the gullies in metres."""
    wetness: Array
    """From 0 on ridges to 1 along the largest gullies."""


def drain(elevation: Array, water: Array) -> Drainage:
    """Return the gullies that drain a relief into its water and over its edges.

    Flow paths come from the priority flood of Barnes et al. (2014, doi:10.1016/j.cageo.2013.04.024), on a coarse grid,
    because gullies are wider than a pixel and it is a plain loop.
    """
    step = 4 if max(elevation.shape) <= 3000 else 8
    size = tuple(-(-length // step) for length in elevation.shape)
    coarse = cv2.resize(elevation, size[::-1], interpolation=cv2.INTER_AREA)
    outlets = cv2.resize(water.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA) > 0.3
    area_px = _upstream_area(coarse, outlets) * step**2
    gathered = np.log2(np.maximum(area_px, 1))
    depth = np.clip(0.7 * (gathered - 8.5), 0, 5.0) * ~outlets
    wetness = np.clip((gathered - 5.0) / 8.0, 0, 1)
    height, width = elevation.shape
    fine = [enlarged(blurred(layer, 0.6), step)[:height, :width] for layer in (depth, wetness)]
    return Drainage(incision_m=np.ascontiguousarray(fine[0]), wetness=np.ascontiguousarray(fine[1]))


def _upstream_area(elevation: Array, outlets: Array) -> Array:
    """Return how many cells drain through each cell, itself among them, (y, x) float32."""
    height, width = elevation.shape
    ground = (elevation + 1e-3 * np.random.default_rng(0).random(elevation.shape)).tolist()
    seen = outlets.copy()
    seen[[0, -1]] = seen[:, [0, -1]] = True
    queue = [(ground[row][column], row * width + column) for row, column in np.argwhere(seen).tolist()]
    heapq.heapify(queue)
    visited = seen.ravel().tolist()
    order, receiver = [], list(range(height * width))
    while queue:
        level, cell = heapq.heappop(queue)
        order.append(cell)
        row, column = divmod(cell, width)
        for down, right in _NEIGHBOURS:
            i, j = row + down, column + right
            if 0 <= i < height and 0 <= j < width and not visited[i * width + j]:
                visited[i * width + j] = True
                receiver[i * width + j] = cell
                heapq.heappush(queue, (max(ground[i][j], level), i * width + j))
    area = [1.0] * (height * width)
    for cell in reversed(order):
        if receiver[cell] != cell:
            area[receiver[cell]] += area[cell]
    return np.array(area, dtype=np.float32).reshape(height, width)
