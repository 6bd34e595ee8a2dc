"""Elevation from the service into the cube: exact, only what is lacking, through faults, processes and kills."""

import os
import signal
import socket
import subprocess
import sys
import time

import arcticdem_tree
import geopandas as gpd
import numpy as np
import pytest
import shapely
from arcticdem_tree import Tree, footprint, window
from faults import FaultProxy

from darts_acquisition import download_arcticdem, load_arcticdem, missing_arcticdem
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service
from darts_utils.errors import DataError, MissingDataError, ServiceError


@pytest.fixture(scope="session")
def tree():
    tree = Tree(resolutions=(2, 10, 32))
    yield tree
    tree.close()


@pytest.fixture
def files(tree):
    """The files of the service, as they were after the test."""
    kept = dict(tree.files)
    yield tree.files
    tree.files.clear()
    tree.files.update(kept)


@pytest.fixture
def proxy(tree, monkeypatch):
    proxy = FaultProxy(tree.port)
    monkeypatch.setenv("DARTS_ARCTICDEM_STAC_URL", f"{proxy.url}/stac")
    monkeypatch.setenv("DARTS_ARCTICDEM_INDEX_URL", f"{proxy.url}/index.zip")
    policy = RetryPolicy(attempts=4, first_wait_s=0.01, longest_wait_s=0.02, read_timeout_s=10, total_s=60)
    service = Service(name="ArcticDEM service", advice="Try later.", limiter=Limiter(connections=8), policy=policy)
    for module in ("services.arcticdem", "auxiliary.arcticdem_mosaics"):
        monkeypatch.setattr(f"darts_acquisition.{module}.ARCTICDEM", service)
    yield proxy
    proxy.close()


@pytest.fixture
def no_network(monkeypatch):
    def forbid():
        def refuse(*_args, **_kwargs):
            raise AssertionError("a socket was opened")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)

    return forbid


def assert_as_served(tree, ds, resolution):
    dem, mask = tree.expected(resolution, ds.odc.geobox)
    np.testing.assert_array_equal(ds.dem.values, dem)
    np.testing.assert_array_equal(ds.arcticdem_data_mask.values, mask)


def around_corner(resolution=10):
    """A tile on four chunks and all mosaic tiles."""
    return window(resolution, -250, -240, 500, 490)


def inside_chunk(resolution=10):
    """A tile with margin for what is staged around it, in one chunk."""
    return window(resolution, 70, 90, 150, 130)


@pytest.mark.parametrize("resolution", [2, 10, 32])
def test_elevation_is_staged_as_the_service_has_it(proxy, tree, tmp_path, no_network, resolution):
    tile = around_corner(resolution)
    told = []
    download_arcticdem(footprint(tile), tmp_path, resolution, on_bytes=told.append)
    no_network()
    ds = load_arcticdem(tile, tmp_path, resolution, offline=True)
    assert_as_served(tree, ds, resolution)
    assert 0.5 < ds.arcticdem_data_mask.values.mean() < 0.9
    assert np.nanmin(ds.dem.values) < 0
    assert sum(told) == 4 * 3600**2 * 5
    assert missing_arcticdem(footprint(tile), tmp_path, resolution) == []
    assert (tmp_path / f"arcticdem_{resolution}m.icechunk").is_dir()


def test_what_is_staged_is_not_asked_for_again(proxy, tmp_path):
    download_arcticdem(footprint(inside_chunk()), tmp_path, 10)
    tiles = [
        f"{tile}_10m_v4.1{part}" for tile in ("30_40", "30_41", "31_41") for part in ("", "_dem.tif", "_datamask.tif")
    ]
    assert proxy.fetched() == sorted(["index.zip", *tiles])
    proxy.requests.clear()
    download_arcticdem(footprint(inside_chunk()), tmp_path, 10)
    load_arcticdem(inside_chunk(), tmp_path, 10)
    assert proxy.requests == []


def test_a_load_fetches_what_it_lacks_and_keeps_it(proxy, tree, tmp_path, no_network):
    tile = inside_chunk()
    assert_as_served(tree, load_arcticdem(tile, tmp_path, 10, buffer=20), 10)
    assert (tmp_path / "arcticdem_index" / "ArcticDEM_Mosaic_Index_v4_1_10m.parquet").is_file()
    no_network()
    assert_as_served(tree, load_arcticdem(tile, tmp_path, 10, buffer=20, offline=True), 10)


def test_offline_asks_nothing_and_writes_nothing(proxy, tmp_path, no_network):
    no_network()
    with pytest.raises(MissingDataError):
        load_arcticdem(inside_chunk(), tmp_path, 10, offline=True)
    assert list(tmp_path.iterdir()) == []
    assert proxy.requests == []


def test_open_sea_is_staged_without_a_tile(proxy, tmp_path, no_network):
    """A chunk without any mosaic tile: at the pole, where all longitudes meet."""
    pole = gpd.GeoDataFrame(geometry=[shapely.box(-180, 89.99, 180, 90)], crs="EPSG:4326")
    assert len(missing_arcticdem(pole, tmp_path, 10)) == 1
    download_arcticdem(pole, tmp_path, 10)
    assert proxy.fetched() == ["index.zip"]
    no_network()
    grid = arcticdem_tree.ACCESSORS[10].extent
    row, column = (round(-grid.affine.f / grid.affine.e), round(-grid.affine.c / grid.affine.a))
    tile = grid[row - 100 : row + 120, column - 130 : column + 90]
    ds = load_arcticdem(tile, tmp_path, 10, buffer=10, offline=True)
    assert np.isnan(ds.dem.values).all()
    assert not ds.arcticdem_data_mask.values.any()
    assert missing_arcticdem(pole, tmp_path, 10) == []


def test_only_the_chunks_that_are_needed_are_staged_at_2_m(proxy, tmp_path):
    """Of a mosaic tile of 50 km only the parts around the tile: two chunks of 7.2 km."""
    tile = window(2, 500, -700, 900, 1400)
    ids = [f"chunk-100-{column}" for column in (100, 101)]
    chunks = missing_arcticdem(footprint(tile), tmp_path, 2)
    assert [chunk.patch_id for chunk in chunks] == ids
    assert chunks[1].geobox == window(2, 0, 0, 3600, 3600)


@pytest.mark.parametrize("crs", ["EPSG:3413", "EPSG:32659", "EPSG:4326"])
@pytest.mark.parametrize("margin_m", [0, 150, 1000])
def test_the_area_of_a_download_is_enough_for_a_load(tmp_path, crs, margin_m):
    """At every place of the chunks' grid, whatever CRS the margin was drawn in and with round corners."""
    from darts_acquisition.auxiliary.arcticdem import CRS

    rng = np.random.default_rng(4)
    at_a_corner = margin_m // 10 - 2  # the next chunk is needed only for the corner of the margin
    for left, top in [(at_a_corner, at_a_corner), *rng.uniform(-3600, 3600, (12, 2)).astype(int)]:
        tile = window(10, top, left, 2000, 2000)
        area = gpd.GeoDataFrame(geometry=[tile.extent.geom], crs=CRS)
        if crs != "EPSG:3413":
            area = area.segmentize(500)
        metric = "EPSG:32659" if crs == "EPSG:4326" else crs
        area = gpd.GeoDataFrame(geometry=area.to_crs(metric).buffer(margin_m)).to_crs(crs)
        staged = shapely.union_all([c.geobox.extent.geom for c in missing_arcticdem(area, tmp_path, 10)])
        needed = shapely.buffer(tile.footprint(CRS, npoints=100).geom, margin_m, join_style="mitre")
        assert shapely.difference(needed, staged).area < 1


def first(proxy, fault, times, ending):
    """Spoil the first requests whose path ends so."""
    spoiled = []

    def spoil(method, path):
        if path.endswith(ending) and method == "GET" and len(spoiled) < times:
            spoiled.append(path)
            return fault
        return None

    proxy.fault = spoil
    return spoiled


@pytest.mark.parametrize("ending", ["index.zip", "31_41_10m_v4.1", "31_41_10m_v4.1_dem.tif"])
@pytest.mark.parametrize("fault", [429, (429, {"Retry-After": "0"}), 500, 503, "cut"])
def test_faults_that_pass_leave_no_trace(proxy, tree, tmp_path, ending, fault):
    times = 6 if ending.endswith("tif") and fault != "cut" else 2  # GDAL itself tries statuses three times more
    spoiled = first(proxy, fault, times, ending)
    assert_as_served(tree, load_arcticdem(inside_chunk(), tmp_path, 10), 10)
    assert len(spoiled) == times


@pytest.mark.parametrize("ending", ["index.zip", "31_41_10m_v4.1_dem.tif", "31_41_10m_v4.1_datamask.tif"])
def test_what_arrived_corrupt_is_fetched_again(proxy, tree, tmp_path, ending):
    spoiled = first(proxy, "corrupt", 2, ending)
    assert_as_served(tree, load_arcticdem(inside_chunk(), tmp_path, 10), 10)
    assert len(spoiled) == 2


@pytest.mark.parametrize("fault", [429, 500, "cut", "corrupt"])
def test_a_raster_that_stays_bad_never_comes_into_the_cube(proxy, tree, tmp_path, fault):
    first(proxy, fault, 1000, "31_41_10m_v4.1_dem.tif")
    with pytest.raises(ServiceError) as caught:
        load_arcticdem(inside_chunk(), tmp_path, 10)
    url = f"{proxy.url}/mosaics/10m/31_41_10m_v4.1_dem.tif"
    assert str(caught.value).startswith(f"ArcticDEM service: reading {url} failed 4 times in ")
    assert str(caught.value).endswith(". Try later.")
    assert len(missing_arcticdem(footprint(inside_chunk()), tmp_path, 10)) == 1
    proxy.fault = lambda method, path: None
    assert_as_served(tree, load_arcticdem(inside_chunk(), tmp_path, 10), 10)


@pytest.mark.parametrize("compress", ["LZW", "DEFLATE", "ZSTD"])
@pytest.mark.parametrize("damage", ["truncated", "zeros", "noise"])
def test_a_damaged_file_at_the_source_is_refused(proxy, tree, files, tmp_path, damage, compress):
    """The header is sound, the blocks are not."""
    path = "/mosaics/10m/31_41_10m_v4.1_dem.tif"
    grid, dem, _ = tree.tiles[10]["31_41_10m_v4.1"]
    body = arcticdem_tree.cog(grid, dem, -9999, compress)
    part = len(body) * 2 // 3
    noise = np.random.default_rng(1).integers(0, 256, len(body) - part, dtype=np.uint8).tobytes()
    files[path] = body[:part] + {"truncated": b"", "zeros": bytes(len(body) - part), "noise": noise}[damage]
    with pytest.raises(ServiceError, match=r"reading .*31_41_10m_v4\.1_dem\.tif failed 4 times"):
        load_arcticdem(inside_chunk(), tmp_path, 10)
    assert len(missing_arcticdem(footprint(inside_chunk()), tmp_path, 10)) == 1


def test_a_tile_that_the_catalogue_lacks_is_named(proxy, files, tmp_path):
    path = "/stac/collections/arcticdem-mosaics-v4.1-10m/items/31_41_10m_v4.1"
    del files[path]
    with pytest.raises(MissingDataError) as caught:
        load_arcticdem(inside_chunk(), tmp_path, 10)
    assert str(caught.value) == (
        f"ArcticDEM service: the tile index names the mosaic tile 31_41_10m_v4.1, but there is no {proxy.url}{path}. "
        "Delete the folder arcticdem_index beside the datacube, and try again."
    )


def test_a_raster_that_the_service_lacks_is_named(proxy, files, tmp_path):
    del files["/mosaics/10m/31_41_10m_v4.1_datamask.tif"]
    with pytest.raises(MissingDataError) as caught:
        load_arcticdem(inside_chunk(), tmp_path, 10)
    url = f"{proxy.url}/mosaics/10m/31_41_10m_v4.1_datamask.tif"
    assert str(caught.value) == (f"ArcticDEM service: there is no {url}, which its catalogue names. Try again later.")


def test_a_raster_that_leads_elsewhere_is_not_followed(proxy, tmp_path):
    target = f"http://localhost:{proxy.server.server_port}/elsewhere.tif"
    proxy.fault = lambda method, path: (302, {"Location": target}) if path.endswith("31_41_10m_v4.1_dem.tif") else None
    with pytest.raises(DataError) as caught:
        load_arcticdem(inside_chunk(), tmp_path, 10)
    url = f"{proxy.url}/mosaics/10m/31_41_10m_v4.1_dem.tif"
    assert str(caught.value) == f"ArcticDEM service: {url} leads to {target}, which is not read. Try later."
    assert not any("elsewhere" in path for _, path in proxy.requests)


def test_a_raster_that_is_no_geotiff_is_not_opened(proxy, files, tmp_path):
    secret = tmp_path / "secret.tif"
    files["/mosaics/10m/31_41_10m_v4.1_dem.tif"] = (
        '<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Float32" band="1"><SimpleSource>'
        f"<SourceFilename>{secret}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    ).encode()
    with pytest.raises(ServiceError, match="not recognized as being in a supported file format"):
        load_arcticdem(inside_chunk(), tmp_path, 10)


def test_an_item_that_is_none_is_an_error(proxy, files, tmp_path):
    files["/stac/collections/arcticdem-mosaics-v4.1-10m/items/31_41_10m_v4.1"] = b"<html>"
    with pytest.raises(DataError, match=r"ArcticDEM service: http://\S+/31_41_10m_v4\.1 is no STAC item \(.*\)\. Try"):
        load_arcticdem(inside_chunk(), tmp_path, 10)


def test_a_damaged_index_file_is_fetched_again(proxy, tree, tmp_path):
    index = tmp_path / "arcticdem_index" / "ArcticDEM_Mosaic_Index_v4_1_10m.parquet"
    index.parent.mkdir()
    index.write_bytes(b"PAR1 damaged")
    assert_as_served(tree, load_arcticdem(inside_chunk(), tmp_path, 10), 10)


@pytest.mark.parametrize("step", [1, -1])
def test_overlapping_tiles_do_not_depend_on_their_order(proxy, tree, tmp_path, monkeypatch, step):
    from darts_acquisition.auxiliary.arcticdem_mosaics import Mosaics

    tiles = Mosaics._tiles
    monkeypatch.setattr(Mosaics, "_tiles", lambda self, geobox: tiles(self, geobox)[::step])
    tile = window(10, -150, -60, 120, 130)
    assert_as_served(tree, load_arcticdem(tile, tmp_path, 10), 10)


PROGRAM = """
import os
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from arcticdem_tree import footprint, window
from darts_acquisition import download_arcticdem
print("ready", flush=True)
sys.stdin.readline()
download_arcticdem(footprint(window(10, -250, -240, 500, 490)), Path(sys.argv[1]), 10)
os._exit(0)  # as the command line ends: threads of native libraries may abort an interpreter that is being taken down
"""


def start(folder):
    """Start a process that stages a tile on four chunks once it is sent a line."""
    command = [sys.executable, "-c", PROGRAM, str(folder), os.path.dirname(__file__)]  # noqa: PTH120
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def let_run(process):
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_processes_share_the_work(proxy, tree, tmp_path):
    processes = [start(tmp_path / "aux") for _ in range(2)]
    for process in processes:
        let_run(process)
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    asked = sorted(path for _, path in proxy.requests if not path.endswith(".tif"))
    items = "/stac/collections/arcticdem-mosaics-v4.1-10m/items"
    assert asked == ["/index.zip", *(f"{items}/{tile}_10m_v4.1" for tile in ("30_40", "30_41", "31_41"))]
    assert_as_served(tree, load_arcticdem(around_corner(), tmp_path / "aux", 10, offline=True), 10)


def test_a_kill_at_any_moment_leaves_a_cube_that_is_right(proxy, tree, tmp_path):
    """Killed when nothing and when half of it is there; what is in the cube is always whole chunks."""
    cube = tmp_path / "arcticdem_10m.icechunk"
    seen = []
    for chunks, process in [(moment, start(tmp_path)) for moment in (0, 2)]:
        let_run(process)
        deadline = time.monotonic() + 60
        while len(list((cube / "snapshots").glob("*"))) < 2 + chunks and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        lacking = missing_arcticdem(footprint(around_corner()), tmp_path, 10)
        seen.append(len(lacking))
        if len(lacking) < 4:
            here = {chunk.patch_id for chunk in lacking}
            for row, column, tile in ((-1, -1, window(10, -200, -200, 50, 50)), (0, 0, window(10, 90, 90, 50, 50))):
                name = f"chunk-{100 + row}-{101 + column}"
                if name not in here:
                    assert_as_served(tree, load_arcticdem(tile, tmp_path, 10, offline=True), 10)
    assert seen == sorted(seen, reverse=True)
    assert seen[0] >= 3
    download_arcticdem(footprint(around_corner()), tmp_path, 10)
    assert_as_served(tree, load_arcticdem(around_corner(), tmp_path, 10, offline=True), 10)
    assert [path.name for path in tmp_path.glob(".*part*")] == []
