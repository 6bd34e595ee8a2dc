"""Areas of interest in longitude and latitude, cut where they cross the antimeridian, or on a polar map."""

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

_PIECE_DEGREES = 0.1
_SMALL_M = 300_000
_UNNAMED = "the area of interest"

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
    frame, name = (aoi, _UNNAMED) if isinstance(aoi, gpd.GeoDataFrame) else (_read(Path(aoi)), str(aoi))
    geometries = _checked_polygons(frame, name)
    if simplify_geometry is not False:
        geometries = geometries.simplify(simplify_geometry)
    if frame.crs.is_projected:
        geometries = _segmented(geometries)
    polygons = [wrapped(part, projected=frame.crs.is_projected) for part in geometries.to_crs("EPSG:4326").explode()]
    area = shapely.union_all(polygons)
    if area.is_empty:
        raise ConfigError(f"{name} has no area. Give polygons with an inside.")
    return area


def polar_area(aoi: gpd.GeoDataFrame, crs: str) -> BaseGeometry:
    """Return the union of all polygons of an area on a map around the pole, where nothing is cut.

    Edges of a geographic area are straight in longitude and latitude. Those of a small one, such as the footprint of a
    scene, may as well be meant straight on the ground: then both is covered.

    Args:
        aoi: Polygons in any CRS; they may cross the antimeridian and contain the pole.
        crs: Azimuthal CRS around the pole.

    Raises:
        ConfigError: If the area has no CRS, no polygons, or other geometries.
    """
    geometries = _checked_polygons(aoi, _UNNAMED)
    if aoi.crs.is_projected:
        parts = [_segmented(geometries)]
    else:
        outline = gpd.GeoSeries([area_of_interest(aoi)], crs="EPSG:4326").explode()
        small = outline[np.ptp(outline.to_crs(crs).bounds.values.reshape(-1, 2, 2), axis=1).max(axis=1) < _SMALL_M]
        parts = [outline.segmentize(_PIECE_DEGREES), small]
    projected = [shapely.make_valid(part.to_crs(crs).values) for part in parts]
    area = MultiPolygon([polygon for part in projected for shape in part for polygon in polygons(shape)]).buffer(0)
    if area.is_empty:
        raise ConfigError(f"{_UNNAMED} has no area. Give polygons with an inside.")
    return area


def _checked_polygons(frame: gpd.GeoDataFrame, name: str) -> gpd.GeoSeries:
    """Return the polygons of an area, without missing and empty ones."""
    if frame.crs is None:
        raise ConfigError(f"{name} has no coordinate reference system. Set one, such as EPSG:4326.")
    geometries = frame.geometry[~(frame.geometry.isna() | frame.geometry.is_empty)]
    if geometries.empty:
        raise ConfigError(f"{name} holds no polygon. Give at least one.")
    others = sorted(set(geometries.geom_type) - {"Polygon", "MultiPolygon"})
    if others:
        raise ConfigError(f"{name} holds {', '.join(others)} but must hold polygons only. Buffer or remove them.")
    return geometries


def _segmented(geometries: gpd.GeoSeries) -> gpd.GeoSeries:
    """Return projected polygons with their edges cut into pieces."""
    width, height = np.ptp(geometries.total_bounds.reshape(2, 2), axis=0)
    return geometries.segmentize(max(width, height) / _PIECES_PER_EXTENT)


def _read(path: Path) -> gpd.GeoDataFrame:
    if not path.exists():
        raise ConfigError(f"the area of interest {path} does not exist. Give a file with polygons.")
    try:
        return gpd.read_file(path)
    except Exception as error:
        raise ConfigError(
            f"the area of interest {path} cannot be read ({error}). Give a file with polygons."
        ) from error


def polygons(shape: BaseGeometry) -> list[Polygon]:
    """Return the polygons of a geometry; lines and points, which repairs leave behind, have no area."""
    if isinstance(shape, Polygon):
        return [shape]
    return [polygon for part in getattr(shape, "geoms", ()) for polygon in polygons(part)]


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
