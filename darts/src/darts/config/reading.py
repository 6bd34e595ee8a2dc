"""What stands in a config file: keys with their tables, and what stands beside `[darts]`; nothing is judged here."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darts.config.kinds import shown
from darts_utils.errors import ConfigError
from darts_utils.text import read_text


@dataclass(frozen=True)
class Entry:
    """A key with its value."""

    key: str
    """With `_`, whatever was written."""
    value: Any
    place: str
    """Where it stands: a table of the file, or `--set`."""


@dataclass(frozen=True)
class Content:
    """A config file."""

    entries: tuple[Entry, ...] = ()
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The tables below `[darts]` by name."""
    beside: Mapping[str, Any] = field(default_factory=dict)
    """What stands outside `[darts]`."""


def normal(key: str) -> str:
    """Return a key, or a flag, as parameters are called."""
    return key.strip().lstrip("-").replace("-", "_")


def read_config(file: Path) -> Content:
    """Return what stands in a file.

    Raises:
        FileNotFoundError: If it is not there.
        ConfigError: If it cannot be read, is no TOML, or `darts` is no table.
    """
    try:
        content = tomllib.loads(read_text(file))
    except FileNotFoundError:
        raise
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"the config file {file} is not valid TOML: {error}. Mend it.") from error
    except OSError as error:
        raise ConfigError(f"the config file {file} cannot be read: {error.strerror}.") from error
    table = content.pop("darts", {})
    if isinstance(table, list) and any(isinstance(one, dict) for one in table):
        raise ConfigError(
            f"{file}: [[darts]] makes a list, but darts must be a table. Write [darts], with one bracket."
        )
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: darts is {table!r} but must be a table. Write [darts] and the keys below it.")
    return Content(tuple(_entries(table, "darts")), dict(_tables(table)), content)


def contradictions(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield what is wrong with keys that have several values, each once."""
    first: dict[str, Entry] = {}
    told = set()
    for entry in entries:
        before = first.setdefault(entry.key, entry)
        if entry is not before and before.value != entry.value and entry.key not in told:
            told.add(entry.key)
            yield (
                f"{entry.key} is {shown(before.value)} in {before.place} and {shown(entry.value)} in {entry.place}. "
                "Keep one of them."
            )


def leaves(table: Mapping[str, Any], place: str) -> Iterator[tuple[str, str, Any]]:
    """Yield table, key and value of all keys of a table and those below it."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{place}.{key}")
        else:
            yield place, key, value


def _entries(table: Mapping[str, Any], place: str) -> Iterator[Entry]:
    return (Entry(normal(key), value, f"[{where}]") for where, key, value in leaves(table, place))


def _tables(table: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield normal(key), value
            yield from _tables(value)
