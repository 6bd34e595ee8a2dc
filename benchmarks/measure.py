"""Seconds and memory: how everything here is measured."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long something took in several runs, in seconds."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of them."""
        return statistics.median(self.runs)

    @property
    def spread(self) -> float:
        """Largest minus smallest, as a share of the median."""
        return (max(self.runs) - min(self.runs)) / self.median


def compared(repeat: int, **functions: Callable[[], object]) -> dict[str, Timing]:
    """Return the timings of functions that take turns, so that a slow minute of the machine meets all of them."""
    runs: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeat):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            runs[name].append(time.perf_counter() - start)
    return {name: Timing(runs=tuple(seconds)) for name, seconds in runs.items()}


def resident_gib() -> float:
    """Return the memory of this process, which, unlike what the system counts for children, begins with it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / _GIB


@contextmanager
def sampled() -> Iterator[list[tuple[float, float]]]:
    """Give a list that fills with (seconds since the epoch, GiB in use) every hundredth of a second."""
    samples: list[tuple[float, float]] = []
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(0.01):
            samples.append((time.time(), resident_gib()))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def peak_gib(function: Callable[[], object]) -> float:
    """Return by how much the memory of this process grows while a function runs, at most."""
    before = resident_gib()
    with sampled() as samples:
        function()
    return max((gib for _, gib in samples), default=before) - before
