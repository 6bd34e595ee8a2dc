"""What lies below slumps on a map: land, circles of latitude and meridians, in EPSG:3413."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyproj

from darts.maps.parts import ASSETS, part_text

CRS = "EPSG:3413"


def land() -> Any:
    """Return polygons north of 45 degrees, each a list of rings `x0 y0 dx1 dy1 ...` in kilometres."""
    return json.loads(part_text(ASSETS / "land.json"))


def graticule() -> list[list[int]]:
    """Return circles of latitude and meridians, each a line `x0 y0 dx1 dy1 ...` in kilometres."""
    return list(_lines())


def _lines() -> Iterator[list[int]]:
    project = pyproj.Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform
    for latitude in (50, 60, 70, 80):
        yield _line(*project(np.arange(-180, 181, 3), np.full(121, latitude)))
    for longitude in range(-180, 180, 30):
        yield _line(*project(np.full(2, longitude), np.array([50, 89])))


def _line(x: Any, y: Any) -> list[int]:
    whole = np.rint(np.column_stack([x, y]) / 1000).astype(int)
    return [int(value) for value in np.vstack([whole[:1], np.diff(whole, axis=0)]).ravel()]
