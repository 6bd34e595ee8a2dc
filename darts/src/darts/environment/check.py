"""What a check of this machine says: one line each, with what to do."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

type State = Literal["ok", "slow", "fails"]


@dataclass(frozen=True)
class Check:
    """Whether something is as a run needs it."""

    name: str
    state: State
    found: str
    """What is there."""
    advice: str = ""
    """What to do, nothing where it is ok."""

    @property
    def line(self) -> str:
        """It, for people."""
        return f"{self.state:<5} {self.name}: {self.found}.{f' {self.advice}' if self.advice else ''}"

    @property
    def document(self) -> dict[str, Any]:
        """It, for other programs."""
        return asdict(self)


def ok(name: str, found: str) -> Check:
    """Return that something is as it should be."""
    return Check(name, "ok", found)


def slow(name: str, found: str, advice: str) -> Check:
    """Return that something works, but costs time."""
    return Check(name, "slow", found, advice)


def fails(name: str, found: str, advice: str) -> Check:
    """Return that runs would fail."""
    return Check(name, "fails", found, advice)
