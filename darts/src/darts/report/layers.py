"""Extents and slumps of all tiles of some results folders as two layers; only tiles that are new are read."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts_export.record import FILE as RECORD
from darts_export.record import read_record
from darts_postprocessing.inventory.tiles.tables import read_table
from darts_utils.crs import transformer
from darts_utils.errors import one_line
from darts_utils.files import atomic_file

logger = logging.getLogger(__name__)

CRS = "EPSG:3413"
"""Of the layers, in metres: no outline is cut at the date line."""
FILE = "darts_layers.gpkg"
SCENES, SLUMPS = "scenes", "slumps"
_OF_SLUMPS = ("mean", "area_m2", "cut", "acquired", "sensor", "image_id")
_OF_SCENES = (
    "acquired",
    "sensor",
    "n_objects",
    "area_m2",
    "observed_km2",
    "clear_km2",
    "cloudy_km2",
    "features_missing",
)
_NUMBERS = _OF_SCENES[2:]
_TILE = ["tile_id", "folder", "changed_ns", "thumbnail"]


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Two layers in EPSG:3413."""

    scenes: gpd.GeoDataFrame
    """A row a tile: `tile_id folder changed_ns thumbnail` (paths from the page; changed: of its record, ns since 1970),
    `acquired sensor n_objects area_m2 observed_km2 clear_km2 cloudy_km2 features_missing`, and the mapped ground, None
    where that was not exported."""
    slumps: gpd.GeoDataFrame
    """A row an object: `tile_id folder mean area_m2 cut acquired sensor image_id`; the mean in percent."""


def layers_of(tiles: Mapping[str, Path], known: Layers | None = None) -> Layers:
    """Return the layers of finished tiles; a tile that cannot be read has a warning, and no rows.

    Args:
        tiles: Folders of tiles, by their path from the page.
        known: What was read before. A tile whose record has not changed since is not read again.
    """
    changed = {name: stamp for name, folder in tiles.items() if (stamp := _changed_ns(folder)) is not None}
    kept = _still_right(known, changed)
    scenes: list[dict[str, Any]] = []
    slumps: list[pd.DataFrame] = [] if kept is None else [kept.slumps]
    there = frozenset[str]() if kept is None else frozenset(kept.scenes["folder"])
    for name in (name for name in changed if name not in there):
        try:
            scene, objects = _read(tiles[name], name, changed[name])
        except Exception as error:  # noqa: BLE001  (a tile that is damaged must not cost the page of all others)
            logger.warning("%s is not in the report: %s", tiles[name], one_line(error))
            continue
        scenes.append(scene)
        slumps.append(objects)
    new = [pd.DataFrame(scenes)] if scenes else []
    return Layers(
        scenes=_layer([*([] if kept is None else [kept.scenes]), *new], [*_TILE, *_OF_SCENES]),
        slumps=_layer(slumps, ["tile_id", "folder", *_OF_SLUMPS]),
    )


def _changed_ns(folder: Path) -> int | None:
    """Return when the record of a tile changed last, None if it has none: then it is not finished."""
    try:
        return (folder / RECORD).stat().st_mtime_ns
    except OSError:
        return None


def _still_right(known: Layers | None, changed: Mapping[str, int]) -> Layers | None:
    if known is None or known.scenes.empty:
        return None
    right = known.scenes["folder"].map(changed) == known.scenes["changed_ns"]
    scenes = known.scenes[right.to_numpy()]
    if scenes.empty:
        return None
    return Layers(scenes=scenes, slumps=known.slumps[known.slumps["folder"].isin(scenes["folder"])])


def _read(folder: Path, name: str, changed_ns: int) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return a row of the scenes, and rows of the slumps, with outlines in the plane as `geometry`."""
    record = read_record(folder) or {}
    tile_id = str(record.get("DARTS_tile_id") or record.get("tile_id") or folder.name)
    extent = _table(folder / "prediction_extent.parquet")
    row = {
        "tile_id": tile_id, "folder": name, "changed_ns": changed_ns,
        "thumbnail": f"{name}/thumbnail.jpg" if (folder / "thumbnail.jpg").is_file() else None,
        **{key: _plain(record.get(key), is_number=key in _NUMBERS) for key in _OF_SCENES},
        "geometry": shapely.union_all(extent["geometry"].to_numpy()) if len(extent) else None,
    }  # fmt: skip
    slumps = _table(folder / "prediction_segments.parquet")
    return row, slumps.reindex(columns=[*_OF_SLUMPS, "geometry"]).assign(tile_id=tile_id, folder=name)


def _plain(value: Any, *, is_number: bool) -> Any:
    if is_number:
        return float(value) if isinstance(value, int | float) else None
    return None if value is None else str(value)


def _table(path: Path) -> pd.DataFrame:
    """Return a table of a tile with its outlines in the plane; no rows where it was not exported."""
    if not path.is_file():
        return pd.DataFrame({"geometry": []})
    table, shapes, crs = read_table(path)
    project = transformer(crs, CRS).transform
    return table.assign(geometry=shapely.transform(shapes, project, interleaved=False))


def _layer(parts: Sequence[pd.DataFrame], columns: Sequence[str]) -> gpd.GeoDataFrame:
    there = [part for part in parts if len(part)]
    if not there:
        return gpd.GeoDataFrame({column: [] for column in columns}, geometry=[], crs=CRS)
    values = {
        column: np.concatenate([part[column].to_numpy(dtype=object) for part in there])
        for column in (*columns, "geometry")
    }
    table = pd.DataFrame(values).infer_objects()
    return gpd.GeoDataFrame(table, geometry="geometry", crs=CRS)


def read_layers(file: Path) -> Layers | None:
    """Return the layers that were written before, None if there are none or they cannot be read."""
    if not file.is_file():
        return None
    try:
        return Layers(scenes=gpd.read_file(file, layer=SCENES), slumps=gpd.read_file(file, layer=SLUMPS))
    except Exception as error:  # noqa: BLE001  (it is written anew)
        logger.debug("%s cannot be read: %s", file, error)
        return None


def write_layers(layers: Layers, file: Path) -> None:
    """Write the layers as a GeoPackage; it appears whole or not at all."""
    with atomic_file(file) as part:
        options = {"driver": "GPKG", "engine": "pyogrio"}
        layers.scenes.to_file(part, layer=SCENES, geometry_type="Unknown", **options)
        layers.slumps.to_file(part, layer=SLUMPS, geometry_type="Unknown", mode="a", **options)
