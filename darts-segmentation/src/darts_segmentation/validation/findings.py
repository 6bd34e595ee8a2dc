"""What a check of inference found: what was measured, the limit, and whether it holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

type Status = Literal["passed", "failed", "skipped", "information"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What became of one check."""

    check: str
    status: Status
    measured: str
    """In words; of a check that was skipped the reason."""
    limit: str
    meaning: str
    """What it says of inference, in one sentence."""
    figures: Mapping[str, float | int | str] = field(default_factory=dict)
    """What was measured, as values."""


def passed_if(holds: bool) -> Status:
    """Return the status of a check that has a limit."""
    return "passed" if holds else "failed"
