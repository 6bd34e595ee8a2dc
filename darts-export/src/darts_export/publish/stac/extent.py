"""Boxes in longitude and latitude as STAC has them: the western end may be the larger, across the antimeridian."""

from collections.abc import Iterable, Sequence

import shapely
from shapely.geometry.base import BaseGeometry

from darts_utils.objects.antimeridian import shortest_span
from darts_utils.rasters.arrays import Array

WORLD = (-180.0, -90.0, 180.0, 90.0)

type Box = Sequence[float]
"""West, south, east and north in degrees."""


def box_of(shapes: BaseGeometry | Array) -> list[float]:
    """Return the box of polygons in longitude and latitude that are cut at the antimeridian.

    Args:
        shapes: One, or (shape,) object.
    """
    return box_around(shapely.bounds(shapely.get_parts(shapes)).tolist())


def box_around(boxes: Iterable[Box]) -> list[float]:
    """Return the smallest box that holds others; the world for none."""
    known = list(boxes)
    if not known:
        return list(WORLD)
    west, east = shortest_span([(box[0], box[2]) for box in known])
    return [west, min(box[1] for box in known), east, max(box[3] for box in known)]
