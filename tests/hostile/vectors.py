"""Areas of interest: damaged files, odd formats, layers, encodings and outlines; what is searched for is compared."""

import json
import shutil

import geopandas as gpd
import pyogrio
import shapely

from hostile import damage
from hostile.stores import _CRS
from hostile.trials import Family, may
from hostile.worlds import command

bad = Family("vectors", kind="sentinel2")

_AREA = shapely.box(-135.01, 69.385, -134.99, 69.405)
_OTHER = shapely.box(-134.6, 69.5, -134.5, 69.6)
_HOLLOW = shapely.difference(_AREA, shapely.box(-135.002, 69.39, -134.998, 69.395))


def _searching(world, path):
    world.words = command("sentinel2", "--years", "2024", "--cdse-stac-url", world.catalogue.url, "--aoi-file", path)
    return path


def _written(world, name="area.geojson", shapes=(_AREA,), crs="EPSG:4326", **options):
    """Write an area and let the command search in it; return the file."""
    path = world.work / name
    frame = gpd.GeoDataFrame({"name": ["a"] * len(shapes)}, geometry=list(shapes), crs=crs)
    if name.endswith(".parquet"):
        frame.to_parquet(path)
    else:
        pyogrio.write_dataframe(frame, path, **({"driver": "KML"} if name.endswith(".kml") else {}), **options)
    return _searching(world, path)


def _raw(world, raw, name="area.geojson"):
    path = world.work / name
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return _searching(world, path)


def _sound(area=_AREA):
    return may("sound", area=area)


def _refused(path, area=None):
    return may("refused", *([] if area is None else ["sound"]), names=path.name, both=True, area=area)


@bad.each({how.__name__: how for how in damage.FILE_DAMAGE if how not in (damage.flip, damage.fill)})
def damaged(world, rng, how):
    path = _written(world, rng.choice(["area.geojson", "area.gpkg", "area.parquet", "area.fgb", "area.kml"]))
    how(path, rng)
    return _refused(path)


@bad
def bits_flipped(world, rng):
    path = _written(world, rng.choice(["area.gpkg", "area.parquet"]))
    damage.flip(path, rng, among=(0, 100))
    return _refused(path, _AREA)


@bad.each(
    {
        name: name
        for name in (
            "area.gpkg",
            "area.fgb",
            "area.parquet",
            "area.kml",
            "area.gml",
            "\u00e9\u2603 a.geojson",
            "area.JSON",
            "area.txt",
            "a%20b.gpkg",
            "-area.geojson",
        )
    }
)
def format_(world, rng, name):
    drivers = {"txt": "GeoJSON", "JSON": "GeoJSON"}
    _written(world, name, **({"driver": drivers[name[-4:].strip(".")]} if name[-4:].strip(".") in drivers else {}))
    return _sound()


@bad
def shapefile(world, rng):
    path = _written(world, "area.shp")
    lost = rng.choice([None, ".dbf", ".prj", ".shx", ".cpg"])
    if lost:
        path.with_suffix(lost).unlink()
    return may("sound", "refused", names=path.name, both=True, area=_AREA)


@bad
def two_layers(world, rng):
    path = _written(world, "area.gpkg", layer="one")
    frame = gpd.GeoDataFrame(geometry=[_OTHER], crs="EPSG:4326").to_crs(rng.choice(["EPSG:4326", "EPSG:32608"]))
    pyogrio.write_dataframe(frame, path, layer=rng.choice(["two", "2", "a b", "\u00e9"]), append=True)
    return _sound(shapely.union_all([_AREA, _OTHER]))


@bad
def folders_of_kml(world, rng):
    def place(area):
        points = " ".join(f"{x},{y},0" for x, y in area.exterior.coords)
        ring = f"<outerBoundaryIs><LinearRing><coordinates>{points}</coordinates></LinearRing></outerBoundaryIs>"
        return f"<Placemark><Polygon>{ring}</Polygon></Placemark>"

    names = rng.choice([("a", "b"), ("a", "a"), ("", "\u00e9")])
    folders = "".join(
        f"<Folder><name>{n}</name>{place(a)}</Folder>" for n, a in zip(names, (_AREA, _OTHER), strict=True)
    )
    _raw(world, f'<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{folders}</Document></kml>', "area.kml")
    return _sound(shapely.union_all([_AREA, _OTHER]))


@bad.each(
    {
        name: crs
        for name, crs in _CRS.items()
        if isinstance(crs, str) and name not in ("nonsense", "empty", "long", "unknown-code", "degrees", "feet")
    }
)
def crs(world, rng, crs):
    return _refused(_written(world, "area.gpkg", crs=crs))


@bad.each({"none": None, "other": "EPSG:32633"})
def wrong_crs(world, rng, crs):
    shapes = [_AREA] if crs is None else [shapely.box(1e9, 1e9, 2e9, 2e9)]
    return _refused(_written(world, "area.gpkg", shapes, crs=crs))


@bad.each({"utm": "EPSG:32608", "polar": "EPSG:3413", "mercator": "EPSG:3857", "nad": "EPSG:4269"})
def projected(world, rng, crs):
    moved = gpd.GeoSeries([_AREA], crs="EPSG:4326").to_crs(crs)
    _written(world, "area.gpkg", list(moved), crs=crs)
    return _sound(
        gpd.GeoSeries([moved.iloc[0].segmentize(10 if crs != "EPSG:4269" else 1)], crs=crs).to_crs("EPSG:4326").iloc[0]
    )


@bad.each(
    {
        "point": shapely.Point(-135, 69.4),
        "line": shapely.LineString([(-135, 69.4), (-134, 69.5)]),
        "empty": shapely.Polygon(),
        "flat": shapely.Polygon([(-135, 69), (-134, 69), (-135, 69)]),
        "swapped": shapely.box(69.38, -135.01, 69.4, -134.99),
        "far": shapely.box(1e6, 1e6, 2e6, 2e6),
        "huge": shapely.box(-1e30, -1e30, 1e30, 1e30),
        "beyond": shapely.box(700, 60, 720, 70),
    }
)
def shape(world, rng, shape):
    return _refused(_written(world, "area.gpkg", [shape]))


@bad
def two_kinds(world, rng):
    return _refused(_written(world, "area.geojson", [_AREA, shapely.Point(-135, 69.4)]))


@bad.each(
    {
        "bow-tie": ([shapely.Polygon([(-135, 69), (-134, 70), (-134, 69), (-135, 70)])], None),
        "hole": ([_HOLLOW], _HOLLOW),
        "twice": ([_AREA, _AREA], _AREA),
        "missing": ([None, _AREA], _AREA),
        "empty": ([shapely.Polygon(), _AREA], _AREA),
        "height": ([shapely.force_3d(_AREA, 5)], _AREA),
        "many": ([_AREA] * 3000, _AREA),
        "multi": ([shapely.MultiPolygon([_AREA])], _AREA),
        "clockwise": ([shapely.Polygon(list(_AREA.exterior.coords)[::-1])], _AREA),
        "long-way": ([shapely.box(224.99, 69.385, 225.01, 69.405)], _AREA),
    }
)
def outline(world, rng, case):
    shapes, area = case
    path = _written(world, "area.gpkg", shapes)
    return may("sound", area=area) if area is not None else may("sound", "refused", names=path.name, both=True)


@bad.each(
    {
        "nothing": b"",
        "null": b"null",
        "list": b"[]",
        "object": b"{}",
        "no-features": b'{"type": "FeatureCollection"}',
        "empty": b'{"type": "FeatureCollection", "features": []}',
        "features-null": b'{"type": "FeatureCollection", "features": null}',
        "feature-null": b'{"type": "FeatureCollection", "features": [null, 5]}',
        "geometry-null": b'{"type": "Feature", "geometry": null, "properties": {}}',
        "deep": b"[" * 50_000,
        "nan": b'{"type": "Polygon", "coordinates": [[[NaN, 1], [1, 1], [1, 2], [NaN, 1]]]}',
        "words": b'{"type": "Polygon", "coordinates": [[["a", "b"], ["c", "d"]]]}',
        "vrt": b"<OGRVRTDataSource><OGRVRTLayer name='a'><SrcDataSource>http://trap.example/x</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>",
        "wfs": b"<OGRWFSDataSource><URL>http://trap.example/wfs</URL></OGRWFSDataSource>",
        "utf-16": "{}".encode("utf-16"),
        "xml-bomb": b'<?xml version="1.0"?><!DOCTYPE k [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(
            f'<!ENTITY a{n} "{f"&a{n - 1 if n else chr(0)};".replace(chr(0), "") * 10}">'.encode() for n in range(1, 9)
        )
        + b"]><kml>&a8;</kml>",
    }
)
def content(world, rng, raw):
    return _refused(_raw(world, raw, rng.choice(["area.geojson", "area.gpkg", "area.kml", "area.json"])))


@bad
def junk_in_geojson(world, rng):
    given = json.loads(gpd.GeoDataFrame({"a": [1]}, geometry=[_AREA], crs="EPSG:4326").to_json())
    path = _raw(
        world, damage.as_json(damage.put(given, rng.choice(damage.places(given)), rng.choice(damage.JUNK[:-1])))
    )
    return may("refused", "sound", names=path.name, both=True)


@bad.each({"bom": "utf-8-sig", "utf-8": "utf-8", "lines": "lines"})
def encoding(world, rng, encoding):
    text = gpd.GeoDataFrame({"a": ["\u00e9"]}, geometry=[_AREA], crs="EPSG:4326").to_json()
    text = text.replace(",", ",\r\n") if encoding == "lines" else text
    _raw(world, text.encode("utf-8" if encoding == "lines" else encoding))
    return _sound()


@bad.each({"wkt": "WKT", "geometry": "geometry", "lower": "wkt", "other": "outline"})
def csv(world, rng, column):
    path = _raw(world, f'id,{column}\n1,"{_AREA.wkt}"\n2,\n', "area.csv")
    return _refused(path) if column == "outline" else _sound()


@bad.each(
    {
        "text": "no,shapes\n1,2\n",
        "nonsense": "wkt\nPOLYGON((\n",
        "nothing": "",
        "heading": "wkt\n",
        "points": 'wkt\n"POINT (1 2)"\n',
        "latin": "wkt;n\u00e9\n",
    }
)
def csv_of_nonsense(world, rng, text):
    return _refused(_raw(world, text.encode("latin-1"), "area.csv"))


@bad
def table_without_shapes(world, rng):
    path = _searching(world, world.work / "area.gpkg")
    pyogrio.write_dataframe(gpd.pd.DataFrame({"a": [1]}), path, layer="layer_styles")
    return _refused(path)


@bad.each(
    {
        "folder": "models",
        "nowhere": "none.geojson",
        "zip": "area.zip",
        "url": "http://trap.example/a.geojson",
        "vsi": "/vsicurl/http://trap.example/a.geojson",
        "connection": "PG:host=trap.example",
        "long": "x" * 3000,
        "null": "/dev/null",
        "empty": "",
    }
)
def path(world, rng, name):
    if name.endswith(".zip"):
        _written(world, "area.shp")
        shutil.make_archive(str(world.work / "area"), "zip", world.work / "models")
    _searching(world, name)
    return may("refused", names=(name[:100] or "aoi", "aoi-file", "area of interest"), both=True)
