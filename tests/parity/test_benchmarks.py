"""The benchmarks do not rot: each case runs at a tiny size, and finds that ours and the baseline lead to the same."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from urllib.request import urlopen

import pytest
import torch

from benchmarks.cases import overlap
from benchmarks.cases.whole_scene import WARM_UP_PX, assert_same_files, map_ours, map_plain
from benchmarks.lib.measure import Run, Timing
from benchmarks.lib.results import Goal, as_table
from benchmarks.lib.runner import CASES, Case, Trial, measured, result_of, results_of
from darts_utils.machine.memory import spared_from_search
from darts_utils.parameters import BFLOAT16

ROOT = Path(__file__).resolve().parents[2]
MOST_RESULTS = {"patches": 2, "overlap": 1, "precision": 1}
"""Further ones take long and differ only by their networks."""
SIZES_PX = {"tpi": 224, "patches": 64, "overlap": 64, "precision": 64}
IN_ONE_PROCESS = [name for name in CASES if name not in ("whole_scene", "gpu")]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture(scope="module", autouse=True)
def few_objects():
    """Each timing gives memory back first, which looks at all objects: those of other tests are no part of it."""
    with spared_from_search():
        yield


@pytest.fixture
def one_thread():
    """Tiny networks on several threads of a busy machine mostly wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", IN_ONE_PROCESS)
def test_a_case_has_results_after_both_sides_agreed(name, scenes, one_thread, monkeypatch):
    """Each checks by itself that they do, on what is timed afterwards."""
    monkeypatch.setattr(overlap, "N_TILES", 2)
    monkeypatch.setattr("darts_segmentation.precision.faster_precisions", lambda _: (BFLOAT16,))
    case = Case(name=name, size=SIZES_PX.get(name, WARM_UP_PX), repeat=1, folder=scenes)
    made = list(islice(results_of(case), MOST_RESULTS.get(name)))
    assert made
    for found in made:
        assert found.case == name
        assert math.isfinite(found.ratio)
        assert found.ratio > 0
        assert (found.repeat, found.spread) == (1, 0)
        json.dumps(found.to_json())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which takes minutes to ask")
def test_what_needs_a_gpu_is_said_to_be_missing(capsys):
    assert list(results_of(Case(name="gpu"))) == []
    assert capsys.readouterr().out == "nothing was measured: torch finds no GPU here\n"


@pytest.mark.skipif("DARTS_TEST_GPU_PARTS" not in os.environ, reason="slow: DARTS_TEST_GPU_PARTS=1 runs it")
def test_parts_for_a_gpu_run_where_there_is_none(scenes):
    from benchmarks.cases.gpu import terrain, warps
    from benchmarks.lib.gpu_networks import networks
    from benchmarks.lib.on_device import Device

    cpu, rasters = Device("cpu"), Case(name="gpu", size=WARM_UP_PX, repeat=1, folder=scenes)
    found = [*terrain(rasters, cpu), *warps(rasters, cpu), *networks(replace(rasters, size=32), cpu, "resnet18")]
    assert len(found) == 2 + 2 + 8
    assert all(one.seconds > 0 and one.ratio > 0 for one in found)


def test_a_part_that_fails_or_has_no_time_left_is_said_and_the_others_go_on(capsys):
    from benchmarks.cases.gpu import in_time

    def broken():
        raise RuntimeError("out of memory")
        yield

    given = [("one", 1, broken), ("two", 100, lambda: iter(["never"])), ("three", 1, lambda: iter(["made"]))]
    assert list(in_time(iter(given), limit_s=50)) == ["made"]
    said = capsys.readouterr().out
    assert "one is not measured: RuntimeError: out of memory" in said
    assert "two: left out" in said


def test_what_a_gpu_needs_besides_is_said(tmp_path, monkeypatch):
    from benchmarks.cases import gpu

    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(gpu.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30))
    monkeypatch.setattr(gpu.os, "cpu_count", lambda: 4)
    nvidia, disk, cores = gpu.missing(tmp_path / "not" / "there")
    assert "nvidia-ml-py" in nvidia
    assert f"12 GiB in {tmp_path} (it has 1)" in disk
    assert "16 cores" in cores


def test_scenes_come_over_a_slow_line(tmp_path, monkeypatch):
    from benchmarks import fetching
    from darts_acquisition.optical.sentinel2.scene_store import SceneStore

    (tmp_path / "files").mkdir()
    (tmp_path / "keys").write_text("[default]\naws_access_key_id = key\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    scenes = list(fetching.items(fetching.write_files(tmp_path / "files", 128), 2))
    with fetching.storage(tmp_path / "files", 1000) as address:
        monkeypatch.setenv("DARTS_CDSE_S3_ENDPOINT", address)
        assert fetching.fetch(scenes, tmp_path / "store") == []
        with urlopen(f"{address}/counted") as answer:
            counted = json.load(answer)
    assert SceneStore(tmp_path / "store", "cdse").scene_ids() == [scene.id for scene in scenes]
    assert counted["n_bytes"] == 2 * sum(file.stat().st_size for file in (tmp_path / "files").iterdir())
    assert counted["busy_s"] > 0


def test_tiles_are_brought_together_to_mosaics_in_both_ways(tmp_path):
    from benchmarks import mosaics

    looks = mosaics.make(tmp_path / "tiles", 6, 366, 300.0)
    grid = mosaics.polar_grid(300)
    made = mosaics.ours(looks, tmp_path / "ours", grid, 1)
    assert min(made.seconds, made.cpu, made.gib) > 0
    assert made.n_cells > 4
    _, different = mosaics.plainly(looks, tmp_path / "ours", tmp_path / "plain")
    assert 0 < different < mosaics.LIMIT_DIFFERENT


def test_a_scene_by_the_plain_steps_is_a_scene_by_ours(scenes):
    from benchmarks.lib.scene import made_scene

    folder = made_scene(scenes, WARM_UP_PX)
    map_ours(folder, WARM_UP_PX)
    map_plain(folder, WARM_UP_PX)
    assert_same_files(folder)


def test_nothing_is_timed_where_both_sides_disagree():
    calls = []

    def agree(ours, plain):
        assert ours == plain, f"{ours} and {plain}"

    trial = Trial(
        what="",
        px=1,
        ours=lambda: calls.append("ours"),
        baseline_name="",
        baseline=lambda: calls.append("plain") or 1,
        agree=agree,
    )
    with pytest.raises(AssertionError, match=r"^None and 1\n"):
        measured(Case(name="tpi", repeat=3), trial)
    assert calls == ["ours", "plain"]


def timing(*seconds):
    return Timing(runs=tuple(Run(seconds=each, gib=3.0, grown_gib=0.5) for each in seconds))


def test_a_ratio_is_the_median_over_turns_of_seconds_a_pixel():
    found = result_of(
        Case(name="tpi"), "", timing(1, 2, 10), timing(2, 6, 10), px=(400, 100), baseline="", roofline_s=0.5
    )
    assert found.ratio == 8  # of 8, 12 and 4
    assert found.spread == 1
    assert (found.seconds, found.baseline_seconds) == (2, 6)
    assert (found.px, found.baseline_px) == (400, 100)
    assert found.roofline_share == 0.25
    assert found.gib == 0.5


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal(), None),
        (Goal(ratio=8), True),
        (Goal(ratio=8.1), False),
        (Goal(ratio=8, seconds=1.9), False),
        (Goal(seconds=2, gib=3.0), True),
        (Goal(gib=2.9), False),
    ],
)
def test_a_goal_is_met_if_all_of_it_is(goal, met):
    found = result_of(
        Case(name="tpi"), "", timing(2), timing(16), px=(1, 1), baseline="", goal=goal, whole_process=True
    )
    assert found.is_met is met


def test_a_table_says_how_many_pixels_either_side_worked_on():
    found = result_of(
        Case(name="tpi"),
        "TPI",
        timing(2),
        timing(4),
        px=(4_000_000, 1_000_000),
        baseline="convolution",
        goal=Goal(ratio=10),
    )
    row = as_table([found.to_json()]).splitlines()[-1]
    assert row == "| TPI | 2 s at 4 Mpx | convolution: 4 s at 1 Mpx | 8 ± 0 % | >= 10 x NO | 0.50 (0.50) |  |"


def test_the_cases_are_listed_and_an_unknown_one_is_refused():
    def run(*arguments):
        command = [sys.executable, "-m", "benchmarks", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run("--list").stdout.split() == list(CASES)
    refused = run("tip", "tpi")
    assert refused.returncode == 2
    assert f"no case is called tip; there are {', '.join(CASES)}" in refused.stderr
