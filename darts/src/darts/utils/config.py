"""The config file: `[darts]` and its sub-tables, flattened, as a source of command parameters."""

import difflib
import logging
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import cyclopts
from cyclopts.argument import update_argument_collection

from darts_utils.errors import ConfigError, did_you_mean
from darts_utils.numbers import check_text
from darts_utils.paths import DefaultPaths, user_path
from darts_utils.text import read_text

logger = logging.getLogger(__name__)

DEFAULT_FILE = Path("config.toml")
TYPED_EACH_TIME = frozenset({"out", "picture", "json"})
"""Flags that are no keys: what one answer is written to, or how it is shown."""
_LIKE_DARTS = 0.7
"""How like `darts` the name of a table is, 0 to 1, to be taken for a slip."""


class ConfigParser:
    """Hands the keys of a config file to the command that is called; flags win over keys.

    Keys may be written with `-` or `_` and stand in any sub-table of `[darts]`: tables only group.
    """

    exclusive: Sequence[str] = ()
    """Parameters that exclude each other, best first. Where the file contradicts a flag, the best one is taken."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._beside: dict[str, Any] = {}
        self._file = DEFAULT_FILE
        self.root_app: cyclopts.App | None = None
        """The app whose commands' parameters count as known keys; without it no key is reported."""

    def open_config(self, file_path: str | Path) -> None:
        """Read a config file; the default one may be missing.

        Raises:
            ConfigError: If the file is missing or not TOML, or the same key has two values.
        """
        self._file = user_path(file_path)
        self._values, self._beside = {}, {}
        try:
            content = tomllib.loads(read_text(self._file))
        except FileNotFoundError as error:
            if self._file == DEFAULT_FILE:
                return
            raise ConfigError(f"the config file {self._file} does not exist. Check --config-file.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"the config file {self._file} is not valid TOML: {error}. Mend it.") from error
        except OSError as error:
            raise ConfigError(f"the config file {self._file} cannot be read: {error.strerror}.") from error
        self._values = _flatten(content.pop("darts", {}), self._file)
        self._beside = content

    def values(self, names: Collection[str]) -> dict[str, Any]:
        """Return what the file says of some parameters, for those that no command declares."""
        return {name: self._values[name] for name in names if name in self._values}

    def __call__(
        self,
        app: cyclopts.App,  # noqa: ARG002  (the signature of the hook)
        commands: tuple[str, ...],  # noqa: ARG002
        arguments: cyclopts.ArgumentCollection,
    ) -> None:
        """Apply the config to a command; the hook that cyclopts calls.

        Args:
            app: The app of the command; unused, tables only group.
            commands: Names of the command; unused.
            arguments: Where the values go.
        """
        self.apply_config(arguments)

    def folders_only(
        self,
        app: cyclopts.App,  # noqa: ARG002  (the signature of the hook)
        commands: tuple[str, ...],  # noqa: ARG002
        arguments: cyclopts.ArgumentCollection,
    ) -> None:
        """Apply only the base folders to a command; the hook for commands whose other flags are typed each time.

        What is trusted or replaced must not be decided by a key that was written for another command.

        Args:
            app: The app of the command; unused.
            commands: Names of the command; unused.
            arguments: Where the values go.
        """
        self._report_unknown(arguments)
        values = self.values([field.name for field in fields(DefaultPaths)])
        update_argument_collection(values, str(self._file), arguments, root_keys=(), allow_unknown=True)

    def apply_config(self, arguments: cyclopts.ArgumentCollection) -> None:
        """Give each key that the command knows to its argument, unless a flag did; report keys that no command knows.

        Args:
            arguments: The arguments of the command.
        """
        self._report_unknown(arguments)
        values = {key: value for key, value in self._settled(arguments).items() if key not in TYPED_EACH_TIME}
        update_argument_collection(values, str(self._file), arguments, root_keys=(), allow_unknown=True)
        for argument in arguments:
            for token in argument.tokens:
                check_text(_normal(argument.name), argument.hint, token.value)  # cyclopts would round fractions

    def _settled(self, arguments: cyclopts.ArgumentCollection) -> dict[str, Any]:
        """Return the keys to apply, without what contradicts flags; a flag that loses is taken back."""
        flags = {_normal(arg.name): arg for arg in arguments if arg.tokens and _normal(arg.name) in self.exclusive}
        keys = [key for key in self.exclusive if key in self._values and key not in flags]
        if not flags or not keys:
            return self._values
        best, *others = [name for name in self.exclusive if name in flags or name in keys]
        logger.warning("%s is used, and not %s: %s gives %s", best, ", ".join(others), self._file, ", ".join(keys))
        for name, argument in flags.items():
            if name != best:
                argument.tokens.clear()
        return {key: value for key, value in self._values.items() if key not in others}

    def _report_unknown(self, arguments: cyclopts.ArgumentCollection) -> None:
        unknown = [key for key in self._values if key not in _names(arguments)]
        if not (unknown or self._beside) or self.root_app is None:
            return
        known = known_keys(self.root_app)
        self._report_beside(known)
        for key in unknown:
            if key not in known:
                hint = did_you_mean(key, known)
                logger.warning("%s: no darts command knows the key %s, it is ignored.%s", self._file, key, hint)

    def _report_beside(self, known: Collection[str]) -> None:
        """Report what was meant for darts but stands outside its table; other tools may have tables of their own."""
        for key, value in self._beside.items():
            if isinstance(value, dict):
                is_meant = difflib.SequenceMatcher(None, key.lower(), "darts").ratio() > _LIKE_DARTS or any(
                    _normal(name) in known for _, name, _ in _leaves(value, key)
                )
            else:
                is_meant = _normal(key) in known
            if is_meant:
                logger.warning(
                    "%s: %s stands outside the table [darts], it is ignored. Only what is in [darts] is read.",
                    self._file,
                    key,
                )


def _normal(key: str) -> str:
    return key.strip().lstrip("-").replace("-", "_")


def _names(arguments: cyclopts.ArgumentCollection) -> set[str]:
    named = {_normal(argument.name) for argument in arguments if argument.name.startswith("--")}
    return named - TYPED_EACH_TIME


def known_keys(app: cyclopts.App) -> set[str]:
    """Return every parameter name of every command of an app, as config keys."""
    return {name for command in _commands(app) for name in _names(command.assemble_argument_collection())}


def _commands(app: cyclopts.App) -> Iterator[cyclopts.App]:
    """Yield all commands below an app whose flags can be keys of a config file."""
    for name in app:
        if name.startswith("-"):
            continue
        command = app[name]
        if command.config:  # its own, see `ConfigParser.folders_only`
            continue
        yield from _commands(command)
        if command.default_command is not None:
            yield command


def _flatten(table: Any, file: Path) -> dict[str, Any]:
    """Return all keys of a table and its sub-tables.

    Raises:
        ConfigError: If `darts` is no table, or a key stands in two tables with different values.
    """
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: darts is {table!r} but must be a table. Write [darts] and the keys below it.")
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for place, raw_key, value in _leaves(table, "darts"):
        key = _normal(raw_key)
        if key in values and values[key] != value:
            raise ConfigError(
                f"{file}: {key} is {values[key]!r} in [{places[key]}] and {value!r} in [{place}]. Keep one of them."
            )
        values[key], places[key] = value, place
    return values


def _leaves(table: dict[str, Any], place: str) -> Iterator[tuple[str, str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{place}.{key}")
        else:
            yield place, key, value
