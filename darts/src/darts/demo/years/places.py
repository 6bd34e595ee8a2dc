"""Where a world over years lies, and when and from where its images are taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyproj
from affine import Affine
from odc.geo.geobox import GeoBox

from darts.demo.world.fields import PIXEL_M
from darts.demo.world.place import CRS, Place, scene_id_of, sun_at
from darts_utils.errors import ConfigError

EASTERN_CRS = "EPSG:32609"
SMALLEST_PX, LARGEST_PX = 512, 3000
_MIDDLE = (-132.0, 69.2)
"""Longitude and latitude: on the border of two UTM zones."""
_TILES = ("08WPB", "09WUS")
_OVERLAP = 0.2
"""Part of the width of the world that the images of both zones show."""


@dataclass(frozen=True, kw_only=True)
class Take:
    """Images that a satellite takes in one pass, all under one sky."""

    number: int
    """Among all takes of the world."""
    year: int
    tiles: tuple[Place, ...]
    """One or two, in a UTM zone each."""


def first_place(seed: int, size: int) -> Place:
    """Return where a world over years lies, whatever its seed, with the time of no image.

    Raises:
        ConfigError: If the seed is negative or the size is out of range.
    """
    if seed < 0:
        raise ConfigError(f"seed is {seed} but must not be negative.")
    if not SMALLEST_PX <= size <= LARGEST_PX:
        raise ConfigError(f"size is {size} px but must be from {SMALLEST_PX} to {LARGEST_PX} for a world over years.")
    x, y = pyproj.Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform(*_MIDDLE)
    left, top = (PIXEL_M * (round(v / PIXEL_M) + sign * (size // 2)) for v, sign in ((x, -1), (y, 1)))
    geobox = GeoBox((size, size), Affine(PIXEL_M, 0, left, 0, -PIXEL_M, top), CRS)
    return _place(np.random.default_rng(seed), datetime(2024, 7, 20, 20, tzinfo=UTC), _TILES[0], geobox)


def _place(rng: np.random.Generator, time: datetime, tile: str, geobox: GeoBox) -> Place:
    azimuth, elevation = sun_at(geobox, time)
    return Place(
        scene_id=scene_id_of(rng, time, tile),
        grid_code=f"MGRS-{tile}",
        geobox=geobox,
        time=time,
        sun_azimuth=azimuth,
        sun_elevation=elevation,
    )


def grids_of(world: GeoBox) -> tuple[GeoBox, GeoBox]:
    """Return the grids of the western images, in the zone of the world, and of the eastern ones, in the next zone.

    The eastern grid is turned by some degrees and lies wholly within the world.
    """
    width = world.shape.x
    shown = round((0.5 + _OVERLAP / 2) * width)
    return world[:, :shown], _eastern(world[:, width - shown :])


def _eastern(room: GeoBox) -> GeoBox:
    """Return the largest grid of the eastern zone, about as high as wide in proportion, within one of the western."""
    to_east = pyproj.Transformer.from_crs(str(room.crs), EASTERN_CRS, always_xy=True)
    height, width = room.shape
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)])
    x, y = to_east.transform(*(room.affine * tuple(corners.T)))
    turn = abs(np.arctan2(y[1] - y[0], x[1] - x[0]))
    inner = np.linalg.solve([[np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]], [width - 4, height - 4])
    columns, rows = (int(length) for length in inner)
    left, top = (
        PIXEL_M * round((middle + half * PIXEL_M) / PIXEL_M)
        for middle, half in ((x.mean(), -columns / 2), (y.mean(), rows / 2))
    )
    return GeoBox((rows, columns), Affine(PIXEL_M, 0, left, 0, -PIXEL_M, top), EASTERN_CRS)


def takes_of(seed: int, world: GeoBox, years: Sequence[int]) -> list[Take]:
    """Return what is taken of a world: two or three passes a summer, three to six images."""
    takes: list[Take] = []
    for year in years:
        rng = np.random.default_rng([seed, year])
        days = np.sort(rng.choice(15, size=int(rng.integers(2, 4)), replace=False)) * 3
        half = int(rng.integers(0, 2 * len(days)))  # the take of which one image is missing, if it is one
        for number, day in enumerate(days):
            time = datetime(year, 7, 8, 20, tzinfo=UTC) + timedelta(days=int(day), seconds=int(rng.integers(0, 2400)))
            shown = [0, 1] if number != half else [int(rng.integers(0, 2))]
            tiles = tuple(_tile(seed, world, time, which) for which in shown)
            takes.append(Take(number=len(takes), year=year, tiles=tiles))
    return takes


def _tile(seed: int, world: GeoBox, time: datetime, which: int) -> Place:
    rng = np.random.default_rng([seed, int(time.timestamp())])  # one satellite and orbit for all of a take
    return _place(rng, time, _TILES[which], grids_of(world)[which])
