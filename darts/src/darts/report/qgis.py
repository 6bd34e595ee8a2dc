"""The project that QGIS opens: slumps, mapped ground and probabilities, styled, by relative paths."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

import numpy as np
import pyproj

from darts.report.layers import CRS, FILE, SCENES, SLUMPS, Layers
from darts_utils.files import atomic_file

PROJECT = "darts.qgz"
MOST_RASTERS = 40
"""Probabilities of more tiles would make a list that nobody finds anything in."""
_RAMP = {0: "#fff5f0", 25: "#fcbba1", 50: "#fb6a4a", 75: "#cb181d", 100: "#67000d"}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MARGIN = 0.05
_TIP = (
    "<b>[% \"tile_id\" %]</b><br>[% \"acquired\" %], [% \"n_objects\" %] objects<br>"
    '<img src="file:///[% @project_folder %]/[% "thumbnail" %]" width="420">'
)  # fmt: skip


@dataclass(frozen=True)
class Raster:
    """Probabilities of a tile in percent."""

    path: str
    """From the project, with slashes."""
    authid: str
    """Of its CRS, such as EPSG:32608."""


def write_project(layers: Layers, rasters: Sequence[Raster], file: Path) -> None:
    """Write the project; it appears whole or not at all.

    Args:
        layers: What is in the GeoPackage beside it.
        rasters: Probabilities; of many none is listed.
        file: The project.
    """
    root = ET.Element("qgis", version="3.22.0", projectname="DARTS")
    ET.SubElement(root, "title").text = "DARTS"
    _add_crs(ET.SubElement(root, "projectCrs"))
    tree = ET.SubElement(root, "layer-tree-group")
    canvas = ET.SubElement(root, "mapcanvas", name="theMapCanvas")
    _add_extent(canvas, layers)
    _add_crs(ET.SubElement(canvas, "destinationsrs"))
    listed = ET.SubElement(root, "projectlayers")
    for name, colour, alpha in ((SLUMPS, "178,24,43", 150), (SCENES, "31,95,139", 25)):
        _add_leaf(tree, name, name)
        _add_vector(listed, name, colour, alpha)
    if 0 < len(rasters) <= MOST_RASTERS:
        group = ET.SubElement(tree, "layer-tree-group", name="probabilities", checked="Qt::Unchecked", expanded="0")
        for number, raster in enumerate(rasters):
            name = PurePosixPath(raster.path).parent.name
            _add_leaf(group, f"raster_{number}", name, checked="Qt::Unchecked")
            _add_raster(listed, f"raster_{number}", name, raster)
    properties = ET.SubElement(root, "properties")
    projections = ET.SubElement(properties, "SpatialRefSys")
    ET.SubElement(projections, "ProjectionsEnabled", type="int").text = "1"  # or it looks for no CRS of the project
    measure = ET.SubElement(properties, "Measure")
    ET.SubElement(measure, "Ellipsoid", type="QString").text = "EPSG:7030"  # or areas are those of the plane
    paths = ET.SubElement(properties, "Paths")
    ET.SubElement(paths, "Absolute", type="bool").text = "false"
    content = '<!DOCTYPE qgis PUBLIC "http://mrcc.com/qgis.dtd" "SYSTEM">\n' + ET.tostring(root, encoding="unicode")
    with atomic_file(file) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{file.stem}.qgs", date_time=_EPOCH), content)


def _add_crs(parent: ET.Element, authid: str = CRS) -> None:
    """Add a CRS as QGIS looks for it: by its WKT first, by its name else."""
    system = ET.SubElement(parent, "spatialrefsys")
    ET.SubElement(system, "wkt").text = pyproj.CRS(authid).to_wkt()
    ET.SubElement(system, "authid").text = authid


def _add_extent(canvas: ET.Element, layers: Layers) -> None:
    shapes = layers.scenes.geometry.dropna()
    left, bottom, right, top = shapes.total_bounds if len(shapes) else np.array([-3e6, -3e6, 3e6, 3e6])
    margin = _MARGIN * max(right - left, top - bottom)
    ET.SubElement(canvas, "units").text = "meters"
    extent = ET.SubElement(canvas, "extent")
    for name, value in (
        ("xmin", left - margin),
        ("ymin", bottom - margin),
        ("xmax", right + margin),
        ("ymax", top + margin),
    ):
        ET.SubElement(extent, name).text = str(float(value))


def _add_leaf(tree: ET.Element, layer: str, name: str, checked: str = "Qt::Checked") -> None:
    ET.SubElement(tree, "layer-tree-layer", id=_id(layer), name=name, checked=checked, expanded="0")


def _id(key: str) -> str:
    """Return the id of a layer: QGIS makes up another where it has ten characters or less."""
    return f"darts_layer_{key}"


def _add_vector(listed: ET.Element, name: str, colour: str, alpha: int) -> None:
    layer = ET.SubElement(listed, "maplayer", type="vector", geometry="Polygon", autoRefreshEnabled="0")
    _add_source(layer, name, name, f"./{FILE}|layername={name}", provider="ogr")
    if name == SCENES:
        ET.SubElement(layer, "mapTip").text = _TIP
    renderer = ET.SubElement(layer, "renderer-v2", type="singleSymbol", symbollevels="0", enableorderby="0")
    symbol = ET.SubElement(ET.SubElement(renderer, "symbols"), "symbol", type="fill", name="0", alpha="1")
    fill = ET.SubElement(symbol, "layer", attrib={"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
    values = {
        "color": f"{colour},{alpha}", "style": "solid", "outline_color": f"{colour},255", "outline_style": "solid",
        "outline_width": "0.4", "outline_width_unit": "MM",
    }  # fmt: skip
    for key, value in values.items():
        ET.SubElement(fill, "prop", k=key, v=value)


def _add_raster(listed: ET.Element, key: str, name: str, raster: Raster) -> None:
    layer = ET.SubElement(listed, "maplayer", type="raster")
    _add_source(layer, key, name, f"./{raster.path}", provider="gdal", authid=raster.authid)
    pipe = ET.SubElement(layer, "pipe")
    renderer = ET.SubElement(pipe, "rasterrenderer", type="singlebandpseudocolor", band="1", opacity="0.8")
    renderer.set("classificationMin", "0")
    renderer.set("classificationMax", "100")
    shader = ET.SubElement(ET.SubElement(renderer, "rastershader"), "colorrampshader", colorRampType="INTERPOLATED")
    for percent, colour in _RAMP.items():
        ET.SubElement(shader, "item", value=str(percent), color=colour, alpha="255", label=f"{percent} %")


def _add_source(layer: ET.Element, key: str, name: str, source: str, *, provider: str, authid: str = CRS) -> None:
    ET.SubElement(layer, "id").text = _id(key)
    ET.SubElement(layer, "datasource").text = source
    ET.SubElement(layer, "layername").text = name
    _add_crs(ET.SubElement(layer, "srs"), authid)
    ET.SubElement(layer, "provider", encoding="UTF-8").text = provider
