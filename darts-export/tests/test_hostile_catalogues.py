"""Catalogues that somebody spoiled on purpose: always findings, never a traceback, nothing asked, nothing endless."""

import gzip
import json
import os
import random
import shutil
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from pmtiles.tile import Entry, deserialize_header, serialize_directory, serialize_header
from published_catalogue import (
    DATACITE,
    FACTS,
    PROVENANCE,
    known_faults,
    map_tiles,
    models,
    slumps,
    write_files,
    write_pmtiles,
    write_slumps,
)

from darts_export.publish import datacite, provenance
from darts_export.publish.changed import json_bytes, write_changed
from darts_export.publish.checking import archives, findings, geoparquet
from darts_export.publish.checking.catalogue import check_catalogue
from darts_export.publish.checking.findings import Finding
from darts_export.publish.checksums import write_checksums
from darts_export.publish.datacite import datacite_document
from darts_export.publish.provenance import provenance_document
from darts_export.publish.stac.write import write_stac

ITEM = "stac/map/2021-x-21y-02.json"
MODEL = "stac/models/tiny.json"
MOSAIC = "mosaics/2021/probability-2021-x-21y-02.tif"
TABLE = "inventory/slumps/2021/x-012y+003.parquet"
TILES = "layers/slumps.pmtiles"
N_SPOILED = int(os.environ.get("DARTS_TEST_HOSTILE", "140")) // 6


@pytest.fixture(scope="module", autouse=True)
def each_document_is_validated_once():
    with known_faults():
        yield


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A catalogue with one tile, so that it can be checked many times."""
    folder = tmp_path_factory.mktemp("sound")
    write_files(folder, years=(2021,))
    for file in folder.glob("mosaics/2021/*-x-12y+11.tif"):
        file.unlink()
    write_stac(folder, FACTS, map_tiles((2021,))[:1], models())
    write_changed(folder / datacite.FILE, json_bytes(datacite_document(DATACITE)))
    write_changed(folder / provenance.FILE, json_bytes(provenance_document(PROVENANCE)))
    write_checksums(folder)
    assert check_catalogue(folder) == []
    return folder


@pytest.fixture
def catalogue(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "catalogue"))


def found(folder: Path) -> list[tuple[str, str]]:
    """Return what is found when the checksums are those of what is there now."""
    write_checksums(folder)
    return [(finding.file, finding.what) for finding in check_catalogue(folder)]


BOMBS = {"lists": ("[", "]"), "objects": ('{"a":', "1" + "}"), "in type": ('{"type": "Feature", "links": [', "]}")}


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("path", ["catalog.json", ITEM, datacite.FILE, provenance.FILE])
def test_a_bomb_of_depth_is_one_finding(catalogue, path, kind):
    opening, closing = BOMBS[kind]
    n = 100_000
    text = opening * n + ("1" if kind == "objects" else "") + closing.replace("1", "") * n
    (catalogue / path).write_text(text)
    assert (path, "is nested more than 64 levels deep") in found(catalogue)


def test_a_number_of_a_million_digits_is_a_finding(catalogue):
    (catalogue / ITEM).write_text('{"type": "Feature", "bbox": [' + "9" * 1_000_000 + "]}")
    (finding,) = found(catalogue)
    assert finding[0] == ITEM
    assert finding[1].startswith("is no JSON: ")


def test_catalogues_that_link_to_each_other_are_gone_over_once(catalogue):
    for name, other in (("a", "b"), ("b", "a")):
        links = [{"rel": "root", "href": "./catalog.json"}, {"rel": "child", "href": f"./{other}.json"}]
        said = {"type": "Catalog", "id": name, "stac_version": "1.1.0", "description": name, "links": links}
        (catalogue / f"{name}.json").write_text(json.dumps(said))
    root = json.loads((catalogue / "catalog.json").read_text())
    root["links"] += [{"rel": "child", "href": "./a.json"}, {"rel": "child", "href": "./catalog.json"}]
    (catalogue / "catalog.json").write_text(json.dumps(root))
    assert found(catalogue) == [
        ("b.json", "links to a.json as below it, which is above it"),
        ("catalog.json", "links to catalog.json as below it, which is above it"),
    ]


@pytest.mark.parametrize(("href", "folder"), [("", "."), ("./mosaics", "mosaics")])
def test_a_folder_in_the_place_of_a_catalogue_is_a_finding(catalogue, href, folder):
    root = json.loads((catalogue / "catalog.json").read_text())
    root["links"].append({"rel": "child", "href": href})
    (catalogue / "catalog.json").write_text(json.dumps(root))
    assert ("catalog.json", f"links to the folder {folder} as below it") in found(catalogue)


def test_catalogues_in_one_another_end_at_a_depth(catalogue):
    for i in range(60):
        links = [{"rel": "child", "href": f"./c{i + 1}.json"}]
        said = {"type": "Catalog", "id": f"c{i}", "stac_version": "1.1.0", "description": "c", "links": links}
        (catalogue / f"c{i}.json").write_text(json.dumps(said))
    root = json.loads((catalogue / "catalog.json").read_text())
    root["links"].append({"rel": "child", "href": "./c0.json"})
    (catalogue / "catalog.json").write_text(json.dumps(root))
    assert found(catalogue) == [("c31.json", "lies deeper than 32 catalogues in one another")]


def test_many_links_to_one_item_check_it_once(catalogue):
    path = catalogue / "stac/map/collection.json"
    said = json.loads(path.read_text())
    said["links"] += [{"rel": "item", "href": "./2021-x-21y-02.json"}] * 2_000
    path.write_text(json.dumps(said))
    assert found(catalogue) == []


def test_an_item_with_thousands_of_extensions_is_not_checked_for_ever(catalogue):
    said = json.loads((catalogue / ITEM).read_text())
    said["stac_extensions"] += [f"https://example.org/{i}/v1/schema.json" for i in range(20_000)]
    (catalogue / ITEM).write_text(json.dumps(said))
    assert 0 < len(found(catalogue)) <= 40


def test_lists_of_equal_objects_take_no_time(catalogue):
    said = json.loads((catalogue / datacite.FILE).read_text())
    said["subjects"] = [{"subject": f"s{i}"} for i in range(20_000)]
    (catalogue / datacite.FILE).write_text(json.dumps(said))
    assert found(catalogue) == []


@pytest.fixture
def server() -> Iterator[tuple[int, list[Any]]]:
    """A server on this machine, and who asked it."""
    asked: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, who = listening.accept()
                except TimeoutError:
                    continue
                asked.append(who)
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], asked
        done.set()
        thread.join()


VRT = """<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename>/vsicurl/http://127.0.0.1:{port}/x.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""


def test_no_server_is_asked_whatever_a_catalogue_names(catalogue, server):
    port, asked = server
    (catalogue / "mosaics/2021/looks-2021-x-21y-02.tif").write_text(VRT.format(port=port))
    (catalogue / f"{MOSAIC}.aux.xml").write_text(VRT.format(port=port))
    shutil.copy(catalogue / f"{MOSAIC}.aux.xml", catalogue / f"{MOSAIC}.ovr")
    said = json.loads((catalogue / ITEM).read_text())
    said["stac_extensions"].append(f"http://127.0.0.1:{port}/v1.0.0/schema.json")
    said["links"] += [{"rel": rel, "href": f"http://127.0.0.1:{port}/{rel}"} for rel in ("item", "child", "about")]
    said["assets"]["other"] = {"href": f"http://127.0.0.1:{port}/x.tif", "type": "image/tiff; application=geotiff"}
    (catalogue / ITEM).write_text(json.dumps(said))
    assert ("mosaics/2021/looks-2021-x-21y-02.tif", "is no TIFF") in found(catalogue)
    assert asked == []


def test_outlines_that_many_rows_share_are_in_memory_once(catalogue):
    ring = np.column_stack([np.linspace(-138.9, -138.1, 50_001), np.linspace(69.1, 69.5, 50_001)])
    outline = shapely.to_wkb(shapely.Polygon([*ring, (-138.9, 69.5)]))
    before = pq.read_table(catalogue / TABLE)
    geo = json.loads(before.schema.metadata[b"geo"])
    del geo["columns"]["geometry"]["covering"], geo["columns"]["geometry"]["bbox"]
    rows = pa.DictionaryArray.from_arrays(np.zeros(200_000, np.int32), pa.array([outline]))
    table = pa.table({"geometry": rows}, metadata={b"geo": json.dumps(geo).encode()})
    pq.write_table(table, catalogue / TABLE, dictionary_pagesize_limit=2**24)
    pool = pa.default_memory_pool()
    before_bytes = pool.bytes_allocated()
    assert found(catalogue) == []  # in full the outlines are 160 GB
    assert pool.bytes_allocated() - before_bytes < 2**24


def pmtiles_with(file: Path, directory: bytes, leaves: bytes = b"") -> None:
    """Write an archive with another root directory, and leaves."""
    with file.open("rb") as opened:
        header = deserialize_header(opened.read(127))
    header |= {"root_offset": 127, "root_length": len(directory), "metadata_offset": 127, "metadata_length": 0}
    header |= {"leaf_directory_offset": 127 + len(directory), "leaf_directory_length": len(leaves)}
    header |= {"tile_data_offset": 127 + len(directory) + len(leaves), "tile_data_length": 0}
    file.write_bytes(serialize_header(header) + directory + leaves)


def leading_to_itself() -> bytes:
    """Return a directory whose one entry leads to a directory as long as this one, at the beginning of the leaves."""
    directories = (serialize_directory([Entry(0, 0, length, 0)]) for length in range(20, 60))
    return next(one for length, one in enumerate(directories, start=20) if len(one) == length)


FIVE = serialize_directory([Entry(i, 0, 0, 1) for i in range(5)])
ARCHIVES = {
    "a billion entries": (
        gzip.compress(b"\xff\xff\xff\xff\x0f" + b"\0" * 9), b"",
        "a directory claims 4294967295 entries in 14 bytes",
    ),
    "leaves around": (leading_to_itself(), leading_to_itself(), "its directories lead around, or too deep"),
    "leaves twice": (
        serialize_directory([Entry(0, 0, len(FIVE), 0), Entry(9, 0, len(FIVE), 0)]), FIVE,
        "its directories lead around, or too deep",
    ),
    "not in order": (
        serialize_directory([Entry(5, 0, 0, 1), Entry(5, 0, 0, 1)]), b"", "entries of a directory are not in order",
    ),
    "tiles outside": (
        serialize_directory([Entry(5, 0, 99, 1)]), b"", "tiles reach beyond the part of the file that is for them",
    ),
    "nothing": (gzip.compress(b""), b"", "a directory is empty or does not say how many entries it has"),
    "no end": (gzip.compress(b"\xff" * 11), b"", "a directory is empty or does not say how many entries it has"),
    "cut": (serialize_directory([Entry(1, 0, 0, 1)])[:-5], b"", "a part of it is cut short"),
    "counts": (
        serialize_directory([Entry(1, 0, 0, 1)]), b"", "its header says addressed_tiles_count 5, but there are 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_of_tiles_that_lies_is_found_out(catalogue, kind):
    directory, leaves, what = ARCHIVES[kind]
    pmtiles_with(catalogue / TILES, directory, leaves)
    assert (TILES, f"is a damaged PMTiles archive: {what}") in found(catalogue)


def test_a_directory_is_not_unpacked_beyond_what_it_may_have(catalogue, monkeypatch):
    monkeypatch.setattr(archives, "_MOST_BYTES", 2**20)
    pmtiles_with(catalogue / TILES, gzip.compress(b"\0" * 2**26))
    tracemalloc.start()
    try:
        what = found(catalogue)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (TILES, "is not checked whole: its directories have more than 1,048,576 bytes") in what
    assert peak < 2**24


def test_all_directories_together_have_a_limit(catalogue, monkeypatch):
    monkeypatch.setattr(archives, "_MOST_BYTES", 3000)
    leaves = [serialize_directory([Entry(300 * i + j, 0, 0, 1) for j in range(300)]) for i in range(4)]
    starts = [sum(map(len, leaves[:i])) for i in range(4)]
    whole = serialize_directory([Entry(300 * i, starts[i], len(leaves[i]), 0) for i in range(4)])
    pmtiles_with(catalogue / TILES, whole, b"".join(leaves))
    assert (TILES, "is not checked whole: its directories have more than 3,000 bytes") in found(catalogue)


def test_rows_beyond_what_anybody_waits_for_are_not_gone_over(catalogue, monkeypatch):
    monkeypatch.setattr(geoparquet, "_MOST_ROWS", 35)
    assert found(catalogue) == [(TABLE, "is not checked from row 30 on: its rows are too many")]


def test_findings_end_somewhere(catalogue, monkeypatch):
    monkeypatch.setattr(findings, "_MOST", 5)
    with (catalogue / "checksums.sha256").open("a") as file:
        file.writelines(f"{'0' * 64}  none{i}\n" for i in range(12))
    told = [(finding.file, finding.what) for finding in check_catalogue(catalogue)]
    assert len(told) == 6
    assert told[-1] == (".", "7 findings more are left out")


@pytest.mark.parametrize("n", [0, 3])
def test_tables_without_rows_or_with_outlines_that_are_not_there_are_sound(catalogue, n):
    frame = slumps(n)
    shapes = np.array([None, shapely.Polygon(), *frame.geometry][:n], dtype=object)
    frame = frame.set_geometry(gpd.GeoSeries(shapes, crs=frame.crs, index=frame.index))
    frame["geometry_majority"] = gpd.GeoSeries([None] * n, crs=frame.crs, index=frame.index)
    write_slumps(catalogue / TABLE, frame)
    assert found(catalogue) == []


def test_an_archive_with_leaves_is_sound(catalogue):
    write_pmtiles(catalogue / "many.pmtiles", n_tiles=5)
    pmtiles_with(catalogue / "many.pmtiles", serialize_directory([Entry(0, 0, len(FIVE), 0)]), FIVE)
    assert found(catalogue) == []


SUMS = {
    "garbage": (b"\xff\xfe\0" * 1000, 1),
    "nothing": (b"", 0),
    "many lines without a name": ((b"0" * 64 + b"  \n") * 100_000, 1),
    "names that lead out": (b"".join(b"0" * 64 + b"  " + name + b"\n" for name in (b"/etc/passwd", b"../x", b".")), 1),
}


@pytest.mark.parametrize("kind", SUMS)
def test_spoiled_checksums_are_few_findings(catalogue, kind):
    content, n = SUMS[kind]
    (catalogue / "checksums.sha256").write_bytes(content)
    what = [finding.what for finding in check_catalogue(catalogue)]
    unlisted = [one for one in what if one == "is not listed in checksums.sha256"]
    assert len(what) - len(unlisted) == n
    assert len(unlisted) == sum(path.is_file() for path in catalogue.rglob("*")) - 1


def test_names_that_cannot_be_shown_are_escaped(catalogue):
    (catalogue / "a\nb\x1b[31m.txt").write_text("x")
    (os.fsencode(catalogue) and Path(os.fsdecode(os.fsencode(catalogue) + b"/caf\xe9.txt"))).write_text("x")
    assert [(finding.file, finding.what) for finding in check_catalogue(catalogue)] == [
        ("a\\nb\\x1b[31m.txt", "is not listed in checksums.sha256"),
        ("caf\\udce9.txt", "has a name that is not UTF-8"),
        ("caf\\udce9.txt", "is not listed in checksums.sha256"),
    ]


def test_a_link_in_a_circle_and_one_to_a_device_are_not_followed(catalogue):
    (catalogue / "circle").symlink_to("circle")
    (catalogue / "zeros").symlink_to("/dev/zero")
    (catalogue / "up").symlink_to("..")
    os.mkfifo(catalogue / "pipe.parquet")
    assert [(finding.file, finding.what) for finding in check_catalogue(catalogue)] == [
        ("circle", "is a link that leads out of the folder, to nothing or to a folder"),
        ("pipe.parquet", "is neither a file nor a folder"),
        ("up", "is a link that leads out of the folder, to nothing or to a folder"),
        ("zeros", "is a link that leads out of the folder, to nothing or to a folder"),
    ]


JUNK = [
    None, True, -1, 0, 1e308, 10**400, "", "x" * 2000, [], {}, [[[[]]]], {"a": {"b": [1]}}, "../../..", "\0", "\ud800",
    [None], "2021-13-99T00:00:00Z", [1, 2, 3, 4, 5, 6, 7], {"type": "Feature"}, "https://example.org/%zz?#", "c:\\x",
]  # fmt: skip


def spoil(value: Any, rng: random.Random) -> Any:
    """Return a JSON value with one place in it replaced by junk, or left out."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.15:
        return rng.choice(JUNK)
    key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
    if rng.random() < 0.1:
        del value[key]
    else:
        value[key] = spoil(value[key], rng)
    return value


@pytest.mark.parametrize("seed", range(N_SPOILED))
def test_junk_in_any_place_of_any_document_is_no_traceback(catalogue, seed):
    rng = random.Random(seed)
    path = rng.choice(["catalog.json", "stac/map/collection.json", ITEM, MODEL, datacite.FILE, provenance.FILE])
    said = spoil(json.loads((catalogue / path).read_text()), rng)
    (catalogue / path).write_text(json.dumps(said))
    check(catalogue, path)


# rasterio cannot decode what GDAL says of tags that are no text, and prints that on its way
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seed", range(N_SPOILED))
def test_a_file_with_changed_bytes_is_no_traceback(catalogue, seed):
    rng = random.Random(seed)
    path = rng.choice([MOSAIC, TABLE, TILES, ITEM, MODEL])
    content = bytearray((catalogue / path).read_bytes())
    for _ in range(rng.randint(1, 8)):
        content[rng.randrange(min(len(content), rng.choice([64, 4096, 10**6])))] = rng.randrange(256)
    if rng.random() < 0.2:
        del content[rng.randrange(len(content)) :]
    content[-1:] = zlib.crc32(content).to_bytes(4, "big")
    (catalogue / path).write_bytes(content)
    check(catalogue, path)


def check(folder: Path, path: str) -> None:
    told = check_catalogue(folder)
    assert Finding(path, "has another checksum than checksums.sha256 says", COPY) in told
    assert all(text.isprintable() and len(text) <= 300 for one in told for text in (one.file, one.what, one.advice))


COPY = "Copy the file anew; if it was changed on purpose, write the checksums again."


def test_a_table_of_many_groups_is_checked_to_its_end(catalogue):
    frame = slumps(n=9_500)
    write_slumps(catalogue / TABLE, frame)
    assert found(catalogue) == []
    table = pq.read_table(catalogue / TABLE)
    shapes = table.column("geometry").to_pylist()
    shapes[8_900] = shapely.to_wkb(shapely.box(-137, 69, -136, 70))
    table = table.set_column(1, "geometry", pa.array(shapes))
    pq.write_table(table, catalogue / TABLE, row_group_size=4500)
    assert found(catalogue)[0] == (
        TABLE, "has 1 row whose geometry is not held by its box, the first is row 8900",
    )  # fmt: skip
