"""Fetched scenes: lost and damaged chunks, descriptions that are none, other grids, types and scales."""

import json
import shutil

import numpy as np
import zarr

from hostile import damage
from hostile.trials import Family, may

bad = Family("stores", kind="sentinel2")

_BANDS = ("B02_10m", "B03_10m", "B04_10m", "B08_10m", "SCL_20m")
_CRS = {
    "local": 'LOCAL_CS["arbitrary",UNIT["metre",1]]',
    "engineering": 'ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]',
    "geocentric": "EPSG:4978",
    "vertical": "EPSG:5773",
    "degrees": "EPSG:4326",
    "nonsense": "no CRS",
    "empty": "",
    "unknown-code": "EPSG:999999",
    "number": 5,
    "nothing": None,
    "list": [],
    "long": "x" * 100_000,
    "mars": 'GEOGCS["Mars",DATUM["Mars",SPHEROID["Mars",3396190,169]],PRIMEM["x",0],UNIT["degree",0.0174]]',
    "feet": "EPSG:2225",
}


def _scene(*ends, names=()):
    return may(*(ends or ("failed",)), names=names)


def _json(path, change):
    path.write_text(damage.as_json(change(json.loads(path.read_text()))))


def _attributes(world, node, change):
    def changed(description):
        return {**description, "attributes": change(description["attributes"])}

    _json(world.image / node / "zarr.json", changed)


@bad.each(
    {
        how.__name__: how
        for how in (
            damage.cut,
            damage.flip,
            damage.fill,
            damage.noise,
            damage.empty,
            damage.web_page,
            damage.folder_instead,
            damage.loop_instead,
            damage.nowhere_instead,
        )
    }
)
def chunk(world, rng, how):
    band = rng.choice(_BANDS)
    how(world.image / band / "c" / "0" / "0", rng)
    return _scene(names=(band, "chunk"))


@bad
def chunk_lost(world, rng):
    band = rng.choice(_BANDS)
    (world.image / band / "c" / "0" / "0").unlink()
    return _scene(names=band)


@bad
def chunk_lost_of_an_older_store(world, rng):
    band = rng.choice(_BANDS[:4])
    for name in _BANDS:
        _attributes(world, name, lambda kept: {key: value for key, value in kept.items() if key != "darts:all_chunks"})
    (world.image / band / "c" / "0" / "0").unlink()
    return may("own", "failed", names=(band, world.ids[0]), says="of the chunks of")


@bad
def folder_of_a_band_lost(world, rng):
    band = rng.choice(_BANDS)
    shutil.rmtree(world.image / band)
    return _scene(names=band)


@bad.each({how.__name__: how for how in damage.FILE_DAMAGE})
def description(world, rng, how):
    node = rng.choice(["", "x", "y", "spatial_ref", *_BANDS])
    how(world.image / node / "zarr.json", rng)
    ends = ("failed", "sound", "own") if how in (damage.flip, damage.fill) else ("failed",)
    return _scene(*ends, names=world.image.name)


@bad
def junk_in_a_description(world, rng):
    node = rng.choice(["x", "y", "spatial_ref", *_BANDS])

    def change(given):
        places = [place for place in damage.places(given) if "attributes" not in place]
        return damage.put(given, rng.choice(places), rng.choice(damage.JUNK))

    _json(world.image / node / "zarr.json", change)
    return _scene("failed", "sound", names=world.image.name)


@bad
def key_of_a_description_lost(world, rng):
    node = rng.choice(["x", "y", "spatial_ref", *_BANDS])
    _json(
        world.image / node / "zarr.json",
        lambda given: damage.without(
            given, rng.choice([place for place in damage.places(given) if "attributes" not in place])
        ),
    )
    return _scene("failed", "sound", names=world.image.name)


@bad
def junk_in_the_metadata(world, rng):
    def change(given):
        return damage.put(given, rng.choice(damage.places(given)), rng.choice(damage.JUNK))

    _attributes(world, "", change)
    return _scene("failed", "sound", names=(world.image.name, world.ids[0]))


@bad
def metadata_lost(world, rng):
    _attributes(world, "", lambda _: {})
    return may("sound")


@bad.each(_CRS)
def crs(world, rng, name):
    _attributes(world, "spatial_ref", lambda given: {**given, "crs_wkt": name, "spatial_ref": name})
    return _scene(names=world.image.name)


@bad.each(
    {
        "nan": "nan nan nan nan nan nan",
        "zeros": "0 0 0 0 0 0",
        "words": "a b c d e f",
        "few": "500000 10",
        "huge": "1e300 10 0 1e300 0 -10",
        "other-size": "500000 20 0 7700640 0 -20",
        "elsewhere": "600000 10 0 7700640 0 -10",
        "rotated": "500000 7 7 7700640 7 -7",
        "none": None,
        "list": [1, 2],
        "south-up": "500000 10 0 7700000 0 10",
    }
)
def transform(world, rng, text):
    _attributes(world, "spatial_ref", lambda given: {**given, "GeoTransform": text})
    return _scene(names=world.image.name)


@bad.each(
    {
        "nan": lambda x: x * np.nan,
        "inf": lambda x: x + np.inf,
        "reversed": lambda x: x[::-1],
        "zeros": lambda x: x * 0,
        "uneven": lambda x: x + np.arange(len(x)) ** 2,
        "far": lambda x: x + 1e9,
        "shifted": lambda x: x + 400,
        "shorter": lambda x: x[:-1],
        "one": lambda x: x[:1],
        "none": lambda x: x[:0],
        "text": lambda x: x.astype(str),
        "square": lambda x: np.stack([x, x]),
        "ints": lambda x: x.astype(np.int8),
    }
)
def coordinates(world, rng, change):
    group = zarr.open_group(world.image, mode="r+", use_consolidated=False)
    name = rng.choice(["x", "y"])
    values = change(np.asarray(group[name][:]))
    attributes = dict(group[name].attrs)
    del group[name]
    group.create_array(name, data=values).attrs.update(attributes)
    return _scene(names=world.image.name)


@bad.each(
    {
        "int16": np.int16,
        "uint32": np.uint32,
        "float32": np.float32,
        "float64": np.float64,
        "uint8": np.uint8,
        "bool": np.bool_,
        "complex64": np.complex64,
        "text": np.dtype("U5"),
    }
)
def band_of_another_type(world, rng, dtype):
    band = rng.choice(_BANDS[:4])
    _replace(world, band, lambda values: values.astype(dtype))
    return _scene(names=band)


@bad.each(
    {
        "smaller": lambda values: values[:-1],
        "larger": lambda values: np.pad(values, 1),
        "turned": lambda values: values.T,
        "three-dims": lambda values: values[None],
        "flat": lambda values: values.ravel(),
        "none": lambda values: values[:0],
    }
)
def band_of_another_shape(world, rng, change):
    band = rng.choice(_BANDS)
    _replace(world, band, change)
    return _scene(names=band)


def _replace(world, band, change):
    group = zarr.open_group(world.image, mode="r+", use_consolidated=False)
    values, attributes = np.asarray(group[band][:]), dict(group[band].attrs)
    del group[band]
    group.create_array(band, data=change(values), config={"write_empty_chunks": True}).attrs.update(attributes)


@bad.each({"nothing-seen": 0, "defective": 1})
def classes(world, rng, value):
    _replace(world, "SCL_20m", lambda values: np.full_like(values, value))
    return _scene(names=world.ids[0])


@bad
def all_bands_without_data(world, rng):
    for band in _BANDS[:4]:
        _replace(world, band, np.zeros_like)
    return _scene(names=world.ids[0])


@bad.each(
    {
        "nan": float("nan"),
        "inf": float("inf"),
        "zero": 0,
        "negative": -1e-4,
        "text": "abc",
        "nothing": None,
        "list": [1e-4],
        "dict": {"scale": 1},
        "true": True,
        "huge": 1e300,
    }
)
def scale(world, rng, value):
    band = rng.choice(["B04_10m", "B08_10m"])
    given = {"raster:scale": value, "raster:offset": -0.1}
    _attributes(world, band, lambda kept: {**kept, **given})
    ends = ("failed", "sound") if value is None else ("failed",)
    return _scene(*ends, names=band)


@bad.each({"nan": float("nan"), "inf": float("-inf"), "text": "abc", "list": [0], "huge": -1e300, "true": True})
def offset(world, rng, value):
    band = rng.choice(["B04_10m", "B08_10m"])
    _attributes(world, band, lambda kept: {**kept, "raster:scale": 1e-4, "raster:offset": value})
    return _scene(names=band)


@bad.each({how.__name__: how for how in (damage.file_instead, damage.loop_instead, damage.nowhere_instead)})
def store(world, rng, how):
    how(world.image, rng)
    return _scene(names=world.ids[0])


@bad
def store_empty(world, rng):
    shutil.rmtree(world.image)
    world.image.mkdir()
    return _scene(names=world.ids[0])


@bad
def store_linked(world, rng):
    moved = world.work / "elsewhere.zarr"
    world.image.rename(moved)
    world.image.symlink_to(moved)
    return may("sound")


@bad.each({how.__name__: how for how in (damage.file_instead, damage.loop_instead, damage.nowhere_instead)})
def band(world, rng, how):
    name = rng.choice(_BANDS)
    how(world.image / name, rng)
    return _scene(names=(name, world.image.name))


@bad
def files_of_other_systems(world, rng):
    for name in (".DS_Store", "._zarr.json", "Thumbs.db", "B02_10m/.DS_Store", "B02_10m/c/._0", "._B02_10m"):
        (world.image / name).write_bytes(rng.randbytes(20))
    (world.image.parent / f"._{world.image.name}").write_bytes(b"x")
    (world.image.parent / "cdse-s2-sr-scene-.zarr").mkdir()
    return may("sound")


@bad
def extra_arrays(world, rng):
    group = zarr.open_group(world.image, mode="r+", use_consolidated=False)
    for name in ("B99", "B02", "extra"):
        group.create_array(name, data=rng.choice([np.zeros((2, 3, 4)), np.full((64, 70), np.nan), np.zeros(1)]))
    return may("sound")


@bad
def shape_of_terabytes(world, rng):
    band = rng.choice(_BANDS)
    shape = rng.choice([[10**6, 10**6], [2**62, 2**62], [64, 10**12], [-64, 70], [0, 0]])
    _json(world.image / band / "zarr.json", lambda given: {**given, "shape": shape})
    return _scene(names=(band, world.image.name))


@bad
def coordinates_of_terabytes(world, rng):
    name = rng.choice("xy")
    _json(world.image / name / "zarr.json", lambda given: {**given, "shape": [rng.choice([10**12, 2**62, 10**9])]})
    return _scene(names=world.image.name)


@bad
def chunks_of_terabytes(world, rng):
    band = rng.choice(_BANDS)
    chunks = {
        "name": "regular",
        "configuration": {"chunk_shape": rng.choice([[10**6, 10**6], [1, 1], [0, 0], [-1, 4]])},
    }
    _json(world.image / band / "zarr.json", lambda given: {**given, "chunk_grid": chunks})
    return _scene(names=(band, world.image.name))


@bad
def fill_value(world, rng):
    band = rng.choice(_BANDS[:4])
    value = rng.choice([1, 65535, 0.5, "NaN", -1, None, 10**9])
    _json(world.image / band / "zarr.json", lambda given: {**given, "fill_value": value})
    return _scene("failed", "sound", names=(band, world.image.name))
