"""Keep the arguments of a call as TOML, so that it can be made again."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from inspect import signature
from pathlib import Path
from typing import Any

import tomli_w

from darts_utils.files import atomic_file


def to_toml_value(value: Any) -> Any:
    """Return a value in types that TOML has; mappings and dataclasses lose their None entries, for TOML has none."""
    if is_dataclass(value) and not isinstance(value, type):
        return to_toml_value({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, Mapping):
        return {str(k): to_toml_value(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [to_toml_value(item) for item in items]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bool | int | float | str):
        return value
    return str(value)


def values_of(table: Mapping[str, Any], key: str) -> Iterator[Any]:
    """Yield the values of a key, in whatever table it stands: its own before those below."""
    if key in table:
        yield table[key]
    for value in table.values():
        if isinstance(value, Mapping):
            yield from values_of(value, key)


def write_toml(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping as TOML; the file appears whole or not at all."""
    with atomic_file(path) as part:
        part.write_bytes(tomli_w.dumps(to_toml_value(content)).encode())


def write_function_args_to_config_file(fpath: Path, function: Callable[..., Any], locals_: Mapping[str, Any]) -> None:
    """Write the arguments of a running function as a config file that gives the same call again.

    Args:
        fpath: The TOML file to write.
        function: The function whose parameters are kept.
        locals_: `locals()` of the function, taken before anything else is assigned in it.
    """
    arguments = {name: locals_[name] for name in signature(function).parameters if name in locals_}
    write_toml(fpath, {"darts": {function.__name__: arguments}})
