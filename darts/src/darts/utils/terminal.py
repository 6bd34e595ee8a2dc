"""Where the command line writes: one console for results, one for messages, made when first needed."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


_BETWEEN_S = 5.0
"""Between lines that say how far something is."""


class _Style:
    """How lines are written; one for the process, as the terminal is."""

    plain = False
    json = False
    notes_aside = False


def set_plain(plain: bool, *, json: bool = False) -> None:
    """Ask for plain lines, without colours and progress bar, or take that back.

    Args:
        plain: Whether lines are plain.
        json: Whether messages are JSON, for programs; then lines are plain too.
    """
    _Style.plain, _Style.json = plain or json, json


def is_json() -> bool:
    """Tell whether messages are JSON: with `--log-json`."""
    return _Style.json


def is_plain() -> bool:
    """Tell whether plain lines are wanted: with `--log-plain`, or where the output is no terminal."""
    return _Style.plain or sys.stdout is None or not sys.stdout.isatty()


def messages_are_watched() -> bool:
    """Tell whether messages may be laid out for eyes: a file would get them broken at some width."""
    return not _Style.plain and (is_notebook() or (sys.stderr is not None and sys.stderr.isatty()))


def is_notebook() -> bool:
    """Tell whether lines go into a cell of Jupyter, and plain ones are not asked for."""
    shell = sys.modules["IPython"].get_ipython() if {"IPython", "ipykernel"} <= sys.modules.keys() else None
    return not _Style.plain and type(shell).__name__ == "ZMQInteractiveShell"


@cache
def output_console() -> "Console":
    """Return the console for results."""
    from rich.console import Console

    return Console()


@cache
def error_console() -> "Console":
    """Return the console for messages."""
    from rich.console import Console

    return Console(stderr=True)


def say(line: str) -> None:
    """Print a line as it is."""
    print(line, flush=True)  # noqa: T201  (this is the console)


def now_and_then(what: str) -> Callable[[int, int], None]:
    """Return what says how many of something are done, unless it said so a moment ago.

    Args:
        what: In the plural.
    """
    last = time.monotonic()

    def tell(n_done: int, n: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _BETWEEN_S and n_done < n:
            last = time.monotonic()
            say(f"{what}: {n_done:,} of {n:,}")

    return tell


@contextmanager
def notes_aside(wanted: bool) -> Iterator[None]:
    """Let notes go to standard error, so that standard output holds one document and nothing else."""
    before, _Style.notes_aside = _Style.notes_aside, wanted
    try:
        yield
    finally:
        _Style.notes_aside = before


def note(line: str) -> None:
    """Print a line that is worth knowing, beside results."""
    print(line, flush=True, file=sys.stderr if _Style.notes_aside else sys.stdout)


def short_path(path: Path) -> str:
    """Return a path from the working folder if it lies below, else the whole path."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def confirm(question: str) -> bool:
    """Ask a question on a terminal and return whether the answer is yes; without a terminal it is no."""
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        return False
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        return False
