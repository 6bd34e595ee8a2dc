"""The page of all config keys in one table, read off the flags of all commands."""

from collections import Counter
from typing import Any

from command_pages import commands, meaning, panels, value
from darts.cli import app
from darts.utils.config import known_keys
from darts.utils.helping import plain


def page() -> str:
    """Return the page, in Markdown."""
    found = keys()
    lines = [
        "# Config keys",
        "",
        "Every key that a [config file](../guides/config.md) may hold, made from the code by `docs/generate.py`. A key stands in any table below",
        "`[darts]`, with `_` or `-`, and acts in all commands that have a flag of its name. Where commands differ in a default, all are",
        "named. Keys without a default are not set unless you set them.",
        "",
        "Of the parameters of mapping and training data more is said in the [tables by command](parameters.md). `darts models` and",
        "`darts inventory` take only base folders from the file: what they replace or trust is typed each time.",
        "",
        "| key | value | default | commands | meaning |",
        "|---|---|---|---|---|",
    ]
    lines += [row(key, found[key]) for key in sorted(found)]
    return "\n".join(lines) + "\n"


def keys() -> dict[str, dict[str, Any]]:
    """Return all keys, each with the entries of the help of the commands that have it."""
    known, found = known_keys(app), dict[str, dict[str, Any]]()
    for words in commands():
        for panel in panels(words):
            for entry in panel.entries:
                name = next(iter(entry.positive_names), "").lstrip("-").replace("-", "_")
                if name in known:
                    found.setdefault(name, {})[" ".join(words)] = plain(entry)
    return found


def row(key: str, entries: dict[str, Any]) -> str:
    """Return the row of a key."""
    defaults = Counter(entry.default or "" for entry in entries.values())
    default = ", ".join(f"`{text}`" for text in sorted(defaults) if text)
    (text, _), *_ = Counter(map(meaning, entries.values())).most_common()
    named = next(iter(entries)) if len(entries) == 1 else f"{len(entries)} commands"
    first = next(iter(entries.values()))
    cells = [f"`{key}`", value(first) or "true, false", default, named, text]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
