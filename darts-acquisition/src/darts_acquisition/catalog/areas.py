"""Areas of interest as longitude and latitude, cut where they cross the antimeridian."""

from pathlib import Path
from typing import Literal

import geopandas as gpd
import numpy as np
import shapely
from shapely import LinearRing, MultiPolygon, Polygon
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from darts_utils.errors import ConfigError

_PIECES_PER_EXTENT = 100
"""Edges of projected areas are cut into so many pieces an extent, because straight lines bend when reprojected."""

type Simplify = float | Literal[False]


def area_of_interest(aoi: gpd.GeoDataFrame | Path | str, simplify_geometry: Simplify = False) -> BaseGeometry:
    """Return the union of all polygons of an area in EPSG:4326, within -180 to 180 degrees.

    A geographic edge that jumps by more than 180 and less than 360 degrees of longitude is taken to cross the
    antimeridian; longitudes beyond 180 are wrapped.

    Args:
        aoi: Polygons in any CRS, or a file of them that pyogrio reads.
        simplify_geometry: Tolerance in units of the area's CRS by which its outline may be simplified before.

    Raises:
        ConfigError: If the file cannot be read, or the area has no CRS, no polygons, or other geometries.
    """
    frame, name = (aoi, "the area of interest") if isinstance(aoi, gpd.GeoDataFrame) else (_read(Path(aoi)), str(aoi))
    if frame.crs is None:
        raise ConfigError(f"{name} has no coordinate reference system. Set one, such as EPSG:4326.")
    geometries = frame.geometry[~(frame.geometry.isna() | frame.geometry.is_empty)]
    if geometries.empty:
        raise ConfigError(f"{name} holds no polygon. Give at least one.")
    others = sorted(set(geometries.geom_type) - {"Polygon", "MultiPolygon"})
    if others:
        raise ConfigError(f"{name} holds {', '.join(others)} but must hold polygons only. Buffer or remove them.")
    if simplify_geometry is not False:
        geometries = geometries.simplify(simplify_geometry)
    if frame.crs.is_projected:
        width, height = np.ptp(geometries.total_bounds.reshape(2, 2), axis=0)
        geometries = geometries.segmentize(max(width, height) / _PIECES_PER_EXTENT)
    polygons = [wrapped(part, projected=frame.crs.is_projected) for part in geometries.to_crs("EPSG:4326").explode()]
    area = shapely.union_all(polygons)
    if area.is_empty:
        raise ConfigError(f"{name} has no area. Give polygons with an inside.")
    return area


def _read(path: Path) -> gpd.GeoDataFrame:
    if not path.exists():
        raise ConfigError(f"the area of interest {path} does not exist. Give a file with polygons.")
    try:
        return gpd.read_file(path)
    except Exception as error:
        raise ConfigError(
            f"the area of interest {path} cannot be read ({error}). Give a file with polygons."
        ) from error


def _polygons(shape: BaseGeometry) -> list[Polygon]:
    """Return the polygons of a geometry; lines and points, which repairs leave behind, have no area."""
    if isinstance(shape, Polygon):
        return [shape]
    return [polygon for part in getattr(shape, "geoms", ()) for polygon in _polygons(part)]


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
    return MultiPolygon([piece for part in parts for piece in _polygons(part)]).buffer(0)
