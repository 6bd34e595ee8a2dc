"""How QGIS draws slumps: a style in its own format, and the table of a GeoPackage that it takes styles from."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

TIER_COLOURS = {"high": "#b2182b", "medium": "#ef8a62", "low": "#fddbc7", "": "#999999"}
"""By tier; the last one is of slumps that have none. From dark to light also for those who see no red."""
CHANGE_COLOURS = {"gained": "#d7301f", "lost": "#4575b4"}
_STATUS_COLOURS = {"active": "#d7301f", "stable": "#1a9850", "stabilised": "#4575b4", "unknown": "#999999"}
_COLOURS = {"tier": TIER_COLOURS, "kind": CHANGE_COLOURS, "status": _STATUS_COLOURS}
"""By column, and by its value."""
_PLAIN = "#b2182b"
_TABLE = """
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256),
    styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30),
    ui TEXT(30), update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)
"""
_ROW = """
INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, styleQML,
    styleSLD, useAsDefault, description, owner, ui, update_time)
SELECT '', '', table_name, column_name, ?, ?, '', 1, ?, '', NULL, ? FROM gpkg_geometry_columns WHERE table_name = ?
"""


def style_qml(columns: Collection[str]) -> str:
    """Return a style of QGIS (QML) for polygons: filled by `tier`, `kind` of change or `status`, or in one colour."""
    column = _told_by(columns)
    colours = {"": _PLAIN} if column is None else _COLOURS[column]
    root = ET.Element("qgis", version="3.28.0", styleCategories="Symbology")
    kind = "singleSymbol" if column is None else "categorizedSymbol"
    renderer = ET.SubElement(root, "renderer-v2", type=kind, symbollevels="0", enableorderby="0", forceraster="0")
    if column is not None:
        renderer.set("attr", column)
        categories = ET.SubElement(renderer, "categories")
        for number, value in enumerate(colours):
            label = value or f"no {column}"
            ET.SubElement(categories, "category", value=value, label=label, symbol=str(number), render="true")
    symbols = ET.SubElement(renderer, "symbols")
    for number, colour in enumerate(colours.values()):
        symbols.append(_symbol(str(number), colour))
    ET.SubElement(root, "layerGeometryType").text = "2"  # polygons
    return "<!DOCTYPE qgis>\n" + ET.tostring(root, encoding="unicode")


def _told_by(columns: Collection[str]) -> str | None:
    """Return the column that colours tell, None without one."""
    return next((column for column in _COLOURS if column in columns), None)


def _symbol(name: str, colour: str) -> ET.Element:
    """Return how one kind of polygon is filled, in the way of QGIS since 3.22 and in that of older ones."""
    symbol = ET.Element("symbol", type="fill", name=name, alpha="1", clip_to_extent="1", force_rhr="0")
    layer = ET.SubElement(symbol, "layer", attrib={"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
    values = {
        "color": _rgba(colour, 140), "style": "solid", "outline_color": _rgba(colour, 255), "outline_style": "solid",
        "outline_width": "0.4", "outline_width_unit": "MM", "joinstyle": "round",
    }  # fmt: skip
    options = ET.SubElement(layer, "Option", type="Map")
    for key, value in values.items():
        ET.SubElement(options, "Option", type="QString", name=key, value=value)
    for key, value in values.items():
        ET.SubElement(layer, "prop", k=key, v=value)
    return symbol


def _rgba(colour: str, alpha: int) -> str:
    red, green, blue = bytes.fromhex(colour[1:])
    return f"{red},{green},{blue},{alpha}"


def add_styles(geopackage: Path, changed: str) -> None:
    """Add a style for each layer of a GeoPackage, which QGIS takes when it opens the layer.

    GDAL is not asked, because the table must have just the columns that QGIS looks for.

    Args:
        geopackage: The file.
        changed: When the styles were made, ISO 8601.
    """
    with closing(sqlite3.connect(geopackage)) as database, database:
        database.execute(_TABLE)
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change)"
            " VALUES (?, ?, ?, ?, ?)",
            ("layer_styles", "attributes", "layer_styles", "styles of QGIS", changed),
        )
        layers = [name for (name,) in database.execute("SELECT table_name FROM gpkg_geometry_columns")]
        for layer in layers:
            quoted = layer.replace('"', '""')
            columns = [row[1] for row in database.execute(f'PRAGMA table_info("{quoted}")')]
            column = _told_by(columns)
            what = "in one colour" if column is None else f"by {column}"
            database.execute(_ROW, ("DARTS", style_qml(columns), f"{layer}, {what}", changed, layer))


def rows_in(geopackage: Path) -> dict[str, int]:
    """Return how many rows each layer of a GeoPackage has, after a look at whether the file is whole.

    Raises:
        OSError: If it is not.
    """
    with closing(sqlite3.connect(geopackage)) as database:
        (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise OSError(f"the file is damaged ({state})")
        counts = {}
        for (layer,) in database.execute("SELECT table_name FROM gpkg_geometry_columns").fetchall():
            quoted = layer.replace('"', '""')
            (counts[layer],) = database.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()
    return counts
