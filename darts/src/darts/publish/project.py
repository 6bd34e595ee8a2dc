"""The QGIS project of a publication: slumps by tier, changes, mosaics, by relative paths."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np

from darts.maps.qgis import MOST_RASTERS, Project, Raster, Vector, write_project
from darts.publish.facts import Published
from darts.publish.vectors import GEOPACKAGE
from darts_export.publish.changed import replace_changed
from darts_postprocessing.exchange.qgis_style import style_qml
from darts_postprocessing.inventory.said import INVENTORY

PROJECT = "darts.qgz"
CRS = "EPSG:3413"
_PIECES = 65
"""A parallel is an arc: of its ends alone the extent would be a strip."""
_LAYERS = (
    ("slumps", "slumps by tier", "tier"),
    ("changes", "gained and lost", "kind"),
    ("tracks", "all years", "status"),
)


def write_qgis(what: Published) -> None:
    """Write the project of a publication: layers as they are styled in the GeoPackage, and mosaics."""
    vectors = [_vector(*one) for one in _LAYERS if (what.catalogue / INVENTORY / one[0]).is_dir()]
    newest = [one for one in what.mosaics if one.year == what.years[1]]
    rasters = [
        Raster(one.probability.relative_to(what.catalogue).as_posix(), one.crs, f"probability {one.year} {one.cell}")
        for one in newest[:MOST_RASTERS]
    ]
    project = Project(title=what.about.title, crs=CRS, vectors=vectors, rasters=rasters, bounds=extent_of(what.box))
    replace_changed(what.catalogue / PROJECT, lambda part: write_project(project, part))


def extent_of(box: Sequence[float]) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of a box of longitudes and latitudes in the CRS of the project."""
    west, south, east, north = box
    width = east - west if east > west else east - west + 360
    longitudes = np.tile(np.linspace(west, west + width, _PIECES), 2)
    latitudes = np.repeat([south, north], _PIECES)
    left, bottom, right, top = gpd.GeoSeries.from_xy(longitudes, latitudes, crs="EPSG:4326").to_crs(CRS).total_bounds
    return float(left), float(bottom), float(right), float(top)


def _vector(name: str, title: str, column: str) -> Vector:
    (renderer,) = ET.fromstring(style_qml({column}).split("\n", 1)[1]).iter("renderer-v2")
    return Vector(
        name=name, title=title, path=GEOPACKAGE, authid="EPSG:4326", renderer=renderer, is_shown=name == "slumps"
    )
