"""What is wrong with a catalogue, one line each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from darts_utils.errors import with_kind

_LONGEST = 300


@dataclass(frozen=True, order=True)
class Finding:
    """Something that is wrong with a file of a catalogue, or that could not be checked."""

    file: str
    """Below the catalogue's folder, with `/`."""
    what: str
    advice: str
    """What to do about it."""


@dataclass
class Findings:
    """A list that is added to."""

    found: list[Finding] = field(default_factory=list)

    def add(self, file: str, what: str, advice: str) -> None:
        """Add what is wrong, on one line and not too long, whatever a file holds."""
        self.found.append(Finding(printable(file), printable(what)[:_LONGEST], advice))

    @contextmanager
    def guarded(self, file: str) -> Iterator[None]:
        """Let a block fail: that it could not be checked is then what is found of the file."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  (libraries raise anything about a file that somebody spoiled)
            self.add(file, f"cannot be checked: {with_kind(error)}", "Make the file again, or copy it anew.")


def printable(text: str) -> str:
    """Return text with what cannot be shown on a line as escapes."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode() for one in text
    )
