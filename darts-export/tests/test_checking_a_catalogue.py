"""A sound catalogue is found sound; each way of breaking it is found, by the name of the file, and nothing besides."""

import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from published_catalogue import FACTS, known_faults, map_tiles, models, slumps, write_all, write_mosaic, write_slumps
from rasterio import Affine

from darts_export.publish.checking.catalogue import check_catalogue
from darts_export.publish.checksums import write_checksums
from darts_export.publish.stac.write import write_stac
from darts_utils.errors import MissingDataError

ITEM = "stac/map/2021-x-21y-02.json"
MAP = "stac/map/collection.json"
MODEL = "stac/models/tiny.json"
MOSAIC = "mosaics/2021/probability-2021-x-21y-02.tif"
TABLE = "inventory/slumps/2021/x-012y+003.parquet"
TILES = "layers/slumps.pmtiles"
SUMS = "checksums.sha256"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module", autouse=True)
def each_document_is_validated_once():
    with known_faults():
        yield


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return write_all(tmp_path_factory.mktemp("sound"), years=(2021,))


@pytest.fixture
def catalogue(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "catalogue"))


def changed(path: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Return what changes a JSON file of a catalogue."""

    def do(folder: Path) -> None:
        said = json.loads((folder / path).read_text())
        change(said)
        (folder / path).write_text(json.dumps(said, indent=2))

    return do


def put(said: dict[str, Any], value: Any, *keys: Any) -> None:
    for key in keys[:-1]:
        said = said[key]
    said[keys[-1]] = value


def written(path: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / path).write_bytes(content)


def spoiled(path: str, position: int = -1) -> Callable[[Path], None]:
    """Return what changes a byte of a file."""

    def do(folder: Path) -> None:
        content = bytearray((folder / path).read_bytes())
        content[position] ^= 1
        (folder / path).write_bytes(content)

    return do


def table(change: Callable[[gpd.GeoDataFrame], gpd.GeoDataFrame]) -> Callable[[Path], None]:
    return lambda folder: write_slumps(folder / TABLE, change(slumps(seed=2021)))


def geo(change: Callable[[dict[str, Any]], Any], columns: Callable[[pa.Table], pa.Table] = lambda one: one):
    """Return what changes the metadata of the table, and maybe its columns, and not its outlines."""

    def do(folder: Path) -> None:
        content = columns(pq.read_table(folder / TABLE))
        said = json.loads(content.schema.metadata[b"geo"])
        change(said)
        kept = {**content.schema.metadata, b"geo": json.dumps(said).encode()}
        pq.write_table(content.replace_schema_metadata(kept), folder / TABLE, row_group_size=10)

    return do


def narrow(content: pa.Table) -> pa.Table:
    """Return the table with the eastern edge of the boxes of rows 12 and 31 too far in the west."""
    boxes = content.column("bbox").combine_chunks()
    east = boxes.field("xmax").to_numpy().copy()
    east[[12, 31]] -= 0.004
    parts = [boxes.field(name) if name != "xmax" else pa.array(east) for name in ("xmin", "ymin", "xmax", "ymax")]
    struct = pa.StructArray.from_arrays(parts, names=["xmin", "ymin", "xmax", "ymax"])
    return content.set_column(content.schema.get_field_index("bbox"), "bbox", struct)


def with_shapes(**instead: Any) -> Callable[[gpd.GeoDataFrame], gpd.GeoDataFrame]:
    """Return what puts other outlines into rows of a table."""

    def change(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        shapes = frame.geometry.to_numpy().copy()
        for row, shape in instead.items():
            shapes[int(row[1:])] = shape
        return frame.set_geometry(gpd.GeoSeries(shapes, crs=frame.crs))

    return change


def linked(path: str, target: str) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        (folder / path).unlink(missing_ok=True)
        (folder / path).symlink_to(target)

    return do


def moved(folder: Path) -> None:
    """Put a raster of another place there, and tell its true size and checksum."""
    write_mosaic(folder / MOSAIC, (-1_000_000, -900_000), seed=0)
    digest = hashlib.sha256((folder / MOSAIC).read_bytes()).hexdigest()
    told = {"file:size": (folder / MOSAIC).stat().st_size, "file:checksum": f"1220{digest}"}
    changed(ITEM, lambda said: said["assets"]["probability"].update(told))(folder)


def removed(path: str) -> Callable[[Path], None]:
    return lambda folder: (folder / path).unlink()


def cut(path: str, n: int) -> Callable[[Path], None]:
    return lambda folder: (folder / path).write_bytes((folder / path).read_bytes()[:n])


def in_strips(folder: Path) -> None:
    """Put a raster of strips, without overviews, in the place of a mosaic, and tell of it as it is."""
    with rasterio.open(
        folder / MOSAIC, "w", driver="GTiff", width=900, height=700, count=1, dtype="uint8", nodata=255,
        crs="EPSG:3413", transform=Affine(100, 0, -2_100_000, 0, -100, -200_000),
    ) as raster:  # fmt: skip
        raster.write(np.ones((700, 900), np.uint8), 1)
    write_stac(folder, FACTS, [replace(tile, rasters=tile.rasters[:1]) for tile in map_tiles((2021,))], models())


def without_overviews(folder: Path) -> None:
    """Put a raster that lacks nothing else in the place of a mosaic, and tell of it as it is."""
    with rasterio.open(
        folder / MOSAIC, "w", driver="COG", width=900, height=700, count=1, dtype="uint8", nodata=255,
        crs="EPSG:3413", transform=Affine(100, 0, -2_100_000, 0, -100, -200_000), blocksize=256, overviews="NONE",
    ) as raster:  # fmt: skip
        raster.write(np.ones((700, 900), np.uint8), 1)
    write_stac(folder, FACTS, [replace(tile, rasters=tile.rasters[:1]) for tile in map_tiles((2021,))], models())


def of_another_year(folder: Path) -> None:
    """Let an item be of another year than it says, and the collection reach so far."""
    for key in ("start_datetime", "end_datetime"):
        changed(ITEM, lambda said, key=key: put(said, "2019-07-01T20:00:00Z", "properties", key))(folder)
    changed(MAP, lambda said: put(said, "2019-01-01T00:00:00Z", "extent", "temporal", "interval", 0, 0))(folder)


def shrunk(folder: Path) -> None:
    """Let an item tell of a part of its rasters only."""

    def change(said: dict[str, Any]) -> None:
        middle = shapely.from_geojson(json.dumps(said["geometry"])).centroid
        part = shapely.set_precision(middle.buffer(0.05), 1e-7)
        said["geometry"] = json.loads(shapely.to_geojson(part))
        said["bbox"] = list(part.bounds)

    changed(ITEM, change)(folder)


def add_to_sums(folder: Path, line: bytes) -> None:
    (folder / SUMS).write_bytes((folder / SUMS).read_bytes() + line + b"\n")


STATISTICS = ("assets", "probability", "bands", 0, "statistics")
BOX = ("geoLocations", 0, "geoLocationBox")
OUTPUT = ("properties", "mlm:output", 0)
ENDED = ("activity", "darts:run%201", "prov:endTime")
BROKEN: dict[str, Callable[[Path], Any]] = {
    "no root": removed("catalog.json"),
    "cut JSON": cut(ITEM, 200),
    "no object": written(ITEM, b"[1, 2]"),
    "not a number": written(ITEM, b'{"type": "Feature", "x": NaN}'),
    "no UTF-8": written(ITEM, b'{"type": "\xff"}'),
    "core": changed(ITEM, lambda said: said["properties"].pop("start_datetime")),
    "type": changed(ITEM, lambda said: put(said, "Collection", "type")),
    "projection": changed(ITEM, lambda said: put(said, "wide", "assets", "looks", "proj:shape")),
    "raster": changed(ITEM, lambda said: put(said, "mean", "assets", "looks", "raster:sampling")),
    "processing": changed(ITEM, lambda said: put(said, 4, "properties", "processing:level")),
    "mlm": changed(MODEL, lambda said: said["properties"].pop("mlm:tasks")),
    "no schema": changed(ITEM, lambda said: said["stac_extensions"].append("https://example.org/v1.0.0/schema.json")),
    "other STAC": changed(ITEM, lambda said: put(said, "1.0.0", "stac_version")),
    "classes": changed(
        MODEL,
        lambda said: put(
            said, [{"value": 1, "name": "slump"}], "properties", "mlm:output", 0, "classification:classes"
        ),
    ),
    "link to nothing": changed(ITEM, lambda said: put(said, "../models/none.json", "links", 3, "href")),
    "link out": changed(ITEM, lambda said: put(said, "../../../../etc/hostname", "links", 3, "href")),
    "asset out": changed(ITEM, lambda said: put(said, "../../../%2e%2e/etc/hostname", "assets", "looks", "href")),
    "machine": changed(ITEM, lambda said: put(said, "file:///etc/hostname", "assets", "looks", "href")),
    "backslash": changed(ITEM, lambda said: put(said, "..\\..\\x.tif", "assets", "looks", "href")),
    "loop": changed(MAP, lambda said: said["links"].append({"rel": "child", "href": "../../catalog.json"})),
    "parent": changed(ITEM, lambda said: put(said, "../models/collection.json", "links", 1, "href")),
    "item removed": removed(ITEM),
    "not linked": changed(MAP, lambda said: said["links"].pop(2)),
    "two ids": changed(ITEM, lambda said: put(said, "2021-x-12y+11", "id")),
    "collection id": changed(ITEM, lambda said: put(said, "other", "collection")),
    "bbox": changed(ITEM, lambda said: put(said, said["bbox"][0] + 0.1, "bbox", 0)),
    "geometry": changed(ITEM, lambda said: put(said, [[[1, 2], [3, 4]]], "geometry", "coordinates")),
    "not on Earth": changed(ITEM, lambda said: put(said, {"type": "Point", "coordinates": [200, 95]}, "geometry")),
    "extent": changed(MAP, lambda said: put(said, [[-130, 60, -120, 75]], "extent", "spatial", "bbox")),
    "times": changed(ITEM, lambda said: put(said, "2021-09-03T20:00:00Z", "properties", "start_datetime")),
    "no time": changed(ITEM, lambda said: put(said, "2021-13-41T20:00:00Z", "properties", "start_datetime")),
    "interval": changed(MAP, lambda said: put(said, "2022-01-01T00:00:00Z", "extent", "temporal", "interval", 0, 0)),
    "size": changed(ITEM, lambda said: put(said, 5, "assets", "looks", "file:size")),
    "checksum": changed(ITEM, lambda said: put(said, "1220" + "0" * 64, "assets", "looks", "file:checksum")),
    "other hash": changed(ITEM, lambda said: put(said, "1114" + "0" * 40, "assets", "looks", "file:checksum")),
    "shape": changed(ITEM, lambda said: put(said, 301, "assets", "looks", "proj:shape", 0)),
    "transform": changed(ITEM, lambda said: put(said, 101.0, "assets", "looks", "proj:transform", 0)),
    "CRS": changed(ITEM, lambda said: put(said, "EPSG:6931", "assets", "looks", "proj:code")),
    "no CRS": changed(ITEM, lambda said: put(said, "EPSG:1", "assets", "looks", "proj:code")),
    "bands": changed(ITEM, lambda said: said["assets"]["looks"]["bands"].append({"name": "b"})),
    "moved": moved,
    "pixels": spoiled(MOSAIC),
    "no COG": in_strips,
    "cut raster": cut(MOSAIC, 300),
    "no raster": written(MOSAIC, b"<VRTDataset/>"),
    "no overviews": without_overviews,
    "no data": changed(ITEM, lambda said: put(said, 0, "assets", "probability", "nodata")),
    "kind of values": changed(ITEM, lambda said: put(said, "int16", "assets", "probability", "data_type")),
    "mean": changed(ITEM, lambda said: put(said, 70, *STATISTICS, "mean")),
    "statistics": changed(ITEM, lambda said: said["assets"]["probability"]["bands"][0].pop("statistics")),
    "another year": of_another_year,
    "a part": shrunk,
    "asset removed": changed(ITEM, lambda said: said["assets"].pop("probability")),
    "folder removed": lambda folder: shutil.rmtree(folder / "inventory/slumps"),
    "table removed": removed(TABLE),
    "no Parquet": written(TABLE, b"PAR1 nothing PAR1"),
    "cut Parquet": cut(TABLE, 3000),
    "geo schema": geo(lambda said: put(said, "XYZ", "columns", "geometry", "encoding")),
    "geo version": geo(lambda said: put(said, "1.0.0", "version")),
    "geo column": geo(lambda said: put(said, "outline", "primary_column")),
    "geo CRS": geo(lambda said: put(said, None, "columns", "geometry", "crs")),
    "geo types": geo(lambda said: put(said, ["Point"], "columns", "geometry", "geometry_types")),
    "geo bbox": geo(lambda said: put(said, [-138.9, 69, -138, 70], "columns", "geometry", "bbox")),
    "geo map": table(with_shapes(r3=shapely.box(-200, 69, -199, 70))),
    "covering": geo(lambda said: None, narrow),
    "covering column": geo(lambda said: None, lambda content: content.drop_columns(["bbox"])),
    "WKB": geo(lambda said: None, lambda content: content.set_column(1, "geometry", pa.array([b"xyz"] * 40))),
    "no geo": lambda folder: pq.write_table(pq.read_table(folder / TABLE).replace_schema_metadata({}), folder / TABLE),
    "PMTiles": written(TILES, b"nothing at all"),
    "PMTiles cut": cut(TILES, 340),
    "PMTiles directory": spoiled(TILES, 140),
    "sum changed": spoiled("README.md"),
    "sum missing": removed("README.md"),
    "not listed": written("more.txt", b"x"),
    "no name": lambda folder: add_to_sums(folder, b"0" * 64 + b"  "),
    "sum outside": lambda folder: add_to_sums(folder, b"0" * 64 + b"  ../x"),
    "sum twice": lambda folder: add_to_sums(folder, (folder / SUMS).read_bytes().split(b"\n")[0]),
    "no sums": removed(SUMS),
    "no citation": removed("datacite.json"),
    "citation": changed("datacite.json", lambda said: said.pop("creators")),
    "citation date": changed("datacite.json", lambda said: put(said, "2021-02-30", "dates", 0, "date")),
    "citation place": changed("datacite.json", lambda said: said.pop("geoLocations")),
    "citation strip": changed("datacite.json", lambda said: put(said, 180, *BOX, "westBoundLongitude")),
    "citation far": changed("datacite.json", lambda said: put(said, 72.5, *BOX, "southBoundLatitude")),
    "provenance": changed("provenance.json", lambda said: said["entity"].pop("darts:tiny")),
    "provenance prefix": changed("provenance.json", lambda said: said["entity"].update({"x:y": {}})),
    "provenance time": changed("provenance.json", lambda said: put(said, "never", *ENDED)),
    "provenance order": changed("provenance.json", lambda said: put(said, "2025-01-01T00:00:00Z", *ENDED)),
    "provenance lacks": changed("provenance.json", lambda said: said["used"]["_:used1"].pop("prov:activity")),
    "symlink out": linked("README.md", "/etc/hostname"),
    "symlink to a folder": linked("again", "stac"),
    "pipe": lambda folder: os.mkfifo(folder / "pipe"),
}
OF_SUMS = {name for name in BROKEN if name.startswith(("sum", "no sums", "not listed", "no name", "symlink", "pipe"))}
"""In which the checksums are not written anew after it."""
EXPECTED = Path(__file__).with_name("broken_catalogues.txt")
"""What is found of each, a line a finding: file, what, advice; with `…` for the words and numbers of libraries."""


def expected() -> dict[str, list[str]]:
    blocks = EXPECTED.read_text().split("== ")[1:]
    return {name: lines for name, *lines in (block.strip().split("\n") for block in blocks)}


def lines_of(folder: Path) -> list[str]:
    return [f"{found.file}: {found.what} -> {found.advice}" for found in check_catalogue(folder)]


def is_as(line: str, pattern: str) -> bool:
    return re.fullmatch(".+".join(re.escape(part) for part in pattern.split("…")), line) is not None


def test_a_sound_catalogue_is_found_sound(sound):
    assert check_catalogue(sound) == []


@pytest.mark.parametrize("name", BROKEN)
def test_each_way_of_breaking_a_catalogue_is_found_and_named(catalogue, name):
    BROKEN[name](catalogue)
    if name not in OF_SUMS:
        write_checksums(catalogue)
    lines = lines_of(catalogue)
    assert [is_as(*pair) for pair in zip_longest(lines, expected()[name], fillvalue="")] == [True] * len(lines)


def test_what_is_expected_is_of_ways_that_are_tried():
    assert list(expected()) == list(BROKEN)


def test_a_catalogue_of_somebody_else_needs_no_more_than_stac(catalogue):
    changed("catalog.json", lambda said: said.pop("darts:version"))(catalogue)
    for name in (SUMS, "datacite.json", "provenance.json"):
        (catalogue / name).unlink()
    assert check_catalogue(catalogue) == []


def test_what_programs_leave_beside_files_that_they_opened_is_no_fault(catalogue):
    for name in (f"{MOSAIC}.aux.xml", f"{TABLE}.aux.xml", f"{TILES}-wal", f"{TILES}-shm"):
        (catalogue / name).write_text("x")
    assert check_catalogue(catalogue) == []
    before = (catalogue / SUMS).read_bytes()
    write_checksums(catalogue)
    assert (catalogue / SUMS).read_bytes() == before
    (catalogue / "alone.aux.xml").write_text("x")
    assert [one.file for one in check_catalogue(catalogue)] == ["alone.aux.xml"]


def test_of_a_catalogue_of_somebody_else_only_what_stac_asks_for_is_asked(catalogue):
    changed("catalog.json", lambda said: said.pop("darts:version"))(catalogue)
    for name in ("mean", "statistics", "another year", "a part", "asset removed", "table removed"):
        BROKEN[name](catalogue)
    for name in (SUMS, "datacite.json", "provenance.json"):
        (catalogue / name).unlink()
    assert check_catalogue(catalogue) == []
    changed(ITEM, lambda said: put(said, 0, "assets", "looks", "nodata"))(catalogue)
    assert [one.what for one in check_catalogue(catalogue)] == ["says nodata 0 of asset looks, but it is 255"]


def test_the_box_of_a_geometry_over_the_antimeridian_may_go_around_the_world(catalogue):
    path = "stac/map/2021-x-12y+11.json"
    changed(path, lambda said: put(said, [-180.0, said["bbox"][1], 180.0, said["bbox"][3]], "bbox"))(catalogue)
    changed(MAP, lambda said: put(said, [[-180, -90, 180, 90]], "extent", "spatial", "bbox"))(catalogue)
    write_checksums(catalogue)
    assert lines_of(catalogue) == []


def test_names_that_must_be_quoted_in_links_are_found(tmp_path):
    tile = map_tiles((2021,))[0]
    odd = "mosaics/a b+%41#é?.tif"
    write_mosaic(tmp_path / odd, (-2_100_000, -200_000), 0)
    tile = replace(tile, cell="x 1%é", rasters=(replace(tile.rasters[0], path=odd),))
    model = replace(models()[0], name="my model", path=None)
    write_stac(tmp_path, replace(FACTS, layers=()), [replace(tile, models=("my model",))], [model])
    assert [line for line in lines_of(tmp_path) if "is not there" not in line] == []


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(MissingDataError) as refused:
        check_catalogue(tmp_path / "none")
    assert str(refused.value) == f"there is no folder {tmp_path / 'none'}. Give the folder of a catalogue."


def test_verdicts_on_slumps_that_are_not_there_are_found(catalogue):
    how = {"write_covering_bbox": True, "schema_version": "1.1.0"}
    table = gpd.read_parquet(catalogue / TABLE)[["slump_id", "geometry"]].assign(year=2021)
    table.to_parquet(catalogue / TABLE, **how)
    folder = catalogue / "inventory" / "verdicts"
    folder.mkdir()
    for year, n_gone in ((2021, 0), (2022, len(table))):
        table.assign(year=year, verdict="slump").to_parquet(folder / "verdicts.parquet", **how)
        write_checksums(catalogue)
        found = [one for one in check_catalogue(catalogue) if one.file.startswith("inventory/verdicts")]
        assert len(found) == bool(n_gone)
        assert not found or f"has verdicts on {n_gone} slump" in found[0].what
