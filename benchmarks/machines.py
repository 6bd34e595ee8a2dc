"""How much faster are two machines than one?

`uv run python -m benchmarks.machines`: scenes through the lanes of the Ray executor, on a made-up cluster of two
machines next to one of one. A machine has one CPU, which is really kept busy, and a device whose computing is slept
through, so that two cores will do. The first scenes of each run, which wait for workers to start, are not counted.
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts.pipelines.tiles import Work

N_FIRST = 6
"""Scenes a machine before the clock starts."""
N_SCENES = 24
PREPARE_CPU_S, DEVICE_S, FINISH_CPU_S = 0.5, 0.6, 0.2
"""About a fortieth of a Sentinel-2 scene, with the CPU as the narrow place."""
SCENE_BYTES = 2**24
STORE_BYTES = 2**28


def prepare(work: "Work") -> "Work":
    """Return a scene whose arrays are made up."""
    import numpy as np
    import xarray as xr

    from darts.pipelines.tiles import Loaded

    _be_busy(PREPARE_CPU_S)
    return Loaded(ref=work.ref, tile=xr.Dataset({"a": ("x", np.ones(SCENE_BYTES, np.uint8))}))


def segment(work: "Work") -> "Work":
    """Return a scene with a result a quarter as large."""
    from darts.pipelines.tiles import loaded

    given = loaded(work)
    time.sleep(DEVICE_S)
    return replace(given, tile=given.tile.assign(b=given.tile.a[::4].rename(x="z")))


def finish(work: "Work") -> "Work":
    """Return the scene, after some work."""
    _be_busy(FINISH_CPU_S)
    return work


def _be_busy(cpu_s: float) -> None:
    until = time.process_time() + cpu_s
    while time.process_time() < until:
        sum(range(10_000))


def seconds_on(n_machines: int) -> float:
    """Return how long a cluster takes for the scenes that are counted."""
    from ray.cluster_utils import Cluster

    from darts.pipelines.ray.cluster import connected

    head: dict[str, Any] = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(n_machines - 1):
            cluster.add_node(**head)
        with connected(cluster.address):
            return _timed(N_FIRST * n_machines)
    finally:
        cluster.shutdown()


def _timed(n_first: int) -> float:
    """Return the seconds from the end of the first scenes to the end of the last one."""
    import ray

    from darts.pipelines.ray.executor import RayExecutor
    from darts.pipelines.ray.workers import Lanes
    from darts.pipelines.stages import Stage
    from darts.pipelines.tiles import Outcome, TileRef

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers need not find it
    lanes = Lanes(
        run_id="benchmark",
        prepare=[Stage("load", "prepare", prepare)],
        finish=[Stage("export", "finish", finish)],
        open_device=partial(list, [Stage("segment", "device", segment)]),
        set_up=lambda: None,
    )
    refs = [TileRef(tile_id=str(number), output_folder=Path(str(number))) for number in range(N_SCENES + n_first)]
    ends = [time.monotonic() for event in RayExecutor(lanes, ["segment"]).run(refs) if isinstance(event, Outcome)]
    return ends[-1] - ends[n_first - 1]


def main() -> None:
    """Measure in turns and print each, with the median of their ratios."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repeat", type=int, default=3, help="turns of one and of two machines")
    ratios = []
    for _ in range(options.parse_args().repeat):
        one, two = seconds_on(1), seconds_on(2)
        ratios.append(one / two)
        print(f"{N_SCENES} scenes: one machine {one:.1f} s, two {two:.1f} s, ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
