"""Tiles that were mapped: which there are, and their objects and looks in the plane (level 1)."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid5

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyproj
import shapely
from pyarrow import ArrowException
from pyproj.exceptions import CRSError
from shapely.errors import ShapelyError

from darts_postprocessing.inventory import robust
from darts_postprocessing.inventory.cells import cell_at
from darts_postprocessing.inventory.plane import PLANE_CRS, centroids, to_plane
from darts_postprocessing.inventory.rules import DOUBTS, MISSING, Rules
from darts_postprocessing.inventory.slumps import TIERS
from darts_postprocessing.inventory.tracks import NAMESPACE
from darts_utils.crs import LONGLAT, transformer
from darts_utils.errors import ConfigError, DataError, MissingDataError
from darts_utils.objects.geodesy import ground_perimeters_m
from darts_utils.rasters.arrays import Array

SEGMENTS, OBSERVED, EXTENT = "prediction_segments.parquet", "prediction_observed.parquet", "prediction_extent.parquet"
DENSITY = "prediction_density.parquet"
RECORD = "darts_inference.json"
_AGAIN = b"DARTS_polygonize"
"""Tag of polygons that were made again from probabilities: there is no record beside them."""
FRACTIONS = ("features_missing", "nodata_fraction", "snow_fraction", "water_fraction")
AREAS = ("area_m2_t30", "area_m2_t45", "area_m2_t65", "area_m2_t80")
SUMS = {"x": "int32", "y": "int32", "observed_m2": "float64", "expected_m2": "float64"}
"""Columns of sums over cells."""
_NEEDED = ("area_m2", "npixel", "mean", "max")


_AREAL = (3, 6)
"""Polygon and multipolygon, as shapely numbers them."""
_EQUATOR_M = 9_100_000.0
"""A little farther from the pole than the equator, in the plane."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TileFacts:
    """What is known of a tile before its outlines are read."""

    folder: Path
    image_id: str
    sensor: str
    acquired: str
    """Day of its image, YYYY-MM-DD."""
    model_ids: str
    """Ids of its models in rising order, with commas between them; empty where an earlier release did not say them."""
    threshold: str
    """Probability above which ground is a slump, as the tile says it."""
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    """Core probabilities from which on objects are of a tier, by tier; empty where they are not calibrated."""
    is_calibrated: bool = False
    """Whether its probabilities are."""
    cell: str
    """Cell of the plane that the middle of its extent lies in."""
    digest: str
    """Changes when its results do."""

    @property
    def year(self) -> int:
        """Year of its image."""
        return int(self.acquired[:4])

    @property
    def saw(self) -> str:
        """Name of the file with the ground that was seen, or that of the extent, of older tiles."""
        return OBSERVED if (self.folder / OBSERVED).is_file() else EXTENT


def find_tiles(roots: Sequence[Path]) -> list[Path]:
    """Return the folders of all tiles below some folders, in the order of their paths.

    Raises:
        ConfigError: If a folder is not there.
        DataError: If a folder cannot be looked into.
        MissingDataError: If there is no tile that is finished, or one was exported without polygons.
    """
    found: set[Path] = set()
    bare: list[Path] = []
    unfinished: list[Path] = []
    looked_at: set[Path] = set()
    for root in roots:
        if not root.is_dir():
            raise ConfigError(f"there is no folder {root}. Give the results folder of a run, or the folder of a tile.")
        for folder, names in _folders(root, looked_at):
            if SEGMENTS not in names:
                bare.append(folder)
            elif RECORD in names or _AGAIN in (_header(folder / SEGMENTS).metadata or {}):
                found.add(folder)
            else:
                unfinished.append(folder)
    if unfinished:
        logger.warning(
            "%d tiles such as %s have no %s, so are not finished: left out",
            len(unfinished),
            unfinished[0],
            RECORD,
        )
    if bare:
        raise MissingDataError(
            f"{len(bare)} tiles such as {bare[0]} have no {SEGMENTS}. Export them again with `--export-bands"
            " polygonized`, or make their polygons with `darts inventory polygonize`."
        )
    if not found:
        raise MissingDataError(f"there is no tile in {', '.join(map(str, roots))}. Map some scenes first.")
    return sorted(found)


def _folders(root: Path, looked_at: set[Path]) -> Iterator[tuple[Path, set[str]]]:
    """Yield the folders that hold results, without those inside of them, each once, whatever links lead there."""

    def fail(error: OSError) -> None:
        reason = error.strerror or error
        raise DataError(f"the folder {error.filename} cannot be looked into ({reason}). Make it readable.") from error

    for place, folders, files in os.walk(root, onerror=fail, followlinks=True):
        true = Path(place).resolve()
        if true in looked_at:
            folders[:] = []
            continue
        looked_at.add(true)
        names = set(files)
        folders[:] = [] if names & {SEGMENTS, RECORD} else sorted(name for name in folders if name[0] != ".")
        if names & {SEGMENTS, RECORD}:
            yield Path(place), names


def tile_facts(folder: Path) -> TileFacts:
    """Return what is known of a tile, from its record and the headers of its tables.

    Raises:
        DataError: If a table is damaged, or the tile does not say its image or the day of it.
    """
    record = _record(folder)
    segments = _header(folder / SEGMENTS)
    tags = {
        key.decode(): value.decode() for key, value in (segments.metadata or {}).items() if not key.startswith(b"{")
    }
    said = {**tags, **{key: value for key, value in record.items() if isinstance(value, str | int | float)}}
    saw = OBSERVED if (folder / OBSERVED).is_file() else EXTENT
    image_id = said.get("DARTS_tile_id") or folder.name
    acquired = str(said.get("acquired") or "")[:10]
    if not _is_day(acquired):
        raise DataError(
            f"the tile {folder} does not say when its image was acquired, so it belongs to no year. Map it again, or"
            " move it out of the folder."
        )
    thresholds = record.get("DARTS_thresholds") or {}
    if not (isinstance(thresholds, dict) and all(isinstance(one, float | int | None) for one in thresholds.values())):
        raise DataError(f"DARTS_thresholds in {folder / RECORD} are no numbers. Map the tile again with --overwrite.")
    return TileFacts(
        folder=folder,
        image_id=str(image_id),
        sensor=str(said.get("sensor") or ""),
        acquired=acquired,
        model_ids=_model_ids(str(said.get("DARTS_models") or "")),
        threshold=str(said.get("DARTS_binarization_threshold", "")),
        thresholds=thresholds,
        is_calibrated=record.get("DARTS_calibrated") is True,
        cell=_cell_of(folder / (EXTENT if (folder / EXTENT).is_file() else saw)),
        digest=_digest(folder),
    )


def _record(folder: Path) -> dict[str, Any]:
    file = folder / RECORD
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} cannot be read. Map the tile again with --overwrite.") from error
    if not isinstance(content, dict) or not isinstance(content.get("acquired", ""), str | None):
        raise DataError(f"{file} is no record of a tile. Map the tile again with --overwrite.")
    return content


def _header(file: Path) -> Any:
    """Return the schema of a table, whose metadata are the tags of its tile."""
    try:
        return pq.read_schema(file)
    except FileNotFoundError as error:
        raise MissingDataError(
            f"there is no {file}. Export the tile again with `--export-bands polygonized`."
        ) from error
    except (OSError, ArrowException) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: object) -> DataError:
    return DataError(f"{file} cannot be read ({' '.join(str(error).split())[:120]}). Map the tile again.")


def _is_day(text: str) -> bool:
    try:
        return len(text) == 10 and pd.Timestamp(text).strftime("%Y-%m-%d") == text
    except ValueError:
        return False


def _model_ids(said: str) -> str:
    """Return the ids out of `name id, name id`."""
    return ",".join(sorted(part.rsplit(" ", 1)[-1] for part in said.split(", ") if " " in part))


def _cell_of(file: Path) -> str:
    """Return the cell of the middle of what a table covers, which its header tells."""
    metadata = _header(file).metadata or {}
    name, crs = _geometry_of(metadata, file)
    bounds = json.loads(metadata[b"geo"])["columns"][name].get("bbox")
    if bounds is None:  # of no ground: it may lie anywhere
        return cell_at(0, 0)
    (middle,) = _placed(np.array([shapely.box(*bounds)], dtype=object), crs, file)
    point = shapely.centroid(middle)
    return cell_at(point.x, point.y) if not point.is_empty else cell_at(0, 0)


def _geometry_of(metadata: Mapping[bytes, bytes], file: Path) -> tuple[str, pyproj.CRS]:
    """Return the column of the outlines of a table, and their CRS."""
    try:
        geo = json.loads(metadata[b"geo"])
        name = str(geo["primary_column"])
        crs = geo["columns"][name].get("crs", LONGLAT)  # what GeoParquet leaves out is longitude and latitude
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file} does not say where it lies. Map the tile again.") from error
    if crs is None:
        raise DataError(f"{file} does not say in which coordinates it is. Map the tile again.")
    try:
        return name, _crs_of(crs if isinstance(crs, str) else json.dumps(crs))
    except CRSError as error:
        raise DataError(f"{file} is in coordinates that nobody knows ({error}). Map the tile again.") from error


@lru_cache(maxsize=64)
def _crs_of(said: str) -> pyproj.CRS:
    """Return a CRS; tiles are many, and their systems few."""
    return pyproj.CRS.from_user_input(said)


def _digest(folder: Path) -> str:
    """Return what changes when the results of a tile do: a hash over its record, and size and time of its tables."""
    content = hashlib.sha256()
    record = folder / RECORD
    content.update(record.read_bytes() if record.is_file() else b"")
    for name in (SEGMENTS, OBSERVED, EXTENT, DENSITY):
        file = folder / name
        if file.is_file():
            status = file.stat()
            content.update(f"{name} {status.st_size} {status.st_mtime_ns}".encode())
    return content.hexdigest()


def chosen_tiles(facts: Sequence[TileFacts], rules: Rules) -> list[TileFacts]:
    """Return the tiles that count: those of the season, each once; two of one image may be of different ground.

    Raises:
        ConfigError: If they are of different models or thresholds, and that is not allowed.
        MissingDataError: If none is left.
    """
    counted = [one for one in facts if rules.counts_day(one.acquired)]
    if not counted:
        raise MissingDataError(f"none of the {len(facts)} tiles is of the season {rules.season}. Widen it.")
    kinds: dict[tuple[str, str], list[TileFacts]] = {}
    for one in counted:
        kinds.setdefault((one.model_ids, one.threshold), []).append(one)
    if len(kinds) > 1 and not rules.mixed:
        said = "; ".join(
            f"{len(tiles)} of the models {models[:8] or 'unknown'}... at {threshold or 'an unknown threshold'}, such as"
            f" {tiles[0].image_id}"
            for (models, threshold), tiles in sorted(kinds.items())[:3]
        )
        raise ConfigError(f"the tiles are not made alike: {said}. Build an inventory of each, or use --mixed.")
    return _without_copies(counted)


def _without_copies(tiles: Sequence[TileFacts]) -> list[TileFacts]:
    """Return tiles without those whose image is there with the very same results."""
    of_image: dict[tuple[str, str], list[TileFacts]] = {}
    for one in tiles:
        of_image.setdefault((one.image_id, one.model_ids), []).append(one)
    kept: list[TileFacts] = []
    for several in of_image.values():
        by_content = {_content(one.folder): one for one in reversed(several)} if len(several) > 1 else {b"": several[0]}
        kept += by_content.values()
    return kept


def _content(folder: Path) -> bytes:
    """Return a hash over the tables of a tile, byte by byte."""
    content = hashlib.sha256()
    for name in (SEGMENTS, OBSERVED, EXTENT, DENSITY):
        file = folder / name
        content.update(file.read_bytes() if file.is_file() else b"")
        content.update(name.encode())
    return content.digest()


def read_objects(facts: TileFacts, rules: Rules) -> gpd.GeoDataFrame:
    """Return the objects of a tile, level 1, with their outlines in the plane.

    Returns:
        Rows by `object_id`, with the columns of level 1 in the data dictionary; NaN and null where an older tile does
        not tell. `object_id` is made of the image, its models, and the outline in whole pixels of its grid: it stays
        when a tile is made again to the same outlines.

    Raises:
        DataError: If the table is damaged or lacks a column.
    """
    file = facts.folder / SEGMENTS
    table, outlines, crs = _read(file, _NEEDED)
    shapes = _placed(outlines, crs, file)
    if not (table["npixel"].notna() & (table["npixel"] > 0)).all():
        raise _damaged(file, "npixel of an object is not above 0")
    try:
        frame = _level_1(facts, table, outlines, shapes)
    except (ValueError, TypeError) as error:
        raise _damaged(file, error) from error
    kept: gpd.GeoDataFrame = frame[~_dropped(frame, rules)].sort_values("object_id", ignore_index=True)
    return kept


def _level_1(facts: TileFacts, table: pd.DataFrame, outlines: Array, shapes: Array) -> gpd.GeoDataFrame:
    longitudes, latitudes = centroids(shapes)
    told = {name: table.get(name, pd.Series(np.nan, table.index)).astype("float64") for name in (*AREAS, *FRACTIONS)}
    core = table.get("core_probability", pd.Series(np.nan, table.index)).astype("float64")
    cut = table["cut"] if "cut" in table else pd.Series(pd.NA, table.index)
    columns = {
        "object_id": _object_ids(facts, outlines, table["npixel"].to_numpy()),
        "image_id": facts.image_id,
        "sensor": facts.sensor,
        "acquired": facts.acquired,
        "year": np.full(len(table), facts.year, dtype=np.int32),
        "model_ids": facts.model_ids,
        "area_m2": table["area_m2"].astype("float64"),
        "perimeter_m": ground_perimeters_m(shapes, PLANE_CRS),
        "centroid_lon": longitudes,
        "centroid_lat": latitudes,
        "mean_probability": table["mean"].astype("float64") / 100,
        "max_probability": table["max"].astype("float64") / 100,
        "core_probability": core,
        **{name: told[name] for name in AREAS},
        "tier": _tiers(core, told["features_missing"], facts.thresholds),
        "cut": cut.astype("boolean").fillna(value=False).astype(bool),
        **{name: told[name] for name in FRACTIONS},
        "npixel": table["npixel"].astype("int64"),
    }
    return gpd.GeoDataFrame(columns, index=table.index, geometry=shapes, crs=PLANE_CRS)


def _placed(outlines: Array, crs: pyproj.CRS, file: Path) -> Array:
    """Return outlines in the plane; refuse what is no polygon, or lies nowhere in the north."""
    is_ground = np.isin(shapely.get_type_id(outlines), _AREAL) & ~shapely.is_empty(outlines)
    if not is_ground.all():
        raise _damaged(file, f"{np.count_nonzero(~is_ground)} rows have no polygon")
    bounds = shapely.bounds(outlines)
    places = transformer(crs, PLANE_CRS).transform(bounds[:, ::2], bounds[:, 1::2])
    if not (np.abs(places) <= _EQUATOR_M).all():  # nor where it is no number
        raise _damaged(file, f"its outlines do not lie on the northern half of the Earth, so not in {crs.name}")
    return to_plane(outlines, crs)


def _read(file: Path, needed: Sequence[str] = ()) -> tuple[pd.DataFrame, Array, pyproj.CRS]:
    """Return a table, its outlines, and their CRS; geopandas takes longer to read what the CRS is than all the rest."""
    try:
        table = pq.read_table(file)
    except (OSError, ArrowException) as error:
        raise _damaged(file, error) from error
    column, crs = _geometry_of(table.schema.metadata or {}, file)
    try:
        shapes = shapely.from_wkb(table[column].to_numpy())
    except (KeyError, TypeError, ShapelyError) as error:
        raise _damaged(file, error) from error
    lacking = [name for name in needed if name not in table.column_names]
    if lacking:
        raise DataError(f"{file} lacks {', '.join(lacking)}: an earlier release wrote it. Export the tile again.")
    return table.drop_columns([column]).to_pandas(), shapes, crs


def _object_ids(facts: TileFacts, outlines: Array, n_pixels: Array) -> Array:
    shapes = shapely.normalize(outlines)
    areas = shapely.area(np.where(shapely.is_valid(shapes), shapes, shapely.make_valid(shapes)))
    pixels = np.sqrt(np.maximum(areas, 1) / np.maximum(n_pixels.astype(np.float64), 1))
    said = f"{facts.image_id} {facts.model_ids} "
    ids = []
    for shape, pixel in zip(shapes, pixels, strict=True):
        corners = _whole_pixels(shapely.get_coordinates(shape), float(pixel))
        ids.append(str(uuid5(NAMESPACE, said + corners)))
    return np.array(ids, dtype=object)  # of a type also where there is none


def _whole_pixels(points: Array, pixel_m: float) -> str:
    """Return corners in whole pixels from the origin of the coordinates, however a grid is shifted against it."""
    exact = points / pixel_m
    shift = exact[0] - np.rint(exact[0])
    return np.rint(exact - shift).astype(np.int64).tobytes().hex()


def _tiers(core: pd.Series, missing: pd.Series, thresholds: Mapping[str, float | None]) -> Array:
    """Return the highest tier that each object reaches, None below the lowest; `low` at most where features miss."""
    result = np.full(len(core), None, dtype=object)
    is_whole = ~(missing.to_numpy() > MISSING)
    for tier in TIERS:
        least = thresholds.get(tier)
        if least is not None:
            result[(core.to_numpy() >= least) & (is_whole | (tier == TIERS[0]))] = tier
    return result


def _dropped(frame: gpd.GeoDataFrame, rules: Rules) -> Array:
    dropped = np.zeros(len(frame), dtype=bool)
    for doubt in rules.drop:
        column, most = DOUBTS[doubt]
        dropped |= frame[column].to_numpy(dtype=np.float64) > most
    return dropped


def read_sums(facts: TileFacts) -> pd.DataFrame:
    """Return the sums of probabilities that a tile has, by cells of 1 km; none of a tile that is not calibrated.

    Returns:
        `x y` int32, and `observed_m2 expected_m2` float64, see `prediction_density.parquet` in the guide to outputs.

    Raises:
        DataError: If the table is damaged.
    """
    file = facts.folder / DENSITY
    if not (facts.is_calibrated and file.is_file()):
        return pd.DataFrame({name: np.empty(0, dtype=kind) for name, kind in SUMS.items()})
    try:
        return pq.read_table(file, columns=list(SUMS)).to_pandas().astype(SUMS)
    except (OSError, ValueError, ArrowException) as error:
        raise _damaged(file, error) from error


def read_look(facts: TileFacts, rules: Rules) -> gpd.GeoDataFrame:
    """Return the ground that a tile saw, in the plane, without that of objects which are left out: who knows.

    Returns:
        One row: `image_id acquired year sensor` and `is_observed`, whether it is the ground that was really seen; of
        older tiles it is the extent, in which clouds may have hidden some.

    Raises:
        DataError: If the table is damaged.
    """
    file = facts.folder / facts.saw
    _, outlines, crs = _read(file)
    shapes = _placed(outlines[~shapely.is_empty(outlines)], crs, file)
    seen = robust.union_all(shapes) if len(shapes) else shapely.Polygon()
    if rules.drop:
        everything = read_objects(facts, replace(rules, drop=()))
        left_out = everything.geometry.to_numpy()[_dropped(everything, rules)]
        if len(left_out):
            (seen,) = robust.difference(np.array([seen], dtype=object), robust.union_all(left_out))
    return gpd.GeoDataFrame(
        {
            "image_id": [facts.image_id],
            "acquired": [facts.acquired],
            "year": np.array([facts.year], dtype=np.int32),
            "sensor": [facts.sensor],
            "is_observed": [facts.saw == OBSERVED],
        },
        geometry=[seen],
        crs=PLANE_CRS,
    )
