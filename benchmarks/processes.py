"""Several processes share the cores: how much do they do together, pinned to cores or not?

`uv run python -m benchmarks.processes` lets 1, 2, 4 and 8 processes segment tiles with the network of the demo, as
long as all of them are at it, and prints tiles a minute of all together, and the threads that each computes with.
Pinned ones have a core each, or share one; others may use all.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from importlib.resources import as_file
from importlib.resources import files as resources
from multiprocessing.synchronize import Barrier
from typing import Any

_TILE_PX, _PATCH_PX = 512, 256


def work(index: int, *, pinned: bool, seconds: float, together: Barrier, done: Any) -> None:
    """Segment tiles for some seconds; put how many were done a second, and with how many threads."""
    cores = sorted(os.sched_getaffinity(0))
    if pinned:
        os.sched_setaffinity(0, {cores[index % len(cores)]})
    from darts_utils.machine.waiting import wait_briefly

    wait_briefly()  # as the command does, before torch comes

    import torch

    from benchmarks.lib.inputs import features
    from darts_segmentation import EnsembleV1
    from darts_utils.machine.cpu import usable_cores
    from darts_utils.machine.memory import keep_freed

    keep_freed()
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    with as_file(resources("darts.demo") / "models" / "sentinel2" / "demo_with_tcvis.safetensors") as model:
        ensemble = EnsembleV1({"demo": model}, "cpu")
    tile = features(_TILE_PX)
    ensemble.segment_tile(tile, _PATCH_PX, 64)
    together.wait()
    start, tiles = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        ensemble.segment_tile(tile, _PATCH_PX, 64)
        tiles += 1
    done.put((tiles / (time.monotonic() - start), torch.get_num_threads()))


def tiles_a_minute(number: int, *, pinned: bool, seconds: float) -> tuple[float, float]:
    """Return what so many processes do together, and the threads of each."""
    context = multiprocessing.get_context("spawn")
    together, done = context.Barrier(number), context.Queue()
    given = {"pinned": pinned, "seconds": seconds, "together": together, "done": done}
    workers = [context.Process(target=work, args=(index,), kwargs=given) for index in range(number)]
    for worker in workers:
        worker.start()
    found = [done.get() for _ in workers]
    for worker in workers:
        worker.join()
    return 60 * sum(rate for rate, _ in found), statistics.mean(threads for _, threads in found)


def main() -> None:
    """Measure all numbers of processes, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    print("| processes | pinned | threads each | tiles a minute together |\n| --- | --- | --- | --- |")
    for number in arguments.processes:
        for pinned in (False, True):
            rate, threads = tiles_a_minute(number, pinned=pinned, seconds=arguments.seconds)
            print(f"| {number} | {'yes' if pinned else 'no'} | {threads:g} | {rate:.0f} |", flush=True)


if __name__ == "__main__":
    main()
