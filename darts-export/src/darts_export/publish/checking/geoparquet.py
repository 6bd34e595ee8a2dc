"""GeoParquet: its metadata by the schema, and true to each outline; read group by group, some rows at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pyproj import CRS
from pyproj.exceptions import ProjError

from darts_export.publish.checking.findings import Findings
from darts_export.publish.checking.reading import parse_object
from darts_export.publish.checking.schemas import GEOPARQUET, fault_of
from darts_export.publish.checking.tree import Tree
from darts_utils.rasters.arrays import Array
from darts_utils.text import counted

VERSION = "1.1.0"
_ROWS = 4096
_MOST_ROWS = 10**8
"""Of a file: some bytes can claim more than anybody waits for."""
_MOST_GROUP_BYTES = 2**31
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_AGAIN = "Write the table again, with GeoPandas for one."
_DEGREES = np.array([-180.0, -90.0, 180.0, 90.0])
_ROUNDING_DEGREES = 1e-8


@dataclass
class Faults:
    """What is wrong with rows, by what it is: how many, and the first of them."""

    known: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, what: str, wrong: Array, first_row: int) -> None:
        """Add rows.

        Args:
            what: What is wrong with them.
            wrong: (row,) bool.
            first_row: Number in the file of the first row in `wrong`.
        """
        if wrong.any():
            n, first = self.known.get(what, (0, first_row + int(np.argmax(wrong))))
            self.known[what] = (n + int(wrong.sum()), first)


@dataclass
class Column:
    """A column of outlines, what is said of it, and what is found."""

    name: str
    said: Mapping[str, Any]
    in_degrees: bool
    faults: Faults = field(default_factory=Faults)
    bounds: Array = field(default_factory=lambda: np.full(4, np.nan))

    @property
    def covering(self) -> str | None:
        """Name of the column with the box of each outline, None if there is none."""
        edges = ((self.said.get("covering") or {}).get("bbox") or {}).get("xmin")
        return edges[0] if edges else None


def check_geoparquet(tree: Tree, path: str, findings: Findings) -> None:
    """Find what is wrong with a Parquet file, and with its outlines if it has such."""
    try:
        schema = pq.read_schema(tree.place(path))
        geo = (schema.metadata or {}).get(b"geo")
        if geo is not None:
            _check_geo(tree, path, schema, geo, findings)
        elif "geometry" in schema.names:
            findings.add(path, "has outlines, but does not say how they are to be read (no metadata geo)", _AGAIN)
    except (pa.ArrowException, OSError) as error:
        findings.add(path, f"cannot be read as Parquet: {error}", "Copy it anew, or write it again.")


def _check_geo(tree: Tree, path: str, schema: pa.Schema, text: bytes, findings: Findings) -> None:
    said = parse_object(text, path, findings)
    if said is None:
        return
    if said.get("version") != VERSION:
        what = f"is not checked: its GeoParquet version is {said.get('version')!r}, and {VERSION} is known"
        findings.add(path, what, f"Write it as GeoParquet {VERSION}.")
        return
    fault = fault_of(said, GEOPARQUET)
    if fault is not None:
        findings.add(path, f"has metadata that is not valid (GeoParquet {VERSION}): {fault}", _AGAIN)
        return
    columns = said["columns"]
    if wrong := {said["primary_column"], *columns} - (set(schema.names) & columns.keys()):
        findings.add(path, f"tells of the outlines {min(wrong)!r}, which are no column or not described", _AGAIN)
        return
    for name, column in columns.items():
        if column["encoding"] != "WKB" or not _is_bytes(schema.field(name).type):
            findings.add(path, f"is not checked: {name} is not encoded as WKB", "Write it as WKB.")
            continue
        # outlines that many rows share stay one in memory, however many rows a small file claims
        with pq.ParquetFile(tree.place(path), read_dictionary=[name]) as file:
            _check_column(file, Column(name, column, _in_degrees(column, path, findings)), path, findings)


def _is_bytes(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_binary(plain) or pa.types.is_large_binary(plain))


def _in_degrees(column: Mapping[str, Any], path: str, findings: Findings) -> bool:
    """Return whether coordinates are longitude and latitude; that they are of an unknown CRS is a finding."""
    if "crs" not in column:
        return True  # which is what the format says then
    try:
        if column["crs"] is not None:
            return CRS.from_json_dict(column["crs"]).is_geographic
        findings.add(path, "does not say the CRS of its outlines", "Write it again, with a CRS.")
    except ProjError as error:
        findings.add(path, f"has a CRS that cannot be used: {error}", _AGAIN)
    return False


def _check_column(file: Any, column: Column, path: str, findings: Findings) -> None:
    if column.covering is not None and column.covering not in file.schema_arrow.names:
        findings.add(path, f"says that boxes are in {column.covering!r}, which is no column", _AGAIN)
        return
    for first_row, outlines, boxes in _batches(file, column, path, findings):
        _check_rows(column, outlines, boxes, first_row)
    for what, (n, first) in column.faults.known.items():
        findings.add(path, f"has {counted(n, 'row')} whose {column.name} {what}, the first is row {first}", _AGAIN)
    box = column.said.get("bbox")
    if box is not None and not np.isnan(column.bounds).any() and not _holds(_four(box), column.bounds[None])[0]:
        findings.add(path, f"says the bbox {box} of {column.name}, but it has {column.bounds.tolist()}", _AGAIN)


def _batches(
    file: Any, column: Column, path: str, findings: Findings
) -> Iterator[tuple[int, pa.DictionaryArray, Array | None]]:
    """Yield the number of a first row, some outlines from there on, and (row, 4) float64 of their boxes."""
    row, wanted = 0, [column.name, *([] if column.covering is None else [column.covering])]
    for group in range(file.num_row_groups):
        about = file.metadata.row_group(group)
        if about.total_byte_size > _MOST_GROUP_BYTES or row + about.num_rows > _MOST_ROWS:
            findings.add(path, f"is not checked from row {row} on: its rows are too many", "Divide it.")
            return
        first = row
        for batch in file.iter_batches(_ROWS, row_groups=[group], columns=wanted):
            boxes = None if column.covering is None else _boxes(batch.column(column.covering))
            yield first, batch.column(column.name), boxes
            first += batch.num_rows
        row += about.num_rows


def _boxes(covering: Any) -> Array:
    """Return (row, 4) float64, NaN where there is no box."""
    edges = [covering.field(name).cast(pa.float64()).to_numpy(zero_copy_only=False) for name in _EDGES]
    boxes = np.stack(edges, axis=1)
    boxes[covering.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return boxes


def _check_rows(column: Column, outlines: Any, boxes: Array | None, first_row: int) -> None:
    known = outlines.is_valid().to_numpy(zero_copy_only=False)
    which = outlines.indices.fill_null(0).to_numpy(zero_copy_only=False)
    distinct = np.asarray(outlines.dictionary.to_pylist() or [None], dtype=object)
    shapes = shapely.from_wkb(distinct, on_invalid="ignore")
    column.faults.add("cannot be read", known & shapely.is_missing(shapes)[which], first_row)
    bounds = shapely.bounds(shapes)
    said = column.said["geometry_types"]
    if said:
        strange = np.array([shape is not None and _type_of(shape) not in said for shape in shapes])
        column.faults.add("has a type that its metadata does not name", known & strange[which], first_row)
    rows = np.where(known[:, None], bounds[which], np.nan)
    if column.in_degrees:
        off = ~_holds(_DEGREES, rows) & ~np.isnan(rows).any(axis=1)
        column.faults.add("is off the map of longitude and latitude", off, first_row)
    if boxes is not None:
        column.faults.add("is not held by its box", ~_held(boxes, rows), first_row)
    seen = rows[~np.isnan(rows).any(axis=1)]
    if len(seen):
        whole = np.vstack([seen, column.bounds[None]])
        column.bounds = np.concatenate([np.nanmin(whole[:, :2], axis=0), np.nanmax(whole[:, 2:], axis=0)])


def _type_of(shape: shapely.Geometry) -> str:
    return f"{shape.geom_type}{' Z' if shape.has_z else ''}"


def _holds(box: Array, bounds: Array) -> Array:
    """Return (row,) bool: whether bounds lie in a box, but for rounding."""
    low = bounds[:, :2] >= box[:2] - _ROUNDING_DEGREES
    return (low & (bounds[:, 2:] <= box[2:] + _ROUNDING_DEGREES)).all(axis=1)


def _held(boxes: Array, bounds: Array) -> Array:
    """Return (row,) bool: whether each box holds its outline; one across the antimeridian has its west in the east.

    But for rounding: a box that a further column of outlines shares is that of the first one, and what is left of an
    outline where it is overlaid with others may reach beyond it by some billionths of a degree.
    """
    turned, spare = boxes[:, 0] > boxes[:, 2], _ROUNDING_DEGREES
    south_north = (boxes[:, 1] - spare <= bounds[:, 1]) & (boxes[:, 3] + spare >= bounds[:, 3])
    west_east = turned | ((boxes[:, 0] - spare <= bounds[:, 0]) & (boxes[:, 2] + spare >= bounds[:, 2]))
    return np.isnan(bounds).any(axis=1) | (south_north & west_east)


def _four(box: list[float]) -> Array:
    """Return west, south, east and north of a box that may have heights."""
    return np.array([box[0], box[1], box[len(box) // 2], box[len(box) // 2 + 1]])
