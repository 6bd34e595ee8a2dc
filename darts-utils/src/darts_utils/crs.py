"""Coordinate reference systems and grids from elsewhere: made and transformed here, so that a bad one is one line."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyproj.exceptions import ProjError
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from darts_utils.errors import DataError, GridError
from darts_utils.names import shown

LONGLAT = "EPSG:4326"
EQUAL_AREA = "EPSG:6931"
"""NSIDC EASE-Grid 2.0 North: Lambert azimuthal equal-area on the North Pole of WGS84, metres, without a seam."""
_LONGEST_PX = 1_000_000
_CAUGHT = (ProjError, ShapelyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)
"""What pyproj, shapely, odc-geo and rasterio raise about what they cannot use."""


@lru_cache(maxsize=64)
def transformer(source: Any, target: Any) -> pyproj.Transformer:
    """Return what moves x and y, longitude first, from one CRS to another; to make one takes as long as many points.

    Args:
        source: What pyproj takes as a CRS.
        target: Likewise.
    """
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def checked_crs(given: Any, where: str) -> CRS:
    """Return a coordinate reference system of places on Earth, geographic or projected.

    Args:
        given: An EPSG code, WKT, or an object of pyproj, rasterio or odc-geo.
        where: What it belongs to, for the message.

    Raises:
        GridError: If there is none, it cannot be read, or its coordinates cannot be turned into longitude and latitude,
            as those of local, engineering and geocentric systems.
    """
    if given is None or given == "":
        raise GridError(f"{where} has no coordinate reference system. Download it again, or assign one.")
    try:
        crs = pyproj.CRS.from_user_input(given.to_wkt() if hasattr(given, "to_wkt") else given)
    except Exception as error:
        raise GridError(f"{where} has the CRS {shown(given)}, which cannot be read. Assign one such as UTM.") from error
    if crs.is_compound:  # heights do not matter here
        given = crs = crs.sub_crs_list[0]
    if (fault := _fault(crs.to_wkt())) is not None:
        raise GridError(f"{where} has the CRS {shown(crs.name)}, which {fault}. Assign the one that it was made in.")
    return CRS(given)


@lru_cache(maxsize=256)
def _fault(wkt: str) -> str | None:
    """Return why a CRS cannot be used, None if it can."""
    try:
        crs = pyproj.CRS.from_wkt(wkt)
        if not (crs.is_projected or crs.is_geographic):
            return f"is {crs.type_name}, neither geographic nor projected"
        pyproj.Transformer.from_crs(crs, LONGLAT, always_xy=True)
    except _CAUGHT:
        return "cannot be turned into longitude and latitude"
    return None


def checked_grid(shape: Sequence[Any], transform: Sequence[Any], crs: Any, where: str) -> GeoBox:
    """Return a grid from what a file or a service says of it.

    Args:
        shape: Rows and columns.
        transform: The first six numbers of the affine transform from pixels to coordinates.
        crs: As for `checked_crs`.
        where: What it belongs to, for the message.

    Raises:
        GridError: If rows and columns are no whole numbers of pixels, the transform cannot be inverted, or the CRS
            cannot be used.
    """
    try:
        rows, columns = (int(length) for length in shape)
        numbers = [float(number) for number in transform][:6]
        affine = Affine(*numbers)
        sound = 0 < rows <= _LONGEST_PX and 0 < columns <= _LONGEST_PX and (rows, columns) == tuple(shape)
        sound = sound and all(map(math.isfinite, numbers)) and affine.determinant != 0
    except _CAUGHT:
        sound = False
    if not sound:
        raise GridError(
            f"{where} has a grid of {shown(shape)} pixels with the transform {shown(transform)}, which is none. "
            "Fetch or copy it again."
        )
    return GeoBox((rows, columns), affine, checked_crs(crs, where))


def outline_on(grid: GeoBox, crs: str, where: str, *, npoints: int) -> BaseGeometry:
    """Return the outline of a grid in another coordinate reference system.

    Args:
        grid: The grid.
        crs: The system wanted.
        where: What the grid belongs to, for the message.
        npoints: Points an edge of the outline, because straight lines bend.

    Raises:
        GridError: If the grid has no place there.
    """
    own = checked_crs(grid.crs, where)
    try:
        outline = grid.footprint(crs, npoints=npoints).geom
        on_map = not outline.is_empty and all(map(math.isfinite, outline.bounds))
    except _CAUGHT:
        on_map = False
    if not on_map:
        raise GridError(f"{where} lies off the map of its CRS {shown(own.proj.name)}. Assign the one it was made in.")
    return outline


def transformed(outlines: Any, crs: str, where: str) -> Any:
    """Return the outlines of a GeoSeries or GeoDataFrame in another coordinate reference system.

    Those that have no place there, because their coordinates are off the map, become None.

    Raises:
        GridError: If their own CRS is missing or cannot be used.
        DataError: If the outlines cannot be used at all.
    """
    checked_crs(outlines.crs, where)
    try:
        moved = outlines.to_crs(crs)
        shapes = moved.geometry.copy()
        drawn = ~shapely.is_missing(shapes.values) & ~shapely.is_empty(shapes.values)
        shapes[drawn & ~np.isfinite(shapely.bounds(shapes.values)).all(axis=1)] = None
    except _CAUGHT as error:
        raise DataError(
            f"the outlines of {where} cannot be brought to {crs} ({error}). Write the file again."
        ) from error
    return moved.set_geometry(shapes) if hasattr(moved, "set_geometry") else shapes
