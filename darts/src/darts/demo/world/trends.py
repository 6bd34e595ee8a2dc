"""Twenty-year tasseled-cap trends of the ground, as TCVIS shows them: 128 is no change."""

import numpy as np

from darts.demo.world.fields import Noise, blurred
from darts.demo.world.surface import Ground
from darts_utils.rasters.arrays import Array

_LANDSAT_BLUR_PX = 1.3
"""Landsat pixels are three times as wide as those of the world."""


def trends_of(noise: Noise, ground: Ground) -> Array:
    """Return the trends of brightness, greenness and wetness, (3, y, x) uint8.

    Where a slump grew the ground became brighter and lost its green; its floor became drier or wetter. Drained lakes
    lost water and turned green, new gravel is bright, bars come and go.
    """
    rng = noise.rng("trends")
    trends = np.stack([_background(noise, name, swing) for name, swing in (("b", 3.5), ("g", 5.0), ("w", 4.0))])
    trends[1] += 5  # the Arctic is greening
    _add(trends, ground.relief.basins, (-10, 20, -38))
    _add(trends, ground.bare.gravel, (38, -30, -24))
    _add(trends, ground.bare.bluffs, (8, -6, 0))
    shifting = noise.field("bars trend", 50, 8, 1.5)
    _add(trends, ground.bare.bars, (26 * shifting, -16 * shifting, -14 * shifting))
    for scar in ground.old_scars:
        _add(trends, scar.cover, (-6, 16, 6), scar.window)
    wetter = noise.field("slump wetness", 25, 4, 1.2)
    for scar in ground.slumps:
        strength = 0.35 + 0.75 * scar.design.activity
        wetness = -12 + 16 * wetter[scar.window] + 14 * rng.normal()
        change = (44 * strength, -46 * strength, wetness * strength)
        _add(trends, scar.cover, change, scar.window)
        _add(trends, scar.tongue, (-8, 0, 10), scar.window)
    water = ground.relief.water
    for index, swing in enumerate((7, 6, 9)):
        waves = 128 + swing * noise.field(f"water trend {index}", 60, 4, 1.0)
        trends[index] = np.where(water, waves, trends[index])
    return np.stack([np.clip(np.rint(blurred(layer, _LANDSAT_BLUR_PX)), 1, 255) for layer in trends]).astype(np.uint8)


def _background(noise: Noise, name: str, swing: float) -> Array:
    """Return the slow change of undisturbed tundra with Landsat's noise."""
    slow = noise.field(f"trend {name}", 260, 10, 1.3)
    return (128 + swing * (slow + 0.8 * noise.field(f"trend noise {name}", 12, 3, 0.3))).astype(np.float32)


def _add(
    trends: Array, cover: Array, change: tuple[Array | float, ...], window: tuple[slice, slice] | None = None
) -> None:
    """Add a change per layer, times the share covered, in place."""
    part = trends if window is None else trends[:, window[0], window[1]]
    for layer, amount in zip(part, change, strict=True):
        layer += cover * amount
