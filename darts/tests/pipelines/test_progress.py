"""What a run is at, told while it goes and when it has ended, and which tiles a second run is to take."""

import json
import time
from pathlib import Path

import pytest

from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.results.journal import Journal
from darts.pipelines.results.progress import Progress
from darts.pipelines.results.records import FAILED, last_ends, read_runs, write_failed
from darts.pipelines.sources.planet import PlanetSource
from darts.pipelines.tiles import Outcome, RunReport, StageStarted, TileRef, failed
from darts_utils.errors import ConfigError, DataError, MissingDataError


def ref(tile_id, folder=None):
    return TileRef(tile_id=tile_id, output_folder=Path(folder or tile_id))


def done(tile_id):
    return Outcome(ref=ref(tile_id), status="success")


def broken(tile_id, folder=None):
    return failed(ref(tile_id, folder), "load", DataError(f"{tile_id} is damaged"))


def read(path):
    return json.loads(path.read_text())


def test_the_file_says_at_once_what_the_run_is_at(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "77")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    path = tmp_path / "now.progress.json"
    with Progress(path, n_selected=5, n_skipped=2, part="1/4", every_s=0.01) as progress:
        begun = read(path)
        progress.stage(StageStarted(ref("a"), "load"))
        progress.stage(StageStarted(ref("b"), "load"))
        progress.stage(StageStarted(ref("a"), "segment"))
        progress.tile(broken("b"))
        until = time.monotonic() + 10
        while read(path)["failed"] == 0 and time.monotonic() < until:
            time.sleep(0.01)
        now = read(path)
        progress.finish(RunReport((), tmp_path))
    assert (begun["n_selected"], begun["skipped"], begun["part"], begun["job"]) == (5, 2, "1/4", "77_3")
    assert (now["failed"], now["ended"]) == (1, None)
    assert [(work["tile_id"], work["stage"]) for work in now["at_work"]] == [("a", "segment")]
    ended = read(path)
    assert (ended["ended"], ended["at_work"]) == ("finished", [])
    assert ended["written"] >= now["written"] >= ended["started"]


def test_a_run_that_an_error_breaks_off_says_so(tmp_path):
    path = tmp_path / "now.progress.json"
    with pytest.raises(ZeroDivisionError), Progress(path, n_selected=1, n_skipped=0):
        1 / 0
    assert read(path)["ended"] == "broken off"
    with Progress(path, n_selected=1, n_skipped=0) as progress:
        progress.finish(RunReport((), tmp_path, interrupted=True))
    assert read(path)["ended"] == "interrupted"


def test_a_full_disk_costs_the_file_and_not_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    with Progress(tmp_path / "file" / "now.progress.json", n_selected=1, n_skipped=0) as progress:
        progress.tile(done("a"))


def test_the_last_try_counts_unless_it_left_alone_what_is_done(tmp_path):
    for outcomes in (
        [done("a"), broken("b"), broken("c"), done("d")],
        [Outcome(ref=ref("a"), status="skipped"), done("b"), broken("c"), broken("d")],
    ):
        Journal(tmp_path, {}).add(*outcomes)
    ends = {end.tile_id: end.status for end in last_ends(read_runs(tmp_path)).values()}
    assert ends == {"a": "success", "b": "success", "c": "failed", "d": "failed"}


def test_runs_of_one_second_are_read_in_their_order(tmp_path, monkeypatch):
    stems = [f"2026-01-01_00-00-00{number}" for number in ("", *(f"-{n}" for n in range(2, 12)))]
    journal = Journal(tmp_path, {})
    for stem in reversed(stems):
        (tmp_path / f"{stem}.results.parquet").write_bytes(journal.path("results.parquet").read_bytes())
    journal.path("results.parquet").unlink()
    assert [run.stem for run in read_runs(tmp_path)] == stems


def test_failed_ids_are_what_a_second_run_takes(tmp_path):
    images, records = tmp_path / "scenes", tmp_path / "out"
    for name in ("20210728_201112_93_2416", "20210729_201112_93_2416"):
        (images / name).mkdir(parents=True)
    Journal(records, {}).add(broken("20210728_201112_93_2416"), broken("42/20210729_201112_93_2416", "42/x"), done("a"))
    write_failed(records)
    assert (records / FAILED).read_text() == "20210728_201112_93_2416\n20210729_201112_93_2416\n"
    source = PlanetSource(PlanetPipeline(scenes_dir=images, orthotiles_dir=images, image_id_file=records / FAILED))
    (images / "20210730_201112_93_2416").mkdir()
    chosen = source._selected(list(source._folders()))  # noqa: SLF001
    assert [one.image_id for one in chosen] == ["20210728_201112_93_2416", "20210729_201112_93_2416"]
    Journal(records, {}).add(done("20210728_201112_93_2416"), Outcome(ref=ref("b", "42/x"), status="skipped"))
    write_failed(records)
    assert not (records / FAILED).exists()


def test_ids_are_given_once():
    with pytest.raises(ConfigError, match="image_ids and image_id_file both select images"):
        PlanetPipeline(image_ids=["a"], image_id_file=Path("b"))


def test_a_folder_without_a_record_is_refused_with_the_one_that_was_meant(tmp_path, monkeypatch):
    with pytest.raises(MissingDataError, match=r"nowhere is not there\. Name the results folder"):
        read_runs(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingDataError, match="file is a file"):
        read_runs(tmp_path / "file")
    monkeypatch.setattr("darts.pipelines.results.records.is_readable", lambda folder: folder.name == "output")
    with pytest.raises(MissingDataError, match="may not be read"):
        read_runs(tmp_path)
    monkeypatch.undo()
    Journal(tmp_path / "output" / "planet", {})
    with pytest.raises(MissingDataError, match=r"Did you mean .*output/planet\?"):
        read_runs(tmp_path)


def test_a_record_that_cannot_be_read_is_named(tmp_path, caplog):
    Journal(tmp_path, {}).add(done("a"))
    (tmp_path / "2026-01-01_00-00-00.results.parquet").write_bytes(b"no table")
    assert [end.tile_id for run in read_runs(tmp_path) for end in run.ends] == ["a"]
    assert "2026-01-01_00-00-00" in caplog.text
