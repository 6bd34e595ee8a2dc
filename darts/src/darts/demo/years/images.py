"""What satellites see of a world over years."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from darts.demo.world.clouds import Sky, make_sky, scene_classes, seen_through
from darts.demo.world.cubes import source_positions
from darts.demo.world.fields import Noise
from darts.demo.world.place import Place
from darts.demo.world.surface import reflectance_of, spectra_of
from darts.demo.years.kept import KeptNoise
from darts.demo.years.places import Take, takes_of
from darts.demo.years.world import WorldOverYears
from darts_utils.rasters.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image of a world, with the sky over it."""

    year: int
    place: Place
    reflectance: Array
    """(blue green red nir, y, x) float32, NaN beyond the swath."""
    classes: Array
    """(y, x) uint8: Sentinel-2 scene classification."""


def images_of(world: WorldOverYears) -> Iterator[Image]:
    """Yield the images of all years, one after the other: together they would not fit in memory."""
    noise = KeptNoise(world.seed, world.place.padded_geobox.shape.yx)
    for take in takes_of(world.seed, world.place.geobox, world.years):
        yield from _taken(world, take, noise)


def _taken(world: WorldOverYears, take: Take, noise: Noise) -> Iterator[Image]:
    """Yield the images of one pass: one sky, one season, one sun."""
    own = Noise(10**6 * (world.seed + 1) + 10 * take.number, noise.shape)
    ground = world.grounds[world.years.index(take.year)]
    sun = (take.tiles[0].sun_azimuth, take.tiles[0].sun_elevation)
    clear = reflectance_of(noise, ground, sun, spectra_of(own.rng("spectra")))
    sky = make_sky(own, sun, np.zeros(noise.shape, dtype=bool))
    for number, place in enumerate(take.tiles, start=1):
        columns, rows = source_positions(world.place.padded_geobox, place.geobox)
        here = _OnGrid(columns, rows)
        above = Sky(
            cloud=here.share(sky.cloud),
            shadow=here.share(sky.shadow),
            haze=here.share(sky.haze),
            no_data=here.mask(sky.no_data),
        )
        sensor = Noise(own.seed + number, place.geobox.shape.yx)
        seen = seen_through(np.stack([here.smooth(band) for band in clear]), above, sensor)
        classes = scene_classes(seen, here.mask(ground.relief.water), above, sensor)
        yield Image(year=take.year, place=place, reflectance=seen, classes=classes)


@dataclass(frozen=True)
class _OnGrid:
    """Brings layers of the world onto the grid of an image."""

    columns: Array
    rows: Array

    def smooth(self, layer: Array) -> Array:
        return self._at(layer, cv2.INTER_CUBIC)

    def share(self, layer: Array) -> Array:
        return self._at(layer.astype(np.float32), cv2.INTER_LINEAR)

    def mask(self, layer: Array) -> Array:
        return self._at(layer.astype(np.uint8), cv2.INTER_NEAREST) > 0

    def _at(self, layer: Array, how: int) -> Array:
        return cv2.remap(np.ascontiguousarray(layer), self.columns, self.rows, how, borderMode=cv2.BORDER_REPLICATE)
