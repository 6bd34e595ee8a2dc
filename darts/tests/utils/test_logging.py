"""Logging: levels, the lazy log file, and the file's contents."""

import contextlib
import io
import logging
from pathlib import Path

import pytest

from darts.utils.logging import LoggingManager, VerbosityLevel


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        ((False, False, False), VerbosityLevel.NORMAL),
        ((True, False, False), VerbosityLevel.VERBOSE),
        ((True, True, False), VerbosityLevel.VERY_VERBOSE),
        ((False, False, True), VerbosityLevel.DEBUG),
        ((True, True, True), VerbosityLevel.DEBUG),
    ],
)
def test_the_highest_flag_counts(flags, level):
    assert VerbosityLevel.from_cli(*flags) is level


@pytest.mark.parametrize(
    ("verbosity", "shown"),
    [
        (VerbosityLevel.NORMAL, ["own warning"]),
        (VerbosityLevel.VERBOSE, ["own info", "own warning"]),
        (VerbosityLevel.VERY_VERBOSE, ["own debug", "own info", "own warning"]),
        (VerbosityLevel.DEBUG, ["own debug", "own info", "own warning", "library info"]),
    ],
)
def test_the_console_shows_what_the_level_says(verbosity, shown, capsys):
    LoggingManager.setup_logging(verbosity, log_plain=True)
    say_everything()
    assert [line.split(": ", 1)[1] for line in capsys.readouterr().err.splitlines()] == shown


def say_everything():
    own, library = logging.getLogger("darts_export.raster"), logging.getLogger("odc.geo")
    own.debug("own debug")
    own.info("own info")
    own.warning("own warning")
    library.info("library info")


def test_a_message_to_a_file_is_one_line_however_long(capsys):
    LoggingManager.setup_logging()
    logging.getLogger("darts").warning("a long word " * 40)
    assert capsys.readouterr().err == f"WARNING: {'a long word ' * 40}\n"


def test_the_log_file_holds_everything_and_appears_with_the_first_record(tmp_path):
    LoggingManager.setup_logging(log_plain=True)
    path = LoggingManager.add_log_file(tmp_path / "logs", "run")
    assert not path.parent.exists()
    say_everything()
    text = path.read_text()
    for message in ("own debug", "own info", "own warning", "library info"):
        assert message in text
    assert path.name.startswith("darts_")
    assert path.name.endswith("_run.log")


def test_a_folder_that_cannot_be_written_costs_the_file_but_not_the_run(tmp_path, capsys):
    (tmp_path / "logs").write_text("a file")
    LoggingManager.setup_logging(log_plain=True)
    LoggingManager.add_log_file(tmp_path / "logs", "run")
    say_everything()
    say_everything()
    err = capsys.readouterr().err
    assert err.count("no log file: ") == 1
    assert err.count("own warning") == 2


def test_setting_up_twice_shows_a_record_once(capsys):
    LoggingManager.setup_logging(log_plain=True)
    LoggingManager.setup_logging(log_plain=True)
    logging.getLogger("darts.x").warning("once")
    assert capsys.readouterr().err == "WARNING: once\n"


def test_what_libraries_tell_programmers_is_for_the_log_file(tmp_path, capsys):
    import warnings

    LoggingManager.setup_logging(log_plain=True)
    path = LoggingManager.add_log_file(tmp_path, "run")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("about an argument", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == ""
    assert "about an argument" in path.read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_costs_one_warning_and_the_rest_of_the_log(tmp_path, capsys):
    LoggingManager.setup_logging(log_plain=True)
    path = LoggingManager.add_log_file(tmp_path, "run")
    path.symlink_to("/dev/full")
    for _ in range(10):
        say_everything()
    LoggingManager.reset()
    err = capsys.readouterr().err
    warning = f"WARNING: the log file ends here: {path} cannot be written ([Errno 28] No space left on device)\n"
    assert err.count(warning) == 1
    assert err.count("\n") == 11
    assert "Traceback" not in err


@pytest.mark.parametrize("plain", [True, False])
def test_a_console_that_is_gone_is_no_news(plain, monkeypatch, capfd):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("sys.stderr", Gone())
    LoggingManager.setup_logging(log_plain=plain)
    with contextlib.suppress(SystemExit):  # rich ends so; the streams of a command never break
        say_everything()
    assert capfd.readouterr() == ("", "")
