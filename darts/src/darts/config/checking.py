"""All that is wrong with a config file, at once; what only some commands read is not wrong."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cyclopts

from darts.config.declared import all_commands, by_key
from darts.config.kinds import fits, wrong_value
from darts.config.own_keys import OWN_KEYS
from darts.config.ranges import out_of_range
from darts.config.reading import Content, Entry, contradictions, leaves, normal, read_config
from darts.config.unknown import grouped_value, slip_beside, unknown_key
from darts.config.variables import with_variables
from darts_utils.errors import ConfigError


def problems(file: Path, app: cyclopts.App) -> list[str]:
    """Return what is wrong with a file, a line each, of words that say what to do.

    Args:
        file: The file.
        app: The app whose commands read it.
    """
    try:
        content = read_config(file)
    except FileNotFoundError:
        return [f"the config file {file} does not exist. Name one that does."]
    except ConfigError as error:
        return [str(error)]
    commands = all_commands(app)
    hints = {key: [one.hint for one in several] for key, several in by_key(commands).items()}
    hints |= {key: [hint] for key, hint in OWN_KEYS.items()}
    found = [*_unread(content, hints), *contradictions(content.entries)]
    values: dict[str, Any] = {}
    for entry in content.entries:
        if wrong := _wrong(entry, hints.get(entry.key, [])):
            found.append(wrong)
        elif entry.key in hints:
            values[entry.key] = entry.value
    found += out_of_range(commands, values)
    return [f"{file}: {problem}" for problem in dict.fromkeys(found)]


def _unread(content: Content, hints: Mapping[str, list[Any]]) -> Iterator[str]:
    for name, value in content.beside.items():
        if (slip := slip_beside(name, value, hints)) is not None:
            yield slip.refused
    told = set()
    for name, table in grouped_value(content.tables, hints, hints):
        told |= {normal(key) for _, key, _ in leaves(table, name)}
        yield wrong_value(name, table, hints[name][0])
    for entry in content.entries:
        if entry.key not in hints and entry.key not in told:
            yield unknown_key(entry.key, hints).refused


def _wrong(entry: Entry, hints: list[Any]) -> str | None:
    """Return why no command could read the value of a key, None if one can."""
    reasons = []
    for hint in hints:
        try:
            value = with_variables(entry.key, entry.value, hint)
        except ConfigError as error:
            return str(error)
        if fits(value, hint):
            return None
        reasons.append(wrong_value(entry.key, entry.value, hint))
    return reasons[0] if reasons else None
