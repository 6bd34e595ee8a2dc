"""Several machines, made up on this one: losses are made good, GPUs placed right, object stores not filled.

Slow, so only with `DARTS_TEST_CLUSTER=1`.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from same_products import assert_same_folder

from darts.demo.world.make import make_world
from darts.demo.world.write import write_world
from darts.pipelines.ray.pipelines import Sentinel2RayPipeline
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.stages import Stage
from darts.pipelines.tiles import Loaded, Outcome, TileRef
from darts_utils.errors import ConfigError
from darts_utils.paths import DefaultPaths

ray = pytest.importorskip("ray", reason="Ray is an extra")
pytestmark = pytest.mark.skipif("DARTS_TEST_CLUSTER" not in os.environ, reason="slow: DARTS_TEST_CLUSTER=1 runs it")
STORE = 200 * 2**20


@pytest.fixture
def nodes():
    """A cluster of which tests add and remove machines; this process is its driver."""
    from ray.cluster_utils import Cluster

    from darts.pipelines.ray.cluster import connected

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": STORE})
    with connected(cluster.address):
        yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Twelve scenes with their models and cubes: folder and ids."""
    home = tmp_path_factory.mktemp("world")
    return home, [write_world(make_world(seed, 256), home).scene_id for seed in range(1, 13)]


@pytest.fixture(scope="module")
def sequential(world, tmp_path_factory):
    """What a run without a cluster makes of the world."""
    out = tmp_path_factory.mktemp("sequential")
    assert Sentinel2Pipeline(**parameters(world, out)).run().exit_code == 0
    return out


def parameters(world, out):
    home, scenes = world
    places = DefaultPaths(fast_dir=home, large_dir=home, models_dir=home / "models")
    given = {"default_dirs": places, "offline": True, "scene_ids": scenes, "output_data_dir": out}
    return given | {"patch_size": 256, "overlap": 64, "device": "cpu", "inventory": False}


def folders(out):
    """Return the results that can be seen."""
    return {path.name for path in out.iterdir() if path.is_dir() and not path.name.startswith(".")}


def assert_equal_results(out, expected):
    """All scenes are there, whole, as those of a sequential run, and nothing else is."""
    assert folders(out) == folders(expected)
    assert not list(out.glob(".*part-*"))
    for scene in folders(expected):
        assert_same_folder(out / scene, expected / scene)


@pytest.fixture
def deadly_exports(monkeypatch):
    """Count exports in a file; the first of a scene ends its worker before, that of another one after it."""
    from darts.pipelines.ray import engine

    make = engine.lanes_of

    def lanes_of(pipeline, *given):
        whole = make(pipeline, *given)
        export = replace(whole.finish[-1], run=partial(deadly, pipeline.output_data_dir.parent, whole.finish[-1].run))
        return replace(whole, finish=[*whole.finish[:-1], export])

    monkeypatch.setattr(engine, "lanes_of", lanes_of)


def deadly(folder, export, work):
    scene = work.ref.tile_id
    with (folder / "begun").open("a") as file:
        file.write(scene + "\n")
    number = (folder / "begun").read_text().split().index(scene)
    is_first = (folder / "begun").read_text().split().count(scene) == 1
    if number == 1 and is_first:
        os.kill(os.getpid(), signal.SIGKILL)
    done = export(work)
    with (folder / "exported").open("a") as file:
        file.write(scene + "\n")
    if number == 2 and is_first:
        os.kill(os.getpid(), signal.SIGKILL)
    return done


def test_workers_and_then_a_machine_are_killed_and_all_scenes_end_once(
    nodes, world, sequential, deadly_exports, tmp_path
):
    others = [nodes.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(2)]
    out = tmp_path / "out"

    def kill_machine():
        while not out.is_dir() or len(folders(out)) < 5:
            time.sleep(0.05)
        nodes.remove_node(others[0], allow_graceful=False)

    killer = threading.Thread(target=kill_machine)
    killer.start()
    report = Sentinel2RayPipeline(**parameters(world, out), ray_address=nodes.address).run()
    killer.join()
    assert sum(node["Alive"] for node in ray.nodes()) == 2
    assert [outcome.status for outcome in report.outcomes] == ["success"] * 12
    assert_equal_results(out, sequential)
    begun = (tmp_path / "begun").read_text().split()
    assert begun.count(begun[1]) >= 2, "its first worker was killed before it exported"
    exported = (tmp_path / "exported").read_text().split()
    assert sorted(exported) == sorted(folders(sequential)), "each scene once"


def test_a_driver_that_is_killed_and_started_again_completes_the_rest(nodes, world, sequential, tmp_path):
    home, scenes = world
    (tmp_path / "ids").write_text("\n".join(scenes))
    out = tmp_path / "out"
    command = [Path(sys.executable).with_name("darts"), "inference", "sentinel2-ray", "--ray-address", nodes.address]
    command += ["--scene-id-file", "ids", "--output-data-dir", "out", "--offline", "--patch-size", "256"]
    command += ["--overlap", "64", "--device", "cpu", "--fast-dir", home, "--large-dir", home]
    command += ["--models-dir", home / "models", "--log-plain"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
    while not out.is_dir() or len(folders(out)) < 4:
        assert first.poll() is None, first.communicate()
        time.sleep(0.02)
    first.kill()
    first.communicate()
    time.sleep(3)  # its workers end with it
    there = {path.name: path.stat().st_ino for path in out.iterdir() if path.name in folders(out)}
    assert 4 <= len(there) < 12
    again = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert again.returncode == 0, again.stderr + again.stdout
    assert_equal_results(out, sequential)
    assert {name: (out / name).stat().st_ino for name in there} == there, "what was whole was not made again"
    table = pd.read_parquet(max(out.glob("*.results.parquet")))
    assert sorted(table.tile_id) == sorted(scenes)
    assert set(table.tile_id[table.status == "skipped"]) == set(there)
    assert set(table.status) == {"success", "skipped"}


def refs(n):
    return [TileRef(tile_id=f"t{i}", output_folder=Path(f"t{i}")) for i in range(n)]


def load(n_bytes, seconds, work):
    time.sleep(seconds)
    return Loaded(ref=work.ref, tile=xr.Dataset({"a": ("x", np.full(n_bytes, 1, np.uint8))}))


def segment(seconds, work):
    time.sleep(seconds)
    return replace(work, tile=work.tile.assign(b=work.tile.a[::16].rename(x="z").astype(np.float32)))


def export(folder, work):
    assert float(work.tile.a[0]) == 1
    with (folder / "exports").open("a") as file:
        file.write(work.ref.tile_id + "\n")
    return work


def note_gpus(folder):
    gpus = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
    (folder / f"device-{os.getpid()}").write_text(" ".join(map(str, gpus)))
    return [Stage("segment", "device", partial(segment, 0.2))]


def make_executor(folder, *, n_bytes=8000, prepare_s=0.0, device_s=0.0, prepare=None, **kwargs):
    from darts.pipelines.ray.executor import RayExecutor
    from darts.pipelines.ray.workers import Lanes

    run_lanes = Lanes(
        run_id="abc",
        prepare=[Stage("load", "prepare", prepare or partial(load, n_bytes, prepare_s))],
        finish=[Stage("export", "finish", partial(export, folder))],
        open_device=kwargs.pop("open_device", lambda: [Stage("segment", "device", partial(segment, device_s))]),
        set_up=lambda: None,
    )
    return RayExecutor(run_lanes, ["segment"], **kwargs)


def test_gpus_get_a_worker_each_and_only_those_that_are_wanted(nodes, tmp_path):
    def devices_of(folder, **kwargs):
        folder.mkdir()
        executor = make_executor(folder, prepare_s=0.1, open_device=partial(note_gpus, folder), **kwargs)
        assert all(event.status == "success" for event in executor.run(refs(8)) if isinstance(event, Outcome))
        return sorted(path.read_text() for path in folder.glob("device-*"))

    assert devices_of(tmp_path / "none") == [""]
    one = nodes.add_node(num_cpus=1, num_gpus=1, object_store_memory=STORE)
    wait_for_gpus(1)
    assert devices_of(tmp_path / "one") == ["0"]
    nodes.remove_node(one)
    wait_for_gpus(0)
    nodes.add_node(num_cpus=2, num_gpus=4, object_store_memory=STORE)
    wait_for_gpus(4)
    assert devices_of(tmp_path / "four") == ["0", "1", "2", "3"]
    assert devices_of(tmp_path / "some", devices=[1, 3]) == ["1", "3"]
    with pytest.raises(ConfigError, match=r"^devices is 7, but the GPUs of the cluster are 0, 1, 2, 3\. Name some"):
        list(make_executor(tmp_path, devices=[7]).run(refs(1)))


def wait_for_gpus(number):
    from darts.pipelines.ray.cluster import machines

    deadline = time.monotonic() + 30
    while sum(machine.gpus for machine in machines()) != number:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_thirty_large_scenes_stay_within_the_object_store(nodes, tmp_path):
    """A scene takes a fifth of the store, as a full one would of 9 GB; none is moved to the disk."""
    from ray._private.worker import global_worker

    executor = make_executor(tmp_path, n_bytes=STORE // 5, device_s=0.05)
    ended = [event.status for event in executor.run(refs(30)) if isinstance(event, Outcome)]
    assert ended == ["success"] * 30
    session = Path(global_worker.node.get_session_dir_path())
    assert [path.name for path in session.rglob("ray_spilled_objects*/*")] == []


def test_an_inventory_of_two_machines_has_the_bytes_of_one_process(nodes, sequential, tmp_path):
    """Also if one of them dies while it works, and the command for the cluster is what joins it."""
    from darts.inventory.spreading import spread_over_cluster
    from darts_postprocessing.inventory.build import build

    nodes.add_node(num_cpus=2, object_store_memory=STORE)
    alone = build([sequential], tmp_path / "alone").folder
    with spread_over_cluster(nodes.address) as spread:
        together = build([sequential], tmp_path / "together", spread=spread).folder
    names = sorted(path.relative_to(alone) for kind in ("slumps", "tracks", "objects", "looks", "changes")
                   for path in (alone / kind).rglob("*.parquet"))  # fmt: skip
    assert len(names) > 5
    assert [(alone / name).read_bytes() for name in names] == [(together / name).read_bytes() for name in names]
    with spread_over_cluster(nodes.address) as spread, pytest.raises(ConfigError, match="workers of a cluster say so"):
        list(spread(_refuses, [()]))


def _refuses():
    raise ConfigError("workers of a cluster say so")
