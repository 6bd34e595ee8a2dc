"""Generated worlds as Earth Search would serve them: catalogue items and cloud-optimised GeoTIFFs."""

import hashlib

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from darts.demo.world.write import digital_numbers

BANDS = ("blue", "green", "red", "nir")
C1, PLAIN = "sentinel-2-c1-l2a", "sentinel-2-l2a"


def scene_id(place, sequence=0):
    """Return the id of a world's scene: zones 1 to 9 have no leading zero."""
    tile = place.grid_code.removeprefix("MGRS-").removeprefix("0")
    return f"{place.scene_id[:3]}_{tile}_{place.time:%Y%m%d}_{sequence}_L2A"


def numbers(one, applied):
    """Return the digital numbers of a world by band, each at its own resolution.

    Args:
        one: The world.
        applied: Whether the offset is applied: then reflectance 0 is 0.
    """
    raw = {name: digital_numbers(layer) for name, layer in zip(BANDS, one.reflectance, strict=True)}
    if applied:
        raw = {name: np.maximum(values.astype(int) - 1000, 0).astype(np.uint16) for name, values in raw.items()}
    return raw | {"scl": np.ascontiguousarray(one.classes[::2, ::2])}


def serve(one, server, *, collection=PLAIN, applied=True, sequence=0, **properties):
    """Put the files of a world into a storage; return its catalogue item."""
    place, name = one.place, scene_id(one.place, sequence)
    given = {
        "datetime": place.time.strftime("%Y-%m-%dT%H:%M:%S.024Z"),
        "grid:code": place.grid_code.replace("MGRS-0", "MGRS-"),
        "eo:cloud_cover": 4.5,
        "s2:snow_ice_percentage": 0.5,
        "s2:processing_baseline": "05.10",
        "s2:product_uri": f"{place.scene_id}.SAFE",
        "view:sun_azimuth": place.sun_azimuth,
        "view:sun_elevation": place.sun_elevation,
        "proj:code": str(place.geobox.crs),
        "earthsearch:boa_offset_applied": applied,
        **properties,
    }
    outline = place.geobox.footprint("EPSG:4326", npoints=20)
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "geometry": outline.json,
        "bbox": list(outline.boundingbox),
        "properties": {key: value for key, value in given.items() if value is not None},
        "links": [],
        "assets": {
            band: _asset(server, f"/{collection}/{name}/{band}.tif", place.geobox, values, collection)
            for band, values in numbers(one, applied).items()
        },
    }


def _asset(server, path, geobox, values, collection):
    times = geobox.shape[0] // values.shape[0]
    grid = GeoBox(values.shape, geobox.affine * Affine.scale(times), geobox.crs)
    asset = {
        "href": server.put(path, values, grid),
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data", "reflectance"] if times == 1 else ["data"],
        "proj:shape": list(values.shape),
        "proj:transform": list(grid.affine)[:6],
        "raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": -0.1}],  # even where it is applied
    }
    if collection == C1:
        body = server.files[path]
        asset |= {"file:size": len(body), "file:checksum": "1220" + hashlib.sha256(body).hexdigest()}
    return asset
