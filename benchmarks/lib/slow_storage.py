"""A storage on a slow line: a file under many keys, no more bytes a second than the line carries.

It runs as a process of its own, so that what it does is not taken for what is measured.
"""

import argparse
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_PIECE = 2**16


class Line:
    """Lets so many bytes a second pass, whoever asks, and counts how long connections were in use."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._lock = threading.Lock()
        self._free_at = time.monotonic()
        self.n_bytes, self.busy_s, self.first, self.last = 0, 0.0, 0.0, 0.0

    def carry(self, n_bytes: int) -> None:
        """Wait until so many bytes are through."""
        with self._lock:
            begin = max(self._free_at, time.monotonic())
            self._free_at = begin + n_bytes / self._bytes_per_s
            self.n_bytes += n_bytes
            wait = self._free_at - time.monotonic()
        if wait > 0:
            time.sleep(wait)

    def used(self, start: float) -> None:
        """Take note of a connection that was in use since a moment."""
        with self._lock:
            self.last = time.monotonic()
            self.busy_s += self.last - start
            self.first = start if self.first == 0 else min(self.first, start)


def _handler(folder: Path, line: Line) -> type[BaseHTTPRequestHandler]:
    """Return what answers: the file whose name a key ends with, or what was counted, at `/counted`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/counted":
                counted = {"n_bytes": line.n_bytes, "busy_s": line.busy_s, "seconds": line.last - line.first}
                self._answer(json.dumps(counted).encode())
                return
            start = time.monotonic()
            body = (folder / self.path.rsplit("/", 1)[-1]).read_bytes()
            self._head(len(body))
            for first in range(0, len(body), _PIECE):
                piece = body[first : first + _PIECE]
                line.carry(len(piece))
                self.wfile.write(piece)
            line.used(start)

        def _head(self, n_bytes: int) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(n_bytes))
            self.end_headers()

        def _answer(self, body: bytes) -> None:
            self._head(len(body))
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


def main() -> None:
    """Serve a folder on a free port of this machine, print the port, and go on until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mbit-per-s", type=float, required=True)
    arguments = parser.parse_args()
    line = Line(arguments.mbit_per_s * 1e6 / 8)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(arguments.folder, line))
    print(server.server_port, flush=True)
    server.serve_forever(0.05)


if __name__ == "__main__":
    main()
