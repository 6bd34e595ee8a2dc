"""The QGIS project of a publication: slumps by tier, changes, mosaics, by relative paths."""

from xml.etree import ElementTree as ET

import geopandas as gpd

from darts.maps.qgis import MOST_RASTERS, Project, Raster, Vector, write_project
from darts.publish.facts import Published
from darts.publish.vectors import GEOPACKAGE
from darts_export.publish.changed import replace_changed
from darts_postprocessing.exchange.qgis_style import style_qml
from darts_postprocessing.inventory.said import INVENTORY

PROJECT = "darts.qgz"
CRS = "EPSG:3413"
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
    west, south, east, north = what.box
    corners = gpd.GeoSeries.from_xy([west, west, east, east], [south, north, south, north], crs="EPSG:4326")
    bounds = tuple(map(float, corners.to_crs(CRS).total_bounds))
    project = Project(title=what.about.title, crs=CRS, vectors=vectors, rasters=rasters, bounds=bounds)
    replace_changed(what.catalogue / PROJECT, lambda part: write_project(project, part))


def _vector(name: str, title: str, column: str) -> Vector:
    (renderer,) = ET.fromstring(style_qml({column}).split("\n", 1)[1]).iter("renderer-v2")
    return Vector(
        name=name, title=title, path=GEOPACKAGE, authid="EPSG:4326", renderer=renderer, is_shown=name == "slumps"
    )
