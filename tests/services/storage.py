"""A made-up S3 storage with JPEG 2000 scenes and a fault proxy in front of it; seeded."""

import hashlib
import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pystac
import rasterio
from affine import Affine

BUCKET = "eodata"
BANDS = ("B02_10m", "B03_10m", "B04_10m", "B08_10m", "B05_20m", "SCL_20m")
HEIGHT, WIDTH = 96, 132
TRANSFORM = Affine(10, 0, 499_980, 0, -10, 7_800_000)


def scene(scene_id, folder, upload, *, scale=True):
    """Make a scene, hand its files to `upload(key, bytes)`; return its item and its numbers by band."""
    rng = np.random.default_rng(len(scene_id) + int(scene_id[-2:]))
    numbers, assets = {}, {}
    for band in BANDS:
        times = 2 if band.endswith("20m") else 1
        shape, is_class = (HEIGHT // times, WIDTH // times), band.startswith("SCL")
        numbers[band] = rng.integers(0, 12 if is_class else 9000, shape).astype(np.uint8 if is_class else np.uint16)
        numbers[band][: 6 // times, : 10 // times] = 0
        key = f"Sentinel-2/{scene_id}.SAFE/{band}.jp2"
        body = _jpeg2000(folder / f"{scene_id}-{band}.jp2", numbers[band], times)
        upload(key, body)
        assets[band] = _asset(f"s3://{BUCKET}/{key}", is_class, scale)
        assets[band]["file:checksum"] = "1620" + hashlib.sha3_256(body).hexdigest()
    properties = {"view:sun_azimuth": 170.5, "view:sun_elevation": 40.25, "grid:code": "MGRS-08WNB"}
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": scene_id,
        "geometry": {"type": "Point", "coordinates": [-135, 70]},
        "bbox": [-135, 70, -135, 70],
        "properties": {"datetime": "2024-07-20T20:09:09.024Z", "statistics": {"water": 0.5}, **properties},
        "links": [],
        "assets": assets,
    }
    return pystac.Item.from_dict(item), numbers


def _asset(href, is_class, scale):
    asset = {"href": href, "type": "image/jp2", "roles": ["data", "sampling:original"]}
    if not is_class:
        asset["roles"].append("reflectance")
        asset |= {"raster:scale": 0.0002, "raster:offset": -0.3} if scale else {}
    return asset


def _jpeg2000(path, numbers, times):
    profile = {"driver": "JP2OpenJPEG", "height": numbers.shape[0], "width": numbers.shape[1], "count": 1}
    profile |= {"dtype": numbers.dtype, "crs": "EPSG:32608", "transform": TRANSFORM * Affine.scale(times)}
    with rasterio.open(path, "w", QUALITY="100", REVERSIBLE="YES", **profile) as file:
        file.write(numbers, 1)
    return path.read_bytes()


class FaultProxy:
    """Passes requests on to a server, and spoils those that `fault(method, path)` names a spoiler for.

    A spoiler is a status, or one with headers; `corrupt`, `cut` in mid-body, or `slow`.
    """

    def __init__(self, port):
        self.requests, self.fault, self._port, self.slow_s = [], lambda method, path: None, port, 0
        handler = type("Handler", (_Handler,), {"proxy": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def fetched(self):
        """Return the names of the files that were asked for, each once."""
        return sorted({path.split("?")[0].rsplit("/", 1)[-1] for method, path in self.requests if method == "GET"})


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultProxy

    def _pass_on(self):
        self.proxy.requests.append((self.command, self.path))
        fault = self.proxy.fault(self.command, self.path)
        if isinstance(fault, int | tuple):
            status, headers = fault if isinstance(fault, tuple) else (fault, {})
            self._answer(status, headers, b"")
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.proxy._port, timeout=10)
        upstream.request(self.command, self.path, headers=dict(self.headers.items()))
        answer = upstream.getresponse()
        body, headers = answer.read(), dict(answer.getheaders())
        upstream.close()
        if fault == "corrupt":
            body = body[: len(body) // 3] + b"\x55" * (len(body) - len(body) // 3)
        if fault == "slow":
            time.sleep(self.proxy.slow_s)
        self._answer(answer.status, headers, body, cut=fault == "cut")

    do_GET = do_HEAD = _pass_on

    def _answer(self, status, headers, body, *, cut=False):
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                self.send_header(name, value)
        length = headers.get("Content-Length") or headers.get("content-length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = True

    def log_message(self, *args):
        """Say nothing."""
