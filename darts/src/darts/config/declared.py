"""Which keys there are: the parameters of all commands, as their functions declare them."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cyclopts

from darts.command_line.commands import unknown_command
from darts.config.kinds import alternatives
from darts.config.reading import normal
from darts_utils.errors import ConfigError

TYPED_EACH_TIME = frozenset({"out", "picture", "json"})
"""Flags that are no keys: where one answer goes, and how it is shown."""


@dataclass(frozen=True)
class Declared:
    """A parameter of a command, which a config file may hold as a key."""

    name: str
    hint: Any
    default: Any
    """None if there is none."""
    help: str
    command: str
    """The command without `darts`."""


@dataclass(frozen=True)
class Command:
    """A command whose parameters may be keys."""

    name: str
    arguments: cyclopts.ArgumentCollection

    @property
    def parameters(self) -> Iterator[Declared]:
        """Its parameters."""
        for argument in self.arguments:
            if argument.name.startswith("--") and normal(argument.name) not in TYPED_EACH_TIME:
                text = " ".join((argument.parameter.help or "").split())
                yield Declared(normal(argument.name), argument.hint, _default(argument), text, self.name)

    @property
    def groups(self) -> Iterator[type]:
        """The dataclasses that its parameters are fields of."""
        for argument in self.arguments:
            if argument.name == "*":
                yield from (
                    one
                    for one in alternatives(argument.hint)
                    if isinstance(one, type) and dataclasses.is_dataclass(one)
                )


def known_keys(app: cyclopts.App) -> set[str]:
    """Return every parameter name of every command of an app, as config keys."""
    return {name for _, command in _commands(app) for name in names(command.assemble_argument_collection())}


def names(arguments: cyclopts.ArgumentCollection) -> set[str]:
    """Return the names of arguments, as config keys."""
    return {normal(argument.name) for argument in arguments if argument.name.startswith("--")} - TYPED_EACH_TIME


def all_commands(app: cyclopts.App, *, with_help: bool = False) -> list[Command]:
    """Return all commands that read config files, each by its first name.

    Args:
        app: The app.
        with_help: Also read what their parameters mean, which takes a second.
    """
    found: dict[Any, Command] = {}
    for name, command in _commands(app):
        arguments = command.assemble_argument_collection(parse_docstring=with_help)
        found.setdefault(command.default_command, Command(name, arguments))
    return list(found.values())


def command_named(app: cyclopts.App, path: tuple[str, ...]) -> Command:
    """Return a command by its name, word by word.

    Raises:
        ConfigError: If there is no such command, or it is a group.
    """
    below = app
    for at, word in enumerate(path):
        if word.startswith("-") or word not in below:
            raise ConfigError(unknown_command(below, path[:at], word))
        below = below[word]
    if below.default_command is None:
        raise ConfigError(f"`darts {' '.join(path)}` is a group of commands. Name one of {', '.join(_visible(below))}.")
    return Command(" ".join(path), below.assemble_argument_collection())


def by_key(commands: list[Command]) -> Mapping[str, list[Declared]]:
    """Return for each key the parameters that it is, of all commands."""
    keys: dict[str, list[Declared]] = {}
    for command in commands:
        for parameter in command.parameters:
            keys.setdefault(parameter.name, []).append(parameter)
    return keys


def _default(argument: cyclopts.Argument) -> Any:
    default = argument.field_info.default
    if default is argument.field_info.empty or default is dataclasses.MISSING:
        return None
    return default


def _visible(app: cyclopts.App) -> list[str]:
    return [name for name in app if not name.startswith("-")]


def _commands(app: cyclopts.App, before: tuple[str, ...] = ()) -> Iterator[tuple[str, cyclopts.App]]:
    """Yield name and app of all commands whose flags can be keys of a config file."""
    for name in _visible(app):
        command = app[name]
        if command.config:  # its own, see `ConfigParser.folders_only`
            continue
        yield from _commands(command, (*before, name))
        if command.default_command is not None:
            yield " ".join((*before, name)), command
