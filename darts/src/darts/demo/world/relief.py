"""The land before it thaws: coast, hills, a river in its valley, gullies and lakes."""

from dataclasses import dataclass

import cv2
import numpy as np

from darts.demo.world.drainage import drain
from darts.demo.world.fields import Noise, blurred, distance_px, mix, smoothstep
from darts.demo.world.river import River, draw_river
from darts_utils.rasters.arrays import Array

_LAKES_PER_MPX = 20.0
_SKIRT_PX = 50
"""How far around a lake low ground is raised above its level."""


@dataclass(frozen=True, kw_only=True)
class Relief:
    """Elevation and water of a world, all (y, x) on its padded grid."""

    elevation: Array
    """float32, metres above the sea."""
    sea: Array
    """bool."""
    river: River
    """The river, with its bars and the places where it cuts into its banks."""
    lakes: Array
    """bool."""
    basins: Array
    """float32 from 0 to 1: floors of drained lakes."""
    wetness: Array
    """float32 from 0 to 1: how much water gathers there, highest along the gullies."""

    @property
    def water(self) -> Array:
        """Sea, river and lakes, bool."""
        return self.sea | self.river.water | self.lakes


def make_relief(noise: Noise) -> Relief:
    """Return the land of a world."""
    sea, inland = _coast(noise)
    to_sea = distance_px(sea)
    elevation = _lowland(noise, to_sea)
    river = draw_river(noise, sea, inland)
    elevation = _valley(noise, elevation, river, to_sea)
    drainage = drain(elevation, sea | river.water)
    elevation -= drainage.incision_m * smoothstep((np.minimum(to_sea, distance_px(river.water)) - 1) / 8)
    elevation, lakes, basins = _add_lakes(noise, elevation, to_sea, distance_px(river.water))
    elevation += 0.15 * noise.field("roughness", 30, 2, 0.5)
    elevation[sea] = 0.0
    elevation[river.water] = np.minimum(elevation, 0.2 + 0.006 * to_sea)[river.water]
    return Relief(
        elevation=elevation, sea=sea, river=river, lakes=lakes & ~sea, basins=basins, wetness=drainage.wetness
    )


def _coast(noise: Noise) -> tuple[Array, tuple[float, float]]:
    """Return the sea, bool, and the direction inland as (south, east)."""
    rng = noise.rng("coast")
    angle = rng.uniform(-0.6, 0.6)
    inland = (float(np.cos(angle)), float(np.sin(angle)))
    y, x = np.mgrid[0 : noise.shape[0], 0 : noise.shape[1]].astype(np.float32)
    level = y * inland[0] + x * inland[1]
    level += 38 * noise.field("coast", 900, 90, 1.8) + 5 * noise.field("coast detail", 70, 8, 1.3)
    sea = level < np.quantile(level, rng.uniform(0.12, 0.2))
    return _largest(sea), inland


def _largest(mask: Array) -> Array:
    """Return the largest connected part of a mask, its holes filled: no islands, no ponds."""
    for wanted in (mask, None):
        part = mask if wanted is not None else ~mask
        _, labels, stats, _ = cv2.connectedComponentsWithStats(part.astype(np.uint8), connectivity=4)
        kept = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        mask = kept if wanted is not None else ~kept
    return mask


def _lowland(noise: Noise, to_sea: Array) -> Array:
    """Return the elevation of rolling ground behind a coastal bluff of changing height."""
    bluff_m = np.clip(11 + 8 * noise.field("bluff height", 1200, 150, 2), 1.5, 26)
    width_px = np.clip(9 + 6 * noise.field("bluff width", 600, 80, 2), 4, 30)
    elevation = bluff_m * smoothstep((to_sea - 1) / width_px)
    elevation += 30 * (1 - np.exp(-np.maximum(to_sea - 10, 0) / 450))
    hills = noise.field("hills", 420, 60, 2.2)
    relief = (12 + 7 * noise.field("hilliness", 1500, 400, 2)).clip(3, 30)
    elevation += (hills + 1.2) * relief * smoothstep((to_sea - 15) / 120)
    return np.maximum(elevation, 0.3).astype(np.float32)


def _valley(noise: Noise, elevation: Array, river: River, to_sea: Array) -> Array:
    """Return the elevation with a flat-floored valley along the river, its walls steep where the river runs by."""
    floor = 0.6 + 0.006 * to_sea + 0.25 * noise.field("floodplain", 60, 6, 1.2)
    floor_px = np.clip(16 + 10 * noise.field("valley floor", 200, 30, 1.8), 2.5, 45)
    wall_px = np.clip(16 + 9 * noise.field("valley wall", 240, 40, 2), 7, 45)
    wall = smoothstep((blurred(distance_px(river.water), 3.0) - floor_px) / wall_px)
    return mix(np.minimum(floor, elevation), elevation, wall)


def _add_lakes(noise: Noise, elevation: Array, to_sea: Array, to_river: Array) -> tuple[Array, Array, Array]:
    """Return the elevation with lake basins pressed in, the lakes (bool) and the floors of drained ones (0..1)."""
    rng = noise.rng("lakes")
    shore = noise.field("shores", 220, 30, 1.8) + 0.25 * noise.field("shore detail", 40, 6, 1.3)
    steepness = noise.field("shore steepness", 160, 20, 1.8)
    elevation = elevation.copy()
    lakes, basins = np.zeros(noise.shape, dtype=bool), np.zeros(noise.shape, dtype=np.float32)
    wind = rng.uniform(0, np.pi)
    taken: list[tuple[float, float, float]] = []
    for index in range(round(_LAKES_PER_MPX * lakes.size / 1e6)):
        radius = float(np.clip(rng.lognormal(3.0, 0.5), 9, 70))
        centre = _free_place(rng, radius, taken, np.minimum(to_sea, to_river))
        if centre is None:
            continue
        taken.append((*centre, radius))
        window, level_set = _lake_shape(centre, radius, wind + rng.normal(0, 0.25), rng.uniform(1.1, 2.0), shore)
        rim_px = np.clip(7 + 5 * steepness[window], 2.5, 22)
        ground = elevation[window]
        level = float(np.percentile(ground[level_set < 1.1], 12)) if (level_set < 1.1).any() else 1.0
        away_px = (level_set - 1) * radius
        rising = smoothstep(away_px / rim_px)
        raised = ground + np.maximum(level + 1.0 - ground, 0) * (1 - smoothstep(away_px / _SKIRT_PX))
        drained = index % 5 == 1
        if drained:
            basins[window] = np.maximum(basins[window], smoothstep((1.02 - level_set) * radius / 3))
            level += 0.5
        else:
            lakes[window] |= level_set < 1
        elevation[window] = mix(np.full_like(ground, level), raised, rising)
    return elevation, lakes, basins


def _free_place(
    rng: np.random.Generator, radius: float, taken: list[tuple[float, float, float]], to_water: Array
) -> tuple[float, float] | None:
    """Return a centre away from water and other lakes, None if twenty tries found none."""
    for _ in range(20):
        y, x = rng.uniform(0, to_water.shape[0]), rng.uniform(0, to_water.shape[1])
        free = all(np.hypot(y - b, x - a) > 1.5 * (radius + r) + 12 for b, a, r in taken)
        if free and to_water[int(y), int(x)] > 1.6 * radius + 25:
            return y, x
    return None


def _lake_shape(
    centre: tuple[float, float], radius: float, direction: float, stretch: float, shore: Array
) -> tuple[tuple[slice, slice], Array]:
    """Return a window around a lake and, in it, a level set that is below 1 in the lake, float32."""
    reach = int(1.6 * radius * stretch**0.5) + 2 * _SKIRT_PX
    rows, columns = (slice(max(int(c) - reach, 0), int(c) + reach) for c in centre)
    y, x = np.mgrid[rows.start : min(rows.stop, shore.shape[0]), columns.start : min(columns.stop, shore.shape[1])]
    dy, dx = y - centre[0], x - centre[1]
    along = dy * np.cos(direction) + dx * np.sin(direction)
    across = dx * np.cos(direction) - dy * np.sin(direction)
    ellipse = np.sqrt((along / stretch**0.5) ** 2 + (across * stretch**0.5) ** 2) / radius
    return (rows, columns), (ellipse + 0.13 * shore[rows, columns]).astype(np.float32)
