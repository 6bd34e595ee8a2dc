"""Log files: what they begin with, and which old ones are removed."""

import json
import logging
import os
import subprocess
import time
from pathlib import Path

import pytest

from darts.logs.checkout import commit_of
from darts.logs.events import tile_ended
from darts.logs.old_files import hold, remove_old_logs
from darts.pipelines.tiles import Outcome, StageTime, TileRef
from darts.utils.logging import LoggingManager, VerbosityLevel

DAY_S = 86_400


@pytest.fixture
def run(darts, monkeypatch):
    """Run a command that logs something; return its log file."""

    def run_it(*options):
        monkeypatch.setattr("darts.cli.output_console", lambda: logging.getLogger("darts.x").info("something"))
        darts("hello", "Bob", *options)

    return run_it


def test_a_log_file_begins_with_what_was_run_on_what(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "40")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    run()
    (file,) = (tmp_path / "logs").iterdir()
    lines = file.read_text().splitlines()
    head = dict(line.removeprefix("# ").split(": ", 1) for line in lines if line.startswith("# "))
    assert lines[0].startswith("# command: darts ")
    assert {"command", "darts", "python", "torch", "host", "cores", "memory", "disk_of_results", "disk_of_logs"} <= set(
        head
    )
    assert (head["job"], head["job_array"]) == ("42", "40 task 3")
    assert "something" in lines[len(head)]


def test_the_head_says_what_was_typed(darts_from_shell, tmp_path):
    darts_from_shell("models", "show", "a b", "--log-dir", "logs")
    (file,) = (tmp_path / "logs").iterdir()
    assert file.read_text().startswith("# command: darts models show 'a b' --log-dir logs\n")


def old(folder, name, days):
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text("x")
    os.utime(file, (time.time() - days * DAY_S,) * 2)
    return file


def test_old_log_files_are_removed_where_a_new_one_begins(run, tmp_path):
    logs = tmp_path / "logs"
    kept = [old(logs, "darts_a.log", 29), old(logs, "notes.log", 90), old(logs, "darts_a.txt", 90)]
    gone = [old(logs, "darts_b.log", 31), old(logs, "darts_c.log", 400)]
    run()
    assert all(file.exists() for file in kept)
    assert not any(file.exists() for file in gone)
    assert len(list(logs.iterdir())) == len(kept) + 1


@pytest.mark.parametrize(("options", "days"), [(["--keep-logs", "0"], 400), (["--keep-logs", "60"], 59), ([], 400)])
def test_how_long_they_are_kept_can_be_said(run, tmp_path, options, days):
    if not options:
        (tmp_path / "config.toml").write_text("[darts]\nkeep_logs = 0\n")
    file = old(tmp_path / "logs", "darts_a.log", days)
    run(*options)
    assert file.exists()
    run("--keep-logs", "1")
    assert not file.exists()


def test_no_negative_days(darts):
    said = "keep_logs is -1 but must be a whole number of days. Use 0 to keep all."
    assert darts("hello", "Bob", "--keep-logs", "-1") == (2, "", f"Error: {said}\n")


def test_the_log_of_a_living_run_stays(tmp_path):
    file = old(tmp_path, "darts_a.log", 90)
    with file.open("a") as stream:
        hold(stream)
        assert remove_old_logs(tmp_path, 30) == 0
    assert remove_old_logs(tmp_path, 30) == 1
    assert not file.exists()


def test_the_commit_is_that_of_git(tmp_path):
    def git(*words, folder=tmp_path):
        author = ["-c", "user.name=a", "-c", "user.email=a@b.org"]
        done = subprocess.run(["git", *author, *words], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    file = tmp_path / "src" / "a.py"
    assert commit_of(file) is None
    git("init", "-q")
    assert commit_of(file) is None
    git("commit", "-q", "--allow-empty", "-m", "a")
    head = git("rev-parse", "HEAD")
    assert commit_of(file) == head
    git("worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    git("commit", "-q", "--allow-empty", "-m", "b", folder=tmp_path / "tree")
    assert commit_of(tmp_path / "tree" / "a.py") == git("rev-parse", "HEAD", folder=tmp_path / "tree") != head
    git("pack-refs", "--all")
    assert commit_of(file) == head
    git("checkout", "-q", "--detach")
    assert commit_of(file) == head
    assert commit_of(tmp_path / "lib" / "site-packages" / "a.py") is None


def ended(status, error=None):
    ref = TileRef(tile_id="a", output_folder=Path("a"))
    kind = None if error is None else "DataError"
    return Outcome(ref=ref, status=status, error=error, error_type=kind, times=(StageTime("load", 0, 2.5),))


@pytest.mark.parametrize("verbosity", [VerbosityLevel.NORMAL, VerbosityLevel.DEBUG])
def test_a_failed_tile_is_a_warning_in_the_log_file_and_not_said_twice(tmp_path, capsys, verbosity):
    LoggingManager.setup_logging(verbosity, log_plain=True)
    file = LoggingManager.add_log_file(tmp_path, "run")
    tile_ended(ended("failed", "load: broken"))
    tile_ended(ended("success"))
    assert capsys.readouterr() == ("", "")
    failed, done = file.read_text().splitlines()
    assert " WARNING  darts.run (MainThread): a: failed load: broken (2.5 s)" in failed
    assert " INFO     darts.run (MainThread): a: success (2.5 s)" in done


def test_with_json_each_event_is_one_object_on_the_console_and_in_the_file(tmp_path, capsys):
    LoggingManager.setup_logging(log_json=True)
    file = LoggingManager.add_log_file(tmp_path, "run", head=lambda: {"command": "darts hello"})
    tile_ended(ended("failed", "load: broken\nfile"))
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("darts.x").warning("it %s", "failed", exc_info=True)
    out, err = capsys.readouterr()
    shown = [json.loads(line) for line in err.splitlines()]
    head, *written = [json.loads(line) for line in file.read_text().splitlines()]
    assert out == ""
    assert shown == written
    assert (head["event"], head["command"]) == ("log file begins", "darts hello")
    assert {key: value for key, value in shown[0].items() if key != "timestamp"} == {
        "level": "warning",
        "logger": "darts.run",
        "event": "a: failed load: broken\nfile (2.5 s)",
        "tile_id": "a",
        "status": "failed",
        "seconds": 2.5,
        "error": "load: broken\nfile",
        "error_type": "DataError",
    }
    assert shown[0]["timestamp"].endswith("+00:00")
    assert shown[1]["event"] == "it failed"
    assert shown[1]["exc_info"].endswith("ValueError: two\nlines")


def test_with_json_an_error_is_an_object_too(darts):
    code, out, err = darts("hello", "Bob", "--n", "-1", "--log-json")
    said = json.loads(err)
    assert (code, out, said["level"], said["event"]) == (
        2,
        "",
        "error",
        "n is -1 but must not be negative. Use 0 or more.",
    )


def test_with_json_a_run_is_told_in_events(capsys):
    from darts.pipelines.tiles import RunReport
    from darts.utils.console import run_view

    LoggingManager.setup_logging(log_json=True)
    with run_view(2, 1) as view:
        tile_ended(ended("success"))
        view.tile(ended("success"))
        view.finish(RunReport((ended("skipped"), ended("success")), "/results"))
    out, err = capsys.readouterr()
    begun, tile, finished = [json.loads(line) for line in err.splitlines()]
    assert out == ""
    assert (begun["event"], begun["n_tiles"], begun["n_done"]) == ("2 tiles selected, 1 done before", 2, 1)
    assert (tile["status"], finished["done"], finished["results"]) == ("success", 1, "/results")
    assert finished["stage_seconds"] == {"load": {"tiles": 2, "mean": 2.5, "total": 5.0}}
