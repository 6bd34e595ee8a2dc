"""The help of commands in the words of people: no types of Python, no twins that nobody needs, no lists in brackets."""

import ast
from typing import TYPE_CHECKING, Any

from cyclopts.help import DefaultFormatter

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

_WORDS = {"STR": "TEXT", "INT": "N", "FLOAT": "NUMBER", "CHOICE": "NAME"}
_DOUBLED = "--no-no-"


class PlainHelp(DefaultFormatter):
    """Shows a panel of the help as it is usual, with its entries put into words."""

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        """Render a panel."""
        super().__call__(console, options, panel.copy(entries=[plain(entry) for entry in panel.entries]))


def plain(entry: "HelpEntry") -> "HelpEntry":
    """Return an entry of the help in words.

    A switch that is off has no twin to switch it off, but for what a config file may have switched on: that is found in
    the reference. One that is on shows both.
    """
    negatives = tuple(name for name in entry.negative_names if not name.startswith(_DOUBLED))
    default = entry.default
    if default in ("True", "False") and (entry.negative_names or entry.metavar is None):
        negatives, default = (negatives, "on") if default == "True" else ((), None)
    return entry.copy(negative_names=negatives, metavar=metavar(entry.metavar), default=_listed(default))


def metavar(given: str | None) -> str | None:
    """Return what stands for a value in words: `N|NAME` for a number or one of some names."""
    if given is None:
        return None
    parts = [_WORDS.get(part.removesuffix("..."), part.removesuffix("...")) for part in given.split("|")]
    more = "..." if "..." in given else ""
    return "|".join(dict.fromkeys(parts)) + more


def _listed(default: Any) -> Any:
    """Return the items of a list that is written as Python writes it."""
    if not isinstance(default, str) or not default.startswith("["):
        return default
    try:
        return " ".join(map(str, ast.literal_eval(default)))
    except (ValueError, SyntaxError):
        return default
