"""Keys and tables that nobody reads: what they are likely meant to be, and whether they are meant for darts at all."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from darts.config.reading import leaves, normal
from darts_utils.errors import did_you_mean

_LIKE_DARTS = 0.7
"""How like `darts` the name of a table is, 0 to 1, to be taken for a slip."""


@dataclass(frozen=True)
class Slip:
    """Something that nobody reads."""

    what: str
    advice: str
    """What to do, or what was likely meant."""

    @property
    def reported(self) -> str:
        """It, where it is only reported."""
        return f"{self.what}, it is ignored.{self.advice}"

    @property
    def refused(self) -> str:
        """It, where it is an error."""
        return f"{self.what}.{self.advice or ' Correct it, or leave it out.'}"


def unknown_key(key: str, known: Collection[str]) -> Slip:
    """Return that no command knows a key, and which was likely meant."""
    return Slip(f"no darts command knows the key {key}", did_you_mean(key, known))


def slip_beside(name: str, value: Any, known: Collection[str]) -> Slip | None:
    """Return that something beside `[darts]` was meant for darts; None for what is another tool's."""
    if isinstance(value, dict):
        is_like = difflib.SequenceMatcher(None, name.lower(), "darts").ratio() > _LIKE_DARTS
        is_meant = is_like or any(normal(key) in known for _, key, _ in leaves(value, name))
    else:
        is_meant = normal(name) in known
    what = f"{name} stands outside the table [darts]"
    return Slip(what, " Only what is in [darts] is read.") if is_meant else None


def grouped_value(
    tables: Mapping[str, Mapping[str, Any]], own: Collection[str], known: Collection[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the tables that stand where a key has its value: they are called like it, and hold keys of nobody.

    Args:
        tables: All tables by name.
        own: Names of the keys that are asked about.
        known: All that there are.
    """
    for name, table in tables.items():
        inside = [normal(key) for _, key, _ in leaves(table, name)]
        if name in own and inside and not any(key in known for key in inside):
            yield name, dict(table)
