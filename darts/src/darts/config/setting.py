"""Keys that are set on the command line: `--set key=value`, with values as TOML writes them, or bare."""

import tomllib
from collections.abc import Iterable
from typing import Any

from darts.config.reading import Entry, contradictions, normal
from darts_utils.errors import ConfigError

SET = "--set"


def settings(given: Iterable[str]) -> tuple[Entry, ...]:
    """Return the keys that were set.

    Raises:
        ConfigError: If one is not `key=value`, its value is broken TOML, or a key has two values.
    """
    entries = [_entry(text) for text in given]
    values: dict[str, Any] = {}
    for entry in entries:
        if entry.key in values and values[entry.key] != entry.value:
            raise ConfigError(next(contradictions(entries)).replace(f" in {SET}", f" by {SET}"))
        values[entry.key] = entry.value
    return tuple(entries)


def _entry(text: str) -> Entry:
    key, equals, value = text.partition("=")
    if not (equals and key.strip() and value.strip()):
        raise ConfigError(f"{SET} {text} sets nothing. Write a key and its value, such as {SET} overlap=128.")
    return Entry(normal(key), _value(text, value.strip()), SET)


def _value(text: str, value: str) -> Any:
    """Return a value as TOML has it; what is no TOML is a text, unless it begins as something else."""
    try:
        parsed = tomllib.loads(f"x = {value}")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        if value[0] in "[{\"'":
            raise ConfigError(
                f"{SET} {text} has a value that is broken TOML. Write a list as ['a', 'b'], a text bare or in quotes."
            ) from error
        return value
    return parsed["x"] if list(parsed) == ["x"] else value
