"""`darts status`: what it says of runs that go on, have ended, or fell silent."""

import json
import threading
import time
from pathlib import Path

import pytest

from darts.pipelines.results.journal import Journal
from darts.pipelines.results.progress import Progress
from darts.pipelines.results.records import TileEnd, write_failed
from darts.pipelines.tiles import Outcome, RunReport, StageStarted, StageTime, TileRef, failed
from darts.status.summary import RunStatus, reasons, status_of
from darts_utils.errors import DataError, ServiceError


def ref(tile_id):
    return TileRef(tile_id=tile_id, output_folder=Path(tile_id))


def done(tile_id):
    return Outcome(ref=ref(tile_id), status="success", times=(StageTime("load", 10.0, 12.0),))


@pytest.fixture
def folder(tmp_path):
    """A run that has ended with two failures, and one that goes on."""
    first = Journal(tmp_path / "out", {})
    first.add(done("a"), failed(ref("b"), "load", DataError("b is damaged")))
    first.add(failed(ref("c"), "load", DataError("c is damaged")), failed(ref("d"), "fetch", ServiceError("no answer")))
    with Progress(first.path("progress.json"), n_selected=4, n_skipped=0) as progress:
        progress.finish(RunReport((), tmp_path))
    second = Journal(tmp_path / "out", {})
    second.add(done("e"), Outcome(ref=ref("a"), status="skipped"))
    write_failed(tmp_path / "out")
    with Progress(second.path("progress.json"), n_selected=6, n_skipped=1, part="2/4", every_s=0.05) as progress:
        progress.tile(done("e"))
        progress.stage(StageStarted(ref("f"), "segment"))
        time.sleep(0.2)
        yield tmp_path / "out"
        progress.finish(RunReport((), tmp_path))


def test_a_run_that_goes_on_is_told_with_what_is_at_work(folder, darts):
    code, out, _ = darts("status", folder)
    assert code == 0
    lines = [line for line in out.splitlines() if line]
    assert "finished" in lines[0]
    assert "part 2/4" in lines[2]
    assert lines[2].endswith(": running")
    assert lines[3].startswith("  2 of 6 tiles: 1 done, 1 skipped, 0 failed; ")
    assert lines[3].endswith(" left")
    assert lines[4].startswith("  at work: f in segment for ")
    assert lines[5].endswith("results of 2 tiles, 3 tiles failed")
    assert lines[6:10] == ["  2 x load: {id} is damaged", "      b, c", "  1 x fetch: no answer", "      d"]
    assert lines[10].endswith("failed.txt")


def test_machines_read_the_same(folder, darts):
    _, out, _ = darts("status", folder, "--json")
    told = json.loads(out)
    assert (told["n_there"], told["n_failed"], told["is_running"]) == (2, 3, True)
    assert [run["state"] for run in told["runs"]] == ["finished", "running"]
    assert [work["tile_id"] for work in told["runs"][1]["at_work"]] == ["f"]
    assert [failure["tile_id"] for failure in told["failures"]] == ["b", "c", "d"]
    assert told["failures"][2]["error_type"] == "ServiceError"


def test_a_run_that_writes_nothing_any_more_was_killed(folder):
    later = time.time() + 3600
    assert [run.state for run in status_of(folder, now=later).runs] == ["finished", "silent"]
    assert not status_of(folder, now=later).is_running


def test_watching_ends_with_the_run(tmp_path, darts):
    journal = Journal(tmp_path, {})
    over = threading.Event()

    def run():
        with Progress(journal.path("progress.json"), n_selected=1, n_skipped=0):
            over.wait()

    running = threading.Thread(target=run)
    running.start()
    threading.Timer(0.5, over.set).start()
    while not journal.path("progress.json").exists():
        time.sleep(0.01)
    _, out, _ = darts("status", tmp_path, "--watch", "--every", "0.05", "--json")
    running.join()
    states = [json.loads(line)["runs"][0]["state"] for line in out.splitlines()]
    assert states[0] == "running"
    assert states[-1] == "broken off"


def test_a_record_of_an_earlier_release_is_told_as_far_as_it_goes(tmp_path, darts):
    Journal(tmp_path, {}).add(done("a"))
    _, out, _ = darts("status", tmp_path)
    assert "of an earlier release" in out
    assert "1 of 1 tile: 1 done" in out
    assert "none failed" in out


def test_rate_and_time_left_are_those_of_tiles_that_were_worked_on():
    run = RunStatus(
        stem="", state="running", n_selected=100, n_done=8, n_skipped=50, n_failed=2, n_worked=10, started=1000.0,
        written=1600.0,
    )  # fmt: skip
    assert run.tiles_per_minute == pytest.approx(1.0)
    assert run.left_s == pytest.approx(40 * 60)


def test_reasons_that_differ_only_by_the_id_are_one():
    failures = [
        TileEnd(tile_id=name, folder=Path(name), status="failed", error=f"load: {name} is damaged") for name in "abc"
    ]
    assert reasons(failures) == {"load: {id} is damaged": ["a", "b", "c"]}


@pytest.mark.parametrize("every", ["0", "-1"])
def test_seconds_must_be_positive(darts, folder, every):
    code, _, error = darts("status", folder, "--every", every)
    assert code == 2
    assert "every is" in error


def test_the_rate_is_of_one_moment_though_the_record_is_ahead_of_what_was_written_last(tmp_path):
    journal = Journal(tmp_path, {})
    said = {
        "n_selected": 50,
        "started": 1000.0,
        "written": 1060.0,
        "success": 5,
        "skipped": 0,
        "failed": 1,
        "ended": None,
    }
    journal.path("progress.json").write_text(json.dumps(said))
    journal.add(*(done(str(number)) for number in range(30)))
    (run,) = status_of(tmp_path, now=1061.0).runs
    assert run.tiles_per_minute == pytest.approx(6)
    assert run.n_done == 30
    (killed,) = status_of(tmp_path, now=9000.0).runs
    assert (killed.state, killed.tiles_per_minute) == ("silent", pytest.approx(6))


def test_a_killed_run_is_not_to_be_started_again_where_a_later_one_has_finished(tmp_path, darts):
    said = {"n_selected": 2, "started": 1.0, "written": 2.0, "success": 1, "skipped": 0, "failed": 0, "ended": None}
    killed = Journal(tmp_path, {})
    killed.path("progress.json").write_text(json.dumps(said))
    killed.add(done("a"))
    assert "start it again" in darts("status", tmp_path)[1]
    later = Journal(tmp_path, {})
    later.path("progress.json").write_text(json.dumps({**said, "ended": "finished"}))
    later.add(done("b"))
    out = darts("status", tmp_path)[1]
    assert "start it again" not in out
    assert "a later run has finished" in out


@pytest.fixture
def written(tmp_path):
    """Write what a run of this machine says of itself, as a process that is not there any more or as this one."""

    def write(*, is_gone=False, **said):
        journal = Journal(tmp_path, {})
        with Progress(journal.path("progress.json"), n_selected=2, n_skipped=0):
            pass
        file = journal.path("progress.json")
        content = {**json.loads(file.read_text()), "ended": None, **said}
        if is_gone:
            content["started"] -= 3600  # this process began later, so that its number is another's
        file.write_text(json.dumps(content))
        return journal

    return write


def test_a_run_of_this_machine_is_silent_as_soon_as_its_process_is_gone(written, tmp_path):
    written()
    written(is_gone=True)
    written(is_gone=True, pid_space="of another container")
    assert [run.state for run in status_of(tmp_path).runs] == ["running", "silent", "running"]
    written(pid=2**22 + 1)  # beyond what the system gives
    assert status_of(tmp_path).runs[-1].state == "silent"


def test_a_tile_that_has_ended_is_not_at_work(written, tmp_path):
    at_work = [{"tile_id": name, "stage": "segment", "since": time.time()} for name in "ab"]
    written(at_work=at_work).add(done("a"))
    (run,) = status_of(tmp_path).runs
    assert (run.n_done, [one["tile_id"] for one in run.at_work]) == (1, ["b"])


def test_the_rate_is_that_of_tiles_without_what_is_made_of_them_all(written, tmp_path):
    now = time.time()
    written(started=now - 700, tiles_ended=now - 640, written=now, success=6, ended="finished", makes="inventory")
    (run,) = status_of(tmp_path).runs
    assert run.tiles_per_minute == pytest.approx(6)


def test_what_a_run_makes_at_its_end_is_told_and_that_it_was_stopped_there(written, tmp_path, darts):
    written(ended="finished", makes="inventory")
    assert status_of(tmp_path).is_running
    assert ": finished, makes the inventory\n" in darts("status", tmp_path)[1]
    written(is_gone=True, ended="finished", makes="report")
    out = darts("status", tmp_path)[1]
    assert ": finished, but stopped at the report; the same command makes it\n" in out
    assert json.loads(darts("status", tmp_path, "--json")[1])["runs"][1]["makes"] == "report"
    written(ended="finished")
    assert ": finished, but stopped at the report; a later run has finished\n" in darts("status", tmp_path)[1]
