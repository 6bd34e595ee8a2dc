"""The run record: right after every tile, whole at any moment."""

import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from darts.pipelines.results.journal import Journal
from darts.pipelines.tiles import Outcome, Result, StageTime, TileRef, failed
from darts_utils.errors import DataError
from darts_utils.files import is_part


def outcome(tile_id, status="success", error=None):
    times = (StageTime("load", 10.0, 12.0), StageTime("segment", 12.0, 13.5)) if status != "skipped" else ()
    return Outcome(ref=ref(tile_id), status=status, error=error, times=times)


def ref(tile_id):
    return TileRef(tile_id=tile_id, output_folder=Path(tile_id))


def test_the_record_can_be_read_after_every_tile(tmp_path):
    journal = Journal(tmp_path, {"darts": {"patch_size": 7}})
    assert len(pd.read_parquet(journal.path("results.parquet"))) == 0
    assert tomllib.loads(journal.path("config.toml").read_text()) == {"darts": {"patch_size": 7}}
    journal.add(outcome("a", "skipped"))
    journal.add(outcome("b"))
    journal.add(outcome("c", "failed", "load: broken"))
    results = pd.read_parquet(journal.path("results.parquet"))
    told = ["tile_id", "output_path", "status", "error"]
    assert results[told].to_numpy(dtype=object, na_value=None).tolist() == [
        ["a", str(tmp_path / "a"), "skipped", None],
        ["b", str(tmp_path / "b"), "success", None],
        ["c", str(tmp_path / "c"), "failed", "load: broken"],
    ]


def test_all_records_have_one_schema_whatever_happened(tmp_path):
    outcomes = {
        "none": (),
        "well": (outcome("a"),),
        "badly": (failed(ref("b"), "load", DataError("broken"), outcome("b").times),),
    }
    schemas = []
    for name, ended in outcomes.items():
        journal = Journal(tmp_path / name, {})
        journal.add(*ended)
        schemas.append(pq.read_schema(journal.path("results.parquet")))
    assert schemas[0].names == [
        "tile_id", "output_path", "status", "error", "stage", "error_type", "started", "seconds", "host", "n_objects",
        "area_m2", "fingerprint",
    ]  # fmt: skip
    assert all(schema.equals(schemas[0], check_metadata=True) for schema in schemas)
    assert "null" not in map(str, schemas[0].types)


def test_the_record_says_where_when_and_why_a_tile_ended(tmp_path):
    made = Result(n_objects=3, area_m2=1234.5, fingerprint="ab" * 32)
    journal = Journal(tmp_path, {})
    journal.add(
        replace(outcome("a"), result=made, host="node7"),
        failed(ref("b"), "load", DataError("the file\nis broken"), outcome("b").times),
    )
    good, bad = pq.read_table(journal.path("results.parquet")).to_pylist()
    assert (good["n_objects"], good["area_m2"], good["fingerprint"], good["host"]) == (3, 1234.5, "ab" * 32, "node7")
    assert (good["started"], good["seconds"]) == (datetime(1970, 1, 1, 0, 0, 10, tzinfo=UTC), 3.5)
    assert (bad["error"], bad["stage"], bad["error_type"]) == ("load: the file is broken", "load", "DataError")
    assert bad["fingerprint"] is None


def test_the_record_may_lie_apart_from_the_results(tmp_path):
    journal = Journal(tmp_path / "results", {}, record_folder=tmp_path / "record")
    journal.add(outcome("a"))
    assert not (tmp_path / "results").exists()
    assert len(list((tmp_path / "record").iterdir())) == 4
    row = pq.read_table(journal.path("results.parquet")).to_pylist()[0]
    assert row["output_path"] == str(tmp_path / "results" / "a")


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
