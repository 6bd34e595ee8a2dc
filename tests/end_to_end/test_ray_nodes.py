"""Several machines, made up on this one: losses are made good, GPUs placed right, two machines faster than one.

Slow, so only with `DARTS_TEST_CLUSTER=1`.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from darts.pipelines.stages import Stage
from darts.pipelines.tiles import Outcome, TileRef
from darts_utils.errors import ConfigError

ray = pytest.importorskip("ray", reason="Ray is an extra")
pytestmark = pytest.mark.skipif("DARTS_TEST_CLUSTER" not in os.environ, reason="slow: DARTS_TEST_CLUSTER=1 runs it")
STORE = 200 * 2**20


@pytest.fixture
def nodes():
    """A cluster of which tests add and remove machines; this process is its driver."""
    from ray.cluster_utils import Cluster

    from darts.pipelines.executors.ray_cluster import connected

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": STORE})
    with connected(cluster.address):
        yield cluster
    cluster.shutdown()


def refs(n):
    return [TileRef(tile_id=f"t{i}", output_folder=Path(f"t{i}")) for i in range(n)]


def load(n_bytes, seconds, work):
    time.sleep(seconds)
    return replace(work, tile=xr.Dataset({"a": ("x", np.full(n_bytes, 1, np.uint8))}))


def segment(seconds, work):
    time.sleep(seconds)
    return replace(work, tile=work.tile.assign(b=work.tile.a[::4].rename(x="z").astype(np.float32)))


def export(folder, work):
    assert float(work.tile.a[0]) == 1
    with (folder / "exports").open("a") as file:
        file.write(work.ref.tile_id + "\n")
    return work


def die_once(folder, run, work):
    mark = folder / "died"
    if work.ref.tile_id == "t3" and not mark.exists():
        mark.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return run(work)


def note_gpus(folder):
    gpus = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
    (folder / f"device-{os.getpid()}").write_text(" ".join(map(str, gpus)))
    return [Stage("segment", "device", partial(segment, 0.2))]


def make_executor(folder, *, n_bytes=8000, prepare_s=0.0, device_s=0.0, prepare=None, **kwargs):
    from darts.pipelines.executors.ray import RayExecutor
    from darts.pipelines.executors.ray_workers import Lanes

    run_lanes = Lanes(
        run_id="abc",
        prepare=[Stage("load", "prepare", prepare or partial(load, n_bytes, prepare_s))],
        finish=[Stage("export", "finish", partial(export, folder))],
        open_device=kwargs.pop("open_device", lambda: [Stage("segment", "device", partial(segment, device_s))]),
        set_up=lambda: None,
    )
    return RayExecutor(run_lanes, ["segment"], **kwargs)


def test_a_worker_and_then_a_machine_are_killed_and_all_scenes_end_once(nodes, tmp_path):
    others = [nodes.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(2)]
    prepare = partial(die_once, tmp_path, partial(load, 2**20, 0.3))
    executor = make_executor(tmp_path, prepare=prepare, device_s=0.3)
    ended, killed = [], False
    for event in executor.run(refs(20)):
        if isinstance(event, Outcome):
            ended.append((event.ref.tile_id, event.status))
        if len(ended) >= 6 and not killed:
            nodes.remove_node(others[0], allow_graceful=False)
            killed = True
    assert killed
    assert (tmp_path / "died").exists()
    assert sorted(ended) == sorted((f"t{i}", "done") for i in range(20))
    exports = (tmp_path / "exports").read_text().split()
    assert set(exports) == {f"t{i}" for i in range(20)}
    assert len(exports) - 20 <= 2, "only steps at work on the killed machine may have been done before"


def test_gpus_get_a_worker_each_and_only_those_that_are_wanted(nodes, tmp_path):
    def devices_of(folder, **kwargs):
        folder.mkdir()
        executor = make_executor(folder, prepare_s=0.1, open_device=partial(note_gpus, folder), **kwargs)
        assert all(event.status == "done" for event in executor.run(refs(8)) if isinstance(event, Outcome))
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
    from darts.pipelines.executors.ray_cluster import machines

    deadline = time.monotonic() + 30
    while sum(machine.gpus for machine in machines()) != number:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_two_machines_are_nearly_twice_as_fast_as_one(nodes, tmp_path):
    def seconds(n_first):
        """Return the time for 24 scenes after the first ones, which wait for the processes of workers to start."""
        executor = make_executor(tmp_path, prepare_s=0.8, device_s=1.0)
        ended = [time.monotonic() for event in executor.run(refs(24 + n_first)) if isinstance(event, Outcome)]
        return ended[-1] - ended[n_first - 1]

    one = seconds(4)
    nodes.add_node(num_cpus=1, object_store_memory=STORE)
    time.sleep(2)
    two = seconds(24)
    print(f"one machine {one:.1f} s, two {two:.1f} s: {one / two:.2f} x")
    assert one / two >= 1.7


def test_thirty_large_scenes_stay_within_the_object_store(nodes, tmp_path):
    """A scene takes a tenth of the store, as a full one would of 20 GB; none is moved to the disk."""
    from ray._private.worker import global_worker

    executor = make_executor(tmp_path, n_bytes=STORE // 10, device_s=0.05)
    ended = [event.status for event in executor.run(refs(30)) if isinstance(event, Outcome)]
    assert ended == ["done"] * 30
    session = Path(global_worker.node.get_session_dir_path())
    assert [path.name for path in session.rglob("ray_spilled_objects*/*")] == []


DRIVER = """
import sys
from pathlib import Path
import ray
sys.path.insert(0, {tests!r})
import test_ray_nodes as t
ray.cloudpickle.register_pickle_by_value(t)
from darts.pipelines.executors.ray_cluster import connected
folder = Path({folder!r})
there = set((folder / "exports").read_text().split()) if (folder / "exports").exists() else set()
with connected({address!r}):
    todo = [ref for ref in t.refs(12) if ref.tile_id not in there]
    print("todo", len(todo), flush=True)
    for event in t.make_executor(folder, prepare_s=0.2, device_s=0.3).run(todo):
        if isinstance(event, t.Outcome):
            print(event.ref.tile_id, event.status, flush=True)
"""


def test_a_driver_that_is_killed_and_started_again_completes_the_rest(nodes, tmp_path):
    script = DRIVER.format(tests=str(Path(__file__).parent), folder=str(tmp_path), address=nodes.address)

    def start():
        command = [sys.executable, "-c", script]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)

    first = start()
    while len((tmp_path / "exports").read_text().split()) < 3 if (tmp_path / "exports").exists() else True:
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    first.kill()
    first.communicate()
    time.sleep(3)
    again = start()
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert int(out.split()[1]) < 12
    assert sorted((tmp_path / "exports").read_text().split()) == sorted(f"t{i}" for i in range(12))
