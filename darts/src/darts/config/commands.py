"""The commands about config files: what they say, whether it is right, and what they may say."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from darts.config.checking import problems
from darts.config.declared import all_commands, by_key, command_named
from darts.config.own_keys import own_keys
from darts.config.schema import config_schema as schema_of
from darts.utils.config import DEFAULT_FILE, config_parser
from darts.utils.terminal import say
from darts_utils.files import atomic_file
from darts_utils.machine.outputs import check_file
from darts_utils.paths import user_path


def show_config(
    *command: str,
    origin: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Show every key with its value, and where that comes from.

    Args:
        command: A command, such as `map sentinel2`, of which alone the keys are shown.
        origin: Also say where each value comes from.
        as_json: Print it as JSON, always with where values come from.
    """
    from darts.config.origins import resolved  # asks what addresses there are, which takes seconds to import

    commands = [command_named(_app(), command)] if command else all_commands(_app())
    parameters = [*(one for each in commands for one in each.parameters), *own_keys()]
    rows = resolved(parameters, config_parser.entries(), config_parser.file)
    if as_json:
        say(json.dumps([row.document for row in rows], indent=2, ensure_ascii=False))
        return
    several = {row.key for row in rows if sum(row.key == other.key for other in rows) > 1}
    for row in rows:
        readers = f" ({', '.join(row.commands)})" if row.key in several else ""
        say(f"{row.line}{readers}{f'  # {row.origin}' if origin else ''}")


@dataclass(frozen=True)
class CheckReport:
    """What is wrong with a config file."""

    problems: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Exit status for the shell: 0 if nothing is wrong, else 2."""
        return 2 if self.problems else 0


def check_config(file: Path | None = None) -> CheckReport:
    """Report all that is wrong with a config file, a line each; the exit status is 2 if something is.

    Args:
        file: The file; that of --config-file if not given.
    """
    checked = config_parser.file if file is None else user_path(file)
    if file is None and checked == DEFAULT_FILE and not checked.exists():
        say(f"there is no {checked} here, so nothing is read of one")
        return CheckReport(())
    found = problems(checked, _app())
    for problem in found:
        say(problem)
    if not found:
        say(f"{checked}: nothing is wrong")
    return CheckReport(tuple(found))


def config_schema(*, out: Path | None = None) -> None:
    """Print a JSON schema of config files, by which editors check and complete them.

    Args:
        out: A file to write it to instead.
    """
    keys = {**by_key(all_commands(_app(), with_help=True)), **{one.name: [one] for one in own_keys()}}
    text = json.dumps(schema_of(keys), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        say(text.rstrip())
        return
    file = user_path(out)
    check_file(file)
    with atomic_file(file) as part:
        part.write_text(text, encoding="utf-8")
    say(f"Schema: {file}")


def _app() -> cyclopts.App:
    """Return the app whose commands read config files."""
    assert config_parser.root_app is not None
    return config_parser.root_app
