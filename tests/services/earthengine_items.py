"""Made-up scenes shaped like those on Earth Engine, on the ground and at the times of `catalogue_items`."""

import datetime

import catalogue_items
import numpy as np
import pyproj
import shapely
from odc.geo.geobox import GeoBox


def fill(server):
    """Put a scene in for each item of the catalogue, without pixels; return footprint and properties by id."""
    scenes = {}
    for item in catalogue_items.items():
        tile = item["properties"]["grid:code"][5:]
        code, left, bottom = catalogue_items.TILES[tile]
        moment = datetime.datetime.fromisoformat(item["properties"]["datetime"])
        scene_id = f"{moment:%Y%m%dT%H%M%S}_{item['id'][-15:]}_T{tile}"
        properties = _properties(item["properties"], tile, moment)
        grid = GeoBox.from_bbox((left, bottom, left + 109_800, bottom + 109_800), f"EPSG:{code}", resolution=10)
        empty = np.broadcast_to(np.uint16(0), grid.shape)  # without pixels: a whole tile would take 240 MB a band
        bands = {"B2": empty, "B3": empty}
        server.add_scene(scene_id, grid, bands, properties, footprint=_ring(code, left, bottom, item))
        scenes[scene_id] = (shapely.geometry.shape(item["geometry"]), properties)
    return scenes


def _properties(given, tile, moment):
    properties = {
        "MGRS_TILE": tile,
        "CLOUDY_PIXEL_PERCENTAGE": given["eo:cloud_cover"],
        "MEAN_SOLAR_AZIMUTH_ANGLE": 163.2,
        "MEAN_SOLAR_ZENITH_ANGLE": 61.4,
        "PROCESSING_BASELINE": given["processing:version"],
        "system:time_start": round(moment.timestamp() * 1000),
    }
    if "eo:snow_cover" in given:
        properties["SNOW_ICE_PERCENTAGE"] = given["eo:snow_cover"]
    return properties


def _ring(code, left, bottom, item):
    """Return the outline of an item's swath as Earth Engine writes it: a ring whose longitudes may jump."""
    parts = shapely.geometry.shape(item["geometry"])
    if parts.geom_type == "Polygon":
        return [list(point) for point in parts.exterior.coords]
    to_degrees = pyproj.Transformer.from_crs(code, "EPSG:4326", always_xy=True)
    to_metres = pyproj.Transformer.from_crs("EPSG:4326", code, always_xy=True)
    points = shapely.get_coordinates(parts)
    right = max(x for x, _ in zip(*to_metres.transform(points[:, 0], points[:, 1]), strict=True))
    corners = shapely.box(left, bottom, right, bottom + 109_800).exterior.coords
    return [list(to_degrees.transform(x, y)) for x, y in corners]
