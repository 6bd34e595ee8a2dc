"""Numbers that parameters are given: whole where they count something, and never nan or infinite."""

import math
import numbers
import types
from collections.abc import Iterable
from dataclasses import Field
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from darts_utils.errors import ConfigError


def check_numbers(given: Iterable[tuple[Field[Any], Any]]) -> None:
    """Do nothing if all numbers among the values of fields are as their types say.

    Raises:
        ConfigError: If a fraction, a text or a truth value is given for a whole number, or nan, infinity, a text or a
            truth value for a number.
    """
    for field, value in given:
        kinds = _kinds(field.type)
        if kinds & {int, float}:
            for one in value if isinstance(value, list | tuple | set) else (value,):
                _check_value(field.name, one, kinds)


def check_text(name: str, hint: Any, text: str) -> None:
    """Do nothing if a number that is written in a text is as a type says; what is no number is not looked at.

    Raises:
        ConfigError: If it is a fraction where the type is a whole number, or nan or infinite.
    """
    kinds = _kinds(hint)
    if not kinds & {int, float}:
        return
    try:
        number = float(text)
    except ValueError:
        return
    if not math.isfinite(number):
        raise ConfigError(f"{name} is {text} but must be a finite number. Correct it.")
    if float not in kinds and "." in text and not number.is_integer():
        raise ConfigError(f"{name} is {text} but must be a whole number. Correct it.")


def _check_value(name: str, value: Any, kinds: set[Any]) -> None:
    if value is None or (isinstance(value, str) and str in kinds):
        return
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if float not in kinds and not (is_number and isinstance(value, numbers.Integral)):
        raise ConfigError(f"{name} is {value!r} but must be a whole number. Correct it.")
    if not is_number:
        raise ConfigError(f"{name} is {value!r} but must be a number. Correct it.")
    if not math.isfinite(value):
        raise ConfigError(f"{name} is {value} but must be a finite number. Correct it.")


def _kinds(hint: Any) -> set[Any]:
    """Return the plain types that a type is made of; one of a few texts counts as a text."""
    origin = get_origin(hint)
    if origin is Literal:
        return {type(value) for value in get_args(hint)}
    if origin is Annotated:
        return _kinds(get_args(hint)[0])
    if origin in (Union, types.UnionType, list, tuple, set):
        return set().union(*(_kinds(part) for part in get_args(hint)))
    return {hint}
