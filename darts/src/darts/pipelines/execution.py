"""Sending tiles through stages until all are done or the user breaks off; within the memory that there is."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from darts.pipelines.executors.sequential import SequentialExecutor
from darts.pipelines.interrupts import on_interrupt
from darts.pipelines.stages import Stage
from darts.pipelines.tiles import Executor, Outcome, StageStarted, TileRef

if TYPE_CHECKING:
    from darts.utils.console import RunView

logger = logging.getLogger(__name__)


def execute(
    executor: Executor,
    todo: Sequence[TileRef],
    *,
    view: "RunView",
    on_outcome: Callable[[Outcome], None],
) -> bool:
    """Send tiles through the stages of an executor and show how they do; return whether the user broke off.

    Args:
        executor: What does something with a tile.
        todo: The tiles.
        view: Shows what happens.
        on_outcome: Told how each tile ended, before it is shown.
    """
    with on_interrupt(executor.stop) as interrupted:
        for event in executor.run(todo):
            if isinstance(event, StageStarted):
                view.stage(event)
            else:
                on_outcome(event)
                logger.info("%s: %s %s (%.1f s)", event.ref.tile_id, event.status, event.error or "", event.seconds)
                view.tile(event)
    return interrupted.is_set()


def on_this_machine(stages: Sequence[Stage], max_memory_gb: float | None) -> Executor:
    """Return what brings tiles through stages here, within some memory, in GiB."""
    return SequentialExecutor(stages, budget_bytes=memory_budget_bytes(max_memory_gb))


def memory_budget_bytes(max_memory_gb: float | None) -> int:
    """Return the memory that tiles in work may take: as given in GiB, else half of what this process may use."""
    if max_memory_gb is not None:
        return int(max_memory_gb * 2**30)
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(total, _cgroup_limit_bytes()) // 2


def _cgroup_limit_bytes() -> int:
    """Return the memory limit of a container or a SLURM job, a very large number if there is none."""
    for file in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            return int(file.read_text())
        except (OSError, ValueError):
            continue
    return 2**62
