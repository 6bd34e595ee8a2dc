"""Generated worlds as the Copernicus Data Space would serve them: catalogue items and JPEG 2000 files."""

import functools
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pystac
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from smart_geocubes import ArcticDEM10m, TCTrend

from darts.demo.world.cubes import write_arcticdem, write_tcvis
from darts.demo.world.make import make_world
from darts.demo.world.write import digital_numbers
from darts_acquisition.auxiliary.cube import open_cube

SIZE_PX = 256
_TRENDS = ("TCB_slope", "TCG_slope", "TCW_slope")
_BANDS = ("B02_10m", "B03_10m", "B04_10m", "B08_10m")


@functools.cache
def world(seed):
    """Return a small world."""
    return make_world(seed, SIZE_PX)


def numbers(one):
    """Return the digital numbers of a world by band, each at its own resolution."""
    bands = {name: digital_numbers(layer) for name, layer in zip(_BANDS, one.reflectance, strict=True)}
    return bands | {"SCL_20m": np.ascontiguousarray(one.classes[::2, ::2])}


def serve(one, upload):
    """Put the files of a world into a storage with `upload(key, bytes)`; return its catalogue item."""
    place = one.place
    sun = {"view:sun_azimuth": place.sun_azimuth, "view:sun_elevation": place.sun_elevation}
    time = place.time.strftime("%Y-%m-%dT%H:%M:%S.024Z")
    properties = {"datetime": time, "grid:code": place.grid_code, "processing:version": "05.10", **sun}
    return serve_scene(one.scene_id, place.geobox, numbers(one), properties, upload)


def serve_scene(scene_id, geobox, bands, properties, upload, scale=(0.0001, -0.1)):
    """Put the bands of a scene into a storage, each at its own resolution; return its catalogue item."""
    outline = geobox.footprint("EPSG:4326", npoints=20)
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": scene_id,
        "collection": "sentinel-2-l2a",
        "geometry": outline.json,
        "bbox": list(outline.boundingbox),
        "properties": {"eo:cloud_cover": 4.5, "eo:snow_cover": 0.5, **properties},
        "links": [],
        "assets": {band: _asset(scene_id, geobox, band, values, upload, scale) for band, values in bands.items()},
    }


def as_item(given):
    """Return a catalogue item as a search gives it."""
    return pystac.Item.from_dict(given)


def made_up_scene(number, upload, size=64):
    """Serve a small scene of noise; return its catalogue item and its digital numbers by band."""
    rng = np.random.default_rng(number)
    geobox = GeoBox((size, size), Affine(10, 0, 500_000 + 10 * size * number, 0, -10, 7_700_000), "EPSG:32608")
    bands = {name: rng.integers(0, 9000, (size, size)).astype(np.uint16) for name in _BANDS}
    bands["SCL_20m"] = rng.integers(0, 12, (size // 2, size // 2)).astype(np.uint8)
    scene_id = f"S2B_MSIL2A_202407{1 + number % 28:02d}T200909_N0510_R128_T08WNB_2024{1000 + number}T234418"
    properties = {"datetime": f"2024-07-{1 + number % 28:02d}T20:09:09Z", "grid:code": "MGRS-08WNB"}
    return serve_scene(scene_id, geobox, bands, properties, upload), bands


def _asset(scene_id, geobox, band, values, upload, scale):
    times = 2 if band.endswith("20m") else 1
    transform = geobox.affine * Affine.scale(times)
    body = jpeg2000(values, transform, str(geobox.crs))
    key = f"Sentinel-2/{scene_id}.SAFE/{band}.jp2"
    upload(key, body)
    asset = {
        "href": f"s3://eodata/{key}",
        "type": "image/jp2",
        "roles": ["data", "sampling:original"],
        "file:size": len(body),
        "file:checksum": "1620" + hashlib.sha3_256(body).hexdigest(),
        "proj:code": str(geobox.crs),
        "proj:shape": list(values.shape),
        "proj:transform": list(transform)[:6],
    }
    if times == 1:
        asset["roles"].append("reflectance")
        asset |= {} if scale is None else {"raster:scale": scale[0], "raster:offset": scale[1]}
    return asset


def serve_elevation(one, tree, folder):
    """Put the elevation of a world into an ArcticDEM service, as one mosaic tile."""
    layers = _window(write_arcticdem(one, folder), ArcticDEM10m, one, ["dem", "datamask"])
    mask = layers.datamask.values.astype(np.uint8)
    tree.add(10, f"{one.seed}_{one.size}_10m_v4.1", layers.odc.geobox, layers.dem.values, mask)


def trends_of(worlds, folder):
    """Return the trends of worlds as a function of longitude and latitude, 100 beyond them."""
    windows = [_window(write_tcvis(one, folder), TCTrend, one, list(_TRENDS)) for one in worlds]

    def trends(name, longitudes, latitudes):
        values = np.full(np.broadcast_shapes(longitudes.shape, latitudes.shape), 100, np.uint8)
        for window in windows:
            grid = window.odc.geobox
            columns = np.floor((longitudes - grid.affine.c) / grid.affine.a).astype(int)
            rows = np.floor((latitudes - grid.affine.f) / grid.affine.e).astype(int)
            inside = (rows >= 0) & (rows < grid.shape[0]) & (columns >= 0) & (columns < grid.shape[1])
            rows, columns = np.broadcast_arrays(rows, columns)
            values[inside] = window[name].values[rows[inside], columns[inside]]
        return values

    return trends


def _window(path, accessor, one, names):
    """Return what the demo filled into a cube for a world."""
    cube = open_cube(path, accessor.extent, "")
    bounds = cube.recorded_bounds[f"demo-{one.seed}-{one.size}"]
    left, bottom, right, top = bounds
    (column, row), (last_column, last_row) = (
        ~accessor.extent.affine @ corner for corner in ((left, top), (right, bottom))
    )
    window = accessor.extent[round(row) : round(last_row), round(column) : round(last_column)]
    return cube.read(dict.fromkeys(names, "fubi"), window)


def add_to_earth_engine(one, server):
    """Put a world into Earth Engine's harmonized collection; return its id there."""
    place = one.place
    scene_id = f"{place.time:%Y%m%dT%H%M%S}_{place.time:%Y%m%dT%H%M%S}_T{place.grid_code.removeprefix('MGRS-')}"
    bands = {
        name: np.where(np.isnan(layer), 0, np.clip(np.rint(np.nan_to_num(layer) * 10_000), 1, 65535)).astype(np.uint16)
        for name, layer in zip(("B2", "B3", "B4", "B8"), one.reflectance, strict=True)
    }
    properties = {
        "MGRS_TILE": place.grid_code.removeprefix("MGRS-"),
        "CLOUDY_PIXEL_PERCENTAGE": 4.5,
        "SNOW_ICE_PERCENTAGE": 0.5,
        "MEAN_SOLAR_AZIMUTH_ANGLE": place.sun_azimuth,
        "MEAN_SOLAR_ZENITH_ANGLE": 90 - place.sun_elevation,
    }
    server.add_scene(scene_id, place.geobox, bands | {"SCL": one.classes[::2, ::2]}, properties)
    return scene_id


def jpeg2000(values, transform, crs):
    """Return an array as a lossless JPEG 2000 file."""
    height, width = values.shape
    profile = {"driver": "JP2OpenJPEG", "height": height, "width": width, "count": 1, "dtype": values.dtype}
    with TemporaryDirectory() as folder:  # GDAL puts no georeference into a JPEG 2000 file in memory
        path = Path(folder) / "band.jp2"
        with rasterio.open(path, "w", **profile, crs=crs, transform=transform, QUALITY="100", REVERSIBLE="YES") as file:
            file.write(values, 1)
        return path.read_bytes()
