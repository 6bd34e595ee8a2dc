"""How things on a device are measured: everything that was begun has ended, and memory is that of the device."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.lib.measure import compared
from benchmarks.lib.results import NO_GOAL, Goal, Result
from benchmarks.lib.runner import Case, result_of

_GIB = 2**30


@dataclass(frozen=True)
class Device:
    """A GPU; or the CPU, on which the same is tried where there is none, and no memory is told."""

    name: str = "cuda"

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.name != "cpu"

    def wait(self) -> None:
        """Wait until everything that was begun has ended."""
        import torch

        if self.is_gpu:
            torch.cuda.synchronize()

    def peak_gib(self, run: Callable[[], object]) -> float:
        """Return the memory of a GPU at its peak while something runs; 0 of none."""
        import torch

        if not self.is_gpu:
            return 0.0
        torch.cuda.reset_peak_memory_stats()
        run()
        return torch.cuda.max_memory_allocated() / _GIB


def measured_on(
    device: Device,
    case: Case,
    what: str,
    *,
    px: int,
    ours: Callable[[], Any],
    baseline_name: str,
    baseline: Callable[[], Any],
    goal: Goal = NO_GOAL,
) -> Result:
    """Return how ours and a baseline compare, both warmed up."""

    def ended(run: Callable[[], Any]) -> Callable[[], None]:
        def whole() -> None:
            run()
            device.wait()

        return whole

    both = {"ours": ended(ours), "baseline": ended(baseline)}
    for run in both.values():
        run()
    peaks = [device.peak_gib(run) for run in both.values()]
    timings = compared(case.repeat, **both)
    found = result_of(case, what, timings["ours"], timings["baseline"], px=(px, px), baseline=baseline_name, goal=goal)
    return replace(found, gib=peaks[0], baseline_gib=peaks[1])
