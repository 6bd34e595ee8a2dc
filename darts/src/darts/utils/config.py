"""The config file, and what `--set` adds to it, as a source of command parameters."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import cyclopts
from cyclopts.argument import update_argument_collection

from darts.config.declared import known_keys, names
from darts.config.kinds import fits, wrong_value
from darts.config.own_keys import OWN_KEYS
from darts.config.reading import Content, Entry, contradictions, normal, read_config
from darts.config.setting import SET
from darts.config.unknown import grouped_value, slip_beside, unknown_key
from darts.config.variables import with_variables
from darts_utils.errors import ConfigError
from darts_utils.numbers import check_text
from darts_utils.paths import DefaultPaths, user_path

__all__ = ["ConfigParser", "config_parser", "known_keys"]

logger = logging.getLogger(__name__)

DEFAULT_FILE = Path("config.toml")
_BASE_FOLDERS = [field.name for field in fields(DefaultPaths)]


class ConfigParser:
    """Hands the keys of a config file to the command that is called; flags win over keys.

    Keys may be written with `-` or `_` and stand in any sub-table of `[darts]`: tables only group.
    """

    exclusive: Sequence[str] = ()
    """Parameters that exclude each other, best first. Where the file contradicts a flag, the best one is taken."""

    def __init__(self) -> None:
        self._content = Content()
        self._settings: Mapping[str, Entry] = {}
        self._is_read = True
        self._strict = False
        self._file = DEFAULT_FILE
        self.root_app: cyclopts.App | None = None
        """The app whose commands' parameters count as known keys; without it no key is reported."""

    @property
    def file(self) -> Path:
        """The config file."""
        return self._file

    def name_config(self, file_path: str | Path, settings: Sequence[Entry] = (), *, strict: bool = False) -> None:
        """Say which file is to be read once a command asks for parameters.

        Args:
            file_path: The file.
            settings: Keys that win over those of the file.
            strict: Refuse keys that nobody knows, instead of reporting them.
        """
        self._file, self._content, self._is_read = user_path(file_path), Content(), False
        self._settings, self._strict = {entry.key: entry for entry in settings}, strict

    def open_config(self, file_path: str | Path) -> None:
        """Read a config file; the default one may be missing.

        Raises:
            ConfigError: If the file is missing or not TOML, or the same key has two values.
        """
        self.name_config(file_path)
        self._read()

    def _read(self) -> None:
        if self._is_read:
            return
        try:
            self._content = read_config(self._file)
        except FileNotFoundError as error:
            if self._file != DEFAULT_FILE:
                raise ConfigError(f"the config file {self._file} does not exist. Check --config-file.") from error
        for contradiction in contradictions(self._content.entries):
            raise ConfigError(f"{self._file}: {contradiction}")
        self._is_read = True

    def entries(self) -> dict[str, Entry]:
        """Return all keys that are given, by the file or beside it.

        Raises:
            ConfigError: If the file cannot be used.
        """
        self._read()
        return {entry.key: entry for entry in (*self._content.entries, *self._settings.values())}

    def values(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is given for some parameters, for those that no command declares; nothing before a file is read.

        Args:
            wanted: Their types by name.

        Raises:
            ConfigError: If one is of another type.
        """
        given = {entry.key: entry for entry in (*self._content.entries, *self._settings.values())}
        return {name: self._checked(given[name], hint) for name, hint in wanted.items() if name in given}

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
        """Apply only the base folders to a command, and what `--set` gives; the other flags are typed each time.

        What is trusted or replaced must not be decided by a key that was written for another command.

        Args:
            app: The app of the command; unused.
            commands: Names of the command; unused.
            arguments: Where the values go.
        """
        self._report(arguments)
        entries = self.entries()
        self._apply([entry for key, entry in entries.items() if key in {*_BASE_FOLDERS, *self._settings}], arguments)

    def nothing(self, app: cyclopts.App, commands: tuple[str, ...], arguments: cyclopts.ArgumentCollection) -> None:
        """Apply nothing to a command, and read nothing; the hook for commands that are about config files.

        Args:
            app: The app of the command; unused.
            commands: Names of the command; unused.
            arguments: Its arguments; unused.
        """

    def apply_config(self, arguments: cyclopts.ArgumentCollection) -> None:
        """Give each key that the command knows to its argument, unless a flag did; report keys that no command knows.

        Args:
            arguments: The arguments of the command.
        """
        self._report(arguments)
        self._apply(self._settled(arguments), arguments)
        for argument in arguments:
            for token in argument.tokens:
                check_text(normal(argument.name), argument.hint, token.value)  # cyclopts would round fractions

    def _apply(self, entries: Sequence[Entry], arguments: cyclopts.ArgumentCollection) -> None:
        own = names(arguments)
        hints = {normal(arg.name): arg.hint for arg in arguments if normal(arg.name) in own and not arg.tokens}
        for entry in entries:
            if entry.key in hints:
                values = {entry.key: self._checked(entry, hints[entry.key])}
                update_argument_collection(values, self._source(entry), arguments, root_keys=(), allow_unknown=True)

    def _checked(self, entry: Entry, hint: Any) -> Any:
        """Return the value of a key, its variables replaced.

        Raises:
            ConfigError: If it is none of a type.
        """
        try:
            value = with_variables(entry.key, entry.value, hint)
        except ConfigError as error:
            raise ConfigError(f"{self._source(entry)}: {error}") from error
        if not fits(value, hint):
            raise ConfigError(f"{self._source(entry)}: {wrong_value(entry.key, value, hint)}")
        return value

    def _source(self, entry: Entry) -> str:
        return SET if entry.place == SET else str(self._file)

    def _settled(self, arguments: cyclopts.ArgumentCollection) -> list[Entry]:
        """Return the keys to apply, without what contradicts flags, or values of `--set`, which both win."""
        given = self.entries()
        flags = [normal(arg.name) for arg in arguments if arg.tokens and normal(arg.name) in self.exclusive]
        keys = [key for key in self.exclusive if key in given and key not in flags]
        if set_keys := [key for key in keys if key in self._settings]:
            given = {key: entry for key, entry in given.items() if key not in keys or key in set_keys}
            keys = set_keys
        if not flags or not keys:
            return list(given.values())
        source = SET if set_keys else self._file
        logger.warning("%s is used, and not %s, which %s gives", ", ".join(flags), ", ".join(keys), source)
        return [entry for key, entry in given.items() if key not in keys]

    def _report(self, arguments: cyclopts.ArgumentCollection) -> None:
        """Report, or refuse, keys that no command knows, and refuse tables in the place of values."""
        entries = self.entries()
        own = names(arguments)
        unknown = [entry for key, entry in entries.items() if key not in own]
        if not (unknown or self._content.beside) or self.root_app is None:
            return
        hints = {normal(argument.name): argument.hint for argument in arguments}
        known = known_keys(self.root_app) | own | OWN_KEYS.keys()
        for name, table in grouped_value(self._content.tables, own, known):
            raise ConfigError(f"{self._file}: {wrong_value(name, table, hints[name])}")
        self._report_settings(own, known)
        for problem in self._problems(unknown, known):
            if self._strict:
                raise ConfigError(f"{self._file}: {problem.refused}")
            logger.warning("%s: %s", self._file, problem.reported)

    def _report_settings(self, own: Collection[str], known: Collection[str]) -> None:
        for key in self._settings:
            if key not in known:
                raise ConfigError(f"{SET}: {unknown_key(key, known).refused}")
            if key not in own and key not in OWN_KEYS and key not in _BASE_FOLDERS:
                logger.warning("%s: this command does not read %s, it is ignored", SET, key)

    def _problems(self, unknown: Sequence[Entry], known: Collection[str]) -> Iterator[Any]:
        for name, value in self._content.beside.items():
            if slip_beside(name, value, known) is not None:
                yield slip_beside(name, value, known)
        for entry in unknown:
            if entry.key not in known and entry.place != SET:
                yield unknown_key(entry.key, known)


config_parser = ConfigParser()
"""That of the command line."""
