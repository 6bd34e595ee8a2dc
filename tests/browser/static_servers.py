"""Servers of files as people have them: without range requests, and with them. They tell what was asked for."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


class _Plain(SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path.split("?")[0], self.headers.get("Range")))
        super().do_GET()

    def log_message(self, *_):
        pass


class _Ranges(_Plain):
    def do_GET(self):
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if found is None:
            return super().do_GET()
        self.server.asked.append((self.path, self.headers["Range"]))
        content = Path(self.translate_path(self.path)).read_bytes()
        first, last = int(found[1]), min(int(found[2]), len(content) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(content[first : last + 1])
        return None


@contextmanager
def served(folder: Path, *, ranges: bool) -> Iterator[ThreadingHTTPServer]:
    """Serve a folder on this machine; the server's `address` is where, `asked` what it was asked for."""
    handler = partial(_Ranges if ranges else _Plain, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked, server.address = [], f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
