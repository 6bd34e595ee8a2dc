"""A catalogue of the two scenes on loopback, which answers what a trial wants it to."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import shapely

from hostile.damage import as_json
from hostile.worlds import SCENES

GROUND = shapely.box(-135.02, 69.38, -134.98, 69.41)
_TRANSFORM = [10, 0, 500_000, 0, -10, 7_700_640]


def item(scene_id, number=0):
    """Return what the catalogue says of a scene, as that of the Copernicus Data Space does."""
    asset = {
        "href": f"s3://eodata/{scene_id}.SAFE/B02.jp2", "type": "image/jp2", "roles": ["data"], "file:size": 9000,
        "proj:code": "EPSG:32608", "proj:shape": [64, 70], "proj:transform": _TRANSFORM,
        "raster:scale": 0.0001, "raster:offset": -0.1,
    }  # fmt: skip
    names = ("B02_10m", "B03_10m", "B04_10m", "B08_10m", "SCL_20m")
    day = f"2024-07-{20 + number}T20:09:09.000Z"
    return {
        "type": "Feature", "stac_version": "1.1.0", "id": scene_id, "collection": "sentinel-2-l2a",
        "geometry": shapely.geometry.mapping(GROUND), "bbox": list(GROUND.bounds), "links": [], "stac_extensions": [],
        "properties": {
            "datetime": day, "start_datetime": day, "end_datetime": day, "grid:code": "MGRS-08WNB",
            "eo:cloud_cover": 4.5, "eo:snow_cover": 0.5, "view:sun_azimuth": 170.0, "view:sun_elevation": 40.0,
            "processing:version": "05.10",
        },
        "assets": {name: dict(asset) for name in names},
    }  # fmt: skip


def items():
    return [item(scene_id, number) for number, scene_id in enumerate(SCENES)]


def page(features, links=()):
    return {"type": "FeatureCollection", "features": features, "links": list(links)}


class Catalogue:
    """Answers every request with `answer(request)`: a status, headers and a body, or a JSON value.

    `asked` has the bodies of the searches.
    """

    def __init__(self):
        self.asked = []
        self.answer = None
        handler = type("Handler", (_Handler,), {"catalogue": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def reset(self):
        """Forget what was asked, answer soundly again."""
        self.asked.clear()
        self.says(page(items()))
        return self

    def says(self, value):
        """Answer every search with a JSON value."""
        self.answer = lambda _: value

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    catalogue: Catalogue

    def _reply(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if body:
            self.catalogue.asked.append(json.loads(body))
        given = self.catalogue.answer(self.path)
        if not (isinstance(given, tuple) and isinstance(given[0], int)):
            given = (200, {"Content-Type": "application/geo+json"}, as_json(given).encode("utf-8", "surrogatepass"))
        status, headers, content = given
        try:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True  # the client went away, as well it might

    do_GET = do_POST = _reply

    def log_message(self, *args):
        """Say nothing."""
