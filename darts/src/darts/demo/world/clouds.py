"""The sky over a world: cloud, its shadow and haze; and the edge of the swath."""

from dataclasses import dataclass

import cv2
import numpy as np

from darts.demo.world.fields import Noise, blurred, smoothstep
from darts.demo.world.place import MARGIN_PX
from darts_utils.rasters.arrays import Array

_TRIES = 40
_USUAL_COVER = (0.02, 0.06)
_COARSE_STEP = 4
"""Skies are compared on every fourth pixel."""
_CLOUD = np.array((0.62, 0.60, 0.60, 0.64), dtype=np.float32)
_HAZE = np.array((0.30, 0.28, 0.27, 0.27), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Sky:
    """What is between ground and satellite, (y, x) float32 from 0 to 1."""

    cloud: Array
    shadow: Array
    haze: Array
    no_data: Array
    """bool: beyond the edge of the swath."""


def make_sky(noise: Noise, sun: tuple[float, float], to_see: Array) -> Sky:
    """Return the sky of a world.

    Args:
        noise: Random numbers.
        sun: Azimuth and elevation in degrees; shadows fall away from it.
        to_see: (y, x) bool, what should not be hidden: of some random skies the one that hides least of it is taken.
    """
    rng = noise.rng("clouds")
    texture = noise.field("clouds", 130, 5, 1.7)
    fall = _shadow_offset(rng.uniform(500, 900), *sun)
    banks = [_Bank.drawn(rng, noise.shape) for _ in range(_TRIES)]
    step = _COARSE_STEP
    coarse_fall = (fall[0] / step, fall[1] / step)
    chosen = min(banks, key=lambda b: _unsuited(b.cloud(texture, step), coarse_fall, to_see[::step, ::step]))
    bank, cloud = chosen.hump(texture, 1), chosen.cloud(texture, 1)
    shadow = _moved(cloud, fall)
    veil = 0.20 * smoothstep((bank + 0.1) / 1.2) ** 2
    veil += 0.12 * smoothstep((noise.field("haze", 700, 80, 1.6) - 0.7) / 2.0)
    return Sky(cloud=cloud, shadow=shadow * (1 - cloud), haze=veil * (1 - cloud), no_data=_swath_edge(rng, noise.shape))


@dataclass(frozen=True)
class _Bank:
    """A bank of clouds: where its middle lies, its direction in radians, and half its width in pixels."""

    row: float
    column: float
    angle: float
    extent: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, shape: tuple[int, int]) -> "_Bank":
        """Return a random bank."""
        row, column = (rng.uniform(MARGIN_PX, length - MARGIN_PX) for length in shape)
        return cls(row, column, rng.uniform(0, np.pi), rng.uniform(0.08, 0.11) * (min(shape) - 2 * MARGIN_PX))

    def hump(self, texture: Array, step: int) -> Array:
        """Return a long hump, about 1 at its middle, with the texture of clouds; every `step`-th pixel."""
        y, x = np.meshgrid(*(np.arange(0, n, step, dtype=np.float32) for n in texture.shape), indexing="ij")
        along = (y - self.row) * np.cos(self.angle) + (x - self.column) * np.sin(self.angle)
        across = (x - self.column) * np.cos(self.angle) - (y - self.row) * np.sin(self.angle)
        hump = np.exp(-((along / (2.2 * self.extent)) ** 2) - (across / self.extent) ** 2)
        return (hump * (1 + 0.55 * texture[::step, ::step])).astype(np.float32)

    def cloud(self, texture: Array, step: int) -> Array:
        """Return how opaque its clouds are, from 0 to 1."""
        return smoothstep((self.hump(texture, step) - 0.55) / 0.4)


def _unsuited(cloud: Array, fall: tuple[float, float], to_see: Array) -> tuple[float, int]:
    """Return what makes a cloud a bad choice: first a cover that is not usual, then how much it and its shadow hide."""
    margin = MARGIN_PX // _COARSE_STEP
    cover = float((cloud[margin:-margin, margin:-margin] > 0.3).mean())
    unusual = max(_USUAL_COVER[0] - cover, cover - _USUAL_COVER[1], 0.0)
    return unusual, int(((cloud > 0.1) | (_moved(cloud, fall) > 0.1))[to_see].sum())


def _shadow_offset(height_m: float, azimuth: float, elevation: float) -> tuple[float, float]:
    """Return where a shadow falls, in pixels to the south and to the east of its cloud."""
    reach = height_m / np.tan(np.radians(elevation)) / 10
    return float(reach * np.cos(np.radians(azimuth))), float(-reach * np.sin(np.radians(azimuth)))


def _moved(layer: Array, offset: tuple[float, float]) -> Array:
    south, east = offset
    shift = np.array([[1, 0, east], [0, 1, south]], dtype=np.float32)
    return cv2.warpAffine(layer, shift, layer.shape[::-1], flags=cv2.INTER_LINEAR, borderValue=0)


def _swath_edge(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return a wedge along the western or eastern edge, bool: orbits run a little across the grid."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    width = shape[1] - 2 * MARGIN_PX
    wide, narrow = MARGIN_PX + rng.uniform(0.03, 0.09) * width, MARGIN_PX - rng.uniform(0.02, 0.12) * width
    limit = narrow + (wide - narrow) * y / shape[0]
    return np.asarray(x < limit if rng.random() < 0.5 else shape[1] - 1 - x < limit)


def seen_through(image: Array, sky: Sky, noise: Noise) -> Array:
    """Return the image as the satellite sees it, (band, y, x) float32, NaN beyond the swath.

    Clouds are bright with darker folds, haze is bluish, shadows keep the light of the sky; the optics blur by half a
    pixel and the detector adds noise.
    """
    lit = image * (1 - sky.shadow * np.array((0.42, 0.50, 0.56, 0.62), dtype=np.float32).reshape(4, 1, 1))
    folds = (1 + 0.10 * noise.field("cloud folds", 40, 4, 1.4)).astype(np.float32)
    lit = lit + (_HAZE.reshape(4, 1, 1) - lit) * sky.haze
    lit = lit + (_CLOUD.reshape(4, 1, 1) * folds - lit) * sky.cloud
    rng = noise.rng("sensor")
    seen = np.stack([blurred(band, 0.55) for band in lit])
    for band in seen:
        band += rng.standard_normal(band.shape, dtype=np.float32) * (0.0012 + 0.012 * band)
        band[sky.no_data] = np.nan
    return seen


def scene_classes(image: Array, water: Array, sky: Sky, noise: Noise) -> Array:
    """Return the scene classification of Sen2Cor, (y, x) uint8 in blocks of 2 x 2, with its usual small errors.

    0 no data, 3 cloud shadow, 4 vegetation, 5 bare, 6 water, 7 unclassified, 8 and 9 cloud, 10 thin cirrus.
    """
    red, nir = (np.nan_to_num(band) for band in (image[2], image[3]))
    ndvi = (nir - red) / np.maximum(nir + red, 1e-3)
    unsure = noise.field("classifier", 10, 2, 0.5)
    classes = np.where(ndvi > 0.32 + 0.03 * unsure, 4, 5)
    classes[(ndvi > 0.27) & (ndvi < 0.32) & (unsure > 1.5)] = 7
    classes[water | (ndvi < -0.02)] = 6
    classes[sky.haze > 0.12] = 10
    classes[sky.shadow > 0.4 + 0.05 * unsure] = 3
    classes[sky.cloud > 0.2 + 0.05 * unsure] = 8
    classes[sky.cloud > 0.6] = 9
    classes[sky.no_data] = 0
    blocks = classes[::2, ::2].astype(np.uint8)
    return np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)[: classes.shape[0], : classes.shape[1]]
