"""A world over years: its slumps with their true outlines, and what lies on the ground in each year."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts.demo.world.bare import make_bare_ground
from darts.demo.world.fields import Noise, distance_px
from darts.demo.world.make import ground_with, measured
from darts.demo.world.place import Place
from darts.demo.world.relief import make_relief
from darts.demo.world.scars import Scar, ScarDesign, draw_scar, united
from darts.demo.world.sites import design_slumps
from darts.demo.world.surface import Ground
from darts.demo.world.trends import trends_of
from darts.demo.years.kept import KeptNoise
from darts.demo.years.lives import Life, lives_of
from darts.demo.years.places import first_place, grids_of
from darts_utils.errors import ConfigError
from darts_utils.objects.geodesy import ground_areas_m2
from darts_utils.rasters.arrays import Array

DEFAULT_SIZE_PX = 2000
LAST_YEAR = 2024
MOST_YEARS = 10
_INSIDE_M = 150.0
"""How far slumps lie within the ground that images show: those at its edge would never be seen whole."""
_APART_PX = 3.5
"""How far slumps lie apart before they merge and after they split, in their irregular outlines."""

_MOST_OF_LARGER = 0.8
"""Area of a slump that ends in another one, or begins as its part, by that of the other: the larger one goes on."""


@dataclass(frozen=True, kw_only=True)
class WorldOverYears:
    """A sample world over years."""

    seed: int
    size: int
    """Edge length in pixels."""
    place: Place
    """Where it lies, in the UTM zone of its western images."""
    years: tuple[int, ...]
    grounds: tuple[Ground, ...]
    """What lies on the ground, by year, on the padded grid."""
    outlines: gpd.GeoDataFrame
    """One row a slump and year: `slump year kind activity area_m2 geometry`, in EPSG:4326; areas on the ground."""
    tracks: pd.DataFrame
    """One row a slump: `slump first_year last_year n_years growth_m2_per_year retreat_m_per_year split_from
    merged_into`; growth and retreat are null for those that merge or split, growth for one year too."""


@dataclass(frozen=True, kw_only=True)
class Charts:
    """The elevation and the trends of a world over years, as `Land` has them."""

    seed: int
    size: int
    place: Place
    elevation: Array
    """(y, x) float32 in metres on the padded grid, NaN where the elevation model has holes."""
    trends: Array
    """(brightness greenness wetness, y, x) uint8 on the padded grid."""


def elevation_of(world: WorldOverYears) -> Array:
    """Return the elevation, (y, x) float32: the mean of all years, as ArcticDEM is a mosaic of many."""
    noise = Noise(world.seed, world.place.padded_geobox.shape.yx)
    mosaic = np.mean([ground.relief.elevation for ground in world.grounds], axis=0, dtype=np.float32)
    return measured(noise, mosaic)


def trends_in(world: WorldOverYears, years: Sequence[int]) -> Array:
    """Return the mean trends of years, (brightness greenness wetness, y, x) uint8."""
    noise = KeptNoise(world.seed, world.place.padded_geobox.shape.yx)
    trends = [trends_of(noise, world.grounds[world.years.index(year)]) for year in years]
    return np.rint(np.mean(trends, axis=0, dtype=np.float32)).astype(np.uint8)


def make_world_over_years(seed: int, n_years: int, size: int = DEFAULT_SIZE_PX) -> WorldOverYears:
    """Return the world of a seed over years: the same arguments always give the same world.

    Args:
        seed: Any whole number from 0 on.
        n_years: How many years, the last of which is `LAST_YEAR`.
        size: Edge length in pixels of 10 m.

    Raises:
        ConfigError: If the number of years, the seed or the size is out of range, or there is no slump.
    """
    if not 2 <= n_years <= MOST_YEARS:
        raise ConfigError(f"n_years is {n_years} but must be from 2 to {MOST_YEARS}. Leave it out for a world of one.")
    years = tuple(range(LAST_YEAR - n_years + 1, LAST_YEAR + 1))
    place = first_place(seed, size)
    noise = Noise(seed, place.padded_geobox.shape.yx)
    relief = make_relief(noise)
    bare = make_bare_ground(noise, relief)
    active, old = design_slumps(noise, relief)
    drawing = _Drawing(seed, distance_px(relief.water))
    lives = _shown(lives_of(noise.rng("lives"), active, years), drawing, place)
    if not lives:
        raise ConfigError(f"the world of seed {seed} and {size} px has no slump. Choose another seed or a larger size.")
    old_scars = [scar for design in old if (scar := drawing.scar(design)) is not None]
    grounds = []
    for year in years:
        overgrown = [scar for life in lives for scar in drawing.overgrown(life, year)]
        slumps = [drawing.slump(life, year) for life in lives if year in life.scars]
        grounds.append(ground_with(relief, bare, slumps, [*old_scars, *overgrown]))
    outlines = _outlines(lives, drawing, place)
    return WorldOverYears(
        seed=seed,
        size=size,
        place=place,
        years=years,
        grounds=tuple(grounds),
        outlines=outlines,
        tracks=_tracks(lives, outlines),
    )


class _Drawing:
    """Scars, each of which is drawn once and alike in all years."""

    def __init__(self, seed: int, to_water: Array) -> None:
        self._seed, self._to_water = seed, to_water
        self._drawn: dict[ScarDesign, Scar | None] = {}

    def scar(self, design: ScarDesign) -> Scar | None:
        if design not in self._drawn:
            rng = np.random.default_rng([self._seed, *(int(abs(100 * c)) for c in design.centre)])
            self._drawn[design] = draw_scar(rng, design, self._to_water)
        return self._drawn[design]

    def parts(self, life: Life, year: int) -> list[Scar]:
        return [scar for design in life.scars[year] if (scar := self.scar(design)) is not None]

    def slump(self, life: Life, year: int) -> Scar:
        return united(self.parts(life, year))

    def overgrown(self, life: Life, year: int) -> list[Scar]:
        """Return what of a slump is a slump no more, as it looks then."""
        scars = [self.scar(design) for design in life.overgrown.get(year, ())]
        return [replace(scar, design=replace(scar.design, activity=0.0)) for scar in scars if scar is not None]


def _shown(groups: Sequence[tuple[Life, ...]], drawing: _Drawing, place: Place) -> list[Life]:
    """Return the slumps that images can show whole, in one part and apart from their twins."""
    crs = str(place.geobox.crs)
    ground = shapely.union_all([grid.footprint(crs, npoints=50).geom for grid in grids_of(place.geobox)])
    within = _in_pixels(shapely.buffer(ground, -_INSIDE_M), place)
    return [life for lives in groups if _are_sound(lives, drawing, within) for life in lives]


def _in_pixels(shape: shapely.Geometry, place: Place) -> shapely.Geometry:
    affine = ~place.padded_geobox.affine
    return shapely.transform(shape, lambda xy: np.column_stack(affine * tuple(xy.T)))


def _are_sound(lives: Sequence[Life], drawing: _Drawing, within: shapely.Geometry) -> bool:
    outlines: dict[int, list[shapely.Geometry]] = {}
    for life in lives:
        for year, designs in life.scars.items():
            parts = drawing.parts(life, year)
            outline = shapely.union_all([part.outline for part in parts])
            if len(parts) < len(designs) or outline.geom_type != "Polygon" or not within.contains(outline):
                return False
            outlines.setdefault(year, []).append(outline)
    return all(len(both) < 2 or _are_two(*both) for both in outlines.values())


def _are_two(large: shapely.Geometry, small: shapely.Geometry) -> bool:
    """Tell whether two slumps can be told apart, and which of them goes on when they merge or split."""
    return large.distance(small) >= _APART_PX and small.area <= _MOST_OF_LARGER * large.area


def _outlines(lives: Sequence[Life], drawing: _Drawing, place: Place) -> gpd.GeoDataFrame:
    rows: list[dict[str, object]] = []
    shapes = []
    for life in lives:
        for year in life.scars:
            scar = drawing.slump(life, year)
            rows.append({"slump": life.number, "year": year, "kind": scar.design.kind,
                         "activity": round(scar.design.activity, 3)})  # fmt: skip
            shapes.append(scar.outline)
    affine, crs = place.padded_geobox.affine, str(place.geobox.crs)
    on_map = shapely.transform(shapes, lambda xy: np.column_stack(affine * tuple(xy.T)))
    columns = ["slump", "year", "kind", "activity"]
    table = gpd.GeoDataFrame(pd.DataFrame(rows, columns=columns), geometry=on_map, crs=crs)
    table.insert(len(columns), "area_m2", ground_areas_m2(on_map, crs).round(1))
    return table.to_crs("EPSG:4326")


def _tracks(lives: Sequence[Life], outlines: gpd.GeoDataFrame) -> pd.DataFrame:
    areas = outlines.set_index(["slump", "year"])["area_m2"]
    rows = []
    for life in lives:
        years = list(life.scars)
        growth = None
        if life.retreat_m is not None and len(years) > 1:
            growth = (areas[life.number, years[-1]] - areas[life.number, years[0]]) / (years[-1] - years[0])
        rows.append({
            "slump": life.number, "first_year": years[0], "last_year": years[-1], "n_years": len(years),
            "growth_m2_per_year": growth, "retreat_m_per_year": life.retreat_m,
            "split_from": life.split_from, "merged_into": life.merged_into,
        })  # fmt: skip
    table = pd.DataFrame(rows)
    relations = ["split_from", "merged_into"]
    return table.astype(dict.fromkeys(relations, "Int64") | {"growth_m2_per_year": float, "retreat_m_per_year": float})
