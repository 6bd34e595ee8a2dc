"""What is wrong with what was typed, in one line of words: the thing, what it must be, and no type of Python."""

from typing import Any

import cyclopts
from cyclopts.exceptions import (
    CoercionError,
    ConsumeMultipleError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from darts.config.kinds import kind_of, wrong_value
from darts_utils.errors import did_you_mean

_ELSEWHERE = {
    "--ray": " `darts map sentinel2` has it, and `darts map planet`; of the long names those that end with -ray."
}
"""Where options are that people look for at other commands."""


def refusal(error: cyclopts.CycloptsError) -> str:
    """Return in one line why a command cannot be run as it was typed."""
    if isinstance(error, CoercionError) and error.argument is not None and error.token is not None:
        return _wrong_value(error, error.argument, error.token.value)
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} is given more than once. Give it once."
    if isinstance(error, UnknownOptionError):
        return f"{_unknown_option(error)} --help shows all options."
    if isinstance(error, UnusedCliTokensError):
        given = " ".join(error.unused_tokens or ())
        return f"`{_command(error)}` takes no {given}. Leave it out, or name its option before it."
    if isinstance(error, MissingArgumentError) and not isinstance(error, ConsumeMultipleError):
        return _missing(error)
    return str(error)


def _wrong_value(error: CoercionError, argument: Any, value: str) -> str:
    name = (error.token.keyword if error.token is not None else None) or argument.name
    source = "" if error.token is None or error.token.source in ("", "cli") else f" in {error.token.source}"
    return wrong_value(name, value, argument.hint, source)


def _unknown_option(error: UnknownOptionError) -> str:
    option = (error.token.keyword or error.token.value).split("=", 1)[0]
    known = [name for argument in error.argument_collection for name in argument.names if name.startswith("--")]
    return f"`{_command(error)}` has no option {option}.{_ELSEWHERE.get(option) or did_you_mean(option, known)}"


def _missing(error: MissingArgumentError) -> str:
    argument: Any = error.argument
    by_place = argument.index is not None
    name = error.keyword or (argument.name.removeprefix("--").upper() if by_place else argument.name)
    given = any(token.keyword for token in argument.tokens) or error.keyword is not None
    what = f"{name} needs a value" if given else f"`{_command(error)}` needs {name}"
    return f"{what}: {kind_of(argument.hint)}. --help shows what it means."


def _command(error: cyclopts.CycloptsError) -> str:
    return " ".join(["darts", *(error.command_chain or ())])
