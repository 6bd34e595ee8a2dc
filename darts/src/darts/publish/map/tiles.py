"""Slumps as vector tiles in one file, for web maps on servers that answer range requests."""

import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import mapbox_vector_tile
import numpy as np
import pandas as pd
import shapely
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

from darts_export.publish.stac.extent import box_of
from darts_utils.rasters.arrays import Array

TILES = "layers/slumps.pmtiles"
LAYER = "slumps"
OUTLINE_ZOOMS = range(10, 13)
POINT_ZOOMS = range(10)
_EXTENT = 4096
_GRID = 64
"""Points of a tile stand for all slumps in a square of this many units."""
_MERCATOR = "EPSG:3857"
_HALF_M = 20037508.342789244
_TURN = 3_600_000_000
"""Around the world, as the header of an archive has degrees."""
_SHARED = ("slump_id", "tier", "status", "verdict")


def write_pmtiles(file: Path, slumps: gpd.GeoDataFrame) -> None:
    """Write a PMTiles archive of one layer, `slumps`; equal slumps give equal bytes.

    From zoom 10 on a feature is a slump of a year with its outline: `slump_id year tier area_majority_m2` (whole)
    `status verdict`, what is null left out. It is whole in each tile that it touches. Before, it is a point that stands
    for all slumps of a year in a 64th of a tile: `year`, how many (`n_slumps`), their area, and what all share.

    Args:
        file: The file.
        slumps: Level 2 with `status`, and `verdict` where there are any.
    """
    table = _columns(slumps)
    shapes = slumps.geometry.to_crs(_MERCATOR).to_numpy()
    with file.open("wb") as out:
        writer = Writer(out)
        for zoom in POINT_ZOOMS:
            _write_zoom(writer, zoom, _points(table, shapes, zoom))
        for zoom in OUTLINE_ZOOMS:
            _write_zoom(writer, zoom, _outlines(table, shapes, zoom))
        writer.finalize(_header(slumps.geometry.to_numpy()), _metadata())


def _columns(slumps: gpd.GeoDataFrame) -> pd.DataFrame:
    columns = {name: slumps.get(name) for name in _SHARED}
    table = pd.DataFrame(columns, index=slumps.index).astype(object)
    table["year"] = slumps["year"].astype(int)
    table["area_majority_m2"] = slumps["area_majority_m2"].fillna(0).round().astype(int)
    return table.where(table.notna(), None).reset_index(drop=True)


def _pixels(shapes: Array, zoom: int) -> Array:
    """Return shapes in units of the tiles of a zoom level, counted from the north-west corner of the world."""
    scale = _EXTENT * 2**zoom / (2 * _HALF_M)
    moved: Array = shapely.transform(shapes, lambda xy: (xy * [1, -1] + _HALF_M) * scale)
    return moved


def _points(table: pd.DataFrame, shapes: Array, zoom: int) -> pd.DataFrame:
    """Return features of a zoom level: `tile_x tile_y shape`, and what all slumps that each stands for share."""
    xy = _inside(shapely.get_coordinates(_pixels(shapely.point_on_surface(shapes), zoom)), zoom)
    keys = {"row": (xy[:, 1] // _GRID).astype(int), "column": (xy[:, 0] // _GRID).astype(int), "year": table["year"]}
    coded = pd.DataFrame(
        {**keys, "n_slumps": 1, "area_majority_m2": table["area_majority_m2"], "x": xy[:, 0], "y": xy[:, 1]}
    )
    values = {}
    for name in _SHARED:
        coded[name], values[name] = pd.factorize(table[name])
    grouped = coded.groupby(["row", "column", "year"])
    found = grouped.agg({"n_slumps": "sum", "area_majority_m2": "sum", "x": "mean", "y": "mean"}).reset_index()
    for name in _SHARED:
        least, most = (grouped[name].agg(kind).to_numpy() for kind in ("min", "max"))
        is_shared = (least == most) & (least >= 0)
        known = np.array([*values[name], None], dtype=object)
        found[name] = known[np.where(is_shared, least, -1)]
    whole = np.floor(found[["x", "y"]].to_numpy())
    found["shape"] = shapely.points(whole)
    found["tile_x"], found["tile_y"] = (whole // _EXTENT).astype(int).T
    return found.drop(columns=["row", "column", "x", "y"])


def _inside(xy: Array, zoom: int) -> Array:
    return np.clip(xy, 0, _EXTENT * 2**zoom - 1)


def _outlines(table: pd.DataFrame, shapes: Array, zoom: int) -> pd.DataFrame:
    """Return features of a zoom level: `tile_x tile_y shape` and the columns of slumps, in each tile they touch."""
    pixels = _pixels(shapes, zoom)
    drawn = shapely.set_precision(shapely.simplify(pixels, 0.5), 1.0)
    parts, owner = shapely.get_parts(np.where(shapely.area(drawn) > 0, drawn, _squares(pixels)), return_index=True)
    is_area = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    parts, owner = shapely.orient_polygons(parts[is_area]), owner[is_area]
    bounds = _inside(shapely.bounds(parts), zoom)
    first, last = (bounds[:, :2] // _EXTENT).astype(int), (bounds[:, 2:] // _EXTENT).astype(int)
    across, down = (last - first + 1).T
    index = np.repeat(np.arange(len(parts)), across * down)
    step = np.arange(len(index)) - np.repeat(np.cumsum(across * down) - across * down, across * down)
    touched = {
        "tile_x": first[index, 0] + step % across[index],
        "tile_y": first[index, 1] + step // across[index],
        "owner": owner[index],
        "shape": parts[index],
    }
    found = pd.DataFrame(touched)
    joined = found.groupby(["tile_x", "tile_y", "owner"], sort=True)["shape"].agg(_joined).reset_index()
    told = table.iloc[joined["owner"].to_numpy()].reset_index(drop=True)
    return pd.concat([joined.drop(columns="owner"), told], axis=1)


def _squares(pixels: Array) -> Array:
    """Return one unit each, for outlines that are smaller: they are not to vanish."""
    corner = np.floor(shapely.get_coordinates(shapely.point_on_surface(pixels)))
    squares: Array = shapely.box(corner[:, 0], corner[:, 1], corner[:, 0] + 1, corner[:, 1] + 1)
    return squares


def _joined(parts: pd.Series) -> Any:
    return parts.iloc[0] if len(parts) == 1 else shapely.multipolygons(parts.tolist())


def _write_zoom(writer: Writer, zoom: int, features: pd.DataFrame) -> None:
    """Write the tiles of a zoom level in the order of the archive."""
    places = zip(features["tile_x"], features["tile_y"], strict=True)
    tile_ids = np.array([zxy_to_tileid(zoom, x, y) for x, y in places], dtype=np.int64)
    order = np.argsort(tile_ids, kind="stable")
    made = list(_made(features.iloc[order]))
    found, firsts = np.unique(tile_ids[order], return_index=True)
    for tile_id, first, end in zip(found.tolist(), firsts, [*firsts[1:], len(made)], strict=True):
        writer.write_tile(tile_id, _tile(made[first:end]))


def _made(features: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield features as the encoder takes them: shapes in units of their tile, without what is null."""
    coordinates, owner = shapely.get_coordinates(features["shape"].to_numpy(), return_index=True)
    corners = features[["tile_x", "tile_y"]].to_numpy() * _EXTENT
    shapes = shapely.set_coordinates(features["shape"].to_numpy(copy=True), coordinates - corners[owner])
    told = features.drop(columns=["tile_x", "tile_y", "shape"])
    columns = [told[name].tolist() for name in told.columns]
    for shape, *values in zip(shapes, *columns, strict=True):
        named = zip(told.columns, values, strict=True)
        yield {"geometry": shape, "properties": {name: value for name, value in named if value is not None}}


def _tile(features: list[dict[str, Any]]) -> bytes:
    options = {"extents": _EXTENT, "y_coord_down": True, "check_winding_order": False}
    content = mapbox_vector_tile.encode([{"name": LAYER, "features": features}], default_options=options)
    return gzip.compress(content, mtime=0)


def _header(shapes: Array) -> dict[str, Any]:
    """Return the header: across the antimeridian bounds go around the world, and the centre is that of slumps."""
    west, south, east, north = (round(value * 1e7) for value in box_of(shapes))
    middle = (west + east) // 2
    if west > east:
        west, middle, east = -_TURN // 2, (west + east + _TURN) // 2, _TURN // 2
        middle -= _TURN if middle > east else 0
    return {
        "tile_type": TileType.MVT, "tile_compression": Compression.GZIP,
        "min_lon_e7": west, "min_lat_e7": south, "max_lon_e7": east, "max_lat_e7": north,
        "center_zoom": 4, "center_lon_e7": middle, "center_lat_e7": (south + north) // 2,
    }  # fmt: skip


def _metadata() -> Mapping[str, Any]:
    fields = dict.fromkeys(("slump_id", "tier", "status", "verdict"), "String")
    fields |= dict.fromkeys(("year", "area_majority_m2", "n_slumps"), "Number")
    layer = {"id": LAYER, "fields": fields, "minzoom": POINT_ZOOMS[0], "maxzoom": OUTLINE_ZOOMS[-1]}
    return {"name": LAYER, "type": "overlay", "vector_layers": [layer]}
