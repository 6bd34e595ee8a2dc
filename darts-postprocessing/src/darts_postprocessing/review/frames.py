"""The ground around a slump in metres: what pictures of it show, and in which coordinates its outline is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import shapely

from darts_postprocessing.inventory.plane import LONGLAT_CRS, PLANE_CRS, centroids, to_degrees, to_plane
from darts_utils.crs import transformer
from darts_utils.errors import DataError

SCALES = ("close", "wide")
_TIMES = {"close": 3.0, "wide": 10.0}
_LEAST_M = {"close": 250.0, "wide": 1500.0}
_MOST_M = 20_000.0
"""Wider pictures of slumps of kilometres would be read of whole scenes."""
_MOST_POINTS = 20_000
_EDGES = 8
"""Of half a side: what is straight in one plane is bent in another, if only by centimetres."""
_DECIMALS = 2
"""Of metres on a page."""

type Rings = list[list[list[list[float]]]]
"""Polygons, each its outer ring and its holes, each of points `x y`: metres east and north of the middle. The first
point is not repeated."""


@dataclass(frozen=True)
class Frame:
    """A square of ground around a middle, in a plane of its own: azimuthal equidistant, north up in the middle."""

    longitude: float
    latitude: float
    size_m: float
    """Of the slump: the longer side of the box around it."""

    @classmethod
    def around(cls, outline: Any) -> "Frame":
        """Return the frame around an outline in degrees; its middle has six decimals, a tenth of a metre."""
        (shape,) = to_plane([outline], LONGLAT_CRS)
        (longitude,), (latitude,) = centroids(np.array([shape]))
        middle = round(float(longitude), 6), round(float(latitude), 6)
        left, bottom, right, top = shapely.bounds(_moved(shape, PLANE_CRS, _plane(*middle)))
        return cls(*middle, float(max(right - left, top - bottom)))

    @property
    def crs(self) -> str:
        """The plane, as PROJ writes it."""
        return _plane(self.longitude, self.latitude)

    def side_m(self, scale: str) -> float:
        """Return the side of a picture: 3 times the slump, at least 250 m, or 10 times, at least 1500 m."""
        return float(round(min(max(_TIMES[scale] * self.size_m, _LEAST_M[scale]), _MOST_M)))

    def ground(self, scale: str) -> Any:
        """Return the ground that a picture shows, in `EQUAL_AREA`, where it is turned by the longitude."""
        half = self.side_m(scale) / 2
        square = shapely.segmentize(shapely.box(-half, -half, half, half), half / _EDGES)
        return _moved(square, self.crs, PLANE_CRS)

    def rings(self, outline: Any) -> Rings:
        """Return an outline in degrees as rings in metres."""
        (shape,) = to_plane([outline], LONGLAT_CRS)
        moved = _moved(shape, PLANE_CRS, self.crs)
        return [
            [_points(ring) for ring in (polygon.exterior, *polygon.interiors)]
            for polygon in shapely.get_parts(moved)
            if not polygon.is_empty
        ]

    def outline(self, rings: Any) -> Any:
        """Return rings in metres, as somebody drew them, as an outline in degrees.

        Raises:
            DataError: If they are no rings, lie far off, or hold no ground.
        """
        shape = _drawn(rings)
        if not self._reaches(shape):
            raise DataError("the outline that was drawn is not at the slump that was shown. Draw it again.")
        (placed,) = to_plane([shape], pyproj.CRS(self.crs))
        if placed.is_empty or placed.area <= 0:
            raise DataError("the outline that was drawn holds no ground. Draw it again.")
        return to_degrees([placed])[0]

    def is_near(self, outline: Any) -> bool:
        """Tell whether an outline in degrees lies at the slump: within the wide picture of it."""
        (shape,) = to_plane([outline], LONGLAT_CRS)
        return self._reaches(_moved(shape, PLANE_CRS, self.crs))

    def _reaches(self, shape: Any) -> bool:
        reach = max(self.side_m("wide") / 2, self.size_m)  # slumps of many kilometres reach beyond their pictures
        return bool((np.abs(shapely.get_coordinates(shape)) <= reach).all())


def _plane(longitude: float, latitude: float) -> str:
    return f"+proj=aeqd +lat_0={latitude:.6f} +lon_0={longitude:.6f} +datum=WGS84 +units=m +no_defs +type=crs"


def _moved(shape: Any, source: Any, target: Any) -> Any:
    return shapely.transform(shape, transformer(source, target).transform, interleaved=False)


def _points(ring: Any) -> list[list[float]]:
    return [[float(x), float(y)] for x, y in np.round(shapely.get_coordinates(ring)[:-1], _DECIMALS)]


def _drawn(rings: Any) -> Any:
    """Return rings of whatever a browser sent as polygons.

    Raises:
        DataError: If they are none.
    """
    try:
        polygons = [[_ring(ring) for ring in polygon] for polygon in rings]
        if sum(len(ring) for polygon in polygons for ring in polygon) > _MOST_POINTS:
            raise ValueError("too many points")
        shapes = [shapely.Polygon(outer, holes) for outer, *holes in polygons]
        return shapely.union_all(shapely.make_valid(np.asarray(shapes, dtype=object)))
    except (ValueError, TypeError, RecursionError, shapely.GEOSException) as error:
        raise DataError("what was drawn is no outline. Draw it again.") from error


def _ring(points: Sequence[Sequence[float]]) -> Any:
    ring = np.asarray([(float(x), float(y)) for x, y in points], dtype=np.float64)
    if len(ring) < 3 or not (np.abs(ring) <= _MOST_M).all():  # no number is no smaller, either
        raise ValueError("no ring")
    return ring
