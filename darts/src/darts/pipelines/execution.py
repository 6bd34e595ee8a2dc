"""Tiles sent through the stages of an executor until all are done or the user breaks off."""

import logging
from collections.abc import Callable, Sequence

from darts.pipelines.interrupts import on_interrupt
from darts.pipelines.tiles import Executor, Outcome, StageStarted, TileRef
from darts.utils.console import RunView

logger = logging.getLogger(__name__)


def execute(
    executor: Executor, todo: Sequence[TileRef], *, view: RunView, on_outcome: Callable[[Outcome], None]
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
