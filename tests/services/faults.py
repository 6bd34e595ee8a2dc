"""A proxy that passes requests on to a local server, counts them, and spoils some."""

import collections
import contextlib
import http.client
import random
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KINDS = (429, "retry-after", 500, 503, "cut", "reset", "slow", "truncated")
"""Ways to spoil an answer; a number is a status, `retry-after` is 429 that asks to wait a second."""


class FaultProxy:
    """Spoils the requests that `fault(method, path)` names a kind for.

    A kind is a status, or one with headers, or a word: `retry-after`, `corrupt`, `truncated`, `cut`, `reset`, `slow`.
    """

    def __init__(self, port):
        self.slow_s = 0.25
        self.refuse = lambda method, path, headers: None  # may give a status and a body
        self.requests, self.fault, self.port = [], lambda method, path: None, port
        self.under_way, self.most_under_way, self._lock = 0, 0, threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self.server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def spoil(self, share, seed, kinds=KINDS, most_running=3):
        """Spoil a share of the requests at random; of one path, only so many running, for who asks gives up at last."""
        rng, lock, running = random.Random(seed), threading.Lock(), collections.Counter()

        def fault(method, path):
            with lock:
                is_spoilt = rng.random() < share and running[path] < most_running
                running[path] = running[path] + 1 if is_spoilt else 0
                return rng.choice(kinds) if is_spoilt else None

        self.fault = fault

    def fetched(self):
        """Return the names of the files that were asked for, each once."""
        return sorted({path.split("?")[0].rsplit("/", 1)[-1] for method, path in self.requests if method == "GET"})

    def count(self, step):
        with self._lock:
            self.under_way += step
            self.most_under_way = max(self.most_under_way, self.under_way)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultProxy

    def _pass_on(self):
        with contextlib.ExitStack() as self._under_way:
            self.proxy.count(1)
            self._under_way.callback(self.proxy.count, -1)
            self._answer_or_spoil()

    do_GET = do_HEAD = do_POST = _pass_on

    def _answer_or_spoil(self):
        self.proxy.requests.append((self.command, self.path))
        refusal = self.proxy.refuse(self.command, self.path, self.headers)
        if refusal is not None:
            self._answer(refusal[0], {"Content-Type": "application/xml"}, refusal[1])
            return
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.fault(self.command, self.path)
        fault = (429, {"Retry-After": "1"}) if fault == "retry-after" else fault
        if isinstance(fault, int | tuple):
            status, headers = fault if isinstance(fault, tuple) else (fault, {})
            self._answer(status, headers, b"")
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=30)
        upstream.request(self.command, self.path, sent, headers=dict(self.headers.items()))
        answer = upstream.getresponse()
        body, headers = answer.read(), dict(answer.getheaders())
        upstream.close()
        if fault == "corrupt":
            body = body[: len(body) // 3] + b"\x55" * (len(body) - len(body) // 3)
        if fault == "truncated":
            body = body[: len(body) // 2]
        self._answer(answer.status, headers, body, fault)

    def _answer(self, status, headers, body, fault=None):
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                self.send_header(name, value)
        length = headers.get("Content-Length") or headers.get("content-length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.close_connection = True
            self._send(body, fault)

    def _send(self, body, fault):
        if fault == "slow":
            step = max(len(body) // 5, 1)
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                self.wfile.flush()
                time.sleep(self.proxy.slow_s / 5)
        elif fault in ("cut", "reset"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if fault == "reset":  # closing without lingering makes the kernel send a reset
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
        else:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self._under_way.close()  # the client may have its next request here before this thread goes on
            self.wfile.write(body[len(body) // 2 :])

    def log_message(self, *args):
        """Say nothing."""
