"""Areas of interest in longitude and latitude, cut where they cross the antimeridian, or on a polar map."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import geopandas as gpd
import numpy as np
import shapely
from shapely import MultiPolygon
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.vectors import read_vector_layers
from darts_utils.crs import LONGLAT, checked_crs, transformed
from darts_utils.errors import ConfigError, DataError, GridError
from darts_utils.names import shown
from darts_utils.objects.antimeridian import polygons, wrapped

logger = logging.getLogger(__name__)

_PIECES_PER_EXTENT = 100
"""Edges of projected areas are cut into so many pieces an extent, because straight lines bend when reprojected."""

_PIECE_DEGREES = 0.1
_SMALL_M = 300_000
_FARTHEST = 540
"""Degrees of longitude: some count on beyond 180, but nobody beyond another turn."""
_UNNAMED = "the area of interest"

type Simplify = float | Literal[False]


def area_of_interest(aoi: gpd.GeoDataFrame | Path | str, simplify_geometry: Simplify = False) -> BaseGeometry:
    """Return the union of all polygons of an area in EPSG:4326, within -180 to 180 degrees.

    All layers of a file are the area, such as the folders of a KML file; rows without a shape are counted in the log. A
    geographic edge that jumps by more than 180 and less than 360 degrees of longitude is taken to cross the
    antimeridian; longitudes beyond 180 are wrapped.

    Args:
        aoi: Polygons in any CRS, or a file of them; see `read_vector_layers`.
        simplify_geometry: Tolerance in units of the area's CRS by which its outline may be simplified before.

    Raises:
        ConfigError: If the file cannot be read, or the area has no CRS or one that says nothing of places on Earth, no
            polygons, other geometries, or coordinates that are not on the map.
    """
    if isinstance(aoi, gpd.GeoDataFrame):
        name, frames = _UNNAMED, [(_UNNAMED, aoi)]
    else:
        name, frames = str(aoi), _read(Path(aoi))
    shapes = [shape for layer, frame in frames for shape in _checked_polygons(frame, layer, may_be_empty=True)]
    if not shapes:
        raise ConfigError(f"{name} holds no polygon. Give at least one.")
    if not isinstance(aoi, gpd.GeoDataFrame):
        _account(name, frames, shapes)
    area = shapely.union_all([part for layer, frame in frames for part in _in_degrees(frame, layer, simplify_geometry)])
    if area.is_empty:
        raise ConfigError(f"{name} has no area. Give polygons with an inside.")
    return area


def _in_degrees(frame: gpd.GeoDataFrame, name: str, simplify: Simplify) -> list[BaseGeometry]:
    """Return the polygons of a layer in longitude and latitude, within -180 to 180 degrees."""
    geometries = _checked_polygons(frame, name, may_be_empty=True)
    if geometries.empty:
        return []
    if simplify is not False:
        geometries = geometries.simplify(simplify)
    if is_projected := bool(frame.crs.is_projected):
        geometries = _segmented(geometries)
    degrees = transformed(geometries, LONGLAT, name)
    west, south, east, north = degrees.total_bounds
    on_map = -_FARTHEST <= west <= east <= _FARTHEST and -90.001 <= south <= north <= 90.001
    if degrees.isna().any() or not on_map:
        raise ConfigError(
            f"{name} has coordinates that are not on the map of its CRS {shown(frame.crs.name)}. Assign the right one."
        )
    return [wrapped(part, projected=is_projected) for part in degrees.explode()]


def _account(name: str, frames: Sequence[tuple[str, gpd.GeoDataFrame]], shapes: Sequence[BaseGeometry]) -> None:
    """Say what became of the rows of a file, loudly if some have no shape or one that must be mended."""
    n_rows = sum(len(frame) for _, frame in frames)
    n_mended = sum(not shape.is_valid for shape in shapes)
    level = logging.WARNING if n_rows > len(shapes) or n_mended else logging.INFO
    logger.log(
        level,
        "%s: %d rows in %d layers, %d without a shape, %d with an invalid outline that is mended",
        name, n_rows, len(frames), n_rows - len(shapes), n_mended,
    )  # fmt: skip


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


def _checked_polygons(frame: gpd.GeoDataFrame, name: str, *, may_be_empty: bool = False) -> gpd.GeoSeries:
    """Return the polygons of an area, without missing and empty ones."""
    geometries = frame.geometry[~(frame.geometry.isna() | frame.geometry.is_empty)]
    if geometries.empty and may_be_empty:
        return geometries
    if frame.crs is None:
        raise ConfigError(f"{name} has no coordinate reference system. Set one, such as EPSG:4326.")
    try:
        checked_crs(frame.crs, name)
    except GridError as error:
        raise ConfigError(str(error)) from error
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


def _read(path: Path) -> list[tuple[str, gpd.GeoDataFrame]]:
    """Return the layers of a file, each with a name for messages."""
    if not path.exists():
        raise ConfigError(f"the area of interest {path} does not exist. Give a file with polygons.")
    try:
        layers = read_vector_layers(path)
    except DataError as error:
        raise ConfigError(f"the area of interest {error}. Give a file with polygons.") from error
    return [(str(path) if len(layers) == 1 else f"layer {name} of {path}", layer) for name, layer in layers]
