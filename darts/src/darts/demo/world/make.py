"""The sample world put together: from a seed to all that a satellite and its helpers would have seen."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely

from darts.demo.world.bare import BareGround, make_bare_ground
from darts.demo.world.clouds import make_sky, scene_classes, seen_through
from darts.demo.world.fields import Noise, distance_px
from darts.demo.world.place import MARGIN_PX, Place, place_of
from darts.demo.world.relief import Relief, make_relief
from darts.demo.world.scars import Scar, ScarDesign, draw_scar
from darts.demo.world.sites import design_slumps
from darts.demo.world.surface import Ground, reflectance_of, spectra_of
from darts.demo.world.trends import trends_of
from darts_utils.rasters.arrays import Array

DEFAULT_SIZE_PX = 1024


@dataclass(frozen=True, kw_only=True)
class World:
    """A sample world."""

    seed: int
    size: int
    """Edge length of the scene in pixels."""
    place: Place
    reflectance: Array
    """(blue green red nir, y, x) float32 on the scene's grid, NaN beyond the swath."""
    classes: Array
    """(y, x) uint8 on the scene's grid: Sentinel-2 scene classification."""
    elevation: Array
    """(y, x) float32 in metres on the padded grid, NaN where the elevation model has holes."""
    trends: Array
    """(brightness greenness wetness, y, x) uint8 on the padded grid."""
    truth: gpd.GeoDataFrame
    """Outlines of the slumps in the scene's CRS, clipped to it: `id kind activity area_m2 geometry`."""

    @property
    def scene_id(self) -> str:
        """Id of its scene."""
        return self.place.scene_id


def make_world(seed: int, size: int = DEFAULT_SIZE_PX) -> World:
    """Return the world of a seed: the same seed and size always give the same world.

    Args:
        seed: Any whole number from 0 on.
        size: Edge length of the scene in pixels of 10 m.

    Raises:
        ConfigError: If the seed is negative or the size is out of range.
    """
    place = place_of(seed, size)
    noise = Noise(seed, place.padded_geobox.shape.yx)
    sun = (place.sun_azimuth, place.sun_elevation)
    ground = _make_ground(noise)
    sky = make_sky(noise, sun, _covered(noise.shape, ground.slumps))
    image = seen_through(reflectance_of(noise, ground, sun, spectra_of(noise.rng("spectra"))), sky, noise)
    classes = scene_classes(image, ground.relief.water, sky, noise)
    inner = (slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
    return World(
        seed=seed,
        size=size,
        place=place,
        reflectance=np.ascontiguousarray(image[:, *inner]),
        classes=np.ascontiguousarray(classes[inner]),
        elevation=measured(noise, ground.relief.elevation),
        trends=trends_of(noise, ground),
        truth=_truth(place, ground.slumps),
    )


def _make_ground(noise: Noise) -> Ground:
    """Return the land with its slumps and scars pressed into it."""
    relief = make_relief(noise)
    to_water = distance_px(relief.water)
    active, old = design_slumps(noise, relief)
    slumps, old_scars = (_drawn(noise, designs, to_water) for designs in (active, old))
    return ground_with(relief, make_bare_ground(noise, relief), slumps, old_scars)


def ground_with(relief: Relief, bare: BareGround, slumps: list[Scar], old_scars: list[Scar]) -> Ground:
    """Return a land with scars pressed into it.

    Args:
        relief: The land before it thawed.
        bare: What is bare of it.
        slumps: Scars that are active.
        old_scars: Overgrown ones.
    """
    elevation = relief.elevation.copy()
    for scar in [*slumps, *old_scars]:
        elevation[scar.window] -= scar.lowering_m
    elevation = np.where(relief.water, relief.elevation, np.maximum(elevation, 0.3))
    sunken = Relief(**{**vars(relief), "elevation": elevation.astype(np.float32)})
    return Ground(relief=sunken, bare=bare, slumps=slumps, old_scars=old_scars)


def _drawn(noise: Noise, designs: list[ScarDesign], to_water: Array) -> list[Scar]:
    rng = noise.rng("edges")
    scars = [draw_scar(rng, design, to_water) for design in designs]
    return [scar for scar in scars if scar is not None]


def _covered(shape: tuple[int, int], scars: list[Scar]) -> Array:
    """Return where scars are, bool."""
    covered = np.zeros(shape, dtype=bool)
    for scar in scars:
        covered[scar.window] |= scar.cover > 0.5
    return covered


def measured(noise: Noise, true: Array) -> Array:
    """Return the elevation as a model from satellite images has it: a little rough, with a few holes."""
    rng = noise.rng("holes")
    elevation = true + 0.10 * noise.field("matching noise", 14, 3, 0.6)
    for _ in range(max(1, round(2 * elevation.size / 1e6))):
        row, column = (int(rng.integers(MARGIN_PX, length - MARGIN_PX)) for length in elevation.shape)
        height, width = rng.integers(5, 18, 2)
        elevation[row : row + height, column : column + width] = np.nan
    return elevation.astype(np.float32)


def _truth(place: Place, slumps: list[Scar]) -> gpd.GeoDataFrame:
    """Return the outlines on the map, clipped to the scene."""
    affine = place.padded_geobox.affine
    extent = place.geobox.extent.geom
    rows = []
    for index, scar in enumerate(slumps):
        on_map = shapely.transform(scar.outline, lambda xy: np.column_stack(affine * (xy[:, 0], xy[:, 1])))
        clipped = shapely.intersection(on_map, extent)
        if clipped.geom_type in ("Polygon", "MultiPolygon") and clipped.area > 0:
            rows.append({"id": index, "kind": scar.design.kind, "activity": round(scar.design.activity, 3),
                         "area_m2": round(clipped.area, 1), "geometry": clipped})  # fmt: skip
    columns = ["id", "kind", "activity", "area_m2", "geometry"]
    return gpd.GeoDataFrame(rows, columns=columns, geometry="geometry", crs=str(place.geobox.crs))
