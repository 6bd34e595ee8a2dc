"""What catalogues answer: nonsense in items and pages, answers that are none, and Earth Engine's listings."""

import gzip
import json

from hostile import damage
from hostile.catalogue import item, items, page
from hostile.trials import Family, may
from hostile.worlds import GEE_SCENES, command

bad = Family("items", kind="sentinel2")

_UNUSABLE = "cannot be used"


def _searching(world, *more):
    world.words = command(
        "sentinel2", "--years", "2024", "--cdse-stac-url", world.catalogue.url, "--tile-ids", "08WNB", *more
    )


def _says(world, first):
    """Let the catalogue say something of the first scene, and speak soundly of the second."""
    world.catalogue.says(page([first, item(world.ids[1], 1)]))
    _searching(world)
    return may("sound", "left out", says=(world.ids[1],))


@bad
def junk_anywhere(world, rng):
    given = item(world.ids[0])
    return _says(world, damage.put(given, rng.choice(damage.places(given)), rng.choice(damage.JUNK)))


@bad
def junk_all_over(world, rng):
    given = item(world.ids[0])
    for place in rng.sample([place for place in damage.places(given) if len(place) == 2], 6):
        given = damage.put(given, place, rng.choice(damage.JUNK))
    return _says(world, given)


@bad
def key_missing(world, rng):
    given = item(world.ids[0])
    return _says(world, damage.without(given, rng.choice(damage.places(given))))


@bad.each(
    {
        key: key
        for key in (
            "id",
            "geometry",
            "properties",
            "assets",
            "bbox",
            "links",
            "collection",
            "stac_extensions",
            "stac_version",
            "type",
        )
    }
)
def top(world, rng, key):
    return _says(world, {**item(world.ids[0]), key: rng.choice(damage.JUNK)})


@bad.each({key: key for key in item("x")["properties"]})
def property_(world, rng, key):
    return _says(world, damage.put(item(world.ids[0]), ("properties", key), rng.choice(damage.JUNK)))


@bad.each({key: key for key in item("x")["assets"]["B02_10m"]})
def asset(world, rng, key):
    given = item(world.ids[0])
    for name in given["assets"]:
        given["assets"][name][key] = rng.choice(damage.JUNK)
    return _says(world, given)


@bad.each(
    {
        "month-13": "2024-13-45T00:00:00Z",
        "far": "99999-01-01T00:00:00Z",
        "zero": "0000-00-00T00:00:00Z",
        "word": "yesterday",
        "local": "2024-07-20 20:09",
        "number": 1721506149,
        "range": "2024-07-20/2024-07-21",
        "zone": "2024-07-20T00:00:00+99:99",
        "null": None,
        "leap": "2023-02-29T00:00:00Z",
        "tiny": "0001-01-01T00:00:00Z",
        "last": "9999-12-31T23:59:59.999999999Z",
    }
)
def datetime(world, rng, text):
    given = item(world.ids[0])
    for key in rng.sample(["datetime", "start_datetime", "end_datetime", "created", "updated"], 3):
        given["properties"][key] = text
    return _says(world, given)


@bad.each(
    {
        "point": {"type": "Point", "coordinates": [0, 0]},
        "open": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]},
        "bow-tie": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]},
        "empty": {"type": "Polygon", "coordinates": []},
        "nan": {"type": "Polygon", "coordinates": [[[float("nan")] * 2] * 4]},
        "words": {"type": "Polygon", "coordinates": [[["a", "b"]] * 4]},
        "far": {"type": "Polygon", "coordinates": [[[1e9, 0], [1e9, 9], [0, 9], [1e9, 0]]]},
        "turn": {"type": "Polygon", "coordinates": [[[179, 60], [-179, 60], [-179, 61], [179, 61], [179, 60]]]},
        "collection": {"type": "GeometryCollection", "geometries": []},
        "unknown": {"type": "Circle", "coordinates": [0]},
        "flat": {"type": "Polygon", "coordinates": [1, 2, 3]},
        "no-type": {"coordinates": []},
        "one-point": {"type": "Polygon", "coordinates": [[[0, 0]] * 5]},
        "deep": {"type": "Polygon", "coordinates": damage.DEEP},
        "large": {"type": "Polygon", "coordinates": [[[n / 1e5, (n * 7 % 100) / 100] for n in range(20_000)]]},
    }
)
def geometry(world, rng, shape):
    return _says(world, {**item(world.ids[0]), "geometry": shape})


@bad
def same_id_twice(world, rng):
    twin = damage.put(item(world.ids[0]), ("properties", "eo:cloud_cover"), 99)
    world.catalogue.says(page([*items(), twin, item(world.ids[0])]))
    _searching(world)
    return may("sound")


@bad
def better_processing_of_nothing(world, rng):
    """A mirror that claims a newer processing of a take must not keep the sound one from being named."""
    better = item(world.ids[0].replace("N0510", rng.choice(["N0511", "N9998"])))
    world.catalogue.says(page([*items(), better]))
    _searching(world)
    return may("refused", names=("credentials", "keys", "profile"), both=True)


@bad.each(
    {
        "nothing": b"",
        "null": b"null",
        "list": b"[]",
        "number": b"5",
        "text": b'"x"',
        "no-features": b"{}",
        "features-null": b'{"features": null}',
        "features-text": b'{"features": "x"}',
        "features-object": b'{"features": {}}',
        "html": b"<html>Log in</html>",
        "cut": json.dumps(page(items())).encode()[:900],
        "latin": '{"features": "\u00e9"}'.encode("latin-1"),
        "deep": b"[" * 200_000,
        "deep-features": b'{"features": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        "xml": b"<?xml?><a/>",
        "error": b'{"code": 500, "description": "x"}',
        "nul": b"\x00" * 100,
        "bom": b"\xef\xbb\xbf{",
        "gzip": gzip.compress(b"{}"),
        "nan": b"NaN",
        "two": b"{}{}",
    }
)
def answer(world, rng, body):
    world.catalogue.answer = lambda _: (200, {"Content-Type": rng.choice(["application/json", "text/html"])}, body)
    _searching(world)
    return may("refused", names=("Copernicus", "Data Space"), both=True)


@bad.each({str(status): status for status in (204, 301, 302, 307, 400, 401, 403, 404, 405, 413, 422, 451)})
def status(world, rng, status):
    location = (
        {"Location": rng.choice(["/elsewhere", "file:///etc/passwd", "/search", ""])} if status // 100 == 3 else {}
    )
    world.catalogue.answer = lambda _: (status, location, b"no")
    _searching(world)
    return may("refused", names=("Copernicus", "Data Space"), both=True)


@bad.each({str(status): status for status in (408, 429, 500, 502, 503, 599)}, in_process=True)
def status_that_may_pass(world, rng, status):
    world.catalogue.answer = lambda _: (status, {"Retry-After": rng.choice(["0", "-1", "x", "1e9", ""])}, b"later")
    _searching(world)
    return may("refused", names=("Copernicus", "Data Space"), both=True)


@bad.each(
    {
        "gzip-lie": {"Content-Encoding": "gzip"},
        "charset": {"Content-Type": "application/json; charset=utf-7"},
        "deflate": {"Content-Encoding": "deflate"},
        "length-short": {"Content-Length": "50"},
    },
    in_process=True,
)
def header(world, rng, given):
    body = json.dumps(page(items())).encode()
    world.catalogue.answer = lambda _: (200, given, body)
    _searching(world)
    return may("refused", "sound", names=("Copernicus", "Data Space"), both=True)


@bad.each(
    {
        "itself": lambda url: f"{url}/search?page=1",
        "elsewhere": lambda _: "http://trap.example/search",
        "file": lambda _: "file:///etc/passwd",
        "nothing": lambda _: "",
        "number": lambda _: 5,
        "list": lambda _: [],
        "ftp": lambda _: "ftp://x/y",
        "relative": lambda _: "../../x",
    }
)
def next_page(world, rng, link):
    href = link(world.catalogue.url)
    following = {"rel": "next", "href": href, "method": rng.choice(["GET", "POST", "DELETE", 5])}
    world.catalogue.says(page(items(), [following]))
    _searching(world)
    return may("refused", "sound", names=("Copernicus", "Data Space"), both=True)


@bad
def bomb(world, rng):
    body = gzip.compress(b'{"features": [' + b" " * 300_000_000 + b"]}", 9)
    world.catalogue.answer = lambda _: (200, {"Content-Encoding": "gzip"}, body)
    _searching(world)
    return may("refused", names=("Copernicus", "Data Space"), both=True)


@bad
def many_items_that_are_none(world, rng):
    world.catalogue.says(page([*(rng.choice(damage.JUNK[:-1]) for _ in range(3000)), *items()]))
    _searching(world)
    return may("sound", says=_UNUSABLE)


def _gee_listing(world, first):
    """Let Earth Engine list something as the first scene."""
    world.listing = [first, _image(world.ids[1])]
    world.words = command("gee", "--start-date", "2024-07-01", "--end-date", "2024-07-30", "--tile-ids", "08WNB")
    return may("sound", "left out", says=(world.ids[1],))


def _image(scene_id):
    grid = {"dimensions": [70, 64], "crs": "EPSG:32608", "crs_transform": [10, 0, 500_000, 0, -10, 7_700_640]}
    return {
        "type": "Image",
        "id": f"COPERNICUS/S2_SR_HARMONIZED/{scene_id}",
        "bands": [{"id": "B2", **grid}],
        "properties": {
            "system:index": scene_id,
            "system:time_start": 1721506149000,
            "CLOUDY_PIXEL_PERCENTAGE": 4.5,
            "SNOW_ICE_PERCENTAGE": 0.5,
            "MEAN_SOLAR_AZIMUTH_ANGLE": 170.0,
            "MEAN_SOLAR_ZENITH_ANGLE": 50.0,
            "PROCESSING_BASELINE": "05.10",
            "MGRS_TILE": "08WNB",
            "PRODUCT_ID": "S2B",
            "SPACECRAFT_NAME": "Sentinel-2B",
            "system:footprint": {"type": "LinearRing", "coordinates": [[-135, 69], [-134, 69], [-134, 70], [-135, 69]]},
        },
    }


@bad(kind="gee", in_process=True)
def junk_of_earth_engine(world, rng):
    given = _image(GEE_SCENES[0])
    return _gee_listing(world, damage.put(given, rng.choice(damage.places(given)), rng.choice(damage.JUNK)))


@bad(kind="gee", in_process=True)
def key_of_earth_engine_missing(world, rng):
    given = _image(GEE_SCENES[0])
    return _gee_listing(world, damage.without(given, rng.choice(damage.places(given))))


@bad.each({str(number): junk for number, junk in enumerate(damage.JUNK[:-1])}, kind="gee", in_process=True)
def entry_of_earth_engine(world, rng, junk):
    return _gee_listing(world, junk)


@bad.each({"nothing": None, "text": "x", "number": 5, "object": {}, "true": True}, kind="gee", in_process=True)
def listing_of_earth_engine(world, rng, value):
    _gee_listing(world, None)
    world.listing = value
    return may("refused", names="Earth Engine", both=True)
