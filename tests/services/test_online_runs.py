"""From an area and a summer to mapped tiles, against local servers that speak the real protocols."""

import json
import shutil
import socket
from urllib.parse import urlsplit

import geopandas as gpd
import numpy as np
import pytest
import served_world
import smart_geocubes
from arcticdem_tree import Tree
from faults import FaultProxy

from darts.demo.world.write import install_models
from darts_acquisition.optical.sentinel2.scene_store import SceneStore

SEEDS = (2001, 2002)
SUMMER = ("--start-date", "2024-07-01", "--end-date", "2024-08-31")
QUICK = ("--patch-size", "256", "--overlap", "64", "--device", "cpu", "--log-plain")
PRODUCTS = {"probabilities.tif", "binarized.tif", "prediction_segments.parquet", "prediction_extent.parquet"}


@pytest.fixture(scope="module")
def worlds():
    return [served_world.world(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def served(worlds, s3_server, serve, tmp_path_factory):
    """The worlds behind a catalogue and a storage; gives both ports."""
    items = [served_world.serve(world, s3_server[1]) for world in worlds]
    with serve("worlds", items, tmp_path_factory.mktemp("worlds")) as url:
        yield urlsplit(url).port, s3_server[0]


@pytest.fixture(scope="module")
def tree(worlds, tmp_path_factory):
    tree = Tree(resolutions=())
    for world in worlds:
        served_world.serve_elevation(world, tree, tmp_path_factory.mktemp("elevation"))
    yield tree
    tree.close()


@pytest.fixture(scope="module")
def trends(worlds, tmp_path_factory):
    return served_world.trends_of(worlds, tmp_path_factory.mktemp("trends"))


@pytest.fixture
def online(served, tree, trends, worlds, earthengine, aws_keys, monkeypatch, tmp_path):
    """All services, their addresses in the environment; gives what counts the requests to each.

    The chunks of the datacubes are smaller than real ones: 3600 x 3600 pixels would make the tests slow.
    """
    for accessor in (smart_geocubes.ArcticDEM10m, smart_geocubes.TCTrend):
        monkeypatch.setattr(accessor, "chunk_size", 200)
    catalogue, storage, elevation = (FaultProxy(port) for port in (*served, tree.port))
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", catalogue.url)
    monkeypatch.setenv("DARTS_CDSE_S3_ENDPOINT", storage.url)
    monkeypatch.setenv("DARTS_ARCTICDEM_STAC_URL", f"{elevation.url}/stac")
    monkeypatch.setenv("DARTS_ARCTICDEM_INDEX_URL", f"{elevation.url}/index.zip")
    earthengine.set_trends(trends)
    install_models(tmp_path / "models")
    yield {"catalogue": catalogue, "storage": storage, "elevation": elevation, "earthengine": earthengine}
    for proxy in (catalogue, storage, elevation):
        proxy.close()


@pytest.fixture
def area(tmp_path, worlds):
    """A file with an area that touches both worlds."""
    outlines = [world.place.geobox.extent.geom.buffer(-500) for world in worlds]
    path = tmp_path / "area.gpkg"
    gpd.GeoDataFrame(geometry=outlines, crs=str(worlds[0].place.geobox.crs)).to_file(path)
    return path


@pytest.fixture
def tiles(worlds):
    return sorted({world.place.grid_code.removeprefix("MGRS-") for world in worlds})


def forbid_sockets(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def counts(online):
    return {name: len(server.requests) for name, server in online.items()}


def assert_same_products(one, other, scene_ids):
    for scene_id in scene_ids:
        for name in PRODUCTS:
            files = one / scene_id / name, other / scene_id / name
            if name.endswith(".tif"):
                assert files[0].read_bytes() == files[1].read_bytes(), (scene_id, name)
            else:
                tables = [gpd.read_parquet(file) for file in files]
                assert tables[0].equals(tables[1]), (scene_id, name)


def test_an_area_and_a_summer_online_and_then_prepared_and_offline(online, area, worlds, darts, tmp_path, monkeypatch):
    scene_ids = [world.scene_id for world in worlds]
    select = ("--aoi-file", area, *SUMMER)
    done = darts("inference", "sentinel2-sequential", *select, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "plan: 2 found, 2 to do" in done.stdout
    assert "ArcticDEM: " in done.stdout
    store = SceneStore(tmp_path / "input/sentinel2/cdse-scenes", "cdse")
    for world in worlds:
        for band, values in served_world.numbers(world).items():
            times = 2 if band == "SCL_20m" else 1
            staged = store.open(world.scene_id).read(band).values
            assert np.array_equal(staged, values.repeat(times, 0).repeat(times, 1))
    (tmp_path / "output/sentinel2-cdse").rename(tmp_path / "online")

    before = counts(online)
    again = darts("inference", "sentinel2-sequential", *select, *QUICK)
    assert again.returncode == 0, again.stdout + again.stderr
    now = counts(online)
    assert now.pop("catalogue") == before.pop("catalogue") + 1  # the search
    assert now == before
    assert_same_products(tmp_path / "online", tmp_path / "output/sentinel2-cdse", scene_ids)

    for folder in ("input", "aux", "output"):
        shutil.rmtree(tmp_path / folder)
    ids = ("--prep-data-scene-id-file", "ids.json")
    done = darts("prep-data", "sentinel2", "--optical", "--aux", *select, *ids, "--log-plain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(";")[0] for line in done.stdout.splitlines()[-3:]] == [
        "scenes: 2 staged",
        "ArcticDEM: 2 staged",
        "TCVIS: 2 staged",
    ]
    assert sorted(json.loads((tmp_path / "ids.json").read_text())) == sorted(scene_ids)
    forbid_sockets(monkeypatch)
    done = darts("inference", "sentinel2-sequential", "--offline", *select, *ids, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_products(tmp_path / "online", tmp_path / "output/sentinel2-cdse", scene_ids)


def test_what_is_prepared_is_not_fetched_again(online, tiles, worlds, darts, tmp_path):
    select = ("--tile-ids", *tiles, "--years", "2024", "--months", "7", "8", "--log-plain")
    done = darts("prep-data", "sentinel2", "--force", *select)
    assert done.returncode == 0, done.stdout + done.stderr
    before = counts(online)
    for command in (("prep-data", "sentinel2", "--force"), ("inference", "sentinel2-sequential", *QUICK[:-1])):
        done = darts(*command, *select)
        assert done.returncode == 0, done.stdout + done.stderr
        now = counts(online)
        before["catalogue"] += 2  # a search a month
        assert now == before
    for world in worlds:
        assert (tmp_path / "output/sentinel2-cdse" / world.scene_id / "binarized.tif").exists()


def test_tiles_in_a_summer(online, tiles, worlds, darts, tmp_path):
    (tmp_path / "models/demo_with_tcvis.safetensors").unlink()
    done = darts("inference", "sentinel2-sequential", "--tile-ids", *tiles, *SUMMER, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "output/sentinel2-cdse").glob("*/probabilities.tif"))) == 2
    assert online["earthengine"].requests == []  # no model reads trends, so nobody needs an account there


def test_a_store_that_lacks_a_band_fetches_that_band_alone(online, worlds, darts, tmp_path):
    select = ("--scene-ids", worlds[0].scene_id)
    assert darts("prep-data", "sentinel2", "--optical", *select, "--log-plain").returncode == 0
    store = SceneStore(tmp_path / "input/sentinel2/cdse-scenes", "cdse")
    shutil.rmtree(store.path(worlds[0].scene_id) / "B08_10m")
    online["storage"].requests.clear()
    assert darts("prep-data", "sentinel2", "--optical", *select, "--log-plain").returncode == 0
    assert [name for name in online["storage"].fetched() if name.endswith(".jp2")] == ["B08_10m.jp2"]
    assert np.array_equal(
        store.open(worlds[0].scene_id).read("B08_10m").values, served_world.numbers(worlds[0])["B08_10m"]
    )


def test_earth_engine_online_and_then_prepared_and_offline(online, area, worlds, darts, tmp_path, monkeypatch):
    ids = [served_world.add_to_earth_engine(world, online["earthengine"]) for world in worlds]
    select = ("--raw-data-source", "gee", "--aoi-file", area, *SUMMER)
    done = darts("inference", "sentinel2-sequential", *select, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert online["storage"].requests == online["catalogue"].requests == []
    (tmp_path / "output/sentinel2-gee").rename(tmp_path / "online")
    for folder in ("input", "aux"):
        shutil.rmtree(tmp_path / folder)
    keep = ("--prep-data-scene-id-file", "ids.json")
    done = darts("prep-data", "sentinel2", "--optical", "--aux", *select, *keep, "--log-plain")
    assert done.returncode == 0, done.stdout + done.stderr
    online["earthengine"].clear_log()
    done = darts("prep-data", "sentinel2", "--optical", "--aux", *select, *keep, "--log-plain")
    assert online["earthengine"].asked("computePixels") == 0
    forbid_sockets(monkeypatch)
    done = darts("inference", "sentinel2-sequential", "--offline", *select, *keep, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_products(tmp_path / "online", tmp_path / "output/sentinel2-gee", ids)


def test_a_dry_run_shows_the_plan_and_makes_nothing(online, area, worlds, darts, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    done = darts("inference", "sentinel2-sequential", "--aoi-file", area, *SUMMER, *QUICK, "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{worlds[0].scene_id}: image (" in done.stdout
    assert "  images: 0 staged, 2 to fetch (" in done.stdout
    assert [path for path in sorted(tmp_path.rglob("*")) if "logs" not in path.parts] == before
    assert online["storage"].requests == online["elevation"].requests == online["earthengine"].requests == []


def test_a_scene_that_the_catalogue_no_longer_has_fails_alone(online, worlds, darts, tmp_path):
    gone = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"
    done = darts("inference", "sentinel2-sequential", "--scene-ids", gone, worlds[0].scene_id, *QUICK)
    assert done.returncode == 1
    assert f"failed {gone}: optical: Copernicus catalogue: it has no scene {gone}." in done.stdout
    assert (tmp_path / "output/sentinel2-cdse" / worlds[0].scene_id / "probabilities.tif").exists()


def test_many_scenes_are_looked_up_together(online, worlds, darts):
    gone = [f"S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_2024{number}T234418" for number in range(1000, 1150)]
    ids = (*gone, *(world.scene_id for world in worlds))
    done = darts("prep-data", "sentinel2", "--optical", "--aux", "--scene-ids", *ids, "--dry-run", "--log-plain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "plan: 152 found, 152 to do" in done.stdout
    assert len(online["catalogue"].requests) <= 4  # a hundred at a time, once for the images and once for the outlines


def test_nothing_but_scenes_that_are_gone_fails_in_one_line_each(online, darts):
    gone = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"
    done = darts("inference", "sentinel2-sequential", "--scene-ids", gone, *QUICK)
    assert done.returncode == 1
    assert f"failed {gone}: optical: Copernicus catalogue: it has no scene {gone}." in done.stdout


def test_missing_keys_are_one_line_before_any_long_work(online, aws_keys, worlds, darts, tmp_path):
    aws_keys.unlink()
    done = darts("inference", "sentinel2-sequential", "--scene-ids", worlds[0].scene_id, *QUICK)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "there is no AWS profile default for the Copernicus storage" in done.stderr
    assert online["storage"].requests == online["elevation"].requests == []
