"""Which vector files hold their shapes themselves: GDAL also opens what only names other files or services."""

import json
import re
import zipfile
from pathlib import Path
from typing import IO

from darts_utils.errors import DataError

_HEAD_BYTES = 65_536
_ROOTS = frozenset({"kml", "gml", "featurecollection", "gpx", "osm", "rss", "feed"})
"""Outermost elements of the XML formats that hold shapes; a KML's links are not followed by GDAL."""
_JSON_TYPES = frozenset(
    {"FeatureCollection", "Feature", "Topology", "GeometryCollection", "Point", "MultiPoint", "LineString",
     "MultiLineString", "Polygon", "MultiPolygon"}
)  # fmt: skip
_LINKED_CRS = frozenset({"link", "url"})


def check_holds_shapes(path: Path) -> None:
    """Do nothing if opening a vector file opens nothing but it and the files beside it that belong to it.

    Raises:
        DataError: If it only names other files or services, or wants a coordinate reference system off the network.
    """
    if not path.is_file():
        return  # a folder, such as a file geodatabase: its drivers open what lies in it
    if zipfile.is_zipfile(path) and path.suffix.lower() in (".zip", ".kmz", ".shz"):
        with zipfile.ZipFile(path) as archive:
            for part in archive.infolist():
                with archive.open(part) as file:
                    _check(file, part.filename, path)
    else:
        with path.open("rb") as file:
            _check(file, path.name, path)


def _check(file: IO[bytes], name: str, path: Path) -> None:
    head = file.read(_HEAD_BYTES)
    text = head.decode("utf-8-sig", errors="replace").lstrip()
    if name.lower().endswith(".vrt") or _leads_elsewhere(text):
        raise DataError(f"{path} only names other files or services. Give the file that holds the shapes")
    if text.startswith("{"):
        _check_json(head + file.read(), path)


def _leads_elsewhere(text: str) -> bool:
    """Tell whether a text is XML, but of none of the formats that hold shapes."""
    if not text.startswith("<"):
        return False
    root = re.search(r"<(?![?!])(?:[\w.-]+:)?([\w.-]+)", re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))
    return root is None or root[1].lower() not in _ROOTS


def _check_json(content: bytes, path: Path) -> None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        if b'"gdal_streamed_alg"' in content:
            raise DataError(f"{path} only names other files or services. Give the file that holds the shapes") from None
        return  # one feature a line, or damaged, which its reader says
    kind, crs = found.get("type"), found.get("crs")
    if kind is not None and kind not in _JSON_TYPES:
        raise DataError(f"{path} is JSON of the type {kind}, which is none of GeoJSON. Give a file that holds shapes")
    if isinstance(crs, dict) and str(crs.get("type")).lower() in _LINKED_CRS:
        raise DataError(
            f"{path} names an address for its coordinate reference system, which is not asked. Name it by its code"
        )
