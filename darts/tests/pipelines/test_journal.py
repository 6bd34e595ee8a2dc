"""The run record: right after every tile, whole at any moment."""

import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from darts.pipelines.journal import Journal
from darts.pipelines.tiles import Outcome, StageTime, TileRef
from darts_utils.files import is_part


def outcome(tile_id, status="done", error=None):
    times = (StageTime("load", 10.0, 12.0), StageTime("segment", 12.0, 13.5)) if status != "skipped" else ()
    ref = TileRef(tile_id=tile_id, output_folder=Path(tile_id))
    return Outcome(ref=ref, status=status, error=error, times=times)


def test_the_record_can_be_read_after_every_tile(tmp_path):
    journal = Journal(tmp_path, {"darts": {"patch_size": 7}})
    assert len(pd.read_parquet(journal.path("results.parquet"))) == 0
    assert tomllib.loads(journal.path("config.toml").read_text()) == {"darts": {"patch_size": 7}}
    journal.add(outcome("a", "skipped"))
    journal.add(outcome("b"))
    journal.add(outcome("c", "failed", "load: broken"))
    results = pd.read_parquet(journal.path("results.parquet"))
    assert list(results.columns) == ["tile_id", "output_path", "status", "error"]
    assert results.to_numpy(dtype=object, na_value=None).tolist() == [
        ["a", str(tmp_path / "a"), "skipped", None],
        ["b", str(tmp_path / "b"), "done", None],
        ["c", str(tmp_path / "c"), "failed", "load: broken"],
    ]


def test_timers_have_a_row_a_stage_and_the_stopwatch_a_column_a_stage(tmp_path):
    journal = Journal(tmp_path, {})
    journal.add(outcome("a"), outcome("b"))
    timer = pd.read_parquet(journal.path("timer.parquet"))
    assert timer[["tile_id", "stage", "seconds"]].to_numpy(dtype=object).tolist() == [
        ["a", "load", 2.0],
        ["a", "segment", 1.5],
        ["b", "load", 2.0],
        ["b", "segment", 1.5],
    ]
    stopwatch = pd.read_parquet(journal.path("stopwatch.parquet"))
    assert stopwatch.astype(float).to_dict("list") == {"load": [2.0, 2.0], "segment": [1.5, 1.5]}


def test_two_runs_in_the_same_second_have_a_record_each(tmp_path):
    stems = {Journal(tmp_path, {}).stem for _ in range(3)}
    assert len(stems) == 3


def test_only_whole_files_lie_in_the_folder(tmp_path):
    journal = Journal(tmp_path, {})
    journal.add(outcome("a"))
    assert not any(is_part(path) for path in tmp_path.iterdir())
    assert sorted(path.name.split(".", 1)[1] for path in tmp_path.iterdir()) == [
        "config.toml",
        "results.parquet",
        "stopwatch.parquet",
        "timer.parquet",
    ]


def test_runs_that_begin_together_have_records_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        journals = list(pool.map(lambda number: Journal(tmp_path, {"darts": {"number": number}}), range(24)))
    assert len({journal.stem for journal in journals}) == 24
    for number, journal in enumerate(journals):
        assert tomllib.loads(journal.path("config.toml").read_text()) == {"darts": {"number": number}}
    assert not [path for path in tmp_path.iterdir() if is_part(path)]
