"""What the parameters themselves refuse, of values that are of the right kinds: ranges, and combinations."""

import dataclasses
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import NoneType
from typing import Any

from darts.command_line.number_lists import is_range, numbers_of
from darts.config.declared import Command
from darts.config.kinds import is_several, plain_types
from darts.config.variables import with_variables
from darts_utils.errors import ConfigError
from darts_utils.numbers import check_text

_LACKS_A_FLAG = "Add --"
"""What is only lacking may come as a flag, so that the file alone is not wrong."""


def out_of_range(commands: list[Command], values: Mapping[str, Any]) -> Iterator[str]:
    """Yield why commands would refuse some values; of a key that several commands refuse only what the first one says.

    Args:
        commands: The commands.
        values: Values of the right kinds by key.
    """
    told: set[str] = set()
    for group in dict.fromkeys(group for command in commands for group in command.groups):
        known = {field.name for field in dataclasses.fields(group)}
        with _quietly():
            refusals = list(_refusals(group, {key: value for key, value in values.items() if key in known}))
        yield from (reason for key, reason in refusals if key not in told)
        told |= {key for key, _ in refusals if key is not None}


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep parameters that are only tried from telling the user of themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _refusals(group: type, values: dict[str, Any]) -> Iterator[tuple[str | None, str]]:
    """Yield key and reason one after the other: what has been said of one value is not said again of others."""
    while (reason := _refused(group, values)) is not None:
        key = _named(reason, values)
        at = key or next((one for one in values if _refused(group, _without(values, one)) != reason), None)
        if _LACKS_A_FLAG not in reason:
            yield at, reason if key or at is None else f"{at}: {reason}"
        if at is None:
            return
        values = _without(values, at)


def _named(reason: str, values: Mapping[str, Any]) -> str | None:
    """Return which key a reason names first."""
    return next((word for word in re.findall(r"\w+", reason) if word in values), None)


def _without(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != key}


def _refused(group: Any, values: Mapping[str, Any]) -> str | None:
    """Return why a dataclass refuses values; what it cannot do without may come as flags."""
    hints = {field.name: field.type for field in dataclasses.fields(group)}
    try:
        made = group(**{key: _taken(key, value, hints[key]) for key, value in values.items()})
        if values.get("shard") != "slurm" and hasattr(made, "check"):  # this need not be a task of a job array
            made.check()
    except ConfigError as error:
        return str(error)
    except TypeError:
        return None
    return None


def _taken(key: str, value: Any, hint: Any) -> Any:
    """Return a value as its command would get it."""
    value = with_variables(key, value, hint)
    if is_several(hint) and int in plain_types(hint):
        value = _spelled_out(value)
    if isinstance(value, list):
        return [_item(key, one, hint) for one in value]
    one = _item(key, value, hint)
    return [one] if is_several(hint) and one is not None else one


def _spelled_out(value: Any) -> Any:
    """Return a list with its ranges spelled out, as far as they are some."""
    items = value if isinstance(value, list) else [value]
    if not any(isinstance(one, str) and is_range(one) for one in items):
        return value
    return [number for one in items for number in (numbers_of(one) if isinstance(one, str) else [one])]


def _item(key: str, value: Any, hint: Any) -> Any:
    kinds = set(plain_types(hint))
    if not isinstance(value, bool):
        check_text(key, hint, str(value))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and float not in kinds and int in kinds:
        return int(value)
    return _of_text(value, kinds) if isinstance(value, str) and not kinds & {str, Path} else value


def _of_text(text: str, kinds: set[Any]) -> Any:
    if NoneType in kinds and text.lower() in ("none", "null"):
        return None
    for kind in (int, float):
        try:
            return kind(text) if kind in kinds else text
        except ValueError:
            continue
    return text
