"""What a run shows, on a terminal and elsewhere."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from darts.pipelines.tiles import Outcome, RunReport, StageStarted, StageTime, TileRef
from darts.utils import console, terminal
from darts.utils.console import LiveView, NotebookView, PlainView, duration, run_view


def outcome(tile_id, status="success", error=None):
    times = () if status == "skipped" else (StageTime("load", 0, 2), StageTime("segment", 2, 5.5))
    return Outcome(ref=ref(tile_id), status=status, error=error, times=times)


def ref(tile_id):
    return TileRef(tile_id=tile_id, output_folder=Path(tile_id))


OUTCOMES = [outcome("a", "skipped"), outcome("b"), outcome("c", "failed", "load: [broken] file")]


def test_plain_lines_tell_the_whole_story(capsys):
    view = PlainView(3, 1)
    view.stage(StageStarted(ref("b"), "load"))
    for ended in OUTCOMES[1:]:
        view.tile(ended)
    view.finish(RunReport(tuple(OUTCOMES), Path("/results")))
    timed = capsys.readouterr().out.splitlines()
    lines = [re.sub(r"^[0-2]\d:[0-5]\d:[0-5]\d ", "", line) for line in timed]
    assert [line != before for line, before in zip(lines, timed, strict=True)] == [True] * 4 + [False] * 4
    assert lines[0] == "3 tiles selected, 1 done before"
    assert lines[1].startswith("[2/3] b: done (5.5 s, about ")
    assert lines[2:] == [
        "[3/3] c: failed at load: [broken] file (5.5 s)",
        "finished: 1 done, 1 skipped, 1 failed",
        "failed c: load: [broken] file",
        "stage load: 2 tiles, mean 2.00 s, total 4.0 s",
        "stage segment: 2 tiles, mean 3.50 s, total 7.0 s",
        "results: /results",
    ]


def test_an_interrupted_run_says_so(capsys):
    PlainView(3, 0).finish(RunReport((), Path("/results"), interrupted=True))
    assert "interrupted: 0 done, 0 skipped, 0 failed" in capsys.readouterr().out


@pytest.fixture
def screen(monkeypatch):
    """A terminal whose screen can be read."""
    recorded = Console(record=True, force_terminal=True, width=100, legacy_windows=False)
    monkeypatch.setattr(console, "output_console", lambda: recorded)
    return recorded


def test_the_terminal_shows_stages_failures_and_tables(screen, capsys):
    view = LiveView(3, 1)
    with view.progress:
        view.stage(StageStarted(ref("b"), "load"))
        view.stage(StageStarted(ref("c"), "segment"))
        assert view.progress.tasks[0].description == "load + segment"
        for ended in OUTCOMES[1:]:
            view.tile(ended)
        assert view.progress.tasks[0].completed == 3
        view.finish(RunReport(tuple(OUTCOMES), Path("/results")))
    shown = screen.export_text()
    for text in ("failed c: load: [broken] file", "Finished", "Time", "Failed", "segment", "7.0"):
        assert text in shown


@pytest.mark.parametrize("width", [20, 40, 200])
def test_ids_and_paths_in_tables_are_whole_however_narrow_the_terminal(monkeypatch, width):
    recorded = Console(record=True, force_terminal=True, width=width, legacy_windows=False)
    monkeypatch.setattr(console, "output_console", lambda: recorded)
    tile_id, path = "S2A_MSIL2A_20230701T194909_N0509_R128_T08WNB_20230702T014802", "/data/a/long/path/of/a/file.zarr"
    LiveView(1, 0).finish(RunReport((outcome(tile_id, "failed", f"load: {path}"),), Path("/results")))
    table = recorded.export_text().split("Failed")[1]
    rows = [[cell.strip() for cell in line.split("│")[1:3]] for line in table.splitlines() if line.startswith("│")]
    first, second = ("".join(cells) for cells in zip(*rows, strict=True))
    assert (first, second) == (tile_id, f"load:{path}" if width < 60 else f"load: {path}")
    assert "…" not in table


def test_pipes_and_log_plain_get_plain_lines(capsys):
    with run_view(2, 0) as view:
        assert isinstance(view, PlainView)


def test_a_notebook_gets_one_bar_however_many_tiles_there_are(monkeypatch, capsys):
    monkeypatch.setattr(console, "is_notebook", lambda: True)
    ids = [f"tile {number}" for number in range(2000)]
    ended = [outcome(name, "success" if number % 100 else "failed", "load: lost") for number, name in enumerate(ids)]
    with run_view(2001, 1) as view:
        assert isinstance(view, NotebookView)
        for one in ended:
            view.stage(StageStarted(one.ref, "load"))
            view.tile(one)
        view.finish(RunReport((outcome("a", "skipped"), *ended), Path("/results")))
    bar, *lines = capsys.readouterr().out.rstrip("\n").split("\n")
    shown = bar.split("\r")
    assert len(shown) < 40
    assert re.match(r"starting: \|.*\| 1/2001 \[00:00, .* left\]", shown[1])
    assert re.match(r"finished: \|█{24}\| 2001/2001 \[.*, 20 failed\]", shown[-1])
    assert lines[0] == "finished: 1980 done, 1 skipped, 20 failed"
    assert lines[1] == "failed tile 0: load: lost"
    assert lines[11:] == ["and 10 more: see `failures` of the report", "results: /results"]


def test_a_bar_of_a_notebook_ends_with_a_run_that_breaks_off(monkeypatch, capsys):
    monkeypatch.setattr(console, "is_notebook", lambda: True)
    with pytest.raises(KeyboardInterrupt), run_view(3, 0):
        raise KeyboardInterrupt
    assert capsys.readouterr().out.endswith("\n")


class ZMQInteractiveShell:
    """Called as the shell of a kernel is."""


@pytest.mark.parametrize(
    ("modules", "shell", "plain", "is_one"),
    [
        (("IPython", "ipykernel"), ZMQInteractiveShell(), False, True),
        (("IPython", "ipykernel"), ZMQInteractiveShell(), True, False),
        (("IPython", "ipykernel"), object(), False, False),
        (("IPython",), ZMQInteractiveShell(), False, False),
        ((), None, False, False),
    ],
)
def test_a_notebook_is_known_without_importing_what_makes_it(monkeypatch, modules, shell, plain, is_one):
    for name in ("IPython", "ipykernel"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in modules:
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(get_ipython=lambda: shell))
    terminal.set_plain(plain)
    try:
        assert terminal.is_notebook() == is_one
    finally:
        terminal.set_plain(False)


@pytest.mark.parametrize(("seconds", "text"), [(12.4, "12 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (0, "0 s")])
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("outcomes", "interrupted", "code"),
    [((), False, 0), (OUTCOMES[:2], False, 0), (OUTCOMES, False, 1), (OUTCOMES, True, 130)],
)
def test_the_exit_status_follows_from_the_outcomes(outcomes, interrupted, code):
    assert RunReport(tuple(outcomes), Path(), interrupted).exit_code == code
