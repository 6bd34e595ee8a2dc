"""The log file of a command: in which folder, for how long older ones stay beside it, and what it begins with."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from darts.config.own_keys import OWN_KEYS
from darts.logs.old_files import KEEP_DAYS
from darts.utils.config import config_parser
from darts.utils.logging import LoggingManager
from darts_utils.errors import ConfigError
from darts_utils.paths import DefaultPaths, PathManager, user_path


def base_folders(arguments: Mapping[str, Any]) -> DefaultPaths:
    """Return the base folders that a command was given; those of the config file, if it has no parameters for them."""
    given = (
        value if isinstance(value, DefaultPaths) else getattr(value, "default_dirs", None)
        for value in arguments.values()
    )
    of_command = next((folders for folders in given if folders is not None), None)
    if of_command is not None:
        return of_command
    return DefaultPaths(**config_parser.values({field.name: field.type for field in fields(DefaultPaths)}))


def open_log(
    name: str, tokens: Sequence[str], log_dir: Path | None, folders: DefaultPaths, keep_logs: int | None
) -> Path:
    """Let all that is logged from now on also go to a file that tells what was run; return its path."""
    folder = _log_folder(log_dir, folders)
    keep_days = config_parser.values(OWN_KEYS).get("keep_logs", KEEP_DAYS) if keep_logs is None else keep_logs
    if not str(keep_days).isdigit():
        raise ConfigError(f"keep_logs is {keep_days} but must be a whole number of days. Use 0 to keep all.")

    def head() -> Mapping[str, str]:
        from darts.logs.head import log_head  # only needed where there is something to log

        return log_head(tokens, {"results": PathManager(folders).output, "logs": folder})

    return LoggingManager.add_log_file(folder, name, head=head, keep_days=int(keep_days))


def _log_folder(log_dir: Path | None, folders: DefaultPaths) -> Path:
    """Return where the log file goes; the working folder is not written out, for messages are shorter so."""
    folder = PathManager(folders).logs if log_dir is None else user_path(log_dir)
    return Path(os.path.relpath(folder)) if folder.parent == Path.cwd() else folder
