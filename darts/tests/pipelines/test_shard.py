import json
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts.pipelines.fetch.prepare import prepare
from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.sources.shard import Shard
from darts.pipelines.tiles import TileRef
from darts_utils.errors import ConfigError


def slurm(task, first=0, step=1, count=4):
    names = {"ID": task, "MIN": first, "MAX": first + step * (count - 1), "STEP": step, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in names.items()}


@given(st.lists(st.integers()), st.integers(1, 9))
def test_the_parts_are_all_of_it_and_share_nothing(whole, count):
    parts = [Shard.of(f"{number}/{count}").part(whole) for number in range(1, count + 1)]
    assert sorted(chain.from_iterable(parts)) == sorted(whole)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_part_is_counted_from_1():
    assert Shard.of("2/4").part(list("abcdefgh")) == ["b", "f"]


@pytest.mark.parametrize("text", ["", "0/4", "5/4", "2", "2/0", "a/b", "-1/4", "1/2/3"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(ConfigError, match="must be a part such as 2/4"):
        Shard.of(text)


@pytest.mark.parametrize(("first", "step"), [(0, 1), (1, 1), (10, 5)])
def test_a_job_array_of_any_numbers_is_all_of_it(first, step):
    whole = list(range(11))
    parts = [Shard.of("slurm", slurm(first + step * n, first, step)).part(whole) for n in range(4)]
    assert sorted(chain.from_iterable(parts)) == whole


def test_slurm_outside_of_a_job_array_is_refused():
    with pytest.raises(ConfigError, match="no task of a job array"):
        Shard.of("slurm", {"SLURM_JOB_ID": "7"})


@pytest.mark.parametrize("task", [1, 3, 7])
def test_tasks_that_are_not_evenly_spaced_are_refused_and_leave_nothing_out(task):
    environment = slurm(task, 1, 1, 3) | {"SLURM_ARRAY_TASK_MAX": "7"}
    with pytest.raises(ConfigError, match="not evenly spaced"):
        Shard.of("slurm", environment)


@pytest.mark.parametrize(("task", "what"), [(9, "not evenly spaced"), ("x", "SLURM_ARRAY_TASK_ID is 'x'")])
def test_a_task_that_is_none_of_the_array_is_refused(task, what):
    with pytest.raises(ConfigError, match=what):
        Shard.of("slurm", slurm(task))


def test_a_part_of_slurm_has_the_name_that_anybody_can_give():
    assert str(Shard.of("slurm", slurm(12, 10, 1))) == "3/4"


class StopError(Exception):
    """What is asked was seen."""


def test_staging_a_part_writes_down_the_ids_of_all_parts(tmp_path, monkeypatch):
    refs = [TileRef(tile_id=f"t{number}", output_folder=Path(f"t{number}")) for number in range(5)]
    asked = []

    def plan(parameters, source, wanted, **_):
        asked.extend(wanted)
        raise StopError

    monkeypatch.setattr("darts.pipelines.fetch.prepare.make_plan", plan)
    monkeypatch.setattr(Sentinel2Pipeline, "source", lambda _: SimpleNamespace(find=lambda: refs, resolution_m=10))
    ids = tmp_path / "ids.json"
    run = Sentinel2Pipeline(tile_ids=["54WWD"], years=[2024], shard="2/2", prep_data_scene_id_file=ids)
    with pytest.raises(StopError):
        prepare(run, optical=True, aux=False, all_layers=False)
    assert [ref.tile_id for ref in asked] == ["t1", "t3"]
    assert json.loads(ids.read_text()) == ["t0", "t1", "t2", "t3", "t4"]


@pytest.mark.parametrize(
    "run", [Sentinel2Pipeline(scene_id_file="out/failed.txt"), PlanetPipeline(image_id_file="out/failed.txt")]
)
def test_a_list_that_changes_under_the_tasks_is_not_shared_out(run):
    with pytest.raises(ConfigError, match=r"^out/failed\.txt changes as images are mapped.* Copy it before the array"):
        replace(run, shard="1/2").check()
    run.check()


def test_a_run_says_which_part_it_takes_and_the_record_names_it(tmp_path, monkeypatch, capsys):
    for name, value in slurm(2).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "m.pt").write_text("")
    run = Sentinel2Pipeline(scene_ids=["a"], shard="slurm", model_files=[tmp_path / "m.pt"])
    assert run.part_of(list("abcdefg")) == ["c", "g"]
    assert capsys.readouterr().out == "part 3/4: 2 of the 7 that are selected\n"
    assert run.resolved().to_config()["darts"]["shard"] == "3/4"
