"""Which share of an area others cover, measured on an equal-area map around it."""

import numpy as np
import pyproj
import shapely
from shapely import MultiPolygon
from shapely.geometry.base import BaseGeometry

from darts_utils.objects.antimeridian import polygons, wrapped

_PIECE_DEGREES = 0.1
"""Edges are straight in longitude and latitude, so they are cut into pieces before they are projected."""


class Coverage:
    """An area of which shares are measured; its map is Lambert's azimuthal equal-area projection around its middle.

    Args:
        area: Polygons in EPSG:4326 within -180 to 180 degrees, cut where they cross the antimeridian.
    """

    def __init__(self, area: BaseGeometry) -> None:
        longitude, latitude = _middle(area)
        equal_area = f"+proj=laea +lon_0={longitude:.6f} +lat_0={latitude:.6f} +datum=WGS84 +units=m"
        self._to_map = pyproj.Transformer.from_crs("EPSG:4326", equal_area, always_xy=True)
        self._degrees, self._area = area, self._on_map(area)

    def of(self, other: BaseGeometry) -> float:
        """Return the share of the area that another one covers, 0..1.

        Args:
            other: Polygons in EPSG:4326; they may cross the antimeridian and be invalid.
        """
        whole = shapely.union_all([wrapped(polygon) for polygon in polygons(other) if not polygon.is_empty])
        if not shapely.intersects(self._degrees, whole):  # nor may it lie where the map ends, on the far side of Earth
            return 0.0
        return float(min(shapely.intersection(self._area, self._on_map(whole)).area / self._area.area, 1.0))

    def _on_map(self, area: BaseGeometry) -> BaseGeometry:
        projected = shapely.transform(shapely.segmentize(area, _PIECE_DEGREES), self._project)
        valid = [shapely.make_valid(polygon) for polygon in polygons(projected)]
        return MultiPolygon([polygon for shape in valid for polygon in polygons(shape)]).buffer(0)

    def _project(self, degrees: np.ndarray) -> np.ndarray:
        return np.column_stack(self._to_map.transform(degrees[:, 0], degrees[:, 1]))


def _middle(area: BaseGeometry) -> tuple[float, float]:
    """Return longitude and latitude in the midst of an area's corners, seen from the centre of the Earth."""
    longitudes, latitudes = np.radians(shapely.get_coordinates(area)).T
    x, y = (np.mean(np.cos(latitudes) * turned(longitudes)) for turned in (np.cos, np.sin))
    return float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(np.sin(latitudes).mean(), np.hypot(x, y))))
