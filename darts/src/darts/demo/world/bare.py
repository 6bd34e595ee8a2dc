"""Bare ground that is no thaw slump, so that bareness alone does not find them."""

from dataclasses import dataclass

import cv2
import numpy as np

from darts.demo.world.fields import Noise, blurred, distance_px, gradient, smoothstep
from darts.demo.world.relief import Relief
from darts_utils.rasters.arrays import Array


@dataclass(frozen=True, kw_only=True)
class BareGround:
    """Share of each pixel that is bare for another reason than thaw, (y, x) float32 from 0 to 1."""

    bars: Array
    """Sand and gravel in the river's inner bends."""
    beaches: Array
    """Sand along low coasts and larger lakes."""
    bluffs: Array
    """Raw faces of steep coasts."""
    outcrops: Array
    """Rock on hilltops."""
    gravel: Array
    """Pads and a road."""
    basin_mud: Array
    """Mud on the floors of drained lakes."""


def make_bare_ground(noise: Noise, relief: Relief) -> BareGround:
    """Return the bare ground of a world."""
    south, east = gradient(blurred(relief.elevation, 1.2))
    steepness = np.hypot(south, east)
    to_sea, to_lake = distance_px(relief.sea), distance_px(relief.lakes)
    patchy = noise.field("beach patches", 90, 8, 1.5)
    low = smoothstep((1.2 - steepness) / 0.6)
    beaches = smoothstep((2.2 + 0.9 * patchy - to_sea) / 1.2) * low
    beaches = np.maximum(beaches, smoothstep((1.3 + 0.7 * patchy - to_lake) / 1.0) * low * (patchy > 0.3))
    faces = smoothstep((steepness - 1.0) / 0.9) * (np.minimum(to_sea, distance_px(relief.river.water)) < 12)
    faces = faces * smoothstep(noise.field("bluff cover", 60, 4, 1.2) + 0.5)
    mud = smoothstep((noise.field("basin mud", 35, 4, 1.3) + 0.1) / 0.7) * relief.basins
    land = (~relief.water).astype(np.float32)
    return BareGround(
        bars=blurred(relief.river.bars.astype(np.float32), 0.7) * land,
        beaches=(beaches * land).astype(np.float32),
        bluffs=(0.85 * faces * land).astype(np.float32),
        outcrops=_outcrops(noise, relief) * land,
        gravel=_gravel(noise, relief) * land,
        basin_mud=(0.9 * mud * land).astype(np.float32),
    )


def _outcrops(noise: Noise, relief: Relief) -> Array:
    """Return blocky rock on the highest ground."""
    height = relief.elevation
    prominence = (height - blurred(height, 45)) * smoothstep((distance_px(relief.water) - 25) / 70)
    high = smoothstep((prominence - np.quantile(prominence, 0.97)) / 2.0)
    return (0.9 * high * smoothstep((noise.field("outcrops", 30, 3, 1.2) - 0.2) / 0.6)).astype(np.float32)


def _gravel(noise: Noise, relief: Relief) -> Array:
    """Return a gravel road across the land, with pads along it; it ends before the river."""
    rng = noise.rng("gravel")
    height, width = noise.shape
    canvas = np.zeros(noise.shape, dtype=np.uint8)
    row = rng.uniform(0.45, 0.9) * height
    columns = np.arange(-20, width + 40, 20)
    rows = row + np.cumsum(rng.normal(0, 5, len(columns))) + 0.15 * height * np.sin(columns / width * rng.uniform(1, 4))
    line = np.rint(np.stack([columns, rows], axis=1) * 16).astype(np.int32)[:, None, :]
    cv2.polylines(canvas, [line], isClosed=False, color=1, thickness=2, lineType=cv2.LINE_8, shift=4)
    for index in rng.integers(1, len(columns) - 1, size=max(2, width // 300)):
        size = rng.uniform(7, 16, 2)
        box = cv2.boxPoints(((float(columns[index]), float(rows[index])), tuple(size), float(rng.uniform(0, 90))))
        cv2.fillPoly(canvas, [np.rint(box * 16).astype(np.int32)], 1, shift=4)
    dry = distance_px(relief.water) > 6
    return blurred((canvas.astype(bool) & dry).astype(np.float32), 0.5)
