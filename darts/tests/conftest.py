"""A clean environment: every test has its own working folder and no DARTS settings."""

import logging
import os

import pytest

from darts.utils.logging import LoggingManager
from darts.utils.terminal import set_plain
from darts_acquisition.services.network import set_offline

# maps of tests are to be the same whatever the processor: this keeps the library of torch's convolutions, and with it
# `--precision auto`, from numbers that only some processors have
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("DARTS_DATA_DIR", "DARTS_FAST_DATA_DIR", "DARTS_LARGE_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    set_offline(offline=False)  # a run in this process may have been offline
    LoggingManager.reset()
    set_plain(False)
    logging.captureWarnings(capture=False)


@pytest.fixture
def darts(capfd):
    """Run the command line in this process; give exit status, standard output and standard error."""
    from darts.cli import app, config_parser
    from darts.utils import terminal

    def run(*tokens):
        for cached in (terminal.output_console, terminal.error_console):
            cached.cache_clear()
        config_parser.__init__()
        config_parser.root_app = app
        code = app.meta([str(token) for token in tokens], result_action="return_value", exit_on_error=False)
        captured = capfd.readouterr()
        return code or 0, captured.out, captured.err

    return run


@pytest.fixture
def darts_from_shell(capfd, tmp_path, monkeypatch):
    """As `darts`, by what the script itself does with what was typed, in an empty folder."""
    from darts.cli import _run, app, config_parser
    from darts.command_line.commands import usual_tokens
    from darts.utils import terminal

    monkeypatch.chdir(tmp_path)

    def run(*tokens):
        for cached in (terminal.output_console, terminal.error_console):
            cached.cache_clear()
        config_parser.__init__()
        config_parser.root_app = app
        code = _run(usual_tokens(list(tokens)))
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run
