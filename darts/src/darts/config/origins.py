"""Where the value of each key comes from: `--set`, the config file, the environment, or its default."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from darts.config.declared import Declared
from darts.config.kinds import shown
from darts.config.reading import Entry
from darts.config.setting import SET
from darts_acquisition.services.endpoints import ENDPOINTS
from darts_utils.paths import DefaultPaths, PathManager

DEFAULT = "default"
_BY_OTHERS = {
    *("model_files", "output_data_dir", "arcticdem_dir", "tcvis_dir", "admin_dir"),
    *("orthotiles_dir", "scenes_dir", "sentinel2_grid_dir", "raw_data_store"),
}
"""Places whose defaults hang off the base folders and the command."""
_BASES = {
    "fast_dir": ("DARTS_FAST_DATA_DIR", "DARTS_DATA_DIR"),
    "large_dir": ("DARTS_LARGE_DATA_DIR", "DARTS_DATA_DIR"),
}
_ALL = "workdir"
_FOLDERS = [field.name for field in fields(DefaultPaths) if field.name != _ALL]
_ON_FAST = {"training_dir", "models_dir"}


@dataclass(frozen=True)
class Resolved:
    """A key as a run would see it."""

    key: str
    value: Any
    """None if it is not given."""
    origin: str
    commands: tuple[str, ...]
    """The commands that read it so, without `darts`."""

    @property
    def document(self) -> dict[str, Any]:
        """It, for other programs."""
        value = self.value if isinstance(self.value, int | float | str | list | None) else str(self.value)
        return {"key": self.key, "value": value, "origin": self.origin, "commands": list(self.commands)}

    @property
    def line(self) -> str:
        """It, for people: the key and its value as a config file has them."""
        return f"{self.key} is not given" if self.value is None else f"{self.key} = {shown(self.value)}"


def resolved(parameters: Iterable[Declared], given: Mapping[str, Entry], file: Path) -> list[Resolved]:
    """Return the keys of some parameters by name; where commands have other defaults, a key is there for each.

    Args:
        parameters: The parameters.
        given: The keys that are given.
        file: The config file.
    """
    together: dict[tuple[str, str], Resolved] = {}
    for one in parameters:
        value, origin = _found(one, given, file)
        at = (one.name, repr(value))
        before = together[at].commands if at in together else ()
        together[at] = Resolved(one.name, value, origin, tuple(dict.fromkeys((*before, one.command))))
    return sorted(together.values(), key=lambda one: one.key)


def _found(one: Declared, given: Mapping[str, Entry], file: Path) -> tuple[Any, str]:
    if one.name in given:
        entry = given[one.name]
        return entry.value, SET if entry.place == SET else f"{file} {entry.place}"
    if one.name in _FOLDERS:
        return _folder(one.name, given, file)
    if one.name in ENDPOINTS:
        return _address(ENDPOINTS[one.name].variable, ENDPOINTS[one.name].default)
    if one.default is None and one.name in _BY_OTHERS:
        return None, f"{DEFAULT}, shown by `darts debug-default-paths`"
    return _plain(one.default), DEFAULT


def _folder(name: str, given: Mapping[str, Entry], file: Path) -> tuple[Any, str]:
    """Return a base folder, and what it hangs off."""
    bases = DefaultPaths(**{base: given[base].value for base in (*_BASES, _ALL) if base in given})
    disk = name if name in _BASES else "fast_dir" if name in _ON_FAST else "large_dir"
    path = getattr(PathManager(bases), name.removesuffix("_dir"))
    base = disk if disk in given else _ALL
    if base in given:
        return str(path), f"{base} of {SET if given[base].place == SET else file}"
    variable = next((one for one in _BASES[disk] if os.environ.get(one)), None)
    return str(path), DEFAULT if variable is None else f"environment {variable}"


def _address(variable: str, default: str) -> tuple[str, str]:
    given = os.environ.get(variable)
    return (given, f"environment {variable}") if given else (default, DEFAULT)


def _plain(default: Any) -> Any:
    """Return a default as a config file would hold it."""
    if isinstance(default, list | tuple):
        return [_plain(one) for one in default]
    return default if isinstance(default, bool | int | float | str | None) else str(default)
