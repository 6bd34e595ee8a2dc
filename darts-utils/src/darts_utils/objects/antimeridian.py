"""Outlines in longitude and latitude, cut where they cross the antimeridian, in the way that GeoJSON asks for."""

from collections.abc import Iterable, Sequence

import numpy as np
import shapely
from shapely import LinearRing, MultiPolygon, Polygon
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry


def polygons(shape: BaseGeometry) -> list[Polygon]:
    """Return the polygons of a geometry; lines and points, which repairs leave behind, have no area."""
    if isinstance(shape, Polygon):
        return [shape]
    return [polygon for part in getattr(shape, "geoms", ()) for polygon in polygons(part)]


def shortest_span(spans: Iterable[Sequence[float]]) -> tuple[float, float]:
    """Return the shortest stretch of longitudes that holds all stretches given, its western end first.

    Args:
        spans: At least one: western and eastern end in degrees, -180 to 180; one whose western end is the larger
            crosses the antimeridian, as in RFC 7946.

    Returns:
        Ends that are among those given, the western one the larger if it crosses the antimeridian; -180 and 180 if
        nothing is left out.
    """
    ordered = sorted(((west % 360, west, east, _length(west, east)) for west, east in spans), key=lambda span: span[0])
    reached, last_east = max((start + length, east) for start, _, east, length in ordered)
    reached, widest, ends = reached - 360, 0.0, (-180.0, 180.0)  # what the last one covers of the next turn
    for start, west, east, length in ordered:
        if start - reached > widest:
            widest, ends = start - reached, (west, last_east)
        if start + length > reached:
            reached, last_east = start + length, east
    return ends


def _length(west: float, east: float) -> float:
    """Return how many degrees lie between two ends."""
    return 360.0 if east - west >= 360 else (east - west) % 360


def wrapped(polygon: Polygon, *, projected: bool = False) -> BaseGeometry:
    """Return a polygon of longitudes and latitudes within -180 to 180, cut at the antimeridian, holes kept.

    Args:
        polygon: Polygon whose longitudes may jump at the antimeridian.
        projected: The polygon came from a projected CRS, where a jump by 360 degrees cannot mean the whole world.
    """
    outside = _within_180(_unrolled(polygon.exterior, projected=projected))
    holes = [_within_180(_unrolled(ring, projected=projected)) for ring in polygon.interiors]
    return shapely.difference(outside, shapely.union_all(holes)) if holes else outside


def _unrolled(ring: LinearRing, *, projected: bool) -> Polygon:
    """Return a ring as a polygon whose longitudes never jump; a ring around a pole is closed over the pole."""
    points = np.asarray(ring.coords)[:, :2]
    steps = np.diff(points[:, 0])
    crossing = (np.abs(steps) > 180) & (projected | (np.abs(steps) < 360))
    steps[crossing] -= 360 * np.sign(steps[crossing])
    longitudes = points[0, 0] + np.concatenate([[0], np.cumsum(steps)])
    unrolled = np.column_stack([longitudes, points[:, 1]])
    if abs(longitudes[-1] - longitudes[0]) > 180:
        pole = np.copysign(90.0, points[:, 1].mean())
        unrolled = np.vstack([unrolled, [[longitudes[-1], pole], [longitudes[0], pole]]])
    return Polygon(unrolled)


def _within_180(polygon: Polygon) -> BaseGeometry:
    west, _, east, _ = polygon.bounds
    valid = shapely.make_valid(polygon)
    turns = range(int(np.floor((west + 180) / 360)), int(np.ceil((east - 180) / 360)) + 1)
    parts = [
        translate(shapely.intersection(valid, shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)), -360 * turn)
        for turn in turns
    ]
    return MultiPolygon([piece for part in parts for piece in polygons(part)]).buffer(0)
