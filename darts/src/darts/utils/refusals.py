"""What is wrong with what was typed, in one line of words: the thing, what it must be, and no type of Python."""

from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import cyclopts
from cyclopts.exceptions import (
    CoercionError,
    ConsumeMultipleError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from darts.utils.ranges import spelled_out
from darts_utils.errors import did_you_mean

_MEANT = {"gpu": "cuda", "GPU": "cuda", "cuda:0": "0"}
"""Words that people write for values that are called otherwise."""
_KINDS = {int: "a whole number", float: "a number", bool: "yes or no", Path: "a path", str: "a text"}


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


def kind_of(hint: Any) -> str:
    """Return in words what a value of a type is: `a whole number, or one of cpu, cuda, auto`."""
    names = list(dict.fromkeys(_choices(hint)))
    kinds = list(dict.fromkeys(_kinds(hint)))
    return ", or ".join([*kinds, *([f"one of {', '.join(names)}" if len(names) > 1 else names[0]] if names else [])])


def _wrong_value(error: CoercionError, argument: Any, value: str) -> str:
    name = (error.token.keyword if error.token is not None else None) or argument.name
    wanted = kind_of(argument.hint)
    if argument.parameter.converter is spelled_out:
        wanted += ", or a range such as 7-8"
    names = _choices(argument.hint)
    usual = _MEANT.get(value)
    hint = f" Did you mean {usual}?" if usual in {*names, "0"} else did_you_mean(value, names)
    source = "" if error.token is None or error.token.source in ("", "cli") else f" in {error.token.source}"
    return f"{name} is {value!r}{source} but must be {wanted}.{hint or ' Correct it.'}"


def _unknown_option(error: UnknownOptionError) -> str:
    option = (error.token.keyword or error.token.value).split("=", 1)[0]
    known = [name for argument in error.argument_collection for name in argument.names if name.startswith("--")]
    return f"`{_command(error)}` has no option {option}.{did_you_mean(option, known)}"


def _missing(error: MissingArgumentError) -> str:
    argument: Any = error.argument
    name = error.keyword or argument.name
    given = any(token.keyword for token in argument.tokens) or error.keyword is not None
    what = f"{name} needs a value" if given else f"`{_command(error)}` needs {name}"
    return f"{what}: {kind_of(argument.hint)}. --help shows what it means."


def _command(error: cyclopts.CycloptsError) -> str:
    return " ".join(["darts", *(error.command_chain or ())])


def _parts(hint: Any) -> list[Any]:
    """Return the plain types that a type is made of, those of the items of lists too."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _parts(get_args(hint)[0])
    if origin in (Union, UnionType, list, tuple, set):
        return [part for one in get_args(hint) for part in _parts(one)]
    return [hint]


def _choices(hint: Any) -> list[str]:
    return [str(value) for part in _parts(hint) if get_origin(part) is Literal for value in get_args(part)]


def _kinds(hint: Any) -> list[str]:
    plain = [part for part in _parts(hint) if get_origin(part) is not Literal and part is not NoneType]
    return [_KINDS[part] for part in plain if part in _KINDS]
