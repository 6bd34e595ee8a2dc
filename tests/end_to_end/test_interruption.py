"""Killed or interrupted at any moment: no half folder, a record that reads, and the next start completes the rest.

`DARTS_TEST_KILLS` sets how often the run is killed.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import rasterio

from darts.pipelines import Sentinel2Pipeline
from darts.status.summary import status_of

OPTICAL = ["red", "green", "blue", "nir", "ndvi"]
PRODUCTS = {
    "probabilities.tif",
    "binarized.tif",
    "darts_inference.json",
    "prediction_segments.gpkg",
    "prediction_segments.parquet",
    "prediction_extent.gpkg",
    "prediction_extent.parquet",
    "prediction_density.parquet",
    "prediction_observed.parquet",
    "thumbnail.jpg",
}
KILLS = int(os.environ.get("DARTS_TEST_KILLS", "1"))


@pytest.fixture
def start(tmp_path, make_scene, make_model, scene_ids):
    """Stage four scenes and give a function that starts the run."""
    store = tmp_path / "input" / "sentinel2" / "cdse-scenes"
    for seed, scene_id in enumerate(scene_ids):
        make_scene(store, scene_id, size=(500, 400), seed=seed)
    (tmp_path / "models").mkdir()
    make_model(tmp_path / "models" / "optical.pt", OPTICAL)
    command = [sys.executable, "-m", "darts.cli", "inference", "sentinel2-sequential", "--offline"]
    command += ["--patch-size", "128", "--overlap", "64", "--device", "cpu", "--scene-ids", *scene_ids]

    def start():
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


def check_what_is_visible(folder, scene_ids):
    """Every scene's folder that can be seen is whole, and every record can be read and tells the truth."""
    for scene_id in scene_ids:
        if (folder / scene_id).exists():
            assert {path.name for path in (folder / scene_id).iterdir()} == PRODUCTS
            with rasterio.open(folder / scene_id / "probabilities.tif") as file:
                assert file.read(1).shape == (500, 400)
    visible = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    assert {path.name for path in visible} <= {*scene_ids, "inventory"}
    for record in folder.glob("*.results.parquet"):
        results = pd.read_parquet(record)
        assert set(results["status"]) <= {"success", "skipped"}
        assert all((folder / tile).is_dir() for tile in results["tile_id"])
    for timer in folder.glob("*.timer.parquet"):
        pd.read_parquet(timer)


def wait_for(condition, process, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_killed_at_random_moments_and_started_again_all_scenes_end_up_complete(start, tmp_path, scene_ids):
    folder = tmp_path / "output" / "sentinel2-cdse"
    moments = random.Random(5)
    for _ in range(KILLS):
        process = start()
        known = len(list(folder.glob("*.config.toml"))) if folder.exists() else 0
        wait_for(lambda known=known: len(list(folder.glob("*.config.toml"))) > known, process)
        time.sleep(moments.uniform(0, 1.5))
        process.kill()
        process.communicate()
        check_what_is_visible(folder, scene_ids)
    last = start()
    out, err = last.communicate(timeout=120)
    assert last.returncode == 0, out + err
    check_what_is_visible(folder, scene_ids)
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == sorted([*scene_ids, "inventory"])
    told = json.loads((folder / "inventory" / "inventory.json").read_text())
    assert sorted(image for image, _ in told["images"]) == sorted(scene_ids)
    assert {path.name for path in folder.glob(".*")} == {".lock"}, "what killed runs left half done is cleared away"
    newest = max(folder.glob("*.results.parquet"), key=lambda path: path.stat().st_mtime)
    assert sorted(pd.read_parquet(newest)["tile_id"]) == sorted(scene_ids)


class Killed(BaseException):
    """The end of a process, as far as it can be had inside of one."""


@pytest.mark.parametrize(
    ("killed_in", "makes"),
    [("darts.inventory.ending.build", "inventory"), ("darts.report.build.write_project", "report")],
)
@pytest.mark.usefixtures("start")
def test_what_a_run_was_killed_at_after_its_last_tile_is_made_by_the_next(
    tmp_path, scene_ids, monkeypatch, killed_in, makes
):
    def killed(*_, **__):
        raise Killed

    pipeline = Sentinel2Pipeline(offline=True, patch_size=128, overlap=64, device="cpu", scene_ids=scene_ids[:2])
    folder = tmp_path / "output" / "sentinel2-cdse"
    with monkeypatch.context() as patched:
        patched.setattr(killed_in, killed)
        with pytest.raises(Killed):
            pipeline.run()
    (run,) = status_of(folder).runs
    assert (run.state, run.n_done, run.makes) == ("finished", 2, makes)

    again = pipeline.run()
    assert (again.count("skipped"), status_of(folder).runs[-1].makes) == (2, None)
    ends = [folder / "index.html", folder / "inventory" / "inventory.json"]
    assert json.loads(ends[1].read_text()).get("unfinished") is None
    assert scene_ids[1] in ends[0].read_text()

    written = [file.stat().st_mtime_ns for file in ends]
    pipeline.run()  # nothing is new
    assert [file.stat().st_mtime_ns for file in ends] == written
    os.utime(next(folder.glob("*/darts_inference.json")))  # as after a run that was killed before it wrote them
    pipeline.run()
    assert all(file.stat().st_mtime_ns > before for file, before in zip(ends, written, strict=True))


@pytest.mark.parametrize("when", [signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_soon_with_status_130_and_a_clean_record(start, tmp_path, scene_ids, when):
    folder = tmp_path / "output" / "sentinel2-cdse"
    process = start()
    wait_for(lambda: any((folder / scene_id).exists() for scene_id in scene_ids), process)
    begin = time.monotonic()
    process.send_signal(when)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - begin < 5
    assert process.returncode == 130, out + err
    assert "interrupted: " in out
    assert "Traceback" not in out + err
    check_what_is_visible(folder, scene_ids)
    assert {path.name for path in folder.glob(".*")} <= {".lock"}
    (record,) = folder.glob("*.results.parquet")
    done = {scene_id for scene_id in scene_ids if (folder / scene_id).exists()}
    assert set(pd.read_parquet(record)["tile_id"]) == done
