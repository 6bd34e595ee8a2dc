"""What a run shows as it goes: on the console it is the view's, in the log file and for programs a record."""

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

from darts.logs.json_lines import FIELDS
from darts.utils.terminal import is_json, say

if TYPE_CHECKING:
    from darts.pipelines.tiles import Outcome

SHOWN = "is_shown"
"""Attribute of records that the view of a run shows in words, so that the console must not show them again."""

logger = logging.getLogger("darts.run")


def shown_event(level: int, event: str, **fields: Any) -> None:
    """Log what the view of a run shows; only with --log-json the console has it from here.

    Args:
        level: Level of the record.
        event: It in words.
        fields: What a program would read out of them.
    """
    logger.log(level, "%s", event, extra={SHOWN: True, FIELDS: fields})


def tell(line: str, *, with_time: bool = False) -> None:
    """Say what a run does, on the console; with --log-json as an event.

    Args:
        line: It in words.
        with_time: Whether the time of day stands before a plain line.
    """
    if is_json():
        shown_event(logging.INFO, line.strip())
    else:
        say(f"{datetime.now().astimezone():%H:%M:%S} {line}" if with_time else line)


def tile_ended(outcome: "Outcome") -> None:
    """Log how a tile ended; a failure is a warning."""
    tile_id, status, seconds = outcome.ref.tile_id, outcome.status, round(outcome.seconds, 1)
    reason = "" if outcome.error is None else f" {outcome.error}"
    fields = {"stage": outcome.stage, "error": outcome.error, "error_type": outcome.error_type}
    shown_event(
        logging.WARNING if status == "failed" else logging.INFO,
        f"{tile_id}: {status}{reason} ({seconds:.1f} s)",
        tile_id=tile_id,
        status=status,
        seconds=seconds,
        **{name: value for name, value in fields.items() if value is not None},
    )
