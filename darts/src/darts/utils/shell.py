"""Commands typed, or piped in, line by line, without `darts`."""

import shlex
import sys
from collections.abc import Callable, Iterator

from darts.command_line.commands import usual_tokens
from darts.logs.saying import say_error
from darts_utils.errors import ConfigError

_ENDS = {"q", "quit", "exit"}
_PROMPT = "darts> "


def run_lines(run: Callable[[list[str]], int]) -> int:
    """Run what is typed until the end; return the exit status of the last command that failed, 0 if none did.

    Args:
        run: Runs a command of some words, and returns its exit status.
    """
    last = 0
    for line in _lines():
        try:
            words = shlex.split(line)
        except ValueError:
            say_error(f"a quote is not closed in: {line}. Close it.")
            last = ConfigError.exit_code
            continue
        if words and words[0] in _ENDS:
            break
        if words:
            last = run(usual_tokens(words)) or last
            sys.stdout.flush()  # or what commands print would come after what they say
    return last


def _lines() -> Iterator[str]:
    """Yield what is typed; who pipes commands in sees no prompt."""
    is_typed = sys.stdin is not None and sys.stdin.isatty()
    if is_typed:
        _with_history()
    while True:
        try:
            yield input(_PROMPT if is_typed else "")
        except (EOFError, KeyboardInterrupt):
            return


def _with_history() -> None:
    try:
        import readline  # noqa: F401  (makes arrows and history work, wherever it is there)
    except ImportError:
        return
