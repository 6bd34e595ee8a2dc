"""A made-up Earth Engine on loopback that speaks its REST protocol to the real client and computes what it is asked."""

import contextlib
import datetime
import io
import json
import re
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import ee
import numpy as np
import shapely
from earthengine_graphs import UNDEFINED, Band, Evaluator, Image, Refused, array_band, described
from odc.geo.geobox import GeoBox

HARMONIZED = "COPERNICUS/S2_SR_HARMONIZED"
MAX_BYTES, MAX_EDGE = 50_331_648, 32_768
TRENDS = ("TCB_slope", "TCG_slope", "TCW_slope")
_OF_CLIENT = Path(ee.__file__).parent / "tests"
"""The client's package holds a list of the algorithms and a description of the protocol."""


class EarthEngineServer:
    """Images and trends behind Earth Engine's protocol.

    `requests` lists (method, path) of what was asked, `most_at_once` the largest number of requests under way.
    `fault(method, path)` may return a spoiler: a status, (status, headers), or one of `reset`, `cut`, `slow`,
    `garbage` (no array), `shape` (an array of another size). `token`, if set, is what its token service at `/token`
    gives and what every other request must carry; `refused_token` makes that service refuse.
    """

    def __init__(self):
        self.collections = {}
        self.requests, self.pixel_bytes = [], []
        self.most_at_once, self._now = 0, 0
        self.fault, self.hold_s = lambda method, path: None, 0
        self.token, self.refused_token = None, False
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"engine": self})
        self._server = type("Server", (ThreadingHTTPServer,), {"request_queue_size": 128})(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def clear_log(self):
        self.requests.clear()
        self.pixel_bytes.clear()
        self.most_at_once = 0

    def asked(self, ending):
        """Return how many requests had a path with this end."""
        return sum(path.split("?")[0].endswith(ending) for _, path in self.requests)

    def add_scene(self, scene_id, geobox, bands, properties=None, *, collection=HARMONIZED, footprint=None):
        """Put a scene in.

        Args:
            scene_id: Its id without the collection.
            geobox: Its 10 m grid.
            bands: (y, x) integers by name, 0 is masked; a smaller array covers the same ground with larger pixels.
            properties: Its metadata; the time comes from the id if it is not among them.
            collection: Where to put it.
            footprint: Ring of [longitude, latitude] that may jump at the antimeridian; else the outline of the grid.
        """
        ring = _outline(geobox) if footprint is None else footprint
        told = {
            "system:index": scene_id,
            "system:time_start": _time_of(scene_id),
            "system:footprint": {"type": "LinearRing", "coordinates": ring},
            **(properties or {}),
        }
        layers = tuple(_layer(name, np.asarray(values), geobox) for name, values in bands.items())
        image = Image(layers, f"{collection}/{scene_id}", told, _cut(ring))
        self.collections.setdefault(collection, []).append(image)

    def set_trends(self, trends, collection=None):
        """Make trends of a function `name, longitudes, latitudes -> uint8`, or of one image of arrays.

        Args:
            trends: The function, where longitudes are a row and latitudes a column; values of 0 are masked. Or arrays
                by name with the key `geobox` for their grid.
            collection: Id of the collection; that of smart-geocubes if not given.
        """
        import smart_geocubes

        name = smart_geocubes.TCTrend.collection if collection is None else collection
        if callable(trends):
            bands = tuple(_function_band(band, trends) for band in TRENDS)
        else:
            bands = tuple(_layer(band, trends[band], trends["geobox"]) for band in TRENDS)
        self.collections[name] = [Image(bands, f"{name}/0", {"system:index": "0"}, shapely.box(-180, -90, 180, 90))]

    @contextlib.contextmanager
    def counted(self):
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1

    def answer(self, path, text, authorization):
        """Return status, kind and content of an answer."""
        path = path.split("?")[0]
        if path == "/token":
            grant = {"access_token": self.token, "expires_in": 3600, "token_type": "Bearer"}
            refused = {"error": "invalid_grant", "error_description": "Invalid grant: account not found"}
            content = json.dumps(refused if self.refused_token else grant).encode()
            return 400 if self.refused_token else 200, "application/json", content
        if self.token is not None and authorization != f"Bearer {self.token}":
            return refusal(401, "Request had invalid authentication credentials.")
        body = json.loads(text) if text else {}
        try:
            if path == "/$discovery/rest":
                return 200, "application/json", _description(self.url)
            if re.fullmatch(r"/v1/projects/[^/]+/algorithms", path):
                return 200, "application/json", (_OF_CLIENT / "algorithms.json").read_bytes()
            if re.fullmatch(r"/v1/projects/[^/]+/value:compute", path):
                value = described(Evaluator(self.collections, body["expression"]).result())
                return 200, "application/json", json.dumps({"result": value}).encode()
            if re.fullmatch(r"/v1/projects/[^/]+/image:computePixels", path):
                return 200, "application/octet-stream", self._pixels(body)
        except Refused as error:
            return refusal(400, str(error))
        return refusal(404, f"Not found: {path}")

    def _pixels(self, body):
        grid, image = body["grid"], Evaluator(self.collections, body["expression"]).result()
        width, height = grid["dimensions"]["width"], grid["dimensions"]["height"]
        layers = [band for band in image.bands if band.name in body.get("bandIds", [band.name])]
        size = width * height * sum(band.dtype.itemsize for band in layers)
        if body["fileFormat"] != "NPY":
            raise Refused(f"This made-up service only writes NPY, not {body['fileFormat']}.")
        if max(width, height) > MAX_EDGE:
            raise Refused(f"Pixel grid dimensions ({width}x{height}) must be less than or equal to {MAX_EDGE}.")
        if size > MAX_BYTES:
            raise Refused(f"Total request size ({size} bytes) must be less than or equal to {MAX_BYTES} bytes.")
        self.pixel_bytes.append(size)
        values = np.empty((height, width), [(band.name, band.dtype) for band in layers])
        xs, ys = _centres(grid["affineTransform"], width, height)
        for name, (found, mask) in Image(tuple(layers)).pixels(xs, ys, grid["crsCode"]).items():
            values[name] = np.where(mask, found, UNDEFINED)
        file = io.BytesIO()
        np.save(file, values)
        return file.getvalue()


def refusal(status, message):
    kind = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED"}
    error = {"code": status, "message": message, "status": kind.get(status, "UNAVAILABLE")}
    return status, "application/json", json.dumps({"error": error}).encode()


def _description(url):
    """Return the description of the protocol, moved here and to the version that clients ask for."""
    text = (_OF_CLIENT / "cloud_api_discovery_document.json").read_text().replace("v1alpha", "v1")
    return json.dumps({**json.loads(text), "rootUrl": f"{url}/", "baseUrl": f"{url}/"}).encode()


def _centres(affine, width, height):
    """Return the centres of pixels, as a row and a column."""
    assert affine.get("shearX", 0) == affine.get("shearY", 0) == 0
    xs = affine["translateX"] + affine["scaleX"] * (np.arange(width) + 0.5)
    ys = affine["translateY"] + affine["scaleY"] * (np.arange(height) + 0.5)
    return xs[None, :], ys[:, None]


def _layer(name, values, geobox):
    times = round(geobox.shape[0] / values.shape[0])
    affine = geobox.affine
    transform = (affine.a * times, 0, affine.c, 0, affine.e * times, affine.f)
    return array_band(name, values, f"EPSG:{geobox.crs.epsg}", transform)


def _function_band(name, function):
    def sample(xs, ys):
        values = np.broadcast_to(function(name, xs, ys), np.broadcast(xs, ys).shape)
        return values, values != 0

    return Band(name, np.dtype("u1"), "EPSG:4326", (1, 0, 0, 0, 1, 0), (1, 1), sample)


def _time_of(scene_id):
    moment = datetime.datetime.strptime(scene_id[:15], "%Y%m%dT%H%M%S")
    return int(moment.replace(tzinfo=datetime.UTC).timestamp() * 1000)


def _outline(geobox: GeoBox):
    """Return the outline of a grid in degrees, longitudes between -180 and 180."""
    corners = shapely.box(*geobox.boundingbox).segmentize(max(geobox.shape) * 10 / 4)
    import pyproj

    to_degrees = pyproj.Transformer.from_crs(str(geobox.crs), "EPSG:4326", always_xy=True)
    return [list(to_degrees.transform(x, y)) for x, y in corners.exterior.coords]


def _cut(ring):
    """Return what a ring encloses, cut at the antimeridian if its longitudes jump there."""
    points = np.asarray(ring)
    if np.ptp(points[:, 0]) < 180:
        return shapely.Polygon(points)
    whole = shapely.Polygon(np.column_stack([points[:, 0] % 360, points[:, 1]]))
    west = shapely.intersection(whole, shapely.box(0, -90, 180, 90))
    east = shapely.intersection(whole, shapely.box(180, -90, 360, 90))
    return shapely.union_all([west, shapely.transform(east, lambda lonlat: lonlat - [360, 0])])


class _Handler(BaseHTTPRequestHandler):
    engine: EarthEngineServer

    def _handle(self):
        self.engine.requests.append((self.command, self.path))
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with contextlib.ExitStack() as self._under_way:
            self._under_way.enter_context(self.engine.counted())
            time.sleep(self.engine.hold_s)
            spoiler = self.engine.fault(self.command, self.path)
            if isinstance(spoiler, int):
                self._send(*refusal(spoiler, "made to fail"))
            elif isinstance(spoiler, tuple):
                self._send(*refusal(spoiler[0], "made to fail"), headers=spoiler[1])
            else:
                answer = self.engine.answer(self.path, text, self.headers.get("Authorization"))
                self._send(*answer, spoiler=spoiler)

    do_GET = do_POST = _handle

    def _send(self, status, kind, content, headers=None, spoiler=None):
        if spoiler in ("garbage", "shape"):
            file = io.BytesIO()
            np.save(file, np.zeros((2, 2), [("B2", "<u2")]))
            content = b"this is no array" if spoiler == "garbage" else file.getvalue()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            if spoiler == "slow":
                for first in range(0, len(content), 20_000):
                    self.wfile.write(content[first : first + 20_000])
                    self.wfile.flush()
                    time.sleep(0.2)
            else:
                self.wfile.write(content[: len(content) // 2])
                self._under_way.close()  # the client may have its next request here before this thread goes on
                if spoiler not in ("cut", "reset"):
                    self.wfile.write(content[len(content) // 2 :])
        if spoiler == "reset":
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def finish(self):
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *args):
        """Say nothing."""
