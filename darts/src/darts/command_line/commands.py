"""Names of commands: which there are, and which somebody meant who typed another."""

import re
from collections.abc import Sequence
from contextvars import ContextVar

import cyclopts

from darts_utils.errors import nearest

_HELP = ("--help", "-h")
typed: ContextVar[Sequence[str]] = ContextVar("typed", default=())
"""What was typed after `darts`, options of every command included."""
_VERY_VERBOSE = re.compile(r"-v{4,}")


def usual_tokens(tokens: Sequence[str]) -> list[str]:
    """Return what was typed; who asks for more detail than there is gets all that there is."""
    return ["-vvv" if _VERY_VERBOSE.fullmatch(token) else token for token in tokens]


def refused_command(app: cyclopts.App, tokens: Sequence[str]) -> str | None:
    """Return why there is no such command as the tokens begin with, in one line; None if there is, or none is named.

    Asked for help, cyclopts shows that of the nearest group, and a script that asks whether there is a command is told
    that there is.
    """
    path: list[str] = []
    for token in tokens:
        if token.startswith("-"):
            return None
        if token not in app:
            return None if app.default_command is not None else unknown_command(app, path, token)
        app, path = app[token], [*path, token]
    return None


def refused_option(tokens: Sequence[str]) -> str | None:
    """Return that there is no such option before a command, if what is left to a command begins with one."""
    if not tokens or not tokens[0].startswith("-"):
        return None
    return f"there is no option {tokens[0]} before a command. Options of a command follow it."


def unknown_command(app: cyclopts.App, path: Sequence[str], token: str) -> str:
    """Return that a group has no command of a name, which was likely meant, and which there are.

    Args:
        app: The group.
        path: Its name, word by word.
        token: The name.
    """
    known = commands_of(app)
    group = " ".join(["darts", *path])
    meant = next((name for name in known if name.startswith(token)), None) or nearest(token, known)
    hint = f" Did you mean `{group} {meant}`?" if meant else ""
    return f"there is no command `{group} {token}`.{hint} There are: {', '.join(known)}."


def commands_of(app: cyclopts.App) -> list[str]:
    """Return the names of the commands of a group."""
    return [name for name in app if not name.startswith("-")]  # `app[name]` would import what each of them needs


def asks_for_help(tokens: Sequence[str]) -> bool:
    """Tell whether help is asked for."""
    return any(token in _HELP for token in tokens)
