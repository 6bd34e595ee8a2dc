"""Runs on a Ray cluster of this machine: equal to sequential ones; a step that is lost begins again."""

import os
import re
import signal
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from same_products import assert_same_folder

from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.ray.pipelines import PlanetRayPipeline, Sentinel2RayPipeline
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.stages import Stage
from darts.pipelines.tiles import Loaded, Outcome, StageStarted, TileRef
from darts_utils.errors import ConfigError, DartsError, DataError
from darts_utils.parameters import BFLOAT16
from darts_utils.paths import DefaultPaths

ray = pytest.importorskip("ray", reason="Ray is an extra")


@pytest.fixture(scope="module")
def cluster():
    """A cluster on this machine, that of all runs in this module; ended with it."""
    from darts.pipelines.ray.cluster import connected

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import it
    with warnings.catch_warnings(), connected(None, store_bytes=300 * 2**20):
        yield


def refs(n):
    return [TileRef(tile_id=f"t{i}", output_folder=Path(f"t{i}")) for i in range(n)]


def load(work, n_bytes=8000):
    rng = np.random.default_rng(int(work.ref.tile_id[1:]))
    values = rng.integers(0, 255, n_bytes, dtype=np.uint8)
    return Loaded(ref=work.ref, tile=xr.Dataset({"a": ("x", values), "feature": ("x", values)}))


def segment(work):
    """Add a band and leave one out that nobody reads any more."""
    return Loaded(ref=work.ref, tile=work.tile.assign(b=work.tile.a * 2.0)[["b", "a"]])


def export(folder, work):
    """Write what a sequential run would, and leave a line for each time that it is done."""
    with (folder / "exports").open("a") as file:
        file.write(work.ref.tile_id + "\n")
    (folder / f"{work.ref.tile_id}.txt").write_text(f"{float(work.tile.b.sum())} {list(work.tile.data_vars)}")
    return work


def die_once(folder, run, victim, work):
    """Do as `run`, but end the worker the first time that the victim comes."""
    if work.ref.tile_id == victim:
        mark = folder / f"died-{victim}"
        if not mark.exists():
            mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
    return run(work)


def lanes(folder, **kwargs):
    """Return lanes of one stage each, some of them given."""
    from darts.pipelines.ray.workers import Lanes

    prepare, device = kwargs.pop("prepare", load), kwargs.pop("device", segment)
    finish = kwargs.pop("finish", partial(export, folder))
    return Lanes(
        run_id="abc",
        prepare=[Stage("load", "prepare", prepare)],
        finish=[Stage("export", "finish", finish)],
        open_device=kwargs.pop("open_device", lambda: [Stage("segment", "device", device)]),
        set_up=kwargs.pop("set_up", lambda: None),
        **kwargs,
    )


def make_executor(run_lanes, **kwargs):
    from darts.pipelines.ray.executor import RayExecutor

    return RayExecutor(run_lanes, ["segment"], **kwargs)


def outcomes(executor, tiles):
    return {event.ref.tile_id: event for event in executor.run(tiles) if isinstance(event, Outcome)}


def test_every_scene_gets_an_outcome_with_times_and_the_bands_are_those_of_a_sequential_run(cluster, tmp_path):
    executor = make_executor(lanes(tmp_path))
    events = list(executor.run(refs(5)))
    ended = [event for event in events if isinstance(event, Outcome)]
    assert sorted(event.ref.tile_id for event in ended) == ["t0", "t1", "t2", "t3", "t4"]
    assert {event.status for event in ended} == {"success"}
    assert [spent.stage for spent in ended[0].times] == ["load", "segment", "export"]
    assert [spent.start for spent in ended[0].times] == sorted(spent.start for spent in ended[0].times)
    assert sum(isinstance(event, StageStarted) for event in events) == 15
    expected = segment(load(replace_ref(3))).tile
    assert (tmp_path / "t3.txt").read_text() == f"{float(expected.b.sum())} ['b', 'a']"
    assert not executor.is_busy


def replace_ref(i):
    from darts.pipelines.tiles import Work

    return Work(ref=refs(i + 1)[i])


def test_a_cluster_of_our_own_is_reached_from_this_machine_only_and_with_a_token(cluster):
    assert ray.get_runtime_context().gcs_address.startswith("127.0.0.1:")
    assert [node["NodeManagerAddress"] for node in ray.nodes()] == ["127.0.0.1"]
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64


def fail(run, victim, work):
    if work.ref.tile_id == victim:
        raise DataError(f"the file of\n{victim} is broken")
    return run(work)


def test_failing_scenes_fail_alone_with_stage_and_reason(cluster, tmp_path, caplog):
    caplog.set_level("DEBUG")
    stages = {
        "prepare": partial(fail, load, "t1"),
        "device": partial(fail, segment, "t2"),
        "finish": partial(fail, partial(export, tmp_path), "t3"),
    }
    ended = outcomes(make_executor(lanes(tmp_path, **stages)), refs(5))
    assert {name: (event.status, event.error) for name, event in ended.items()} == {
        "t0": ("success", None),
        "t1": ("failed", "load: the file of t1 is broken"),
        "t2": ("failed", "segment: the file of t2 is broken"),
        "t3": ("failed", "export: the file of t3 is broken"),
        "t4": ("success", None),
    }
    assert [len(ended[f"t{i}"].times) for i in range(5)] == [3, 1, 2, 3, 3]
    assert caplog.text.count("DataError: the file of\n") == 3, "the driver has the tracebacks"


def die_always(run, victim, work):
    if work.ref.tile_id == victim:
        time.sleep(0.5)  # what was done just before has been heard of by then
        os.kill(os.getpid(), signal.SIGKILL)
    return run(work)


def recorded(**kwargs):
    """Return hooks for failures, and the list in which they note that they were called."""
    from darts.pipelines.ray.executor import FailureHooks

    done = []
    return done, FailureHooks(
        clear=lambda ref: done.append(("clear", ref.tile_id)),
        revoke=lambda token: done.append(("revoke", token)),
        **kwargs,
    )


def test_scenes_whose_workers_are_killed_begin_again_but_not_for_ever(cluster, tmp_path, caplog):
    done, hooks = recorded()
    once = partial(die_once, tmp_path)
    run_lanes = lanes(
        tmp_path,
        prepare=partial(once, load, "t1"),
        device=partial(die_always, segment, "t2"),
        finish=partial(once, partial(export, tmp_path), "t3"),
    )
    ended = outcomes(make_executor(run_lanes, hooks=hooks), refs(6))
    assert sorted(path.name for path in tmp_path.glob("died-*")) == ["died-t1", "died-t3"]
    statuses = {name: event.status for name, event in ended.items()}
    assert statuses.pop("t2") == "failed"
    assert statuses == dict.fromkeys(["t0", "t1", "t3", "t4", "t5"], "success")
    assert (
        ended["t2"].error == "device: given up after 3 tries; the last one ended because the worker on its device died"
    )
    assert sorted((tmp_path / "exports").read_text().split()) == ["t0", "t1", "t3", "t4", "t5"]
    tries = re.findall(r"(t\d) begins again, try (\d) of 3: ", caplog.text)
    own = {"t1": 2, "t2": 3, "t3": 2}
    assert all(int(number) <= own.get(name, 1) for name, number in tries), "what was behind t2 is not blamed"
    assert ("t2", "3") in tries
    assert {("revoke", "t1#1"), ("clear", "t1"), ("revoke", "t3#1"), ("clear", "t3"), ("revoke", "t2#3")} <= set(done)


def export_and_die(folder, work):
    export(folder, work)
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_that_are_whole_are_not_made_again_when_their_worker_dies(cluster, tmp_path):
    _, hooks = recorded(is_whole=lambda ref: (tmp_path / f"{ref.tile_id}.txt").exists())
    ended = outcomes(make_executor(lanes(tmp_path, finish=partial(export_and_die, tmp_path)), hooks=hooks), refs(2))
    assert {event.status for event in ended.values()} == {"success"}
    assert sorted((tmp_path / "exports").read_text().split()) == ["t0", "t1"]


def never(folder, work):
    (folder / f"pid-{os.getpid()}").touch()
    time.sleep(600)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter if it goes while it is read
        return False


def test_a_stop_ends_the_run_soon_and_the_workers_with_it(cluster, tmp_path):
    done, hooks = recorded()
    executor = make_executor(lanes(tmp_path, finish=partial(never, tmp_path)), hooks=hooks, grace_s=0.5)
    for event in executor.run(refs(3)):
        if isinstance(event, StageStarted) and event.stage == "export":
            wait_for(lambda: list(tmp_path.glob("pid-*")))
            executor.stop()
            begin = time.monotonic()
    assert time.monotonic() - begin < 10
    assert not executor.is_busy
    assert ("clear", "t0") in done
    pids = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]
    wait_for(lambda: not any(map(is_running, pids)))


def wait_for(condition, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def note_surroundings(folder, run, work):
    from darts_utils.files import part_path
    from darts_utils.machine.cpu import usable_cores

    label = part_path(folder / "a").name.split("-")[-2]
    lane = "finish" if hasattr(work, "tile") else "prepare"
    (folder / lane).write_text(
        f"{usable_cores()} {os.environ['CUDA_VISIBLE_DEVICES']!r} {label} {os.environ['SET_UP']}"
    )
    return run(work)


def test_workers_are_set_up_keep_to_their_cores_and_mark_what_they_write(cluster, tmp_path):
    run_lanes = lanes(
        tmp_path,
        prepare=partial(note_surroundings, tmp_path, load),
        finish=partial(note_surroundings, tmp_path, partial(export, tmp_path)),
        set_up=lambda: os.environ.update(SET_UP="once"),
    )
    assert outcomes(make_executor(run_lanes), refs(1))["t0"].status == "success"
    assert (tmp_path / "prepare").read_text() == "1 '' abc once"
    assert (tmp_path / "finish").read_text() == "1 '' abc once"


def test_a_device_that_cannot_load_the_models_ends_the_run_with_its_reason(cluster, tmp_path):
    def broken():
        raise DataError("the models are gone")

    with pytest.raises(DataError, match=r"^the models are gone$"):
        outcomes(make_executor(lanes(tmp_path, open_device=broken)), refs(1))


@pytest.mark.skipif("DARTS_TEST_CLUSTER" not in os.environ, reason="slow: DARTS_TEST_CLUSTER=1 runs it")
def test_a_device_that_dies_while_it_loads_the_models_is_tried_again_but_not_for_ever(cluster, tmp_path):
    def open_device(deaths):
        (tmp_path / f"open-{os.getpid()}").touch()
        if len(list(tmp_path.glob("open-*"))) <= deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        return [Stage("segment", "device", segment)]

    assert (
        outcomes(make_executor(lanes(tmp_path, open_device=partial(open_device, 1))), refs(1))["t0"].status == "success"
    )
    message = (
        r"^the models could not be loaded on any machine of the cluster: their workers died \(3 on the last machine\)"
    )
    with pytest.raises(DartsError, match=message):
        outcomes(make_executor(lanes(tmp_path, open_device=partial(open_device, 99))), refs(1))
    assert len(list(tmp_path.glob("open-*"))) == 2 + 3


def test_a_cluster_without_gpus_or_with_small_machines_is_refused_what_it_lacks(cluster, tmp_path):
    with pytest.raises(ConfigError, match=r"^devices is 0, 2, but the cluster has no GPU\. Leave it out\.$"):
        outcomes(make_executor(lanes(tmp_path), devices=[0, 2]), refs(1))
    with pytest.raises(
        ConfigError, match=r"^num_cpus is 500, but the largest machine of the cluster has [0-9]+ CPUs\. "
    ):
        outcomes(make_executor(lanes(tmp_path, num_cpus=500)), refs(1))


def hold(semaphores, place, folder, holder, seconds):
    """Enter a place and note how many are in it."""
    from darts.pipelines.ray.semaphore import acquired

    with acquired(semaphores, place, holder):
        mark = folder / f"inside-{place}-{holder}"
        mark.write_text("")
        most = len(list(folder.glob(f"inside-{place}-*")))
        time.sleep(seconds)
        mark.unlink()
    return most


def test_a_place_lets_in_as_many_as_it_may_and_forgets_the_dead(cluster, tmp_path):
    from darts.pipelines.ray.semaphore import Semaphores

    semaphores = ray.remote(num_cpus=0, max_concurrency=100)(Semaphores).remote({"download": 2})
    remote = ray.remote(num_cpus=0)(hold)
    most = ray.get([remote.remote(semaphores, "cube", tmp_path, f"h{i}", 0.1) for i in range(4)])
    assert max(most) == 1
    ray.get(semaphores.acquire.remote("cube", "dead"))
    waiting = remote.remote(semaphores, "cube", tmp_path, "h9", 0)
    assert ray.wait([waiting], timeout=0.5) == ([], [waiting])
    ray.get(semaphores.revoke.remote("dead"))
    assert ray.get(waiting, timeout=20) == 1
    ray.get([semaphores.acquire.remote("download", name) for name in ("a", "b")], timeout=20)
    third = semaphores.acquire.remote("download", "c")
    assert ray.wait([third], timeout=0.5) == ([], [third])
    ray.get(semaphores.release.remote("download", "a"))
    ray.get(third, timeout=20)
    ray.kill(semaphores)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """Three Sentinel-2 scenes, each on a world of its own, and a Planet orthotile and scene on one."""
    from darts.demo.world.make import make_world
    from darts.demo.world.planet import write_planet_world
    from darts.demo.world.write import write_world

    root = tmp_path_factory.mktemp("worlds")
    scenes = [write_world(make_world(seed, 256), root / "s2").scene_id for seed in (1, 2, 3)]
    write_planet_world(make_world(1, 192), root / "planet")
    return root, scenes


PIPELINES = {"s2": (Sentinel2Pipeline, Sentinel2RayPipeline), "planet": (PlanetPipeline, PlanetRayPipeline)}
RESULTS = ["probabilities", "binarized", "polygonized", "extent", "thumbnail"]
INPUTS = ["optical", "dem", "tcvis", "metadata", "slope"]
MORE = {
    "s2": {"write_model_outputs": True, "export_bands": [*RESULTS, *INPUTS]},
    "planet": {"debug_data": True, "tta": "minimal", "uncertainty": True},
}
"""Results that a run does not write by default."""


def parameters(worlds, sensor):
    root, scenes = worlds
    home = root / sensor
    models = next(path.parent for path in (home / "models").rglob("*.safetensors"))
    given = {"default_dirs": DefaultPaths(fast_dir=home, large_dir=home, models_dir=models), "offline": True}
    given |= {"patch_size": 256, "overlap": 64, "device": "cpu"} | MORE[sensor]
    return given | ({"scene_ids": scenes} if sensor == "s2" else {})


def run_both(worlds, sensor, tmp_path):
    """Map the same images one after the other and on the cluster; return both folders, and one scene's name."""
    for name, kind in zip(("plain", "ray"), PIPELINES[sensor], strict=True):
        report = kind(**parameters(worlds, sensor), output_data_dir=Path(name)).run()
        assert report.exit_code == 0, report
    return tmp_path / "plain", tmp_path / "ray"


def results_of(folder):
    table = pd.read_parquet(max(folder.glob("*.results.parquet"))).sort_values("tile_id", ignore_index=True)
    table = table.drop(columns=["started", "seconds", "host"])
    return table.assign(output_path=[str(Path(path).relative_to(folder)) for path in table.output_path])


def test_precisions_are_compared_in_a_worker_for_all_machines(cluster, worlds):
    from darts.pipelines.computing.ability import Ability
    from darts.pipelines.ray.engine import judge_of_cluster
    from darts.pipelines.ray.precision import ability_of_cluster
    from darts.pipelines.run import resolve

    assert ability_of_cluster(on_gpus=False) == Ability.of(torch.device("cpu"))
    pipeline = Sentinel2RayPipeline(**parameters(worlds, "s2"))
    run = resolve(pipeline)
    making = run.making(run.models_on_disk(), None)
    able = Ability(faster=(BFLOAT16,), processors="any", network_bytes=2**30)
    verdicts = judge_of_cluster(pipeline, run, able, None, making)(run.source.find()[:1])
    assert list(verdicts) == [BFLOAT16]
    assert verdicts[BFLOAT16].keys() == run.models.keys()
    assert all(0 < verdict.most < 0.1 for verdict in verdicts[BFLOAT16].values())
    nowhere = TileRef(tile_id="nowhere", output_folder=Path("nowhere"))
    assert judge_of_cluster(pipeline, run, able, None, making)([nowhere]) == {}


@pytest.mark.parametrize("sensor", ["s2", "planet"])
def test_a_run_on_the_cluster_gives_what_a_sequential_run_gives(cluster, worlds, sensor, tmp_path):
    plain, on_ray = run_both(worlds, sensor, tmp_path)
    pd.testing.assert_frame_equal(results_of(on_ray), results_of(plain), rtol=1e-4)
    scenes = [path.name for path in plain.iterdir() if path.is_dir() and path.name != "inventory"]
    assert sorted([*scenes, "inventory"]) == sorted(path.name for path in on_ray.iterdir() if path.is_dir())
    assert len(scenes) == {"s2": 3, "planet": 2}[sensor]
    for scene in scenes:
        assert_same_folder(plain / scene, on_ray / scene)
    stages = pd.read_parquet(max(on_ray.glob("*.timer.parquet"))).stage.unique()
    assert list(stages) == [
        "optical",
        "arcticdem",
        "tcvis",
        "preprocess",
        "picture",
        "segment",
        "postprocess",
        "export",
    ]
    assert not list(on_ray.rglob(".*part-*"))
