"""A dry run says what is to be done and what it will take, also before there is a model."""

import json
import platform
from pathlib import Path

import pytest

from darts.pipelines.results.estimate import estimate, estimate_lines

RUN = {"host": platform.node(), "ended": "finished", "success": 4, "failed": 0, "started": 1000.0, "written": 1040.0}


def write_run(folder, stem, **said):
    folder.mkdir(exist_ok=True)
    (folder / f"{stem}.progress.json").write_text(json.dumps({**RUN, **said}))


def write_tile(folder, n_bytes):
    folder.mkdir(parents=True)
    (folder / "darts_inference.json").write_text("{}")
    (folder / "probabilities.tif").write_bytes(bytes(n_bytes - 2))


def test_time_is_that_of_runs_of_this_machine(tmp_path):
    out = tmp_path / "out"
    write_run(out, "2026-01-01_00-00-00")
    write_run(out, "2026-01-02_00-00-00", written=1080.0)
    write_run(out, "2026-01-03_00-00-00", success=3, failed=1, written=1120.0)
    write_run(out, "2026-01-04_00-00-00", host="another", written=9000.0)
    write_run(out, "2026-01-05_00-00-00", ended=None, written=9000.0)
    write_run(out, "2026-01-06_00-00-00", success=0, written=9000.0)
    (out / "2026-01-07_00-00-00.progress.json").write_text("damaged")
    (out / "2026-01-08_00-00-00.progress.json").write_text("[]")
    found = estimate(out, 100, sensor="sentinel2", on_gpu=True)
    assert found.seconds == pytest.approx(100 * 20)
    assert found.seconds_by == "3 earlier runs on this machine"


def test_room_is_that_of_tiles_that_are_there(tmp_path):
    write_tile(tmp_path / "a", 1000)
    write_tile(tmp_path / "orthotile" / "b", 3000)
    (tmp_path / "unfinished").mkdir()
    found = estimate(tmp_path, 10, sensor="planet", on_gpu=False)
    assert found.n_bytes == pytest.approx(10 * 2000)
    assert found.n_bytes_by == "2 tiles that are there"


def test_without_earlier_runs_a_table_tells_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("darts.pipelines.results.estimate.usable_cores", lambda: 8)
    found = estimate(tmp_path, 10, sensor="sentinel2", on_gpu=False)
    assert estimate_lines(found, "300 MB") == [
        "  to compute: about 5 min 00 s (by a table for whole images and two ResNet-34 models on 8 cores)",
        "  results: about 300 MB (by a table for whole images)",
    ]


def test_of_a_gpu_nothing_is_guessed(tmp_path):
    line, _ = estimate_lines(estimate(tmp_path, 10, sensor="planet", on_gpu=True), "")
    assert line.startswith("  to compute: unknown (no earlier run")


@pytest.mark.parametrize("more", [(), ("--ray",)])
def test_a_plan_needs_no_model(darts, more, tmp_path):
    scene = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"
    code, out, _ = darts("map", "sentinel2", "--scene-ids", scene, "--offline", "--dry-run", "--device", "cpu", *more)
    assert code == 1, "data is missing"
    assert f"{scene}: image" in out
    assert "there is no model in" in out
    assert not (tmp_path / "output").exists()
    assert darts("map", "sentinel2", "--scene-ids", scene, "--offline")[0] == 2
    assert Path.cwd() == tmp_path
