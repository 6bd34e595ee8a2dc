"""Staging scenes through faults and kills: all of them arrive, none of them damaged, little is fetched twice.

`DARTS_TEST_KILLS` sets how often the run is killed; more than once, of more scenes.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import numpy as np
import pytest
import served_world
from faults import FaultProxy

from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service

KILLS = int(os.environ.get("DARTS_TEST_KILLS", "1"))
N_SCENES = 40 if KILLS > 1 else 16
FILES_OF_A_SCENE = 5


@pytest.fixture(scope="module")
def scenes(s3_server):
    """Small scenes in the storage; gives each one's item and numbers by id."""
    made = [served_world.made_up_scene(number, s3_server[1]) for number in range(N_SCENES)]
    return {item["id"]: (item, numbers) for item, numbers in made}


@pytest.fixture(scope="module")
def served(scenes, serve, tmp_path_factory):
    items = [item for item, _ in scenes.values()]
    with serve("noise", items, tmp_path_factory.mktemp("noise")) as url:
        yield url


@pytest.fixture
def proxies(served, s3_server, aws_keys, monkeypatch):
    """Fault proxies before the catalogue and before the storage, and the settings that lead to them."""
    both = FaultProxy(urlsplit(served).port), FaultProxy(s3_server[0])
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", both[0].url)
    monkeypatch.setenv("DARTS_CDSE_S3_ENDPOINT", both[1].url)
    yield both
    for proxy in both:
        proxy.close()


@pytest.fixture
def quick_retries(monkeypatch):
    policy = RetryPolicy(first_wait_s=0.02, longest_wait_s=0.1, read_timeout_s=5)
    for place, name in (
        ("services.rasters.s3.STORAGE", "storage"),
        ("optical.cdse.catalog.CdseScenes.service", "catalogue"),
    ):
        service = Service(name=f"Copernicus {name}", advice="Try later.", limiter=Limiter(connections=4), policy=policy)
        monkeypatch.setattr(f"darts_acquisition.{place}", service)


def check_all_arrived(folder, scenes):
    store = SceneStore(folder, "cdse")
    assert store.scene_ids() == sorted(scenes)
    for scene_id, (_, numbers) in scenes.items():
        for band, values in numbers.items():
            times = 2 if band == "SCL_20m" else 1
            staged = store.open(scene_id).read(band).values
            assert np.array_equal(staged, values.repeat(times, 0).repeat(times, 1)), (scene_id, band)


def test_all_scenes_arrive_whole_through_faults(proxies, quick_retries, scenes, darts, tmp_path):
    for proxy in proxies:
        proxy.spoil(0.2, seed=int(os.environ.get("DARTS_TEST_SEED", "1")))
    (tmp_path / "ids.json").write_text(json.dumps(list(scenes)))
    done = darts("prep-data", "sentinel2", "--optical", "--scene-id-file", "ids.json", "--log-plain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"scenes: {N_SCENES} staged" in done.stdout
    assert len(proxies[1].requests) > 1.1 * N_SCENES * FILES_OF_A_SCENE
    check_all_arrived(tmp_path / "input/sentinel2/cdse-scenes", scenes)


@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_service_ends_in_bounded_time_with_one_clear_line(proxies, quick_retries, scenes, darts, tmp_path, dead):
    proxies[dead].fault = lambda method, path: 503
    (tmp_path / "ids.json").write_text(json.dumps(list(scenes)))
    start = time.monotonic()
    done = darts("prep-data", "sentinel2", "--optical", "--scene-id-file", "ids.json", "--log-plain")
    assert time.monotonic() - start < 30
    assert done.returncode == 3
    if dead == 0:
        assert done.stderr.count("\n") == 1
        assert "Copernicus catalogue: POST" in done.stderr
        assert "failed 8 times" in done.stderr
    else:
        assert "given up after" in done.stdout
        assert "Copernicus storage: reading s3://eodata/" in done.stdout


def test_killed_again_and_again_it_ends_complete_and_little_is_fetched_twice(proxies, scenes, tmp_path):
    _, storage = proxies
    (tmp_path / "ids.json").write_text(json.dumps(list(scenes)))
    command = [sys.executable, "-m", "darts.cli", "prep-data", "sentinel2", "--optical", "--scene-id-file", "ids.json"]
    command += ["--log-plain"]
    rng = random.Random(int(os.environ.get("DARTS_TEST_SEED", "3")))
    storage.fault = lambda method, path: "slow"  # so that kills fall into downloads
    starts = []
    for _ in range(KILLS):
        begin = len(storage.requests)
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wanted = begin + rng.randint(1, max(2, 2 * N_SCENES * FILES_OF_A_SCENE // KILLS))
        while len(storage.requests) < wanted and process.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        starts.append(files(storage.requests[begin:]))
    begin = len(storage.requests)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    starts.append(files(storage.requests[begin:]))
    for number, asked in enumerate(starts):
        assert len(asked & set().union(*starts[number + 1 :])) <= FILES_OF_A_SCENE
    check_all_arrived(tmp_path / "input/sentinel2/cdse-scenes", scenes)
    assert [path.name for path in (tmp_path / "input/sentinel2/cdse-scenes").glob(".*")] == []


def test_ctrl_c_ends_within_seconds_and_the_next_start_goes_on(proxies, scenes, tmp_path):
    _, storage = proxies
    storage.fault, storage.slow_s = lambda method, path: "slow", 20
    command = [sys.executable, "-m", "darts.cli", "prep-data", "sentinel2", "--optical", "--log-plain", "--scene-ids"]
    command += list(scenes)[:2]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while len(storage.requests) < 3:
        time.sleep(0.01)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert time.monotonic() - start < 5
    assert process.returncode == 130
    assert "Interrupted" in said
    assert SceneStore(tmp_path / "input/sentinel2/cdse-scenes", "cdse").scene_ids() == []
    storage.fault = lambda method, path: None
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def files(requests):
    return {path.split("?")[0] for _, path in requests if path.endswith(".jp2")}
