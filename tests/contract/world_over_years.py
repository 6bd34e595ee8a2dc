"""Slumps over five years whose outlines are known, and the tiles that images of them leave.

The world is 20 km wide and lies on the border of two UTM zones. Networks are left out: probabilities are made of the
true outlines, and from there on the real steps do the work.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from pyproj import Transformer

from darts_export.vector import observed_table, region_table, segment_table
from darts_postprocessing.prepare_export import prepare_export

YEARS = tuple(range(2020, 2025))
HOME = "EPSG:32608"
"""Zone of the true outlines."""
BESIDE = "EPSG:32609"
MIDDLE = (618_300.0, 7_691_000.0)
"""Middle of the world in the home zone, on the border of the zones (132 W, 69.3 N)."""
COARSE_M, FINE_M = 10.0, 3.0
SITES_M = np.arange(-8_800, 8_801, 1_600)
"""Where slumps may lie, east and north of the middle: no two come near each other by chance."""
TILE_BORDER_M = (float(SITES_M[3]), float(SITES_M[5]))
"""Where four Planet tiles meet: on a column and a row of sites."""
UNCLOUDED_FROM_M = 6_400
"""North of the middle, from where on there is never a cloud: slumps that merge and split lie there."""
HIDDEN_YEAR = 2022
HIDDEN_M = (-5_200, -2_000, -2_800, 1_600)
"""Left, bottom, right and top of ground that Sentinel-2 does not see in that year: Planet tiles do, in parts."""


@dataclass(frozen=True, kw_only=True)
class TrueSlump:
    """A slump and what becomes of it."""

    name: str
    outlines: Mapping[int, shapely.Polygon]
    """By year, in the home zone; years in which it is not there, or revegetated, are left out."""
    retreat_m: float = 0.0
    """By how much its headwall retreats in a year."""
    width_m: float = 0.0
    """Length of its headwall."""
    split_from: str | None = None
    merged_into: str | None = None


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image, and what of it clouds hide."""

    image_id: str
    acquired: str
    sensor: str
    grid: GeoBox
    clouds: tuple[tuple[slice, slice], ...] = ()
    """Rows and columns."""

    @property
    def year(self) -> int:
        return int(self.acquired[:4])

    def places(self, x, y):
        """Return the rows and columns of points of the home zone."""
        x, y = _moved(str(self.grid.crs), x, y)
        columns, rows = ~self.grid.affine @ (x, y)
        return np.floor(rows).astype(int), np.floor(columns).astype(int)

    def is_clear(self):
        clear = np.ones(self.grid.shape, dtype=bool)
        for cloud in self.clouds:
            clear[cloud] = False
        return clear


@dataclass(kw_only=True)
class World:
    """What is true, and what was left of it."""

    slumps: list[TrueSlump]
    images: list[Image]
    found: dict[str, np.ndarray] = field(default_factory=dict)
    """By image, (y, x) bool: its objects."""
    clear: dict[str, np.ndarray] = field(default_factory=dict)
    """By image, (y, x) bool: the ground that clouds do not hide."""

    def images_of(self, year: int) -> list[Image]:
        return [image for image in self.images if image.year == year]


def make_world(seed: int = 3) -> World:
    """Return a world and its images."""
    rng = np.random.default_rng(seed)
    return World(slumps=[*_ordinary(rng), *_merging(rng), *_splitting(rng)], images=list(_images(rng)))


def scar(where, angle, width, length, back=0.0):
    """Return a slump with a straight headwall that has gone back by some metres; its toe is narrower."""
    half, top = width / 2, length + back
    points = [
        (-half, top),
        (half, top),
        (half, 0.4 * length),
        (0.2 * width, 0),
        (-0.3 * width, 0),
        (-half, 0.3 * length),
    ]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return shapely.Polygon(np.array(points) @ turn + where)


def _places(rng) -> Iterator[tuple[float, float]]:
    """Yield sites under clouds in random order, those on the borders of Planet tiles with their middle near them."""
    sites = [(x, y) for x in SITES_M for y in SITES_M if y < UNCLOUDED_FROM_M]
    on_border = [site for site in sites if site[0] == TILE_BORDER_M[0] or site[1] == TILE_BORDER_M[1]]
    others = [site for site in sites if site not in on_border]
    for x, y in rng.permutation([*on_border, *others[::3]]):
        reach = [30 if value == border else 200 for value, border in zip((x, y), TILE_BORDER_M, strict=True)]
        yield x + rng.uniform(-reach[0], reach[0]), y + rng.uniform(-reach[1], reach[1])


def _ordinary(rng) -> Iterator[TrueSlump]:
    """Yield slumps that appear, grow or do not, and end."""
    lives = [(0, 4)] * 6 + [(1, 4), (2, 4), (3, 4), (0, 1), (0, 2), (0, 3), (1, 2)]
    for number, where in enumerate(_places(rng)):
        first, last = lives[number % len(lives)]
        size = {"width": rng.uniform(120, 380), "length": rng.uniform(120, 300)}
        retreat = 0.0 if number % 4 == 0 else rng.uniform(1, 12)
        place, angle = np.add(MIDDLE, where), rng.uniform(0, 2 * np.pi)
        outlines = {
            year: scar(place, angle, **size, back=retreat * (year - YEARS[0])) for year in YEARS[first : last + 1]
        }
        yield TrueSlump(name=f"slump {number}", outlines=outlines, retreat_m=retreat, width_m=size["width"])


def _merging(rng) -> Iterator[TrueSlump]:
    """Yield pairs of which one ends in the other, when the ground between them thaws."""
    for number, x in enumerate(SITES_M[::2]):
        place, year = np.add(MIDDLE, (x, SITES_M[-1])), YEARS[1 + number % 4]
        large, small = scar(place, 0, 220, 200), scar(np.add(place, (260, 20)), 0, 160, 140)
        both = shapely.union_all([large, small, shapely.box(*np.add(place, (90, 80)), *np.add(place, (200, 120)))])
        before, after = [one for one in YEARS if one < year], [one for one in YEARS if one >= year]
        outlines = dict.fromkeys(before, large) | dict.fromkeys(after, both)
        yield TrueSlump(name=f"takes in {number}", outlines=outlines)
        outlines = dict.fromkeys(before, small)
        yield TrueSlump(name=f"taken in {number}", outlines=outlines, merged_into=f"takes in {number}")


def _splitting(rng) -> Iterator[TrueSlump]:
    """Yield slumps whose middle revegetates, and the smaller parts that are then slumps of their own."""
    for number, x in enumerate(SITES_M[1::2]):
        place, year = np.add(MIDDLE, (x, SITES_M[-2])), YEARS[1 + number % 4]
        whole, edge = scar(place, 0, 360, 200), float(place[0])
        parts = [shapely.intersection(whole, shapely.box(a, 0, b, 1e8)) for a, b in ((0, edge + 30), (edge + 80, 1e8))]
        before, after = [one for one in YEARS if one < year], [one for one in YEARS if one >= year]
        outlines = dict.fromkeys(before, whole) | dict.fromkeys(after, parts[0])
        yield TrueSlump(name=f"splits {number}", outlines=outlines)
        outlines = dict.fromkeys(after, parts[1])
        yield TrueSlump(name=f"part {number}", outlines=outlines, split_from=f"splits {number}")


def _images(rng) -> Iterator[Image]:
    """Yield the images of all years: three or four of Sentinel-2 in two zones, and a day of Planet."""
    for year in YEARS:
        zones = [HOME, BESIDE, HOME, BESIDE][: rng.integers(3, 5)]
        for number, zone in enumerate(zones):
            grid = _coarse_grid(zone)
            clouds = tuple(_clouds(rng, grid, hides=year == HIDDEN_YEAR))
            yield _image(f"s2 {year} {number}", f"{year}-07-{10 + 5 * number}", "sentinel2", grid, clouds)
        for number, grid in enumerate(_fine_grids()):
            yield _image(f"planet {year} {number}", f"{year}-08-20", "planet", grid, ())


def _image(image_id, acquired, sensor, grid, clouds) -> Image:
    return Image(image_id=image_id, acquired=acquired, sensor=sensor, grid=grid, clouds=clouds)


def _coarse_grid(zone: str) -> GeoBox:
    """Return the western two thirds of the world in the home zone, the eastern ones in the other."""
    left = -10_400.0 if zone == HOME else -4_400.0
    x, y = _moved(zone, np.array([MIDDLE[0] + left + 7_000]), np.array([MIDDLE[1]]))
    x, y = (COARSE_M * float(np.round(value[0] / COARSE_M)) for value in (x, y))
    return GeoBox.from_bbox((x - 7_000, y - 10_500, x + 7_700, y + 10_500), zone, resolution=COARSE_M)


def _fine_grids() -> Iterator[GeoBox]:
    """Yield four Planet tiles that meet in one place."""
    x, y = np.add(MIDDLE, TILE_BORDER_M)
    for left in (0, -1):
        for bottom in (0, -1):
            corner = (x + left * 4_002, y + bottom * 3_000)
            yield GeoBox.from_bbox((*corner, corner[0] + 4_002, corner[1] + 3_000), HOME, shape=(1_000, 1_334))


def _clouds(rng, grid: GeoBox, *, hides: bool) -> Iterator[tuple[slice, slice]]:
    """Yield clouds of 2 to 6 km, and one over the ground that is hidden in a year; all end where they must."""
    highest = _moved(str(grid.crs), *(np.array([value]) for value in np.add(MIDDLE, (0, UNCLOUDED_FROM_M - 700))))[1]
    first_row = int((grid.boundingbox.top - float(highest[0])) / COARSE_M) + 80  # the zones are turned a little
    for _ in range(4):
        height, width = rng.integers(200, 600, 2)
        row, column = rng.integers(first_row, grid.shape[0] - 100), rng.integers(0, grid.shape[1] - 100)
        yield slice(row, row + height), slice(column, column + width)
    if hides:
        hidden = np.add((*MIDDLE, *MIDDLE), HIDDEN_M)
        x, y = _moved(str(grid.crs), hidden[[0, 0, 2, 2]], hidden[[1, 3, 1, 3]])
        columns, rows = ~grid.affine @ (x, y)
        yield slice(*_within(rows, grid.shape[0])), slice(*_within(columns, grid.shape[1]))


def _within(values, most):
    return max(int(values.min()), 0), min(max(int(values.max()), 0), most)


def write_tiles(world: World, folder: Path) -> None:
    """Write the tiles of all images as a run leaves them, and keep their objects."""
    for image in world.images:
        tile = prepare_export(_seen(world, image), mask_erosion_size=0, min_object_size=1, quality_level=2)
        world.found[image.image_id] = tile["binarized_segmentation"].values
        world.clear[image.image_id] = image.is_clear()
        own = folder / image.image_id
        own.mkdir(parents=True)
        segment_table(tile).to_parquet(own / "prediction_segments.parquet")
        observed_table(tile).to_parquet(own / "prediction_observed.parquet")
        region_table(tile, "extent").to_parquet(own / "prediction_extent.parquet")
        (own / "darts_inference.json").write_text(json.dumps(_record(image)))


def _record(image: Image) -> dict[str, object]:
    return {
        "DARTS_tile_id": image.image_id, "acquired": image.acquired, "sensor": image.sensor,
        "DARTS_models": "truth " + "ab" * 32, "DARTS_binarization_threshold": 0.5,
    }  # fmt: skip


def _seen(world: World, image: Image) -> xr.Dataset:
    """Return what a network that is always right makes of an image: a pixel at the outline is less sure."""
    true = np.zeros(image.grid.shape, dtype=np.uint8)
    for slump in world.slumps:
        if image.year in slump.outlines:
            _draw(slump.outlines[image.year], image, true)
    probabilities = np.zeros(image.grid.shape, dtype=np.float32)
    around = np.ones((3, 3), np.uint8)
    for mask, value in ((cv2.dilate(true, around), 0.4), (true, 0.6), (cv2.erode(true, around), 0.9)):
        probabilities[mask > 0] = value
    quality = np.where(image.is_clear(), np.uint8(2), np.uint8(0))
    bands = {"probabilities": (("y", "x"), probabilities), "quality_data_mask": (("y", "x"), quality)}
    told = {"tile_id": image.image_id, "acquired": image.acquired, "sensor": image.sensor}
    return xr.Dataset(bands, coords=xr_coords(image.grid), attrs=told)


def _draw(outline: shapely.Polygon, image: Image, into: np.ndarray) -> None:
    """Mark the pixels whose middle lies in an outline."""
    crs, affine = str(image.grid.crs), image.grid.affine
    shape = shapely.transform(outline, lambda points: np.column_stack(_moved(crs, *points.T)))
    left, bottom, right, top = shape.bounds
    (first_column, first_row), (last_column, last_row) = ~affine @ (left, top), ~affine @ (right, bottom)
    rows = np.arange(max(int(first_row) - 1, 0), min(int(last_row) + 2, into.shape[0]))
    columns = np.arange(max(int(first_column) - 1, 0), min(int(last_column) + 2, into.shape[1]))
    if len(rows) and len(columns):
        x, y = affine @ tuple(np.meshgrid(columns + 0.5, rows + 0.5))
        into[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] |= shapely.contains_xy(shape, x, y)


@lru_cache
def _transformer(crs: str) -> Transformer:
    return Transformer.from_crs(HOME, crs, always_xy=True)


def _moved(crs: str, x, y):
    """Return points of the home zone in another one."""
    return (x, y) if crs == HOME else _transformer(crs).transform(x, y)
