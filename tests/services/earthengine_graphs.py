"""Earth Engine's expression graphs, evaluated over made-up assets; what is not here is refused, as it is there."""

# ruff: noqa: A002, A006  (functions have the argument names of the protocol)

import datetime
from dataclasses import dataclass, field, replace

import numpy as np
import pyproj
import shapely

MAX_ELEMENTS = 5000
UNDEFINED = 77
"""What masked pixels come as: nothing that a client may rely on."""


class Refused(Exception):
    """An expression that cannot be computed."""


@dataclass(frozen=True)
class Band:
    """One band: `sample(xs, ys)` gives values and mask at coordinates of its CRS, for axes that broadcast."""

    name: str
    dtype: np.dtype
    crs: str
    transform: tuple
    dimensions: tuple
    sample: object = field(compare=False)

    def described(self):
        kind = {"type": "PixelType", "precision": "int", "min": 0, "max": int(np.iinfo(self.dtype).max)}
        grid = {"crs": self.crs, "crs_transform": list(self.transform), "dimensions": list(self.dimensions)}
        return {"id": self.name, "data_type": kind, **grid}


@dataclass(frozen=True)
class Image:
    bands: tuple
    id: str | None = None
    properties: dict = field(default_factory=dict, compare=False)
    footprint: shapely.Geometry | None = field(default=None, compare=False)

    def described(self):
        info = {"type": "Image", "bands": [band.described() for band in self.bands], "properties": self.properties}
        return info if self.id is None else {**info, "id": self.id, "version": 1700000000000000}

    def pixels(self, xs, ys, crs):
        """Return values and mask of each band by name, at coordinates of a CRS."""
        return {band.name: band.sample(*_at(band.crs, xs, ys, crs)) for band in self.bands}


def _at(own, xs, ys, crs):
    if pyproj.CRS(own) == pyproj.CRS(crs):
        return xs, ys
    to_own = pyproj.Transformer.from_crs(crs, own, always_xy=True)
    return to_own.transform(*np.broadcast_arrays(xs, ys))


def array_band(name, values, crs, transform):
    """Return a band of an array: the nearest pixel, masked outside and where it is 0."""
    a, b, c, d, e, f = transform
    assert b == d == 0

    def sample(xs, ys):
        columns, rows = np.floor((xs - c) / a).astype(int), np.floor((ys - f) / e).astype(int)
        inside = (columns >= 0) & (columns < values.shape[1]) & (rows >= 0) & (rows < values.shape[0])
        rows, columns = np.clip(rows, 0, values.shape[0] - 1), np.clip(columns, 0, values.shape[1] - 1)
        found = values[rows, columns]
        return found, inside & (found != 0)

    return Band(name, values.dtype, crs, tuple(transform), values.shape[::-1], sample)


class Evaluator:
    """Evaluates one expression over images by collection id.

    Args:
        collections: Lists of images by the id of their collection.
        expression: Values by key, and the key of the result.
    """

    def __init__(self, collections, expression):
        self._collections, self._values = collections, expression["values"]
        self._result = expression["result"]

    def result(self):
        return self._node({"valueReference": self._result}, {})

    def _node(self, node, scope):
        (kind, given), *_ = node.items()
        if kind == "constantValue":
            return given
        if kind == "integerValue":
            return int(given)
        if kind == "valueReference":
            return self._node(self._values[given], scope)
        if kind == "argumentReference":
            return scope[given]
        if kind == "arrayValue":
            return [self._node(value, scope) for value in given["values"]]
        if kind == "dictionaryValue":
            return {key: self._node(value, scope) for key, value in given["values"].items()}
        if kind == "functionDefinitionValue":
            (name,) = given["argumentNames"]
            return lambda value: self._node({"valueReference": given["body"]}, {**scope, name: value})
        if kind == "functionInvocationValue":
            arguments = {key: self._node(value, scope) for key, value in given["arguments"].items()}
            return self._call(given["functionName"], arguments)
        raise Refused(f"Unknown value type {kind}.")

    def _call(self, name, arguments):
        if name == "ImageCollection.load":
            return self._load_collection(**arguments)
        if name == "Image.load":
            return self._load_image(**arguments)
        if name not in FUNCTIONS:
            raise Refused(f"Invalid expression: unknown function {name}.")
        try:
            return FUNCTIONS[name](**arguments)
        except TypeError as error:
            raise Refused(f"{name}: {error}") from error

    def _load_collection(self, id):
        if id not in self._collections:
            raise Refused(f"ImageCollection.load: ImageCollection asset '{id}' {_MISSING}")
        return sorted(self._collections[id], key=lambda image: image.id)

    def _load_image(self, id):
        found = [image for image in self._collections.get(id.rpartition("/")[0], []) if image.id == id]
        if not found:
            raise Refused(f"Image.load: Image asset '{id}' {_MISSING}")
        return found[0]


_MISSING = "not found (does not exist or caller does not have access)."


def _mosaic(collection):
    """The last image that is not masked wins."""
    if not collection:
        return Image(())
    stacks = {band.name: [image for image in collection if _has(image, band.name)] for band in collection[0].bands}

    def sampler(name):
        def sample(xs, ys):
            values, mask = None, None
            for image in stacks[name]:
                new, seen = _only(image, name).pixels(xs, ys, "EPSG:4326")[name]
                values, mask = (new, seen) if values is None else (np.where(seen, new, values), mask | seen)
            return values, mask

        return sample

    bands = [
        replace(band, sample=sampler(band.name), crs="EPSG:4326", transform=(1, 0, 0, 0, 1, 0))
        for band in collection[0].bands
    ]
    return Image(tuple(bands))


def _has(image, name):
    return any(band.name == name for band in image.bands)


def _only(image, name):
    return replace(image, bands=tuple(band for band in image.bands if band.name == name))


def _select(input, bandSelectors):
    by_name = {band.name: band for band in input.bands}
    for name in bandSelectors:
        if name not in by_name:
            raise Refused(f"Image.select: Band pattern '{name}' did not match any bands. Available bands: {[*by_name]}")
    return replace(input, bands=tuple(by_name[name] for name in bandSelectors))


def _unmask(input, value, sameFootprint=True):
    fill = value.bands[0].sample(0.0, 0.0)[0]

    def filled(band):
        def sample(xs, ys):
            values, mask = band.sample(xs, ys)
            return np.where(mask, values, fill), np.ones_like(mask)

        return replace(band, sample=sample)

    if sameFootprint:
        raise Refused("This made-up service only unmasks without a footprint.")
    return replace(input, bands=tuple(filled(band) for band in input.bands))


def _constant(value):
    def sample(xs, ys):
        shape = np.broadcast(xs, ys).shape
        return np.full(shape, value), np.ones(shape, bool)

    return Image((Band("constant", np.dtype("int32"), "EPSG:4326", (1, 0, 0, 0, 1, 0), (1, 1), sample),))


def _cast(dtype):
    def cast(value):
        return replace(value, bands=tuple(replace(band, dtype=np.dtype(dtype)) for band in value.bands))

    return cast


def _clip(input, geometry):
    def clipped(band):
        def sample(xs, ys):
            values, mask = band.sample(xs, ys)
            x, y = np.broadcast_arrays(*_at("EPSG:4326", xs, ys, band.crs))
            return values, mask & shapely.contains_xy(geometry, x, y)

        return replace(band, sample=sample)

    return replace(input, bands=tuple(clipped(band) for band in input.bands))


def _field(image, name):
    return image.footprint if name in (".all", ".geo") else image.properties.get(name)


def _compared(test):
    def make(leftField, rightValue):
        def passes(image):
            value = _field(image, leftField)
            return value is not None and test(value, rightValue)

        return passes

    return make


def _list_contains(leftValue, rightField):
    return lambda image: _field(image, rightField) in leftValue


def _date_range_contains(leftValue, rightField):
    start, end = leftValue
    return lambda image: start <= _field(image, rightField) < end


def _date_range(start, end):
    return _milliseconds(start), _milliseconds(end)


def _milliseconds(moment):
    if isinstance(moment, str):
        return datetime.datetime.fromisoformat(moment).replace(tzinfo=datetime.UTC).timestamp() * 1000
    return moment


def _limit(collection, limit, key=None, ascending=True):
    ordered = sorted(collection, key=lambda image: _field(image, key), reverse=not ascending) if key else collection
    return ordered[:limit]


def _polygon(coordinates, geodesic=True, evenOdd=True):
    if geodesic:
        raise Refused("This made-up service only knows geometries with edges straight in degrees.")
    return shapely.Polygon(coordinates[0], coordinates[1:])


def _multi_polygon(coordinates, geodesic=True, evenOdd=True):
    return shapely.MultiPolygon([_polygon(rings, geodesic) for rings in coordinates])


FUNCTIONS = {
    "Collection.filter": lambda collection, filter: [image for image in collection if filter(image)],
    "Collection.map": lambda collection, baseAlgorithm: [baseAlgorithm(image) for image in collection],
    "Collection.toList": lambda collection, count, offset=0: collection[offset : offset + count],
    "Collection.size": len,
    "Collection.limit": _limit,
    "DateRange": _date_range,
    "Feature": lambda geometry: geometry,
    "Filter.and": lambda filters: lambda image: all(passes(image) for passes in filters),
    "Filter.or": lambda filters: lambda image: any(passes(image) for passes in filters),
    "Filter.not": lambda filter: lambda image: not filter(image),
    "Filter.notNull": lambda properties: lambda image: all(_field(image, name) is not None for name in properties),
    "Filter.equals": _compared(lambda value, given: value == given),
    "Filter.lessThan": _compared(lambda value, given: value < given),
    "Filter.greaterThan": _compared(lambda value, given: value > given),
    "Filter.intersects": _compared(shapely.intersects),
    "Filter.listContains": _list_contains,
    "Filter.dateRangeContains": _date_range_contains,
    "GeometryConstructors.Point": lambda coordinates: shapely.Point(coordinates),
    "GeometryConstructors.Polygon": _polygon,
    "GeometryConstructors.MultiPolygon": _multi_polygon,
    "Image.clip": _clip,
    "Image.constant": _constant,
    "Image.select": _select,
    "Image.unmask": _unmask,
    "Image.toUint8": _cast("u1"),
    "Image.toUint16": _cast("<u2"),
    "ImageCollection.mosaic": _mosaic,
}


def described(value):
    """Return a computed value as `value:compute` writes it."""
    if isinstance(value, Image):
        return value.described()
    if isinstance(value, list):
        if len(value) > MAX_ELEMENTS:
            raise Refused(f"Collection query aborted after accumulating over {MAX_ELEMENTS} elements.")
        return [described(element) for element in value]
    if callable(value) or isinstance(value, shapely.Geometry):
        raise Refused("Values of this kind are not described by this made-up service.")
    return value
