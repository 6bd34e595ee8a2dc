"""What the ground is made of, and the reflectance and the trends that follow from it."""

from dataclasses import dataclass

import cv2
import numpy as np

from darts.demo.world.bare import BareGround
from darts.demo.world.fields import Noise, blurred, distance_px, gradient, mix, smoothstep
from darts.demo.world.relief import Relief
from darts.demo.world.scars import Scar
from darts_utils.rasters.arrays import Array

BANDS = ("blue", "green", "red", "nir")

_REFLECTANCE: dict[str, tuple[float, ...]] = {
    "tussock": (0.034, 0.058, 0.056, 0.230),
    "shrub": (0.022, 0.050, 0.034, 0.315),
    "sedge": (0.025, 0.054, 0.043, 0.260),
    "heath": (0.048, 0.074, 0.077, 0.222),
    "wet mud": (0.070, 0.086, 0.094, 0.120),
    "dry mud": (0.110, 0.138, 0.160, 0.215),
    "headwall": (0.060, 0.072, 0.079, 0.100),
    "sand": (0.155, 0.188, 0.214, 0.268),
    "gravel": (0.142, 0.160, 0.171, 0.202),
    "rock": (0.094, 0.110, 0.123, 0.150),
    "soil": (0.088, 0.112, 0.136, 0.180),
    "peat": (0.056, 0.072, 0.086, 0.135),
    "deep water": (0.042, 0.041, 0.023, 0.010),
    "turbid water": (0.082, 0.112, 0.100, 0.042),
    "clear lake": (0.030, 0.033, 0.021, 0.012),
    "muddy lake": (0.056, 0.074, 0.058, 0.024),
}
"""Surface reflectance in blue, green, red and near infrared, as Sentinel-2 sees tundra in July."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Everything that lies on a relief."""

    relief: Relief
    bare: BareGround
    slumps: list[Scar]
    old_scars: list[Scar]


def spectra_of(rng: np.random.Generator) -> dict[str, Array]:
    """Return what the covers of the ground look like in one scene: no two have the same season and air."""
    return {
        name: (np.array(value) * rng.normal(1, 0.05) * rng.normal(1, 0.025, 4)).astype(np.float32)
        for name, value in _REFLECTANCE.items()
    }


def reflectance_of(noise: Noise, ground: Ground, sun: tuple[float, float], spectra: dict[str, Array]) -> Array:
    """Return the reflectance under a clear sky, (blue green red nir, y, x) float32 from 0 to 1.

    Args:
        noise: Random numbers.
        ground: What there is.
        sun: Azimuth (degrees clockwise from north) and elevation of the sun.
        spectra: Reflectance of each cover, see `spectra_of`.
    """
    image = _tundra(noise, ground.relief, spectra)
    _paint_bare(noise, image, ground, spectra)
    for scar in ground.old_scars:
        _paint(image, spectra["shrub"], 0.75 * scar.cover * (1 - scar.tongue), scar.window)
        _paint(image, spectra["sedge"], 0.7 * scar.tongue, scar.window)
        _paint(image, spectra["soil"], 0.25 * scar.headwall, scar.window)
    _paint_slumps(noise, image, ground.slumps, spectra)
    image *= _illumination(ground.relief.elevation, *sun)
    _paint_water(noise, image, ground.relief, spectra)
    return image


def _paint(image: Array, spectrum: Array, cover: Array, window: tuple[slice, slice] | None = None) -> None:
    """Blend a spectrum, (4,) or (4, y, x), into an image in place by the share that it covers."""
    part = image if window is None else image[:, window[0], window[1]]
    colour = spectrum.reshape(4, 1, 1) if spectrum.ndim == 1 else spectrum
    part += (colour - part) * cover


def _tundra(noise: Noise, relief: Relief, spectra: dict[str, Array]) -> Array:
    """Return tussock tundra with shrubs and sedges where it is wet, heath on dry ridges, and ice-wedge polygons."""
    height = relief.elevation
    ridge = np.clip((height - blurred(height, 18)) / 4, -1.5, 1.5)
    wet = relief.wetness - 0.25 * ridge + 0.22 * noise.field("moisture", 140, 5, 1.1)
    image = np.broadcast_to(spectra["tussock"].reshape(4, 1, 1), (4, *noise.shape)).copy()
    _paint(image, spectra["heath"], 0.85 * smoothstep((0.12 - wet) / 0.5))
    _paint(image, spectra["sedge"], 0.7 * smoothstep((wet - 0.35) / 0.3))
    shrubs = smoothstep((wet - 0.55 + 0.15 * noise.field("shrubs", 40, 3, 1.0)) / 0.25)
    _paint(image, spectra["shrub"], 0.85 * shrubs)
    image *= 1 + 0.05 * noise.field("patches", 60, 4, 1.0)
    wedges = np.exp(-((noise.field("polygons", 7, 3, 0.0) / 0.35) ** 2))
    flat = smoothstep((noise.field("polygon fields", 300, 60, 2) - 0.1) / 0.6)
    image *= 1 - 0.13 * wedges * flat
    return image.astype(np.float32)


def _paint_bare(noise: Noise, image: Array, ground: Ground, spectra: dict[str, Array]) -> None:
    """Paint drained basins, bluffs, beaches, bars, outcrops and gravel: bare, but no slumps."""
    bare, basins = ground.bare, ground.relief.basins
    _paint(image, spectra["sedge"], 0.85 * basins)
    _paint(image, mix_spectra(spectra["peat"], spectra["wet mud"], noise.field("basin floor", 30, 4)), bare.basin_mud)
    _paint(image, mix_spectra(spectra["soil"], spectra["dry mud"], noise.field("bluff soil", 20, 3)), bare.bluffs)
    _paint(image, spectra["rock"], bare.outcrops)
    _paint(image, mix_spectra(spectra["sand"], spectra["gravel"], noise.field("bar grain", 25, 3)), bare.bars)
    _paint(image, spectra["sand"], bare.beaches)
    _paint(image, spectra["gravel"], bare.gravel)


def mix_spectra(first: Array, second: Array, field: Array) -> Array:
    """Return two spectra blended by a random field, (4, y, x)."""
    return mix(first.reshape(4, 1, 1), second.reshape(4, 1, 1), smoothstep(0.5 + 0.35 * field))


def _paint_slumps(noise: Noise, image: Array, slumps: list[Scar], spectra: dict[str, Array]) -> None:
    """Paint scar floors of wet and dry mud with rafts of tundra, dark headwalls and mud tongues."""
    grain = noise.field("mud", 18, 3, 1.2)
    rafts = noise.field("rafts", 9, 2.5, 0.8)
    for scar in slumps:
        rows, columns = scar.window
        local = grain[rows, columns]
        dryness = smoothstep(0.35 + 0.3 * local + 0.25 * scar.design.activity)
        floor = mix(spectra["wet mud"].reshape(4, 1, 1), spectra["dry mud"].reshape(4, 1, 1), dryness)
        overgrown = smoothstep((rafts[rows, columns] - 0.6 - 1.1 * scar.design.activity) / 0.5) * 0.8
        _paint(image, floor, scar.cover * (1 - overgrown), scar.window)
        _paint(image, spectra["wet mud"], 0.55 * scar.tongue, scar.window)
        _paint(image, spectra["headwall"], 0.8 * scar.headwall, scar.window)


def _paint_water(noise: Noise, image: Array, relief: Relief, spectra: dict[str, Array]) -> None:
    """Paint the sea with muddy water along the shore and off the river, lakes each with its own clarity."""
    edge = blurred(relief.water.astype(np.float32), 0.6)
    plume = np.exp(-distance_px(relief.river.water) / 90) + 0.7 * np.exp(-distance_px(~relief.sea) / 25)
    muddy = np.clip(plume * (1 + 0.25 * noise.field("plume", 120, 10, 1.6)), 0, 1)
    colour = mix(spectra["deep water"].reshape(4, 1, 1), spectra["turbid water"].reshape(4, 1, 1), muddy)
    clarity = _per_object(noise.rng("clarity"), relief.lakes)
    lake = mix(spectra["clear lake"].reshape(4, 1, 1), spectra["muddy lake"].reshape(4, 1, 1), clarity)
    colour = np.where(blurred(relief.lakes.astype(np.float32), 1.5) > 0.02, lake, colour)
    _paint(image, colour.astype(np.float32), smoothstep((edge - 0.15) / 0.7))


def _per_object(rng: np.random.Generator, mask: Array) -> Array:
    """Return a random number from 0 to 1 for each connected part of a mask, also a little around it."""
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), dtype=np.uint8))
    count, labels = cv2.connectedComponents(grown)
    return rng.random(count).astype(np.float32)[labels]


def _illumination(elevation: Array, azimuth: float, sun_elevation: float) -> Array:
    """Return how brightly each slope is lit compared with flat ground; the sky lights the rest (half as strong)."""
    south, east = gradient(elevation)
    slope_north, slope_east = south / 10, -east / 10  # components of the surface normal
    a, e = np.radians(azimuth), np.radians(sun_elevation)
    lit = slope_east * np.sin(a) * np.cos(e) + slope_north * np.cos(a) * np.cos(e) + np.sin(e)
    lit /= np.sqrt(1 + slope_north**2 + slope_east**2) * np.sin(e)
    return np.clip(0.35 + 0.65 * lit, 0.45, 1.35).astype(np.float32)
