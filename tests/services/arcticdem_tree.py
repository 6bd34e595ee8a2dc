"""A made-up ArcticDEM service: a tile index, STAC items and cloud-optimised mosaic tiles with overlaps; seeded."""

import io
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import geopandas as gpd
import numpy as np
import rasterio
import shapely
import smart_geocubes
from odc.geo.geobox import GeoBox

ACCESSORS = {2: smart_geocubes.ArcticDEM2m, 10: smart_geocubes.ArcticDEM10m, 32: smart_geocubes.ArcticDEM32m}
CHUNK, TILE_PX = 3600, 280
MARGIN_PX = {2: 50, 10: 10, 32: 3}
"""Tiles overlap, as the mosaics do, by 100 m or a little less to each side; the index leaves that out."""
PLACES = {2: (100, 101), 10: (100, 101), 32: (30, 31)}
"""Row and column of the chunk around whose upper left corner the tiles lie, by resolution."""
SEA = (1, 0)
"""Row and column of the tile that does not exist."""


def corner(resolution):
    """Return row and column of the pixel around which the tiles lie."""
    return tuple(CHUNK * index for index in PLACES[resolution])


def window(resolution, top, left, height, width):
    """Return a part of the cube's grid, counted from the corner around which the tiles lie."""
    row, column = corner(resolution)
    rows, columns = slice(row + top, row + top + height), slice(column + left, column + left + width)
    return ACCESSORS[resolution].extent[rows, columns]


def footprint(geobox, crs="EPSG:3413"):
    return gpd.GeoDataFrame(geometry=[geobox.extent.geom], crs="EPSG:3413").to_crs(crs)


class Tree:
    """The service: `files` by path, `tiles` by resolution and id; every answer is counted in `served`."""

    def __init__(self, resolutions=(10,)):
        self.files, self.tiles = {}, {resolution: {} for resolution in ACCESSORS}
        for resolution in resolutions:
            for row, column in np.ndindex(2, 2):
                if (row, column) != SEA:
                    self._add_tile(resolution, row, column)
        self.files["/index.zip"] = self._index()
        handler = type("Handler", (_Handler,), {"tree": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self.server.server_port
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def expected(self, resolution, geobox):
        """Return elevation and mask of a grid, pixel by pixel the largest (mask, elevation) of all tiles."""
        best = np.full(geobox.shape, -1e9), np.zeros(geobox.shape, bool)
        for grid, dem, mask in self.tiles[resolution].values():
            column, row = (round(number) for number in ~geobox.affine @ (grid.affine.c, grid.affine.f))
            here, there = zip(_overlap(geobox, grid, 0, row), _overlap(geobox, grid, 1, column), strict=True)
            # the mask weighs more than any elevation
            old, new = best[0][here] + 1e6 * best[1][here], dem[there] + 1e6 * mask[there]
            best[0][here][new > old] = dem[there][new > old]
            best[1][here][new > old] = mask[there][new > old]
        no_data = (best[0] < -9000) | ~best[1]
        return np.where(no_data, np.nan, best[0]).astype(np.float32), ~no_data

    def _add_tile(self, resolution, row, column):
        margin = MARGIN_PX[resolution]
        size = TILE_PX + 2 * margin
        top, left = (row - 1) * TILE_PX - margin, (column - 1) * TILE_PX - margin
        grid = window(resolution, top, left, size, size)
        rng = np.random.default_rng(100 * resolution + 10 * row + column)
        dem = rng.normal(-20 if column else 300, 30, (size, size)).astype(np.float32)
        mask = np.ones((size, size), np.uint8)
        dem[40:70, 90:130], mask[40:70, 90:130] = -9999, 0  # a hole
        mask[200:210, 30:50] = 0  # elevation of another data set
        dem[:, : 3 if column else 1], mask[:, : 3 if column else 1] = -9999, 0  # an empty edge in the overlap
        quarter = "_1_1" if resolution == 2 else ""
        dem_id = f"{30 + row}_{40 + column}{quarter}_{resolution}m_v4.1"
        self.tiles[resolution][dem_id] = grid, dem, mask
        folder = f"/mosaics/{resolution}m"
        self.files[f"{folder}/{dem_id}_dem.tif"] = cog(grid, dem, -9999)
        self.files[f"{folder}/{dem_id}_datamask.tif"] = cog(grid, mask, 0)
        path = f"/stac/collections/arcticdem-mosaics-v4.1-{resolution}m/items/{dem_id}"
        self.files[path] = json.dumps(_item(dem_id, grid, resolution)).encode()

    def _index(self):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as parts:
            for resolution, tiles in self.tiles.items():
                frame = gpd.GeoDataFrame(
                    {"dem_id": list(tiles)},
                    geometry=[_without_margin(grid) for grid, _, _ in tiles.values()],
                    crs="EPSG:3413",
                )
                parquet = io.BytesIO()
                frame.to_parquet(parquet)
                name = f"ArcticDEM_Mosaic_Index_v4_1_{resolution}m.parquet"
                parts.writestr(f"ArcticDEM_Mosaic_Index_latest_gpqt/{name}", parquet.getvalue())
        return archive.getvalue()


def _overlap(geobox, grid, axis, offset):
    """Return where two grids overlap, as slices of each; `offset` is the place of the second in the first."""
    start, stop = max(offset, 0), max(min(offset + grid.shape[axis], geobox.shape[axis]), offset, 0)
    return slice(start, stop), slice(start - offset, stop - offset)


def _without_margin(grid):
    margin = MARGIN_PX[round(grid.resolution.x)] * grid.resolution.x
    return shapely.buffer(grid.extent.geom, -margin, join_style="mitre")


def _item(dem_id, grid, resolution):
    lonlat = grid.extent.to_crs("EPSG:4326")
    up = "../../../../mosaics"
    assets = {
        band: {"href": f"{up}/{resolution}m/{dem_id}_{band}.tif", "type": "image/tiff", "nodata": no_data}
        for band, no_data in (("dem", -9999.0), ("datamask", 0))
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": dem_id,
        "geometry": lonlat.json,
        "bbox": list(lonlat.boundingbox),
        "properties": {"datetime": "2023-01-01T00:00:00Z", "proj:code": "EPSG:3413", "gsd": resolution},
        "links": [],
        "assets": assets,
        "collection": f"arcticdem-mosaics-v4.1-{resolution}m",
    }


def cog(grid: GeoBox, values, no_data, compress="LZW"):
    """Return a raster as a cloud-optimised GeoTIFF."""
    height, width = values.shape
    profile = {"height": height, "width": width, "count": 1, "dtype": values.dtype, "nodata": no_data}
    with rasterio.io.MemoryFile() as memory:
        with memory.open(
            driver="COG", crs="EPSG:3413", transform=grid.affine, COMPRESS=compress, BLOCKSIZE=128, **profile
        ) as file:
            file.write(values, 1)
        return memory.read()


class _Handler(BaseHTTPRequestHandler):
    tree: Tree

    def do_GET(self):
        body = self.tree.files.get(self.path.split("?")[0])
        asked = self.headers.get("Range")
        if body is None:
            self._answer(404, b"not here")
        elif asked is None:
            self._answer(200, body)
        else:
            first, last = asked.removeprefix("bytes=").split("-")
            first, last = int(first), min(int(last or len(body)), len(body) - 1)
            if first >= len(body):
                self._answer(416, b"")
            else:
                self._answer(206, body[first : last + 1], f"bytes {first}-{last}/{len(body)}")

    do_HEAD = do_GET

    def _answer(self, status, body, content_range=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        if content_range is not None:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""
