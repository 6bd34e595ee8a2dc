"""Projects that QGIS opens: layers of a GeoPackage and rasters, styled, by relative paths."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pyproj

from darts_utils.files import atomic_file

PROJECT = "darts.qgz"
MOST_RASTERS = 40
"""Probabilities of more tiles would make a list that nobody finds anything in."""
_RAMP = {0: "#fff5f0", 25: "#fcbba1", 50: "#fb6a4a", 75: "#cb181d", 100: "#67000d"}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MARGIN = 0.05


@dataclass(frozen=True)
class Raster:
    """Probabilities in percent."""

    path: str
    """From the project, with slashes."""
    authid: str
    """Of its CRS, such as EPSG:32608."""
    title: str


@dataclass(frozen=True, kw_only=True)
class Vector:
    """A layer of polygons of a GeoPackage."""

    name: str
    path: str
    """Of the GeoPackage from the project, with slashes."""
    authid: str
    title: str
    renderer: ET.Element
    """How it is drawn, as a project has it."""
    tip: str | None = None
    """What is shown of a polygon under the pointer, HTML with expressions of QGIS."""
    is_shown: bool = True


@dataclass(frozen=True, kw_only=True)
class Project:
    """What a project shows."""

    title: str
    crs: str
    vectors: Sequence[Vector]
    rasters: Sequence[Raster]
    """Of more than `MOST_RASTERS` none is listed."""
    bounds: Sequence[float]
    """Left, bottom, right and top of what is shown first, in its CRS."""


def write_project(project: Project, file: Path) -> None:
    """Write a project; it appears whole or not at all, and equal ones give equal bytes."""
    root = ET.Element("qgis", version="3.22.0", projectname=project.title)
    ET.SubElement(root, "title").text = project.title
    _add_crs(ET.SubElement(root, "projectCrs"), project.crs)
    tree = ET.SubElement(root, "layer-tree-group")
    canvas = ET.SubElement(root, "mapcanvas", name="theMapCanvas")
    _add_extent(canvas, project.bounds)
    _add_crs(ET.SubElement(canvas, "destinationsrs"), project.crs)
    listed = ET.SubElement(root, "projectlayers")
    for vector in project.vectors:
        _add_leaf(tree, vector.name, vector.title, checked="Qt::Checked" if vector.is_shown else "Qt::Unchecked")
        _add_vector(listed, vector)
    if 0 < len(project.rasters) <= MOST_RASTERS:
        group = ET.SubElement(tree, "layer-tree-group", name="probabilities", checked="Qt::Unchecked", expanded="0")
        for number, raster in enumerate(project.rasters):
            _add_leaf(group, f"raster_{number}", raster.title, checked="Qt::Unchecked")
            _add_raster(listed, f"raster_{number}", raster)
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


def _add_crs(parent: ET.Element, authid: str) -> None:
    """Add a CRS as QGIS looks for it: by its WKT first, by its name else."""
    system = ET.SubElement(parent, "spatialrefsys")
    ET.SubElement(system, "wkt").text = pyproj.CRS(authid).to_wkt()
    ET.SubElement(system, "authid").text = authid


def _add_extent(canvas: ET.Element, bounds: Sequence[float]) -> None:
    left, bottom, right, top = bounds
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


def plain_renderer(colour: str, alpha: int) -> ET.Element:
    """Return how polygons of one colour are drawn.

    Args:
        colour: Red, green and blue with commas.
        alpha: Of what is inside, 0 to 255.
    """
    renderer = ET.Element("renderer-v2", type="singleSymbol", symbollevels="0", enableorderby="0")
    symbol = ET.SubElement(ET.SubElement(renderer, "symbols"), "symbol", type="fill", name="0", alpha="1")
    fill = ET.SubElement(symbol, "layer", attrib={"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
    values = {
        "color": f"{colour},{alpha}", "style": "solid", "outline_color": f"{colour},255", "outline_style": "solid",
        "outline_width": "0.4", "outline_width_unit": "MM",
    }  # fmt: skip
    for key, value in values.items():
        ET.SubElement(fill, "prop", k=key, v=value)
    return renderer


def _add_vector(listed: ET.Element, vector: Vector) -> None:
    layer = ET.SubElement(listed, "maplayer", type="vector", geometry="Polygon", autoRefreshEnabled="0")
    source = f"./{vector.path}|layername={vector.name}"
    _add_source(layer, vector.name, vector.title, source, provider="ogr", authid=vector.authid)
    if vector.tip is not None:
        ET.SubElement(layer, "mapTip").text = vector.tip
    layer.append(vector.renderer)


def _add_raster(listed: ET.Element, key: str, raster: Raster) -> None:
    layer = ET.SubElement(listed, "maplayer", type="raster")
    _add_source(layer, key, raster.title, f"./{raster.path}", provider="gdal", authid=raster.authid)
    pipe = ET.SubElement(layer, "pipe")
    renderer = ET.SubElement(pipe, "rasterrenderer", type="singlebandpseudocolor", band="1", opacity="0.8")
    renderer.set("classificationMin", "0")
    renderer.set("classificationMax", "100")
    shader = ET.SubElement(ET.SubElement(renderer, "rastershader"), "colorrampshader", colorRampType="INTERPOLATED")
    for percent, colour in _RAMP.items():
        ET.SubElement(shader, "item", value=str(percent), color=colour, alpha="255", label=f"{percent} %")


def _add_source(layer: ET.Element, key: str, name: str, source: str, *, provider: str, authid: str) -> None:
    ET.SubElement(layer, "id").text = _id(key)
    ET.SubElement(layer, "datasource").text = source
    ET.SubElement(layer, "layername").text = name
    _add_crs(ET.SubElement(layer, "srs"), authid)
    ET.SubElement(layer, "provider", encoding="UTF-8").text = provider
