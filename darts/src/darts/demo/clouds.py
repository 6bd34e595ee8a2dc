"""The sky over a world: cloud, its shadow and haze; and the edge of the swath."""

from dataclasses import dataclass

import cv2
import numpy as np

from darts.demo.fields import Array, Noise, blurred, smoothstep

_TRIES = 12
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
    skies = []
    for _ in range(_TRIES):
        bank = _bank(rng, noise.shape) * (1 + 0.55 * texture)
        cloud = smoothstep((bank - 0.55) / 0.4)
        shadow = _moved(cloud, fall)
        hidden = float(((cloud > 0.1) | (shadow > 0.1))[to_see].sum())
        skies.append((hidden, cloud, shadow, bank))
    _, cloud, shadow, bank = min(skies, key=lambda sky: sky[0])
    veil = 0.20 * smoothstep((bank + 0.1) / 1.2) ** 2
    veil += 0.12 * smoothstep((noise.field("haze", 700, 80, 1.6) - 0.7) / 2.0)
    return Sky(cloud=cloud, shadow=shadow * (1 - cloud), haze=veil * (1 - cloud), no_data=_swath_edge(rng, noise.shape))


def _bank(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return a long hump, 1 at its middle: where a bank of clouds lies."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    row, column = rng.uniform(0.1, 0.9) * shape[0], rng.uniform(0.1, 0.9) * shape[1]
    angle, extent = rng.uniform(0, np.pi), rng.uniform(0.07, 0.1) * min(shape)
    along = (y - row) * np.cos(angle) + (x - column) * np.sin(angle)
    across = (x - column) * np.cos(angle) - (y - row) * np.sin(angle)
    return np.exp(-((along / (2.2 * extent)) ** 2) - (across / extent) ** 2)


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
    wide, narrow = rng.uniform(0.10, 0.15) * shape[1], rng.uniform(-0.06, 0.02) * shape[1]
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
