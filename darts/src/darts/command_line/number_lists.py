"""Whole numbers as people write them: `7 8`, `7-8`, `2019-2022`, `2019-` up to this year."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cyclopts import Parameter, Token

_RANGE = re.compile(r"(\d+)(?:-(\d*))?")
_LAST_MONTH = 12
_LONGEST = 1000


def spelled_out(hint: Any, tokens: Sequence[Token]) -> list[int]:  # noqa: ARG001  (the signature of a converter)
    """Return the numbers of a list in which ranges may stand; without an end, up to December or this year.

    Raises:
        ValueError: If one is neither a whole number nor a range that goes up.
    """
    return [number for token in tokens for number in numbers_of(token.value)]


def is_range(text: str) -> bool:
    """Tell whether a text is written as a range."""
    match = _RANGE.fullmatch(text.strip())
    return match is not None and match[2] is not None


def numbers_of(text: str) -> range:
    """Return the numbers that a number or a range stands for.

    Raises:
        ValueError: If it is neither, or does not go up.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    first = int(match[1])
    if match[2] is None:
        return range(first, first + 1)
    last = int(match[2]) if match[2] else (_LAST_MONTH if first <= _LAST_MONTH else datetime.now(UTC).year)
    if not first <= last < first + _LONGEST:
        raise ValueError(text)
    return range(first, last + 1)


RANGES = Parameter(converter=spelled_out)
"""Of a parameter that takes a list of whole numbers."""
