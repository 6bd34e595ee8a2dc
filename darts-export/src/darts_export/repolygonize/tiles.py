"""Tiles whose polygons are made again: which there are, where the polygons go, and what is said of them."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import xarray as xr

from darts_export import image
from darts_export.products import PRODUCTS
from darts_export.record import FILE as RECORD
from darts_export.record import FINGERPRINT, read_record
from darts_export.repolygonize.percents import blocks_of, grid_of, nodata_of, opened
from darts_export.repolygonize.rules import Outlining
from darts_export.repolygonize.scan import scan
from darts_export.repolygonize.table import outlined
from darts_export.tables import geoparquet_bytes
from darts_utils.errors import ConfigError, MissingDataError
from darts_utils.files import atomic_file, new_file

PERCENTS = "probabilities.tif"
SEGMENTS = f"{PRODUCTS['polygonized'].stem}.parquet"
_GROUND = tuple(f"{PRODUCTS[name].stem}.parquet" for name in ("observed", "density", "extent"))
_THRESHOLD = "DARTS_binarization_threshold"
_OF_IMAGE = ("acquired", "sensor")


@dataclass(frozen=True, kw_only=True)
class TileRaster:
    """A raster of percents."""

    path: Path
    name: Path
    """Its folder among those that are written."""

    @property
    def is_of_tile(self) -> bool:
        """Whether its folder is that of a tile, and not any folder with a raster."""
        return self.path.name == PERCENTS


def find_rasters(given: Sequence[Path]) -> list[TileRaster]:
    """Return the rasters of percents that are named, or lie in folders that are, each once, by their paths.

    Args:
        given: Results folders of runs, folders of tiles, and GeoTIFFs.

    Raises:
        ConfigError: If something that is named is not there.
        MissingDataError: If there is no raster in a folder.
    """
    found: dict[Path, TileRaster] = {}
    for root in given:
        for one in [_file(root)] if root.is_file() else _in_folder(root):
            found.setdefault(one.path.resolve(), one)
    return [found[path] for path in sorted(found)]


def _file(path: Path) -> TileRaster:
    place = path.resolve()
    return TileRaster(path=path, name=Path(place.parent.name if path.name == PERCENTS else path.stem))


def _in_folder(root: Path) -> list[TileRaster]:
    if not root.is_dir():
        raise ConfigError(f"there is no {root}. Name the results folder of a run, a tile, or a {PERCENTS}.")
    found = []
    for place, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if PERCENTS in files:
            path = Path(place) / PERCENTS
            found.append(
                _file(path) if Path(place) == root else TileRaster(path=path, name=path.parent.relative_to(root))
            )
    if not found:
        raise MissingDataError(f"there is no {PERCENTS} in {root}. Export tiles with `--export-bands probabilities`.")
    return found


def places_for(rasters: Sequence[TileRaster], out: Path | None) -> dict[Path, TileRaster]:
    """Return where the polygons of each raster are to be written; tiles that have some already are left out.

    Args:
        rasters: The rasters.
        out: Folder of the polygons; each goes beside its raster if None.

    Raises:
        ConfigError: If two would be written to one place, or polygons of a run would be replaced.
    """
    places: dict[Path, TileRaster] = {}
    for one in rasters:
        target = (one.path.parent if out is None else out / one.name) / SEGMENTS
        if out is None and not one.is_of_tile:
            raise ConfigError(f"{one.path} is no {PERCENTS} of a tile. Name a folder for its polygons with --out.")
        if target in places:
            raise ConfigError(
                f"the polygons of {one.path} and of {places[target].path} would both be {target}. Do one at a time,"
                " with an --out of its own."
            )
        if not (out is None and target.exists()):
            places[target] = one
    kept = [target for target in places if target.exists() and _is_tile(target.parent)]
    if kept:
        raise ConfigError(f"{kept[0]} was made by a run, and is not replaced. Name another folder with --out.")
    return places


def _is_tile(folder: Path) -> bool:
    return any((folder / name).exists() for name in (PERCENTS, RECORD))


def polygonize_raster(raster: TileRaster, target: Path, rules: Outlining) -> int:
    """Write the polygons of a raster of percents, and return how many there are.

    In a folder that is not the tile's own, what the tile says of the ground that was seen is put beside them, so that
    an inventory can be built from the folder.

    Args:
        raster: The raster. It is read block by block, and may be larger than memory.
        target: The file to write, GeoParquet with the columns of `segment_table`: null where a raster does not tell.
        rules: What becomes a polygon.

    Raises:
        DataError: If the raster is damaged or holds no percents.
        GridError: If it has no place on the map.
        ConfigError: If polygons would be added to a tile that says another threshold.
    """
    folder = raster.path.parent
    in_place = target.parent.resolve() == folder.resolve()
    with opened(raster.path) as source:
        said = {**source.tags(), **((read_record(folder) or {}) if raster.is_of_tile else {})}
        if in_place:
            _check_threshold(said, raster, rules)
        grid = grid_of(source)
        found = scan(blocks_of(source), source.shape, rules.threshold_percent, nodata_of(source))
    origin = origin_of(said, raster.name.name)
    frame = _with_origin(outlined(found, grid, rules), origin)
    content = geoparquet_bytes(frame, _tags(said, origin, rules))
    with new_file(target) if in_place else atomic_file(target) as part:
        part.write_bytes(content)
    if raster.is_of_tile and not in_place:
        _copy_ground(folder, target.parent)
    return len(frame)


def _check_threshold(said: Mapping[str, Any], raster: TileRaster, rules: Outlining) -> None:
    """Refuse polygons of another threshold than that which the tile is known by."""
    own = said.get(_THRESHOLD)
    if own is not None and str(own) != str(rules.threshold):
        raise ConfigError(
            f"the tile {raster.path.parent} says that its threshold is {own}, and polygons at {rules.threshold:g} would"
            " be taken for those. Name another folder with --out."
        )


def origin_of(said: Mapping[str, Any], name: str) -> dict[str, str | None]:
    """Return `image_id sensor acquired` of the image of a tile, None where nobody tells.

    Args:
        said: What the tile says of itself.
        name: What its folder or file is called, which may tell the rest.
    """
    known = {key: value for key, value in said.items() if value}
    tile = xr.Dataset(attrs={"tile_id": known.get("DARTS_tile_id", name), **known})
    return {
        "image_id": image.image_id(tile),
        "sensor": known.get("sensor", image.sensor(tile)),
        "acquired": known.get("acquired", image.acquired(tile)),
    }


def _with_origin(frame: gpd.GeoDataFrame, origin: Mapping[str, str | None]) -> gpd.GeoDataFrame:
    """Return a table of objects with text columns behind `area_m2`."""
    place = list(frame.columns).index("area_m2") + 1
    for offset, (column, text) in enumerate(origin.items()):
        frame.insert(place + offset, column, pd.array([text] * len(frame), dtype="string"))
    return frame


def _tags(said: Mapping[str, Any], origin: Mapping[str, str | None], rules: Outlining) -> dict[str, Any]:
    """Return what the table says of itself: what the tile does, but for the fingerprint, and how it was made."""
    own = {key: value for key, value in said.items() if key.startswith("DARTS_") and key != FINGERPRINT}
    texts = {key: value for key, value in own.items() if isinstance(value, str | int | float)}
    told = {key: origin[key] for key in _OF_IMAGE if origin[key] is not None}
    return {**texts, **told, _THRESHOLD: rules.threshold, "DARTS_polygonize": str(rules)}


def _copy_ground(folder: Path, target: Path) -> None:
    for name in _GROUND:
        if (folder / name).is_file():
            with atomic_file(target / name) as part:
                shutil.copyfile(folder / name, part)
