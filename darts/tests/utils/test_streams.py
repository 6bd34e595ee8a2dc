"""Output whose reader is gone."""

import io
import os
import subprocess
import sys

import pytest

from darts.utils.streams import _Lasting

PROGRAM = """
import os, sys
from darts.utils.streams import keep_streams
keep_streams()
print("said", flush=True)
print("said", file=sys.stderr, flush=True)
opened = os.open(os.devnull, os.O_RDONLY)
os._exit(opened)
"""


@pytest.fixture
def pipe():
    """The two ends of a pipe."""
    ends = list(os.pipe())
    yield ends
    for end in ends:
        os.close(end)


def test_what_is_written_arrives(pipe):
    stream = io.TextIOWrapper(io.BufferedWriter(_Lasting(pipe[1], "w", closefd=False)))
    print("a line", file=stream, flush=True)
    assert os.read(pipe[0], 100) == b"a line\n"


def test_a_reader_that_is_gone_is_no_error(pipe, capfd):
    os.close(pipe.pop(0))
    stream = io.TextIOWrapper(io.BufferedWriter(_Lasting(pipe[0], "w", closefd=False)))
    for _ in range(3):
        print("a line", file=stream, flush=True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")  # noqa: PTH110
def test_a_full_disk_is_said_once(capfd):
    full = os.open("/dev/full", os.O_WRONLY)
    stream = io.TextIOWrapper(io.BufferedWriter(_Lasting(full, "w", closefd=False)))
    for _ in range(3):
        print("a line", file=stream, flush=True)
    os.close(full)
    message = "Warning: the output cannot be written (No space left on device); the work goes on without it.\n"
    assert capfd.readouterr() == ("", message)


def test_closed_streams_are_nowhere_and_no_file_gets_their_number():
    command = ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, PROGRAM]
    assert subprocess.run(command, check=False).returncode == 3
