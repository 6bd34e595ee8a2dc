"""Ids of scenes, images and tiles as flags and files give them: hostile names, odd files, and odd but right ones."""

import json

import shapely

from hostile import damage
from hostile.catalogue import items, page
from hostile.trials import Family, may
from hostile.worlds import command

bad = Family("ids", kind="sentinel2")

HOSTILE = {
    "absolute": "/tmp/x",
    "parent": "../../canary",
    "dots": "..",
    "dot": ".",
    "empty": "",
    "blank": " ",
    "nul": "a\x00b",
    "long": "x" * 300,
    "very-long": "x" * 100_000,
    "newline": "a\nb",
    "backslash": "..\\canary",
    "drive": "C:evil",
    "unicode": "S2B\u2603",
    "direction": "S2B\u202e",
    "surrogate": "a\ud800b",
    "con": "CON",
    "tilde": "~/x",
    "variable": "$HOME",
    "braces": "{scene_id}",
    "percent": "%2e%2e%2fcanary",
    "url": "https://example.org/x",
    "option": "--overwrite",
    "spaces": "S2B MSIL2A",
    "full-width": "\uff33\uff12\uff22",
    "bell": "a\x07b",
    "ansi": "\x1b[31mred",
    "markup": "[red]x[/red]",
}


def _with_ids(world, *ids):
    world.set("--scene-ids", *ids)


@bad.each({name: text for name, text in HOSTILE.items() if name not in ("nul", "surrogate", "option", "very-long")})
def flag(world, rng, text):
    _with_ids(world, *rng.sample([text, world.ids[1]], 2))
    return may("refused", names="scene_ids", both=True)


@bad.each(
    {
        "unknown": "S2B_MSIL2A_20200720T200909_N0510_R128_T08WNB_20240720T234418",
        "other-case": "s2b_msil2a",
        "word": "scene",
        "too-short": "S2",
        "test-product": "S2B_MSIL2A_20240720T200909_N9999_R128_T08WNB_20240720T234418",
    }
)
def not_staged(world, rng, text):
    _with_ids(world, text, world.ids[1])
    world.ids = (text, world.ids[1])
    return may("failed", names=text)


@bad
def twice(world, rng):
    _with_ids(world, *world.ids, world.ids[0], f"{world.ids[0]}.SAFE")
    return may("sound")


def _file(world, raw, name="ids.txt"):
    path = world.work / name
    path.write_bytes(raw)
    world.set("--scene-ids")
    world.set("--scene-id-file", path)
    return path


def _text_of(world, rng):
    return rng.choice(["\n".join(world.ids), json.dumps(world.ids), "\r\n".join(world.ids) + "\r\n\r\n"])


@bad.each({name: name for name in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom")})
def encoding_of_a_file(world, rng, encoding):
    marks = {"utf-16-le-bom": b"\xff\xfe", "utf-16-be-bom": b"\xfe\xff"}
    text = _text_of(world, rng).encode(encoding.removesuffix("-bom"))
    _file(world, marks.get(encoding, b"") + text)
    return may("sound")


@bad.each(
    {
        "features": lambda: page(items()),
        "feature": lambda: items()[0],
        "list-of-items": items,
        "object": lambda: {one["id"]: 1 for one in items()},
        "list": lambda: [one["id"] for one in items()],
    }
)
def saved_search(world, rng, make):
    content = make()
    _file(world, json.dumps(content).encode(), rng.choice(["ids.json", "ids.geojson", "ids.txt", "ids"]))
    if isinstance(content, dict) and content.get("type") == "Feature":
        _file(world, json.dumps([content["id"], world.ids[1]]).encode())
    return may("sound")


@bad.each(
    {
        "nothing": b"",
        "blank": b" \n\t\n",
        "empty-list": b"[]",
        "empty-object": b"{}",
        "null": b"[null]",
        "numbers": b"[1, 2]",
        "nested": b'[["a"]]',
        "bool": b"[true]",
        "cut": b'["S2B_MSIL2A',
        "nan": b"[NaN]",
        "deep": b"[" * 100_000,
        "object-of-empty": b'{"": 1}',
        "features-null": b'{"type": "FeatureCollection", "features": null}',
        "no-ids": b'{"type": "FeatureCollection", "features": [{"type": "Feature"}]}',
        "latin": "\u00e9\u00e8".encode("latin-1"),
        "zip": b"PK\x03\x04" + bytes(100),
        "nul": b"a\x00b\n",
        "html": b"<html></html>",
        "csv": b"id,cloud\nS2B,1\n",
        "bom-only": b"\xef\xbb\xbf",
        "traversal": b"../../canary\n",
        "absolute": b"/tmp/x\n",
        "surrogates": b'["\\ud800"]',
        "two-lists": b"[][]",
        "twice": b'{"a": 1',
        "very-long": b"x" * 3_000_000,
        "many": b"\n".join(b"../" + str(n).encode() for n in range(20_000)),
    }
)
def file(world, rng, raw):
    path = _file(world, raw)
    return may("refused", names=path.name, both=True)


@bad.each({how.__name__: how for how in (damage.folder_instead, damage.loop_instead, damage.nowhere_instead)})
def file_that_is_none(world, rng, how):
    path = _file(world, b"x")
    how(path, rng)
    return may("refused", names=path.name, both=True)


@bad
def comments_in_a_file(world, rng):
    _file(world, f"# my scenes\n{world.ids[0]}\n{world.ids[1]}\n".encode())
    return may("refused", "sound", names="ids.txt", both=True)


@bad.each({name: text for name, text in HOSTILE.items() if name not in ("nul", "surrogate", "option")}, kind="planet")
def planet_image(world, rng, text):
    world.set("--image-ids", text, world.ids[1])
    return may("left out", "refused", names=("image_ids", "image-ids"), says="image_ids: not found")


@bad.each({name: text for name, text in HOSTILE.items() if name not in ("nul", "surrogate", "option", "very-long")})
def tile(world, rng, text):
    world.words = command("sentinel2", "--years", "2024", "--cdse-stac-url", world.catalogue.url, "--tile-ids", text)
    return may("refused", names=("tile_ids", "tile-ids", "MGRS"), both=True)


@bad.each({name: text for name, text in HOSTILE.items() if name not in ("surrogate", "very-long")}, in_process=True)
def of_a_catalogue(world, rng, text):
    hostile = {**items()[0], "id": text, "geometry": shapely.geometry.mapping(shapely.box(-135, 69, -134, 70))}
    world.catalogue.says(page([hostile, *items()]))
    overwrite = rng.choice([(), ("--overwrite",)])
    world.words = command(
        "sentinel2", "--years", "2024", "--cdse-stac-url", world.catalogue.url, "--tile-ids", "08WNB", *overwrite
    )
    return may("sound", says="cannot be used")
