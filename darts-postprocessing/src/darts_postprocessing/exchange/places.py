"""Where outlines are, in the coordinates that others take, also far north and on the antimeridian."""

from typing import Any

import numpy as np
import pyproj
import shapely

from darts_postprocessing.inventory.plane import centroids as centroids_of_plane
from darts_postprocessing.inventory.plane import to_degrees, to_plane
from darts_utils.crs import EQUAL_AREA
from darts_utils.rasters.arrays import Array

DEGREES = "EPSG:4326"


def is_areal(shapes: Any) -> Array:
    """Tell which shapes are polygons or multipolygons with any ground, (shape,) bool; None is none."""
    shapes = np.asarray(shapes, dtype=object)
    types = shapely.get_type_id(shapes)
    areal: Array = np.isin(types, (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON))
    areal &= ~shapely.is_empty(shapes)
    return areal


def outlines_in(target: str, shapes: Any, crs: Any) -> Array:
    """Return shapes in another CRS, valid; those in it already, and fit for it, keep every coordinate.

    Args:
        target: What they shall be in. In EPSG:4326 those across the antimeridian are cut along it.
        shapes: (shape,) polygons and multipolygons; None, empty and other shapes give None.
        crs: What their coordinates are in, as pyproj takes it.

    Returns:
        (shape,) polygons, multipolygons and None, without coordinates of height.
    """
    shapes = np.asarray(shapes, dtype=object)
    areal = is_areal(shapes)
    result = np.full(len(shapes), None, dtype=object)
    result[areal] = shapely.force_2d(shapes[areal])
    is_there = pyproj.CRS(crs) == pyproj.CRS(target)
    kept = _fits(result, target) if is_there else np.zeros(len(shapes), dtype=bool)
    moved = np.flatnonzero(areal & ~kept)
    result[moved] = _moved(to_plane(shapes[moved], crs), target)
    return result


def centroids(shapes: Any, crs: Any) -> Array:
    """Return the centroids of shapes on the ground, (shape, 2) float64 longitude and latitude in degrees.

    They are found in the equal-area plane of the inventory: in degrees the ground of a latitude weighs as much as that
    of a lower one, and a slump on the antimeridian would have its centroid on the other side of the world.

    Args:
        shapes: (shape,) polygons and multipolygons of the north; what is none has NaN.
        crs: What their coordinates are in, as pyproj takes it.
    """
    shapes = np.asarray(shapes, dtype=object)
    found = np.full((len(shapes), 2), np.nan)
    areal = is_areal(shapes)
    found[areal] = np.column_stack(centroids_of_plane(to_plane(shapes[areal], crs)))
    return found


def _fits(shapes: Array, target: str) -> Array:
    """Tell which shapes are valid in a CRS and, if that is degrees, do not go around the world."""
    fits: Array = shapely.is_valid(shapes)
    if target == DEGREES:
        parts, owners = shapely.get_parts(shapes, return_index=True)
        west, _, east, _ = shapely.bounds(parts).reshape(-1, 4).T
        fits[owners[(east - west >= 180) | (west < -180) | (east > 180)]] = False
    return fits


def _moved(shapes: Array, target: str) -> Array:
    """Return shapes of the plane in another CRS; rounding may have let edges cross, which is repaired."""
    if target == DEGREES:
        moved = to_degrees(shapes)
    else:
        transform = pyproj.Transformer.from_crs(EQUAL_AREA, target, always_xy=True).transform
        moved = shapely.transform(shapes, lambda points: np.column_stack(transform(points[:, 0], points[:, 1])))
    broken = ~shapely.is_valid(moved)
    moved[broken] = shapely.make_valid(moved[broken], method="structure", keep_collapsed=False)
    return moved
