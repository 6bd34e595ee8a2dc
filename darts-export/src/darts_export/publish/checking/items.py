"""Whether an item, or a collection, is true to what it tells of: place, time, and the files that are its assets."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import shapely
from pystac.utils import str_to_datetime
from shapely.errors import ShapelyError

from darts_export.publish.checking.assets import check_asset
from darts_export.publish.checking.findings import Findings
from darts_export.publish.checking.own import faults_of_tile
from darts_export.publish.checking.rasters import Told
from darts_export.publish.checking.tree import Tree
from darts_export.publish.stac import names
from darts_export.publish.stac.extent import box_around

_TOLERANCE_DEGREES = 1e-5
_RASTER_SHARE = 0.01
"""Of its size that a box may reach beyond those of its rasters: outlines are drawn with few points."""
_DATES = ("datetime", "start_datetime", "end_datetime")
_AGAIN = "Publish the catalogue again."


@dataclass(frozen=True)
class Extent:
    """Where and when the items of a collection lie, as it says; None where it does not."""

    boxes: tuple[tuple[float, ...], ...] = ()
    first: datetime | None = None
    last: datetime | None = None
    keys: tuple[str, ...] = ()
    """Of the assets that it says its items have."""
    ground: tuple[float, ...] | None = None
    """Box of the ground that was looked at, in a catalogue of this program."""


def extent_of(collection: Mapping[str, Any]) -> Extent:
    """Return what a collection says of its items."""
    extent = collection["extent"]
    first, last = extent["temporal"]["interval"][0]
    keys = tuple(map(str, collection.get("item_assets") or ()))
    ground = collection.get(names.GROUND)
    return Extent(
        boxes=tuple(_flat(box) for box in extent["spatial"]["bbox"][:1]),
        first=_time(first),
        last=_time(last),
        keys=keys,
        ground=None if ground is None else _flat(ground),
    )


def check_item(tree: Tree, path: str, said: Mapping[str, Any], around: Extent | None, findings: Findings) -> None:
    """Find what of an item, or of the assets of a collection, is not as it says.

    Args:
        tree: The catalogue.
        path: Of the item or collection.
        said: What it says.
        around: Of the collection that an item lies in, if any.
        findings: Added to.
    """
    is_item = said.get("type") == "Feature"
    if is_item:
        with findings.guarded(path):
            _check_place(path, said, around, findings)
        with findings.guarded(path):
            _check_times(path, said, around, findings)
    if is_item and tree.is_ours and around is not None:
        with findings.guarded(path):
            for fault in faults_of_tile(said, around.keys):
                findings.add(path, fault, _AGAIN)
    boxes: list[list[float]] = []
    for key, asset in sorted((said.get("assets") or {}).items()):
        with findings.guarded(path):
            boxes += check_asset(tree, Told(path, f"asset {key}", {**_inherited(said), **asset}), findings)
    if is_item and boxes:
        with findings.guarded(path), suppress(ShapelyError):  # of a geometry that is none, which is found already
            _check_on_rasters(path, said, boxes, findings, is_ours=tree.is_ours)


def _inherited(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the properties of an item say of all its assets."""
    return {key: value for key, value in (said.get("properties") or {}).items() if key.startswith("proj:")}


def _check_place(path: str, said: Mapping[str, Any], around: Extent | None, findings: Findings) -> None:
    if said.get("geometry") is None:
        return
    box = _flat(said["bbox"])
    try:
        shape = shapely.from_geojson(json.dumps(said["geometry"]))
    except (ShapelyError, ValueError) as error:
        findings.add(path, f"has a geometry that is none: {error}", _AGAIN)
        return
    parts = shapely.bounds(shapely.get_parts(shape)).tolist()
    plain = shapely.bounds(shape).tolist()
    if not parts or not _on_earth(plain):
        findings.add(path, "has a geometry that is empty, or not in longitude and latitude", _AGAIN)
    elif not _alike(box, plain) and not _alike(box, box_around(parts)):
        findings.add(path, f"has the bbox {list(box)}, but its geometry reaches from {box_around(parts)}", _AGAIN)
    if around is not None and around.boxes and not _holds(around.boxes[0], box, _TOLERANCE_DEGREES):
        findings.add(path, f"has the bbox {list(box)}, outside of its collection's {list(around.boxes[0])}", _AGAIN)


def _check_times(path: str, said: Mapping[str, Any], around: Extent | None, findings: Findings) -> None:
    times = {}
    for key in _DATES:
        value = said["properties"].get(key)
        try:
            times[key] = _time(value)
        except (ValueError, OverflowError, TypeError):
            findings.add(path, f"has the {key} {value!r}, which is no time", "Write it as 2021-07-01T20:09:09Z.")
            return
    first = times["start_datetime"] or times["datetime"]
    last = times["end_datetime"] or times["datetime"]
    if first is not None and last is not None and first > last:
        findings.add(path, f"begins at {first:%Y-%m-%d}, after its end at {last:%Y-%m-%d}", "Correct one of them.")
    elif around is not None and _is_outside(first, last, around):
        findings.add(path, "has times outside of its collection's", _AGAIN)


def _is_outside(first: datetime | None, last: datetime | None, around: Extent) -> bool:
    too_early = first is not None and around.first is not None and first < around.first
    return too_early or (last is not None and around.last is not None and last > around.last)


def _check_on_rasters(
    path: str, said: Mapping[str, Any], boxes: list[list[float]], findings: Findings, *, is_ours: bool
) -> None:
    """Compare the outline of an item with its rasters: it lies on each, and one of ours is as large as they are."""
    if said.get("geometry") is None:
        return
    parts = shapely.get_parts(shapely.from_geojson(json.dumps(said["geometry"])))
    box, rasters = box_around(shapely.bounds(parts).tolist()), box_around(boxes)
    size = max(_width(box), box[3] - box[1])
    apart = [raster for raster in boxes if not _meet(raster, box)]
    reach = max(_TOLERANCE_DEGREES, _RASTER_SHARE * size)
    if apart or not _holds(rasters, box, reach) or (is_ours and not _holds(box, rasters, reach)):
        place = apart[0] if apart else rasters
        findings.add(path, f"has a geometry that reaches from {box}, but its rasters lie in {place}", _AGAIN)


def _flat(box: Sequence[float]) -> tuple[float, ...]:
    """Return west, south, east and north of a box, which may have heights too."""
    return (box[0], box[1], box[3], box[4]) if len(box) == 6 else (box[0], box[1], box[2], box[3])


def _on_earth(box: Sequence[float]) -> bool:
    return all(map(math.isfinite, box)) and -180 <= box[0] <= box[2] <= 180 and -90 <= box[1] <= box[3] <= 90


def _alike(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(a - b) <= _TOLERANCE_DEGREES for a, b in zip(one, other, strict=True))


def _holds(outer: Sequence[float], inner: Sequence[float], tolerance: float) -> bool:
    """Return whether a box lies in another one, either of them maybe across the antimeridian."""
    if inner[1] < outer[1] - tolerance or inner[3] > outer[3] + tolerance:
        return False
    begins = (inner[0] - outer[0] + tolerance) % 360
    return _width(outer) >= 360 or begins + _width(inner) <= _width(outer) + 2 * tolerance


def _meet(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether two boxes have a place in common."""
    if one[1] > other[3] or other[1] > one[3]:
        return False
    width, reach = (_width(one), _width(other))
    return (other[0] - one[0]) % 360 <= width or (one[0] - other[0]) % 360 <= reach


def _width(box: Sequence[float]) -> float:
    return 360.0 if box[2] - box[0] >= 360 else (box[2] - box[0]) % 360


def _time(value: Any) -> datetime | None:
    return None if value is None else str_to_datetime(value)
