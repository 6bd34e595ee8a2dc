"""Old words are understood until the release that their table names, and are gone from then on."""

import importlib
import re
from pathlib import Path

import pytest
from packaging.version import Version

import darts
from darts.cli import app
from darts.pipelines.results.records import _OLDER_STATUS
from darts.pipelines.tiles import Outcome, RunReport, TileRef

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "names.md"
_ROW = re.compile(r"\| `([^`]+)` \| `([^`]+)` \| (.+?) \| (stays|[\d.]+) \|")
ROWS = [match.groups() for line in PAGE.read_text().splitlines() if (match := _ROW.fullmatch(line))]


def test_the_table_is_read():
    assert len(ROWS) == PAGE.read_text().split("## Words that changed")[1].count("\n| `")
    assert len(ROWS) >= 6


@pytest.mark.parametrize(("old", "new", "where", "goes"), ROWS, ids=[row[0] for row in ROWS])
def test_an_old_word_that_is_due_is_taken_away(old, new, where, goes):
    assert goes == "stays" or Version(darts.__version__) < Version(goes), f"{old} goes with {goes}: take it away"


@pytest.mark.parametrize(("old", "new", "where", "goes"), ROWS, ids=[row[0] for row in ROWS])
def test_both_words_are_understood_until_then(old, new, where, goes):
    if old.startswith("--"):
        command = re.search(r"`darts ([^`]+)`", where)[1].split()
        names = {
            name for argument in app[command[0]][command[1]].assemble_argument_collection() for name in argument.names
        }
        assert {old, new} <= names
    elif old == "done":
        outcome = Outcome(ref=TileRef(tile_id="a", output_folder=Path("a")), status="success")
        report = RunReport((outcome,), Path())
        assert report.count(old) == report.count(new) == 1
        assert {old: new} == _OLDER_STATUS
    else:
        importlib.import_module(old)
        importlib.import_module(new)


def test_every_status_that_is_read_as_another_has_a_row():
    assert {old for old, *_ in ROWS} >= set(_OLDER_STATUS)
