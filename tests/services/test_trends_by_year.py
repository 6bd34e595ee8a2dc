"""Scenes of two years with the trends of their time: online, prepared and offline, and a cube that serves all."""

import shutil
import socket
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pytest
import rasterio
import served_world
import smart_geocubes
from arcticdem_tree import Tree
from same_products import assert_same_folder

from darts.demo.world.cubes import write_tcvis
from darts.demo.world.write import install_models
from darts_export.record import read_record
from darts_segmentation.models.checkpoint import read_model
from darts_segmentation.models.safe_file import write_model

QUICK = ("--patch-size", "256", "--overlap", "64", "--device", "cpu", "--log-plain")
BANDS = ("--export-bands", "probabilities", "polygonized", "tcvis")


def in_year(world, year):
    """The same ground, seen in another year."""
    time = world.place.time.replace(year=year)
    scene_id = world.scene_id.replace("_2024", f"_{year}")
    return replace(world, place=replace(world.place, scene_id=scene_id, time=time))


@pytest.fixture(scope="module")
def worlds():
    """One piece of ground in 2018 and in 2024."""
    world = served_world.world(2001)
    return in_year(world, 2018), world


@pytest.fixture(scope="module")
def served(worlds, s3_server, serve, tmp_path_factory):
    items = [served_world.serve(world, s3_server[1]) for world in worlds]
    with serve("years", items, tmp_path_factory.mktemp("years")) as url:
        yield urlsplit(url).port, s3_server[0]


@pytest.fixture(scope="module")
def tree(worlds, tmp_path_factory):
    tree = Tree(resolutions=())
    served_world.serve_elevation(worlds[1], tree, tmp_path_factory.mktemp("elevation"))
    yield tree
    tree.close()


@pytest.fixture(scope="module")
def trends(worlds, tmp_path_factory):
    return served_world.trends_of(worlds[1:], tmp_path_factory.mktemp("trends"))


@pytest.fixture
def online(served, tree, trends, earthengine, aws_keys, monkeypatch, tmp_path):
    """All services; the trends up to 2019 are the opposite of those up to 2024."""
    accessors = smart_geocubes.TCTrend2019, smart_geocubes.TCTrend2024, smart_geocubes.ArcticDEM10m
    for accessor in accessors:
        monkeypatch.setattr(accessor, "chunk_size", 200, raising=False)
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", f"http://127.0.0.1:{served[0]}")
    monkeypatch.setenv("DARTS_CDSE_S3_ENDPOINT", f"http://127.0.0.1:{served[1]}")
    monkeypatch.setenv("DARTS_ARCTICDEM_STAC_URL", f"http://127.0.0.1:{tree.port}/stac")
    monkeypatch.setenv("DARTS_ARCTICDEM_INDEX_URL", f"http://127.0.0.1:{tree.port}/index.zip")
    earthengine.set_trends(trends)
    earthengine.set_trends(lambda *where: 255 - trends(*where), accessors[0].collection)
    install_models(tmp_path / "models")
    return earthengine


@pytest.fixture
def scenes(worlds):
    return "--scene-ids", *(world.scene_id for world in worlds)


def cubes(home):
    return sorted(path.name for path in (home / "aux").glob("*.icechunk"))


def mapped(darts, *given):
    done = darts("inference", "sentinel2-sequential", *given, *QUICK, *BANDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_each_scene_reads_the_trends_of_its_time_online_and_then_prepared_and_offline(
    online, scenes, worlds, darts, tmp_path, monkeypatch
):
    done = mapped(darts, *scenes)
    assert "plan: 2 found, 2 to do" in done.stdout
    assert cubes(tmp_path) == ["TCTrend2019.icechunk", "TCTrend2024.icechunk", "arcticdem_10m.icechunk"]
    results = tmp_path / "output/sentinel2-cdse"
    for world, year in zip(worlds, (2019, 2024), strict=True):
        record = read_record(results / world.scene_id)
        assert record["DARTS_tcvis_year"] == year
        assert set(record["DARTS_cubes"]) == {"arcticdem_10m", f"TCTrend{year}"}
        assert record["DARTS_fingerprint_document"]["parameters"]["tcvis_year"] == year
        with rasterio.open(results / world.scene_id / "probabilities.tif") as raster:
            assert raster.tags()["DARTS_tcvis_year"] == str(year)
    early, late = (rasterio.open(results / world.scene_id / "tcvis.tif").read() for world in worlds)
    assert np.abs(early.astype(int) + late - 255).max() <= 1  # cubic resampling rounds
    results.rename(tmp_path / "online")

    for folder in ("input", "aux"):
        shutil.rmtree(tmp_path / folder)
    plan = darts("prep-data", "sentinel2", "--optical", "--aux", *scenes, "--log-plain", "--dry-run")
    n_chunks = int(plan.stdout.split("TCVIS: ")[1].split()[0])
    one = darts("prep-data", "sentinel2", "--aux", *scenes[:2], "--log-plain", "--dry-run")
    assert n_chunks == 2 * int(one.stdout.split("TCVIS: ")[1].split()[0])
    done = darts("prep-data", "sentinel2", "--optical", "--aux", *scenes, "--log-plain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert cubes(tmp_path) == ["TCTrend2019.icechunk", "TCTrend2024.icechunk", "arcticdem_10m.icechunk"]
    monkeypatch.setattr(socket.socket, "connect", None)
    mapped(darts, *scenes, "--offline")
    for world in worlds:
        assert_same_folder(tmp_path / "online" / world.scene_id, results / world.scene_id)

    again = mapped(darts, *scenes, "--offline")
    assert "2 skipped" in again.stdout + again.stderr
    done = darts("inference", "sentinel2-sequential", *scenes, *QUICK, *BANDS, "--offline", "--tcvis-year", "2024")
    assert done.returncode == 2
    assert (
        "1 tile was made with tcvis_year 2019 (now 2024), tcvis version 2000-2019 (now 2005-2024) (in "
    ) in done.stderr

    shutil.rmtree(tmp_path / "aux/TCTrend2019.icechunk")
    plan = darts("inference", "sentinel2-sequential", *scenes, *QUICK, "--offline", "--dry-run", "--overwrite")
    assert plan.returncode == 1
    assert "TCVIS: missing for 1 tile" in plan.stdout
    done = darts("inference", "sentinel2-sequential", *scenes, *QUICK, "--offline", "--overwrite")
    assert done.returncode == 1
    assert (
        f"failed {worlds[0].scene_id}: tcvis: there is no datacube at {tmp_path}/aux/TCTrend2019.icechunk"
        in done.stdout
    )
    assert f"failed {worlds[1].scene_id}" not in done.stdout


def test_a_model_that_saw_other_trends_is_named_once(online, scenes, darts, tmp_path):
    file = tmp_path / "models/demo_with_tcvis.safetensors"
    card, weights = read_model(file)
    write_model(file, card.with_(input={**card.input, "tcvis_year": 2019}), weights)
    line = "TCVIS of another tcvis_year than in training: demo_with_tcvis saw 2019 and gets 2024; --tcvis-year chooses"
    plan = darts("inference", "sentinel2-sequential", *scenes, *QUICK, "--dry-run")
    done = mapped(darts, *scenes)
    for said in (plan, done):
        assert " ".join((said.stdout + said.stderr).split()).count(line) == 1
    done = mapped(darts, *scenes, "--tcvis-year", "2019", "--output-data-dir", tmp_path / "others")
    assert "tcvis_year than in training" not in done.stdout + done.stderr


def test_a_cube_that_is_there_wins(online, scenes, worlds, darts, tmp_path):
    write_tcvis(worlds[1], tmp_path / "aux")
    mapped(darts, *scenes)
    assert cubes(tmp_path) == ["arcticdem_10m.icechunk", "tcvis.icechunk"]
    folders = [tmp_path / "output/sentinel2-cdse" / world.scene_id for world in worlds]
    for folder in folders:
        record = read_record(folder)
        assert "DARTS_tcvis_year" not in record
        assert set(record["DARTS_cubes"]) == {"arcticdem_10m", "tcvis"}
        document = record["DARTS_fingerprint_document"]
        assert document["parameters"]["tcvis_year"] is None
        assert document["auxiliary"]["tcvis"] == {"name": "TCTrend", "version": "2005-2024", "resolution_m": 30}
    early, late = (rasterio.open(folder / "tcvis.tif").read() for folder in folders)
    assert np.array_equal(early, late)


def test_a_year_that_is_asked_for_is_read_beside_a_cube_that_is_there(online, scenes, worlds, darts, tmp_path):
    write_tcvis(worlds[1], tmp_path / "aux")
    mapped(darts, *scenes[:1], scenes[2], "--tcvis-year", "2019")
    assert cubes(tmp_path) == ["TCTrend2019.icechunk", "arcticdem_10m.icechunk", "tcvis.icechunk"]
    assert read_record(tmp_path / "output/sentinel2-cdse" / worlds[1].scene_id)["DARTS_tcvis_year"] == 2019
    done = darts("inference", "sentinel2-sequential", *scenes, *QUICK, "--tcvis-year", "2021")
    assert done.returncode == 2
    assert "tcvis_year is 2021 but must be 2019, 2020, 2022 or 2024: " in done.stderr
