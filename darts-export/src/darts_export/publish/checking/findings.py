"""What is wrong with a catalogue, one line each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from darts_utils.errors import with_kind
from darts_utils.text import counted

_LONGEST = 300
_MOST = 100_000


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
    """A list that is added to, which ends somewhere however much is wrong."""

    found: list[Finding] = field(default_factory=list)
    n_left_out: int = 0

    def add(self, file: str, what: str, advice: str) -> None:
        """Add what is wrong, on one line and not too long, whatever a file holds."""
        if len(self.found) >= _MOST:
            self.n_left_out += 1
        else:
            self.found.append(Finding(printable(file), printable(what[:_LONGEST])[:_LONGEST], advice))

    def sorted(self) -> list[Finding]:
        """Return what was found by file, each once, and how much was left out."""
        more = Finding(".", f"{counted(self.n_left_out, 'finding')} more are left out", "Correct these first.")
        return [*sorted(set(self.found)), *([more] if self.n_left_out else [])]

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
