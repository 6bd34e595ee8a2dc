"""A made-up catalogue with items shaped like those of the Copernicus Data Space; seeded."""

import datetime
import functools
import json

import geopandas as gpd
import numpy as np
import shapely

COLLECTION = {
    "type": "Collection",
    "id": "sentinel-2-l2a",
    "stac_version": "1.1.0",
    "description": "Made-up Sentinel-2 scenes",
    "license": "other",
    "links": [],
    "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [["2015-07-01T00:00:00Z", None]]}},
}
_BASELINES = ("N0208", "N0214", "N0301", "N0400", "N0509", "N0511")
TILES = {  # lower left corner of each tile in its UTM zone
    "08WNB": (32608, 499_980, 7_690_200),
    "08WPB": (32608, 600_000, 7_690_200),
    "08WNC": (32608, 499_980, 7_790_220),
    "09WVS": (32609, 399_960, 7_690_200),
    "33UVP": (32633, 399_960, 5_300_040),
    "60WWV": (32660, 600_000, 7_490_220),
    "01WCS": (32601, 300_000, 7_490_220),
}


@functools.cache
def items():
    """Return all items, as dictionaries."""
    rng = np.random.default_rng(11)
    return [_item(tile, number, rng) for tile in TILES for number in range(60)]


def _item(tile, number, rng):
    day = datetime.datetime(2016, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(
        days=int(rng.integers(0, 3200)), seconds=int(rng.integers(0, 86400)), milliseconds=int(rng.integers(0, 1000))
    )
    if number % 10 == 0:  # the last moment of a month
        day = day.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - datetime.timedelta(milliseconds=1)
    baseline = _BASELINES[number % len(_BASELINES)]
    stamp = f"{day:%Y%m%dT%H%M%S}"
    scene_id = f"S2B_MSIL2A_{stamp}_{baseline}_R128_T{tile}_{2000 + number}0101T000000"
    geometry = _footprint(tile, float(rng.uniform(0.3, 1)))
    properties = {
        "datetime": day.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "grid:code": f"MGRS-{tile}",
        "eo:cloud_cover": float(rng.choice([0, 10, 20, 100, round(rng.uniform(0, 100), 2)])),
        "eo:snow_cover": float(rng.choice([0, 10, 100, round(rng.uniform(0, 100), 2)])),
        "view:sun_azimuth": 163.2,
        "view:sun_elevation": 28.6,
        "processing:version": f"{baseline[1:3]}.{baseline[3:]}",
    }
    properties |= {"start_datetime": properties["datetime"], "end_datetime": properties["datetime"]}
    if number % 7 == 3:
        del properties["eo:snow_cover"]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": scene_id,
        "collection": COLLECTION["id"],
        "geometry": shapely.geometry.mapping(geometry),
        "bbox": list(geometry.bounds),
        "properties": properties,
        "links": [],
        "assets": {band: _asset(scene_id, band, baseline) for band in ("B02_10m", "B04_10m", "SCL_20m")},
    }


def _asset(scene_id, band, baseline):
    asset = {"href": f"s3://eodata/{scene_id}.SAFE/{band}.jp2", "type": "image/jp2", "roles": ["data"]}
    if band != "SCL_20m":
        asset |= {"raster:scale": 0.0001, "raster:offset": -0.1 if baseline >= "N0400" else 0.0}
    return asset


def _footprint(tile, share):
    """Return what a swath covers of a tile, cut at the antimeridian as the real catalogue does."""
    code, left, bottom = TILES[tile]
    square = shapely.box(left, bottom, left + 109_800 * share, bottom + 109_800)
    degrees = gpd.GeoSeries([square], crs=code).to_crs("EPSG:4326").iloc[0]
    if degrees.bounds[2] - degrees.bounds[0] < 180:
        return degrees
    turned = shapely.transform(degrees, lambda xy: np.column_stack([xy[:, 0] % 360, xy[:, 1]]))
    east = shapely.intersection(turned, shapely.box(0, -90, 180, 90))
    west = shapely.intersection(turned, shapely.box(180, -90, 360, 90))
    west = shapely.transform(west, lambda xy: xy - [360, 0])
    return shapely.MultiPolygon([east, west])


def write(folder, items):
    """Write the collections of items, and the items, one a line; return both paths."""
    files = folder / "collections.json", folder / "items.json"
    names = dict.fromkeys([COLLECTION["id"], *(item["collection"] for item in items)])
    files[0].write_text("".join(json.dumps(COLLECTION | {"id": name}) + "\n" for name in names))
    files[1].write_text("".join(json.dumps(item) + "\n" for item in items))
    return files
