"""Generated worlds as the Copernicus Data Space would serve them: catalogue items and JPEG 2000 files."""

import functools
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from affine import Affine

from darts.demo.world import make_world
from darts.demo.write import digital_numbers

SIZE_PX = 256
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
    assets = {band: _asset(one, band, values, upload) for band, values in numbers(one).items()}
    outline = one.place.geobox.footprint("EPSG:4326", npoints=20)
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": one.scene_id,
        "collection": "sentinel-2-l2a",
        "geometry": outline.json,
        "bbox": list(outline.boundingbox),
        "properties": {
            "datetime": one.place.time.strftime("%Y-%m-%dT%H:%M:%S.024Z"),
            "grid:code": one.place.grid_code,
            "eo:cloud_cover": 4.5,
            "eo:snow_cover": 0.5,
            "view:sun_azimuth": one.place.sun_azimuth,
            "view:sun_elevation": one.place.sun_elevation,
            "processing:version": "05.10",
        },
        "links": [],
        "assets": assets,
    }


def _asset(one, band, values, upload):
    times = 2 if band.endswith("20m") else 1
    transform = one.place.geobox.affine * Affine.scale(times)
    body = jpeg2000(values, transform, str(one.place.geobox.crs))
    key = f"Sentinel-2/{one.scene_id}.SAFE/{band}.jp2"
    upload(key, body)
    asset = {
        "href": f"s3://eodata/{key}",
        "type": "image/jp2",
        "roles": ["data", "sampling:original"],
        "file:size": len(body),
        "file:checksum": "1620" + hashlib.sha3_256(body).hexdigest(),
        "proj:code": str(one.place.geobox.crs),
        "proj:shape": list(values.shape),
        "proj:transform": list(transform)[:6],
    }
    if times == 1:
        asset["roles"].append("reflectance")
        asset |= {"raster:scale": 0.0001, "raster:offset": -0.1}
    return asset


def jpeg2000(values, transform, crs):
    """Return an array as a lossless JPEG 2000 file."""
    height, width = values.shape
    profile = {"driver": "JP2OpenJPEG", "height": height, "width": width, "count": 1, "dtype": values.dtype}
    with TemporaryDirectory() as folder:  # GDAL puts no georeference into a JPEG 2000 file in memory
        path = Path(folder) / "band.jp2"
        with rasterio.open(path, "w", **profile, crs=crs, transform=transform, QUALITY="100", REVERSIBLE="YES") as file:
            file.write(values, 1)
        return path.read_bytes()
