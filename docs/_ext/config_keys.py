"""The page of all config keys in one table, read off the flags of all commands."""

from collections import Counter
from pathlib import Path
from typing import Any

from command_pages import commands, meaning, panels, value

from darts.cli import app
from darts.command_line.helping import plain
from darts.utils.config import known_keys


def page() -> str:
    """Return the page, in Markdown: its text with a row for each key."""
    found = keys()
    text = Path(__file__).with_name("config-keys.md").read_text(encoding="utf-8")
    return text.replace("KEYS", "\n".join(row(key, found[key]) for key in sorted(found)))


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
