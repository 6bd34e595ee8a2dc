"""A storage of cloud-optimised GeoTIFFs by https, which answers ranges of bytes and can be made to misbehave."""

import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import rasterio
from rasterio.io import MemoryFile


class CogServer:
    """Serves files that are put into `files` by path; `requests` lists (path, range or None) of what was asked.

    `fault(path, range)` may name what goes wrong with a request: a status, `whole` (ranges are not known), `truncated`,
    `replaced` (another ETag), or an address to redirect to.

    Args:
        authority: A `trustme.CA`; who trusts it trusts this server.
    """

    def __init__(self, authority):
        self.files, self.requests, self.fault = {}, [], lambda path, asked: None
        handler = type("Handler", (_Handler,), {"cogs": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def put(self, path, values, geobox, block=128):
        """Serve an array as a cloud-optimised GeoTIFF; return its address."""
        self.files[path] = cog(values, geobox, block)
        return self.url + path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cogs = None

    def do_GET(self):
        asked = self.headers.get("Range")
        self.cogs.requests.append((self.path, asked))
        fault, body = self.cogs.fault(self.path, asked), self.cogs.files.get(self.path)
        if isinstance(fault, str) and fault.startswith("http"):
            return self._answer(302, b"", Location=fault)
        if isinstance(fault, int) or body is None:
            return self._answer(fault or 404, b"no")
        tag = {"ETag": '"new"' if fault == "replaced" else '"one"'}
        if asked is None or fault == "whole":
            return self._answer(200, body, **tag)
        first, last = (int(number) for number in re.fullmatch(r"bytes=(\d+)-(\d+)", asked).groups())
        part = body[first : last + 1]
        tag["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(body)}"
        return self._answer(206, part, cut=fault == "truncated", **tag)

    def _answer(self, status, body, cut=False, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def log_message(self, *_):
        pass


def cog(values, geobox, block=128):
    """Return an array as a tiled GeoTIFF with an overview."""
    height, width = values.shape
    profile = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": values.dtype, "nodata": 0}
    tiles = {"tiled": True, "blockxsize": block, "blockysize": block, "compress": "deflate"}
    with MemoryFile() as memory:
        with memory.open(**profile, **tiles, crs=str(geobox.crs), transform=geobox.affine) as file:
            file.write(np.ascontiguousarray(values), 1)
        with rasterio.open(memory.name, "r+") as file:
            file.build_overviews([2], rasterio.enums.Resampling.nearest)
        return memory.read()
