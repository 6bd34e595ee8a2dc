"""Logging: short on the console, full in a file that appears with the first record."""

import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

from darts.logs.events import SHOWN
from darts.logs.json_lines import JsonFormatter, json_line
from darts.logs.old_files import KEEP_DAYS, hold, remove_old_logs
from darts.utils.terminal import error_console, is_json, messages_are_watched, set_plain

_OUR_LOGGERS = (
    "darts",
    "darts_acquisition",
    "darts_export",
    "darts_postprocessing",
    "darts_preprocessing",
    "darts_segmentation",
    "darts_utils",
)
_THEIR_LOGGERS = ("smart_geocubes", "odc", "stopuhr")
_FILE_FORMAT = "%(asctime)s %(levelname)-8s %(name)s (%(threadName)s): %(message)s"
_PLAIN_FORMAT = "%(levelname)s: %(message)s"

type Head = Callable[[], Mapping[str, str]]
"""Gives names and values that a log file begins with."""


class VerbosityLevel(IntEnum):
    """How much the console shows; the log file always holds all of it."""

    NORMAL = 0
    """Warnings and the progress of a run."""
    VERBOSE = 1
    """Decisions too, and a line for each image."""
    VERY_VERBOSE = 2
    """Each step, details of DARTS, and tracebacks."""
    DEBUG = 3
    """Details of the libraries too."""

    @classmethod
    def from_cli(cls, verbose: bool, very_verbose: bool, debug: bool) -> Self:
        """Return the highest level of which the flag is set."""
        if debug:
            return cls(cls.DEBUG)
        if very_verbose:
            return cls(cls.VERY_VERBOSE)
        return cls(cls.VERBOSE if verbose else cls.NORMAL)

    @property
    def own_level(self) -> int:
        """Logging level of our loggers on the console."""
        return {0: logging.WARNING, 1: logging.INFO}.get(int(self), logging.DEBUG)

    @property
    def library_level(self) -> int:
        """Logging level of the libraries' loggers on the console."""
        return logging.DEBUG if self >= VerbosityLevel.DEBUG else logging.WARNING


class _LazyFileHandler(logging.FileHandler):
    """A log file that, with its folder, is only made when there is something to write."""

    def __init__(self, path: Path, head: Head, keep_days: int) -> None:
        super().__init__(path, delay=True, encoding="utf-8")
        self._head, self._keep_days = head, keep_days
        self._given_up = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; a folder that cannot be written to costs the log file, not the run."""
        if self._given_up:
            return
        try:
            if self.stream is None:
                self._begin(Path(self.baseFilename))
        except OSError as error:
            self._give_up("no log file", error)
            return
        super().emit(record)

    def _begin(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_old_logs(path.parent, self._keep_days)
        self.stream = self._open()
        hold(self.stream)
        if head := self._head():
            self.stream.write(self._first_lines(head))

    def _first_lines(self, head: Mapping[str, str]) -> str:
        if isinstance(self.formatter, JsonFormatter):
            return json_line("info", "log file begins", **head) + "\n"
        return "".join(f"# {key}: {value}\n" for key, value in head.items())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002  (as in logging)
        """Give the log file up when its disk is full or gone, with one warning; other errors are a library's."""
        error = sys.exception()
        if isinstance(error, OSError | ValueError):  # ValueError: somebody closed it
            self._give_up("the log file ends here", error)

    def flush(self) -> None:
        """Flush what there is; a full disk is noticed when a record is written."""
        if not self._given_up:
            super().flush()

    def close(self) -> None:
        """Close the file, whatever its disk says."""
        with suppress(OSError, ValueError):
            super().close()

    def _give_up(self, what: str, error: Exception) -> None:
        if not self._given_up:
            self._given_up = True
            logging.getLogger("darts").warning("%s: %s cannot be written (%s)", what, self.baseFilename, error)


class LoggingManagerSingleton:
    """Sets up the loggers of DARTS and of the libraries that it shows; one for the process, because logging is too."""

    def __init__(self) -> None:
        self._handlers: list[logging.Handler] = []
        self.verbosity = VerbosityLevel.NORMAL

    def setup_logging(
        self, verbosity: VerbosityLevel = VerbosityLevel.NORMAL, *, log_plain: bool = False, log_json: bool = False
    ) -> None:
        """Send records to the console; calling it again replaces the earlier setting.

        Args:
            verbosity: How much the console shows.
            log_plain: Show plain lines.
            log_json: Show JSON, an object a line, and write it to log files.
        """
        self.verbosity = verbosity
        set_plain(log_plain, json=log_json)
        self.reset()
        handler = _rich_console(verbosity) if messages_are_watched() else _plain_console()
        handler.addFilter(self._is_for_console)
        self._add(handler)

    def add_log_file(self, log_dir: Path, command: str, *, head: Head = dict, keep_days: int = KEEP_DAYS) -> Path:
        """Also write all records to `{log_dir}/darts_{time}_{command}.log`; return that path.

        Args:
            log_dir: The folder.
            command: Name of the command.
            head: Gives what the file begins with.
            keep_days: Days after which older log files of the folder are removed; 0 keeps all.
        """
        stamp = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
        path = Path(log_dir) / f"darts_{stamp}_{command}.log"
        handler = _LazyFileHandler(path, head, keep_days)
        handler.setFormatter(JsonFormatter() if is_json() else logging.Formatter(_FILE_FORMAT))
        self._add(handler)
        return path

    def _is_for_console(self, record: logging.LogRecord) -> bool:
        if getattr(record, SHOWN, False):  # the view shows it in words
            return is_json()
        return record.levelno >= self._console_level(record.name)

    def _console_level(self, logger_name: str) -> int:
        if logger_name == "py.warnings":  # what libraries tell programmers is no news for a user
            return logging.ERROR if self.verbosity == VerbosityLevel.NORMAL else logging.WARNING
        ours = logger_name.split(".")[0] in _OUR_LOGGERS
        return self.verbosity.own_level if ours else self.verbosity.library_level

    def _add(self, handler: logging.Handler) -> None:
        self._handlers.append(handler)
        for name in (*_OUR_LOGGERS, *_THEIR_LOGGERS, "py.warnings"):
            logger = logging.getLogger(name)
            logger.addHandler(handler)
            logger.setLevel(logging.DEBUG if name in _OUR_LOGGERS else logging.INFO)
            logger.propagate = False
        logging.captureWarnings(capture=True)

    def reset(self) -> None:
        """Take all handlers away again."""
        for name in (*_OUR_LOGGERS, *_THEIR_LOGGERS, "py.warnings"):
            for handler in self._handlers:
                logging.getLogger(name).removeHandler(handler)
        for handler in self._handlers:
            handler.close()
        self._handlers.clear()


class _QuietHandler(logging.StreamHandler):
    """A console handler; a console that is gone is no news for anybody."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name in logging)
        """Say nothing, unless a record is wrong."""
        if not isinstance(sys.exception(), OSError | ValueError):
            super().handleError(record)


def _plain_console() -> logging.Handler:
    handler = _QuietHandler()
    handler.setFormatter(JsonFormatter() if is_json() else logging.Formatter(_PLAIN_FORMAT))
    return handler


def _rich_console(verbosity: VerbosityLevel) -> logging.Handler:
    return _LazyRichHandler(error_console, show_path=verbosity >= VerbosityLevel.VERY_VERBOSE)


class _LazyRichHandler(logging.Handler):
    """Hands records to rich, whose logging module is only imported for the first record: start-up stays cheap."""

    def __init__(self, make_console: Any, *, show_path: bool) -> None:
        super().__init__()
        self._make_console = make_console
        self._show_path = show_path
        self._rich: logging.Handler | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        if self._rich is None:
            from rich.logging import RichHandler

            self._rich = RichHandler(console=self._make_console(), show_path=self._show_path, rich_tracebacks=True)
        self._rich.emit(record)


LoggingManager = LoggingManagerSingleton()
