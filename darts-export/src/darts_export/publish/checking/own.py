"""What holds of a catalogue of this program, and not of all: rasters, items and folders are as they were made."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from darts_export.publish import datacite
from darts_export.publish.checking.tree import Tree
from darts_export.publish.stac import names
from darts_export.publish.stac.facts import Band
from darts_export.publish.stac.files import n_files
from darts_export.publish.stac.rasters import describe_raster
from darts_utils.text import counted

_TRUE_TO = 1e-6
_MOST_PIXELS = 2**31
_MOST_OF_A_BLOCK = 2**26
"""Bytes: what is larger would fill the memory of whoever checks it."""
_SIDES = (("west", "Longitude"), ("south", "Latitude"), ("east", "Longitude"), ("north", "Latitude"))
_OF_A_TILE = ("darts:cell", "darts:year")


def check_own_raster(tree: Tree, file: str, asset: Mapping[str, Any], raster: Any, name: str) -> list[str]:
    """Return what is said otherwise of a raster than it is: no data, kind of values, statistics of each band.

    Args:
        tree: The catalogue.
        file: The raster.
        asset: What is said of it.
        raster: The same, opened; its pixels are read.
        name: What the asset is called.
    """
    height, width = raster.block_shapes[0]
    size = height * width * np.dtype(raster.dtypes[0]).itemsize
    if raster.width * raster.height > _MOST_PIXELS or size > _MOST_OF_A_BLOCK:
        return [f"is not checked whole: {name} has too many pixels"]
    told = [one if isinstance(one, dict) else {} for one in asset.get("bands") or [{}]]
    bands = [Band(name=str(one.get("name")), description=str(one.get("description"))) for one in told]
    if len(bands) != raster.count:
        return []  # which is found already
    seen = describe_raster(tree.place(file), bands).fields
    kept = {key: value for key, value in seen.items() if not key.startswith("proj:")}
    kept["bands"] = [{"statistics": band["statistics"]} for band in kept["bands"]]
    return [
        f"says {key} {said!r} of {name}, but it is {_plain(value)!r}" for key, said, value in _apart(asset, kept, "")
    ]


def _apart(said: Any, seen: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs, by its name: what is said, and what is."""
    if isinstance(seen, Mapping) and isinstance(said, Mapping):
        for key, value in seen.items():
            yield from _apart(said.get(key), value, f"{name}.{key}".removeprefix("."))
    elif isinstance(seen, list) and isinstance(said, list) and len(said) == len(seen):
        for number, (one, other) in enumerate(zip(said, seen, strict=True)):
            yield from _apart(one, other, f"{name}[{number}]")
    elif not _same(said, seen):
        yield name, said, seen


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _same(said: Any, seen: Any) -> bool:
    if type(said) in (int, float) and isinstance(seen, int | float):
        return abs(said - seen) <= _TRUE_TO * max(1.0, abs(seen))
    return bool(said == seen)


def faults_of_tile(said: Mapping[str, Any], keys: Sequence[str]) -> Iterator[str]:
    """Yield what of the item of a mosaic tile is not as all of them are: assets that it lacks, times of another year.

    Args:
        said: The item.
        keys: Of the assets that its collection tells of.
    """
    properties = said.get("properties") or {}
    if not all(name in properties for name in _OF_A_TILE):
        return
    for key in sorted(set(keys) - set(said.get("assets") or {})):
        yield f"has no asset {key}, which its collection tells of"
    year = str(properties["darts:year"])
    for name in ("start_datetime", "end_datetime"):
        if not str(properties.get(name)).startswith(f"{year}-"):
            yield f"is of {year}, but its {name} is {properties.get(name)}"


def fault_of_folder(tree: Tree, folder: str, said: Any) -> str | None:
    """Return what is wrong with a folder of which it may be said how many files it has."""
    seen = n_files(path for path in tree.sizes if path.startswith(f"{folder}/"))
    return None if said is None or said == seen else f"has {counted(seen, 'file')}, where {said} are told of"


def fault_of_cited_places(said: Mapping[str, Any], ground: Sequence[float] | None) -> str | None:
    """Return what is wrong with the places that are told to those who cite a catalogue.

    Args:
        said: Metadata of DataCite.
        ground: Box that the collection of maps tells of, None where it does not.
    """
    boxes = _boxes(said.get("geoLocations") or [])
    if not boxes:
        return "does not say where the data lie"
    for box in boxes:
        if box[0] >= box[2] or box[1] >= box[3]:
            return f"has the empty box {box}"
    wanted = boxes if ground is None else _boxes(datacite.locations_of(ground))
    if len(boxes) != len(wanted) or not np.allclose(boxes, wanted, rtol=0, atol=_TRUE_TO):
        return f"has the boxes {boxes}, where {names.MAP} has {wanted}"
    return None


def _boxes(places: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    found = [one["geoLocationBox"] for one in places if "geoLocationBox" in one]
    return [[float(one[f"{side}Bound{kind}"]) for side, kind in _SIDES] for one in found]
