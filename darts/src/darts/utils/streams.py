"""Standard streams that outlive their readers: a closed pipe, terminal or descriptor ends no run."""

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any

_READER_GONE = {errno.EPIPE, errno.EIO, errno.EBADF, errno.ECONNRESET}
"""How writing fails after the reader of a pipe, or the terminal, is gone."""


class _Lasting(io.FileIO):
    """Writes to a descriptor, and to nowhere once that is no longer possible."""

    def write(self, data: Any) -> int:
        """Write bytes; what cannot be written is dropped."""
        try:
            return super().write(data) or 0
        except OSError as error:
            _lead_nowhere(self.fileno())
            if error.errno not in _READER_GONE:
                _warn(f"the output cannot be written ({error.strerror}); the work goes on without it")
            return memoryview(data).nbytes


def keep_streams() -> None:
    """Let the standard streams of this process be there, and stay, whoever reads them."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # or else the next file that is opened would get the number, and what is printed
            _lead_nowhere(number)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  (a descriptor, for ever)
    sys.stdout, sys.stderr = _lasting(1, sys.stdout), _lasting(2, sys.stderr)


def _lasting(number: int, stream: Any) -> io.TextIOWrapper:
    with suppress(OSError, ValueError, AttributeError):
        stream.flush()
    encoding = getattr(stream, "encoding", None) or "utf-8"
    errors = "backslashreplace"  # what the encoding of a terminal lacks is written as its number
    if encoding.lower() in ("ascii", "us-ascii", "ansi_x3.4-1968"):  # nobody chose it: no language is set
        encoding, errors = "utf-8", "surrogateescape"
    raw = _Lasting(number, "w", closefd=False)
    lines = number == 2 or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=lines)


def _lead_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)


def _warn(text: str) -> None:
    with suppress(OSError):
        os.write(2, f"Warning: {text}.\n".encode())
