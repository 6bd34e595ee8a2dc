"""Runs a command over a world and notes all that it did: status, words, files, requests, memory."""

import hashlib
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TIMEOUT_S = 30
_MOST_ADDRESS_SPACE = 12 * 2**30
"""Of a command: torch alone takes 4 GiB of it."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_OF_RUN = ("work/output", "work/logs")
"""Where a command may write."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command did."""

    status: int
    stdout: str
    stderr: str
    seconds: float
    changed: tuple
    """Files beyond the folders of the run that were made, changed or deleted."""
    requests: tuple
    """What was asked of the network beyond loopback."""
    grown_mb: float
    """By how much the most memory that this process ever took has grown; 0 for one of its own."""

    @property
    def output(self):
        return self.stdout + self.stderr


class Trap:
    """A proxy on loopback that notes what it is asked for: whatever reaches the network through a proxy ends here."""

    def __init__(self):
        self.asked = []
        handler = type("Handler", (_Refusing,), {"asked": self.asked})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def environment(self):
        """Return the variables that lead GDAL, requests and urllib through the trap."""
        proxies = {f"{name}_proxy": self.url for name in ("http", "https")}
        proxies |= {name.upper(): value for name, value in proxies.items()}
        return proxies | dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost")

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Refusing(BaseHTTPRequestHandler):
    asked: list

    def _refuse(self):
        self.asked.append(f"{self.command} {self.path}")
        self.send_error(403)

    do_GET = do_HEAD = do_POST = do_CONNECT = _refuse

    def log_message(self, *args):
        """Say nothing."""


def only_loopback(monkeypatch, asked):
    """Let sockets of this process reach loopback only; note other attempts in a list."""
    connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple) and address[0] not in _LOOPBACK:
            asked.append(f"connect {address}")
            raise ConnectionRefusedError(f"no network here but loopback, not {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def snapshot(folder):
    """Return the files, folders and links of a world that no run may touch, each with a digest of what it is."""
    seen = {}
    for root, folders, files in os.walk(folder):
        inside = Path(root).relative_to(folder)
        folders[:] = [name for name in folders if (inside / name).as_posix() not in _OF_RUN]
        for name in (*folders, *files):
            path = Path(root, name)
            seen[(inside / name).as_posix()] = _digest(path)
    return seen


def _digest(path):
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if not path.is_file():
        return "folder" if path.is_dir() else "special"
    return hashlib.blake2b(path.read_bytes(), digest_size=12).hexdigest()


def run(world, darts, trap, *, by_command):
    """Run the command of a world, in this process or in one of its own, and return what it did."""
    asked = trap.asked
    asked.clear()
    before, beside = snapshot(world.folder), set(world.folder.parent.iterdir())
    started, peak = time.monotonic(), _peak_mb()
    result = _process(world, trap) if by_command else darts(*world.words)
    after = snapshot(world.folder)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    changed += sorted(map(str, beside ^ set(world.folder.parent.iterdir())))
    return Outcome(
        status=result.returncode, stdout=result.stdout, stderr=result.stderr, seconds=time.monotonic() - started,
        changed=tuple(changed), requests=tuple(asked), grown_mb=0 if by_command else _peak_mb() - peak,
    )  # fmt: skip


def _peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _process(world, trap):
    command = [sys.executable, "-X", "faulthandler", "-m", "darts.cli", *world.words]
    environment = os.environ | trap.environment() | world.environment
    limit = f'ulimit -v {_MOST_ADDRESS_SPACE // 1024}; exec "$@"'
    return subprocess.run(
        ["bash", "-c", limit, "bash", *command], cwd=world.work, env=environment, timeout=TIMEOUT_S,
        capture_output=True, encoding="utf-8", errors="replace", stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
