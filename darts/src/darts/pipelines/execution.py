"""Tiles sent through the stages of an executor until all are done or the user breaks off."""

from collections.abc import Callable, Sequence

from darts.logs.events import tile_ended
from darts.pipelines.interrupts import on_interrupt
from darts.pipelines.tiles import Executor, Outcome, StageStarted, TileRef
from darts.utils.console import RunView


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
                tile_ended(event)
                view.tile(event)
    return interrupted.is_set()
