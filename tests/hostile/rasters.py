"""Planet's files on a disk: images, masks and metadata of other kinds, grids and types, and folders of other shapes."""

import json
import shutil

import numpy as np
import rasterio

from hostile import damage
from hostile.stores import _CRS
from hostile.trials import Family, may

bad = Family("rasters", kind="planet")

_UTM = "EPSG:32608"
_HERE = rasterio.Affine(3, 0, 500_000, 0, -3, 7_700_000)


def _file(world, kind):
    return next(world.image.glob(f"*_{kind}.tif"))


def _failed(world, *ends):
    return may(*(ends or ("failed",)), names=world.ids[0])


def _rewrite(path, change=lambda values: values, **profile):
    """Write a raster anew with other values or another profile."""
    with rasterio.open(path) as source:
        values, kept = change(source.read()), source.profile
    path.unlink()
    kept |= {
        "count": len(values),
        "height": values.shape[1],
        "width": values.shape[2],
        "dtype": values.dtype,
        **profile,
    }
    for key in ("tiled", "blockxsize", "blockysize", "interleave"):
        kept.pop(key, None)
    with rasterio.open(path, "w", **kept) as raster:
        raster.write(values)


@bad.each({how.__name__: how for how in damage.FILE_DAMAGE})
def image(world, rng, how):
    path = _file(world, "SR")
    how(path, rng)
    if how in (damage.flip, damage.fill):
        return _failed(world, "failed", "own", "sound")
    if how in (damage.folder_instead, damage.loop_instead, damage.nowhere_instead):
        return may("failed", "left out", names=world.ids[0], says=f"{world.ids[0]} is skipped")
    return _failed(world)


@bad
def header_of_an_image(world, rng):
    damage.flip(_file(world, "SR"), rng, among=(0, 200), times=rng.choice([1, 2, 8]))
    return _failed(world, "failed", "own", "sound")


@bad.each({how.__name__: how for how in damage.FILE_DAMAGE})
def mask(world, rng, how):
    how(_file(world, "udm2"), rng)
    if how in (damage.flip, damage.fill):
        return _failed(world, "failed", "own", "sound")
    if how in (damage.folder_instead, damage.loop_instead, damage.nowhere_instead):
        return may("failed", "own", "sound", names=world.ids[0], says="has no mask")
    return _failed(world)


@bad
def header_of_a_mask(world, rng):
    damage.flip(_file(world, "udm2"), rng, among=(0, 200), times=rng.choice([1, 2, 8]))
    return _failed(world, "failed", "own", "sound")


@bad.each({str(np.dtype(dtype)): dtype for dtype in (np.uint8, np.int8)})
def image_of_few_values(world, rng, dtype):
    _rewrite(_file(world, "SR"), lambda values: (values // 100).astype(dtype))
    return _failed(world, "failed", "own")


@bad.each({"int16": np.int16, "uint32": np.uint32, "int32": np.int32})
def image_of_another_type(world, rng, dtype):
    _rewrite(_file(world, "SR"), lambda values: values.astype(dtype))
    return may("sound")


@bad.each({"complex": np.complex64, "digital-numbers-as-decimals": np.float32, "doubles": np.float64})
def image_of_an_illegal_type(world, rng, dtype):
    _rewrite(_file(world, "SR"), lambda values: values.astype(dtype))
    return _failed(world)


@bad.each({"nan": np.nan, "inf": np.inf, "minus-inf": -np.inf, "huge": 3e38, "negative": -9999.0})
def decimals(world, rng, value):
    def change(values):
        values = (values / 1e4).astype(np.float32)
        values[:, : rng.randrange(1, 64)] = value
        return values

    _rewrite(_file(world, "SR"), change)
    return _failed(world, "failed", "own")


@bad.each({"nan": np.nan, "inf": np.inf, "zero": 0.0})
def nothing_but(world, rng, value):
    _rewrite(_file(world, "SR"), lambda values: np.full(values.shape, value, np.float32))
    return _failed(world)


@bad.each({"one": 1, "two": 2, "three": 3, "five": 5, "seven": 7})
def number_of_bands(world, rng, count):
    _rewrite(_file(world, "SR"), lambda values: np.resize(values, (count, *values.shape[1:])))
    return _failed(world)


@bad.each({"twice": ("red", "red", "red", "nir"), "part": ("blue", "", "", ""), "others": ("red", "nir", "ndvi", "x")})
def descriptions(world, rng, words):
    with rasterio.open(_file(world, "SR"), "r+") as raster:
        raster.descriptions = words
    return _failed(world)


@bad
def descriptions_in_another_order(world, rng):
    def change(values):
        return values[[2, 3, 0, 1]]

    path = _file(world, "SR")
    _rewrite(path, change)
    with rasterio.open(path, "r+") as raster:
        raster.descriptions = ("Red", "NIR", "blue", "GREEN")
    return may("sound")


@bad.each(
    {
        name: crs
        for name, crs in _CRS.items()
        if isinstance(crs, str) and name not in ("nonsense", "long", "empty", "unknown-code", "degrees", "feet")
    }
)
def crs_of_an_image(world, rng, crs):
    _rewrite(_file(world, "SR"), crs=crs)
    return _failed(world)


@bad.each({"none": None, "degrees": "EPSG:4326", "feet": "EPSG:2225"})
def wrong_crs_of_an_image(world, rng, crs):
    _rewrite(_file(world, "SR"), crs=crs)
    return _failed(world)


@bad.each(
    {"none": None, "degrees": "EPSG:4326", "local": _CRS["local"], "elsewhere": "EPSG:32633", "south": "EPSG:32708"}
)
def crs_of_a_mask(world, rng, crs):
    _rewrite(_file(world, "udm2"), crs=crs)
    return _failed(world)


@bad.each(
    {
        "zeros": rasterio.Affine(0, 0, 0, 0, 0, 0),
        "nan": rasterio.Affine(np.nan, 0, 0, 0, np.nan, 0),
        "huge": rasterio.Affine(1e300, 0, 0, 0, -1e300, 0),
        "line": rasterio.Affine(3, 0, 500_000, 3, 0, 7_700_000),
        "tiny": rasterio.Affine(1e-300, 0, 500_000, 0, -1e-300, 7_700_000),
        "inf": rasterio.Affine(np.inf, 0, 0, 0, -3, 0),
        "off-the-map": rasterio.Affine(3, 0, 1e12, 0, -3, 1e12),
    }
)
def transform_of_an_image(world, rng, transform):
    for kind in ("SR", "udm2"):
        _rewrite(_file(world, kind), transform=transform)
    return _failed(world)


@bad.each(
    {
        "south-up": rasterio.Affine(3, 0, 500_000, 0, 3, 7_699_808),
        "mirrored": rasterio.Affine(-3, 0, 500_210, 0, -3, 7_700_000),
        "rotated": rasterio.Affine.translation(500_000, 7_700_000)
        @ rasterio.Affine.rotation(30)
        @ rasterio.Affine.scale(3, -3),
        "oblong": rasterio.Affine(3, 0, 500_000, 0, -6, 7_700_000),
        "millimetres": rasterio.Affine(1e-3, 0, 5e5, 0, -1e-3, 7.7e6),
    }
)
def other_grid_of_an_image(world, rng, transform):
    for kind in ("SR", "udm2"):
        _rewrite(_file(world, kind), transform=transform)
    return _failed(world, "failed", "own")


@bad.each({"a-kilometre": 1000, "a-thousand": 1_000_000, "its-own-width": 210})
def mask_beyond_its_image(world, rng, metres):
    shifted = rasterio.Affine.translation(rng.choice([-1, 1]) * metres, 0) @ _HERE
    _rewrite(_file(world, "udm2"), transform=shifted)
    return _failed(world)


@bad.each({"one": 1, "three": 3, "seven": 7, "nine": 9})
def bands_of_a_mask(world, rng, count):
    _rewrite(_file(world, "udm2"), lambda values: np.resize(values, (count, *values.shape[1:])))
    return _failed(world)


@bad.each({"float": np.float32, "int16": np.int16, "uint32": np.uint32})
def mask_of_another_type(world, rng, dtype):
    _rewrite(_file(world, "udm2"), lambda values: values.astype(dtype))
    return may("sound")


@bad
def mask_of_nan(world, rng):
    _rewrite(_file(world, "udm2"), lambda values: np.full(values.shape, np.nan, np.float32))
    return _failed(world, "failed", "own")


@bad
def mask_that_says_unusable(world, rng):
    def change(values):
        values[7] = rng.choice([1, 4, 255])
        return values

    _rewrite(_file(world, "udm2"), change)
    return _failed(world)


@bad.each({"smaller": (20, 20), "larger": (100, 90), "of-one-pixel": (1, 1), "of-a-row": (1, 70)})
def mask_of_another_size(world, rng, shape):
    _rewrite(_file(world, "udm2"), lambda values: np.broadcast_to(values[:, :1, :1], (8, *shape)))
    return _failed(world, "failed", "own", "sound")


@bad
def no_mask(world, rng):
    _file(world, "udm2").unlink()
    return may("own", "sound", says="has no mask")


@bad.each({"nan": np.nan, "inf": np.inf, "zero": 0.0, "huge": 1e300, "negative": -1e-4})
def scale_of_an_image(world, rng, scale):
    with rasterio.open(_file(world, "SR"), "r+") as raster:
        raster.scales = (scale,) * 4
    return _failed(world)


@bad.each({"nan": np.nan, "inf": -np.inf, "huge": 1e300, "minus-huge": -1e300})
def offset_of_an_image(world, rng, offset):
    with rasterio.open(_file(world, "SR"), "r+") as raster:
        raster.scales, raster.offsets = (1e-4,) * 4, (offset,) * 4
    return _failed(world)


@bad
def no_data_value(world, rng):
    _rewrite(_file(world, "SR"), nodata=rng.choice([65535, 2000, 1]))
    return _failed(world, "own", "sound")


@bad.each(
    {
        "vrt": '<VRTDataset rasterXSize="70" rasterYSize="64"><SRS>EPSG:32608</SRS>'
        "<GeoTransform>500000,3,0,7700000,0,-3"
        "</GeoTransform>{bands}</VRTDataset>",
        "wms": '<GDAL_WMS><Service name="TMS"><ServerUrl>http://trap.example/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>'
        "<DataWindow><UpperLeftX>500000</UpperLeftX><UpperLeftY>7700000</UpperLeftY><LowerRightX>500210</LowerRightX>"
        "<LowerRightY>7699808</LowerRightY><SizeX>70</SizeX><SizeY>64</SizeY></DataWindow><Projection>EPSG:32608"
        "</Projection><BandsCount>4</BandsCount><DataType>UInt16</DataType></GDAL_WMS>",
    }
)
def file_that_leads_elsewhere(world, rng, text):
    target = rng.choice(["/vsicurl/http://trap.example/x.tif", str(world.folder / "canary" / "thesis.txt")])
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{n}"><SimpleSource><SourceFilename>{target}</SourceFilename>'
        f"<SourceBand>{n}</SourceBand></SimpleSource></VRTRasterBand>"
        for n in range(1, 5)
    )
    _file(world, "SR").write_text(text.format(bands=bands))
    return _failed(world)


@bad.each({"PNG": 4, "JPEG": 3, "GIF": 1})
def picture(world, rng, count):
    path = _file(world, "SR")
    with rasterio.open(path) as source:
        values = source.read()
    path.unlink()
    driver = {4: "PNG", 3: "JPEG", 1: "GIF"}[count]
    with rasterio.open(path, "w", driver=driver, width=70, height=64, count=count, dtype="uint8") as raster:
        raster.write((values[:count] // 40).astype(np.uint8))
    (path.parent / f"{path.name}.aux.xml").unlink(missing_ok=True)
    return _failed(world)


@bad.each(
    {
        how.__name__: how
        for how in (
            damage.cut,
            damage.noise,
            damage.empty,
            damage.web_page,
            damage.loop_instead,
            damage.nowhere_instead,
            damage.folder_instead,
        )
    }
)
def metadata(world, rng, how):
    how(next(world.image.glob("*_metadata.json")), rng)
    return may("sound")


@bad
def junk_in_the_metadata(world, rng):
    path = next(world.image.glob("*_metadata.json"))
    whole = {"properties": {"sun_azimuth": 170, "sun_elevation": 40}, "sun_azimuth": 170, "sun_elevation": 40}
    for _ in range(rng.randrange(1, 4)):
        whole = damage.put(
            whole, rng.choice([("sun_azimuth",), ("sun_elevation",), ("properties",)]), rng.choice(damage.JUNK)
        )
    path.write_text(rng.choice([damage.as_json(whole), damage.as_json(rng.choice(damage.JUNK))]))
    return may("sound")


@bad.each({"utf-16": "utf-16", "bom": "utf-8-sig", "utf-32": "utf-32"})
def encoding_of_the_metadata(world, rng, encoding):
    path = next(world.image.glob("*_metadata.json"))
    path.write_text(json.dumps({"sun_azimuth": 170, "sun_elevation": 40}), encoding=encoding)
    return may("sound")


@bad
def two_images(world, rng):
    path = _file(world, "SR")
    shutil.copy(path, path.with_name(path.name.replace("_SR", "_3B_SR")))
    return _failed(world)


@bad
def upper_case(world, rng):
    for path in world.image.glob("*.tif"):
        path.rename(path.with_suffix(rng.choice([".TIF", ".TIFF", ".tiff"])))
    return may("sound")


@bad
def files_of_other_systems(world, rng):
    for name in ("._x_SR.tif", ".DS_Store", "._x_udm2.tif", "Thumbs.db", "._x_metadata.json", ".hidden_SR.tif"):
        (world.image / name).write_bytes(rng.randbytes(30))
    (world.image.parent / "._20240812_203954_07_1007").write_bytes(b"x")
    (world.image.parent / ".git").mkdir()
    return may("sound")


@bad.each({how.__name__: how for how in (damage.loop_instead, damage.nowhere_instead)})
def folder_of_an_image(world, rng, how):
    how(world.image, rng)
    return may("failed", "left out", names=world.ids[0], says=world.ids[0])


@bad
def folder_empty(world, rng):
    shutil.rmtree(world.image)
    world.image.mkdir()
    return may("left out", says=world.ids[0])


@bad.each(
    {"unicode": "sc\u00e9ne \u2603", "space": "a b", "dots": "a..b", "percent": "%s%n", "dash": "-rf", "braces": "{x}"}
)
def odd_name_of_a_folder(world, rng, name):
    _renamed(world, name)
    return may("own")


@bad.each(
    {
        "newline": "a\nb",
        "colon": "a:b",
        "long": "x" * 200,
        "dot-end": "a.",
        "quote": 'a"b',
        "direction": "a\u202eb",
        "con": "CON",
        "bytes": "a\udcff",
    }
)
def illegal_name_of_a_folder(world, rng, name):
    _renamed(world, name)
    return may("left out", says="is skipped")


def _renamed(world, name):
    world.image.rename(world.image.with_name(name))
    world.ids = (name, world.ids[1])


@bad
def size_of_terabytes(world, rng):
    path = _file(world, "SR")
    path.unlink()
    shape = {"count": 4, "height": 900_000, "width": 900_000, "dtype": "uint16"}
    grid = {"crs": _UTM, "transform": _HERE, "SPARSE_OK": True, "BIGTIFF": "YES", "tiled": True, "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", blockxsize=16384, blockysize=16384, **grid, **shape):
        pass
    return _failed(world)


@bad.each({"pixel": (1, 1), "row": (1, 70), "column": (64, 1)})
def image_of_one(world, rng, shape):
    for kind in ("SR", "udm2"):
        _rewrite(_file(world, kind), lambda values: values[:, : shape[0], : shape[1]])
    return may("failed", "own", "refused", names=world.ids[0])
