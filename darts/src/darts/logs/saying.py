"""Why a command ends: one line on the console, whatever went wrong."""

import logging
import os
import re
from pathlib import Path

from darts.logs.json_lines import json_line
from darts.utils.terminal import error_console, is_json
from darts_utils.errors import DartsError, one_line, with_kind
from darts_utils.machine.disk import advice_for, is_readable

logger = logging.getLogger(__name__)


def said(error: Exception) -> str:
    """Return what an error says in one line, and for one of the system that nobody put into words what to do."""
    if isinstance(error, DartsError) or not isinstance(error, OSError) or error.errno is None:
        return one_line(error)
    place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    path = Path(place.removesuffix(": "))
    if isinstance(error, PermissionError) and not is_readable(path):
        return f"{place}{error.strerror}. Ask for the right to read it."
    return f"{place}{error.strerror}. {advice_for(error, path)}"


def unforeseen(error: Exception, log_file: Path) -> int:
    """Say in one line that something went wrong that nobody thought of; the log file has the traceback."""
    logger.debug("the command failed in a way that was not foreseen", exc_info=error)
    say_error(
        f"{with_kind(error, 300)} (not foreseen, so likely a fault of DARTS). "
        f"Report it with {log_file}, where the details are; -vv shows them."
    )
    return 1


def say_error(message: str, kind: str = "Error: ") -> None:
    """Say why a command ends, on one line whatever a name or a file holds: neither breaks of lines nor escapes."""
    line = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", f"{kind}{message}").rstrip()
    if is_json():
        line = json_line("error", line.removeprefix(kind))
    error_console().print(line, style="red", highlight=False, soft_wrap=True, markup=False)
