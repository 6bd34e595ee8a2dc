"""From an area and a summer to mapped tiles, against local servers that speak the real protocols."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import served_world
from faults import FaultProxy

from darts_acquisition.optical.scene_store import SceneStore

SEEDS = (2001, 2002)
SUMMER = ("--start-date", "2024-07-01", "--end-date", "2024-08-31")
QUICK = ("--patch-size", "128", "--overlap", "32", "--device", "cpu", "--log-plain")


@pytest.fixture(scope="module")
def worlds():
    return [served_world.world(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def served(worlds, s3_server, serve, tmp_path_factory):
    """The worlds behind a catalogue and a storage; gives the catalogue's address and the storage's port."""
    port, upload = s3_server
    items = [served_world.serve(world, upload) for world in worlds]
    with serve("worlds", items, tmp_path_factory.mktemp("worlds")) as url:
        yield url, port


@pytest.fixture
def online(served, aws_keys, monkeypatch):
    """Settings that lead to the servers; gives the proxy before the storage, which counts what is asked."""
    url, port = served
    proxy = FaultProxy(port)
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", url)
    monkeypatch.setenv("DARTS_CDSE_S3_ENDPOINT", proxy.url)
    yield proxy
    proxy.close()


@pytest.fixture
def optical_model(tmp_path, make_model):
    (tmp_path / "models").mkdir()
    return make_model(tmp_path / "models" / "optical.pt", ["red", "green", "blue", "nir", "ndvi"])


@pytest.fixture
def area(tmp_path, worlds):
    """A file with an area that touches both worlds."""
    outlines = [world.place.geobox.extent.geom.buffer(-500) for world in worlds]
    path = tmp_path / "area.gpkg"
    gpd.GeoDataFrame(geometry=outlines, crs=str(worlds[0].place.geobox.crs)).to_file(path)
    return path


def test_an_area_and_a_summer_become_mapped_tiles(online, optical_model, area, worlds, darts, tmp_path):
    done = darts("inference", "sentinel2-sequential", "--aoi-file", area, *SUMMER, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "plan: 2 found, 2 to do" in done.stdout
    for world in worlds:
        staged = SceneStore(tmp_path / "input/sentinel2/cdse-scenes", "cdse").open(world.scene_id)
        for band, values in served_world.numbers(world).items():
            times = 2 if band == "SCL_20m" else 1
            assert np.array_equal(staged.read(band).values, values.repeat(times, 0).repeat(times, 1))
        with rasterio.open(tmp_path / "output/sentinel2-cdse" / world.scene_id / "probabilities.tif") as file:
            assert file.shape == (served_world.SIZE_PX, served_world.SIZE_PX)
    asked = len(online.requests)
    again = darts("inference", "sentinel2-sequential", "--aoi-file", area, *SUMMER, *QUICK, "--overwrite")
    assert again.returncode == 0
    assert len(online.requests) == asked


def test_a_dry_run_shows_the_plan_and_makes_nothing(online, optical_model, area, worlds, darts, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    done = darts("inference", "sentinel2-sequential", "--aoi-file", area, *SUMMER, *QUICK, "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{worlds[0].scene_id}: image (" in done.stdout
    assert "  images: 0 staged, 2 to fetch (" in done.stdout
    assert [path for path in sorted(tmp_path.rglob("*")) if "logs" not in path.parts] == before
    assert online.requests == []


def test_prepared_data_serves_an_offline_run(online, optical_model, worlds, darts, tmp_path, monkeypatch):
    tiles = sorted({world.place.grid_code.removeprefix("MGRS-") for world in worlds})
    select = ("--tile-ids", *tiles, "--years", "2024", "--months", "7", "8", "--prep-data-scene-id-file", "ids.json")
    done = darts("prep-data", "sentinel2", "--optical", "--aux", *select, "--log-plain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "scenes: 2 staged" in done.stdout
    monkeypatch.setattr("socket.socket.connect", None)
    done = darts("inference", "sentinel2-sequential", "--offline", *select, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "output/sentinel2-cdse").glob("*/binarized.tif"))) == 2
