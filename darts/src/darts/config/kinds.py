"""Kinds of values: which a declared type allows, in words; and whether a value of a config file is one of them."""

from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAliasType, Union, get_args, get_origin

from darts.command_line.number_lists import is_range
from darts_utils.errors import did_you_mean

_MEANT = {"gpu": "cuda", "GPU": "cuda", "cuda:0": "0"}
"""Words that people write for values that are called otherwise."""
_KINDS = {int: "a whole number", float: "a number", bool: "yes or no", Path: "a path", str: "a text"}
AS_RANGE = {
    "months": " from 1 to 12, or a range that goes up such as 7-8",
    "years": ", or a range that goes up such as 2021-2024",
}
"""What parameters that take ranges (`number_lists.RANGES`) take besides, by name."""
_SWITCHES = {"yes", "y", "true", "t", "1", "no", "n", "false", "f", "0"}
_SEVERAL = (list, tuple, set)


def alternatives(hint: Any) -> Iterator[Any]:
    """Yield the types of which a value may be any; lists stay lists."""
    if isinstance(hint, TypeAliasType):
        yield from alternatives(hint.__value__)
    elif get_origin(hint) is Annotated:
        yield from alternatives(get_args(hint)[0])
    elif get_origin(hint) in (Union, UnionType):
        for one in get_args(hint):
            yield from alternatives(one)
    else:
        yield hint


def plain_types(hint: Any) -> list[Any]:
    """Return the plain types that a type is made of, those of the items of lists too."""
    plain = []
    for one in alternatives(hint):
        several = get_origin(one) in _SEVERAL
        plain += [part for item in get_args(one) for part in plain_types(item)] if several else [one]
    return [part for part in plain if part is not Ellipsis]


def choices(hint: Any) -> list[str]:
    """Return the names of which a value may be one."""
    return [str(value) for part in plain_types(hint) if get_origin(part) is Literal for value in get_args(part)]


def kind_of(hint: Any) -> str:
    """Return in words what a value of a type is: `a whole number, or one of cpu, cuda, auto`."""
    names = list(dict.fromkeys(choices(hint)))
    kinds = list(dict.fromkeys(_KINDS[part] for part in plain_types(hint) if part in _KINDS))
    return ", or ".join([*kinds, *([f"one of {', '.join(names)}" if len(names) > 1 else names[0]] if names else [])])


def is_several(hint: Any) -> bool:
    """Tell whether a value may be a list."""
    return any(get_origin(one) in _SEVERAL for one in alternatives(hint))


def wrong_value(name: str, value: Any, hint: Any, source: str = "") -> str:
    """Return that a value is none of a type, what it must be, and what was likely meant.

    Args:
        name: Name of the parameter, as it was given.
        value: The value, as it was given.
        hint: The declared type.
        source: Where it was given, to stand behind the value.
    """
    names = choices(hint)
    usual = _MEANT.get(str(value))
    meant = f" Did you mean {usual}?" if usual in {*names, "0"} else did_you_mean(str(value), names)
    wanted = kind_of(hint) + AS_RANGE.get(name.removeprefix("--"), "")
    if isinstance(value, list) and not is_several(hint):
        wanted = f"a single value: {wanted}"
    return f"{name} is {shown(value)}{source} but must be {wanted}.{meant or ' Correct it.'}"


def shown(value: Any) -> str:
    """Return a value as a person writes it in a config file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {shown(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    return str(value) if isinstance(value, date | time) else repr(str(value) if isinstance(value, Path) else value)


def fits(value: Any, hint: Any) -> bool:
    """Tell whether a value of a config file can be taken for one of a type.

    What is clear is taken: `"12"` is a number, `7` a list of one, a day a text. Whether a number is whole and finite is
    looked at elsewhere (`darts_utils.numbers`).
    """
    return any(_is(value, one) for one in alternatives(hint))


def _is(value: Any, kind: Any) -> bool:
    if isinstance(value, list):
        return get_origin(kind) in _SEVERAL and _are(value, kind)
    if isinstance(value, dict):
        return False
    if get_origin(kind) in _SEVERAL:
        return get_args(kind)[-1] is not float and _is_item(value, get_args(kind)[0])
    if get_origin(kind) is Literal:
        return str(value) in map(str, get_args(kind)) and not isinstance(value, bool)
    return _SIMPLE[kind](value) if kind in _SIMPLE else True


def _are(values: list[Any], kind: Any) -> bool:
    items = get_args(kind)
    if get_origin(kind) is tuple and Ellipsis not in items:
        return len(values) == len(items) and all(map(fits, values, items))
    return all(_is_item(value, items[0]) and not isinstance(value, list) for value in values)


def _is_item(value: Any, kind: Any) -> bool:
    """Tell whether a value can be taken for one of a list; those that take no ranges refuse them when they are read."""
    return fits(value, kind) or (kind is int and isinstance(value, str) and is_range(value))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_switch(value: Any) -> bool:
    return str(value).lower() in _SWITCHES if isinstance(value, bool | int | str) else False


def _is_text(value: Any) -> bool:
    return isinstance(value, str | int | float | date | datetime | time) and not isinstance(value, bool)


_SIMPLE = {
    NoneType: lambda value: isinstance(value, str) and value.lower() in ("none", "null"),
    bool: _is_switch,
    int: _is_number,
    float: _is_number,
    str: _is_text,
    Path: lambda value: isinstance(value, str | int) and not isinstance(value, bool),
}
