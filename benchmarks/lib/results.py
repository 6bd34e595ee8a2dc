"""What a case leads to: a ratio to a named baseline, beside what was hoped for."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is hoped for; None where nothing is said."""

    ratio: float | None = None
    """At least so many times as fast as the baseline."""
    seconds: float | None = None
    """At most so long."""
    gib: float | None = None
    """At most so much memory."""

    def __str__(self) -> str:
        """Return it as a table has it."""
        parts = (
            None if self.ratio is None else f">= {self.ratio:g} x",
            None if self.seconds is None else f"<= {self.seconds:g} s",
            None if self.gib is None else f"<= {self.gib:g} GiB",
        )
        return ", ".join(part for part in parts if part is not None)


NO_GOAL = Goal()


@dataclass(frozen=True, kw_only=True)
class Result:
    """How something of ours compares with a baseline, both measured in turns in the same run."""

    case: str
    what: str
    repeat: int
    """Turns; seconds and ratios are their medians."""
    seconds: float
    px: int
    """Pixels that ours worked on."""
    baseline: str
    """Name of the baseline."""
    baseline_seconds: float
    """As measured, so for `baseline_px`."""
    baseline_px: int
    """Pixels that the baseline worked on: fewer than `px` where more would take minutes."""
    ratio: float
    """Times the baseline's seconds a pixel."""
    spread: float
    """Largest minus smallest ratio of a turn, as a share of the median."""
    gib: float
    """Memory that ours needed at its peak: beyond what was there before, or of a process of its own."""
    baseline_gib: float
    roofline_share: float | None = None
    """Seconds that no code could do without on this machine, as a share of ours."""
    goal: Goal = NO_GOAL

    @property
    def is_met(self) -> bool | None:
        """Whether it is as hoped for; None if nothing was."""
        kept = [
            None if self.goal.ratio is None else self.ratio >= self.goal.ratio,
            None if self.goal.seconds is None else self.seconds <= self.goal.seconds,
            None if self.goal.gib is None else self.gib <= self.goal.gib,
        ]
        said = [each for each in kept if each is not None]
        return all(said) if said else None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self) | {"goal": str(self.goal), "is_met": self.is_met}


_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "what": lambda row: row["what"],
    "ours": lambda row: f"{row['seconds']:.3g} s at {_megapixels(row['px'])}",
    "baseline": lambda row: f"{row['baseline']}: {row['baseline_seconds']:.3g} s at {_megapixels(row['baseline_px'])}",
    "ratio": lambda row: f"{row['ratio']:.3g} ± {50 * row['spread']:.0f} %",
    "goal": lambda row: f"{row['goal']} {'' if row['is_met'] is None else 'yes' if row['is_met'] else 'NO'}".strip(),
    "GiB": lambda row: f"{row['gib']:.2f} ({row['baseline_gib']:.2f})",
    "roofline": lambda row: "" if row["roofline_share"] is None else f"{100 * row['roofline_share']:.0f} %",
}


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return results in their JSON form as a Markdown table."""
    lines = [list(_COLUMNS), ["---"] * len(_COLUMNS)]
    lines += [[cell(row) for cell in _COLUMNS.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _megapixels(px: int) -> str:
    return f"{px / 1e6:.3g} Mpx"
