"""Seconds and memory: how everything here is measured."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from darts_utils.machine.memory import give_back

_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one call took."""

    seconds: float
    gib: float
    """Memory of the process at its peak."""
    grown_gib: float
    """By how much that is more than before the call."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What something took in several runs."""

    runs: tuple[Run, ...]

    @property
    def seconds(self) -> tuple[float, ...]:
        """How long each run took."""
        return tuple(run.seconds for run in self.runs)

    @property
    def median(self) -> float:
        """The middle of them, in seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Longest minus shortest, as a share of the median."""
        return spread(self.seconds)

    @property
    def gib(self) -> float:
        """Memory of the process at its peak, in all runs."""
        return max(run.gib for run in self.runs)

    @property
    def grown_gib(self) -> float:
        """By how much a run enlarged the process, at most."""
        return max(run.grown_gib for run in self.runs)


def spread(values: tuple[float, ...]) -> float:
    """Return largest minus smallest, as a share of the median."""
    return (max(values) - min(values)) / statistics.median(values)


def compared(repeat: int, **functions: Callable[[], object]) -> dict[str, Timing]:
    """Return what functions take in turns, so that a slow minute of the machine meets all of them."""
    return in_turns(repeat, **{name: lambda function=function: timed(function) for name, function in functions.items()})


def in_turns(repeat: int, **runs: Callable[[], Run]) -> dict[str, Timing]:
    """Return the timings of runs that take turns and are timed where they happen, such as in other processes."""
    made: dict[str, list[Run]] = {name: [] for name in runs}
    for _ in range(repeat):
        for name, run in runs.items():
            made[name].append(run())
    return {name: Timing(runs=tuple(several)) for name, several in made.items()}


def timed(function: Callable[..., object], *arguments: object) -> Run:
    """Return what a call takes in this process, which has given back all free memory before."""
    give_back()
    before = resident_gib()
    with sampled() as samples:
        start = time.perf_counter()
        function(*arguments)
        seconds = time.perf_counter() - start
    gib = max((gib for _, gib in samples), default=before)
    return Run(seconds=seconds, gib=gib, grown_gib=gib - before)


def resident_gib() -> float:
    """Return the memory of this process, which, unlike what the system counts for children, begins with it."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * 4096 / _GIB


def resident_gib_of_all() -> float:
    """Return the memory of this process and of all that it has started; what they share counts for each of them."""
    return sum(map(_resident_gib_of, _with_children(os.getpid())))


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in file.read_text(encoding="utf-8").split():
                yield from _with_children(int(child))


def _resident_gib_of(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * 4096 / _GIB
    except (OSError, IndexError):  # it has ended since
        return 0.0


def gpu_use_reader() -> Callable[[], float]:
    """Return what tells how busy the GPU is, in per cent; NaN where nothing can tell."""
    import torch

    try:
        torch.cuda.utilization()
    except (ImportError, RuntimeError) as error:  # it asks nvidia-ml-py, which may be missing
        print(f"how busy the GPU is was not measured: {error}", flush=True)
        return lambda: float("nan")
    return torch.cuda.utilization


@contextmanager
def sampled(read: Callable[[], float] = resident_gib, every_s: float = 0.01) -> Iterator[list[tuple[float, float]]]:
    """Give a list that fills with (seconds since the epoch, what is read): the memory in use, if nothing else is."""
    samples: list[tuple[float, float]] = []
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(every_s):
            samples.append((time.time(), read()))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()
