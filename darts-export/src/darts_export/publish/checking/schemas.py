"""JSON against the schemas that it names. They lie beside this package; one that does not is never asked for."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, Draft201909Validator
from jsonschema.exceptions import ValidationError, relevance
from jsonschema.validators import extend
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable

from darts_export.publish.stac import names

CORE = "https://schemas.stacspec.org/v{version}/{kind}-spec/json-schema/{kind}.json"
GEOPARQUET = "https://geoparquet.org/releases/v1.1.0/schema.json"
DATACITE = "datacite-v4.5"
MLM_AT_HAND = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
FILES = {
    names.FILE_INFO: "file-2.1.0.json",
    names.PROJECTION: "projection-2.0.0.json",
    names.RASTER: "raster-2.0.0.json",
    names.PROCESSING: "processing-1.2.0.json",
    MLM_AT_HAND: "mlm-1.4.0.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json": "raster-1.1.0.json",
    "https://stac-extensions.github.io/processing/v1.1.0/schema.json": "processing-1.1.0.json",
    "https://proj.org/schemas/v0.7/projjson.schema.json": "projjson-0.7.json",
    GEOPARQUET: "geoparquet-1.1.0.json",
    DATACITE: "datacite-4.5.json",
}
"""By the address that others name; see the README beside the files."""
STAND_INS = {names.MLM: MLM_AT_HAND}
"""Schemas that are not at hand, and the older ones that documents are checked against in their place."""
_FOLDER = Path(__file__).parent.parent / "schemas"
_FEWEST, _AXES = 4, 2
"""Positions that a ring must have, and numbers of a position."""
_MOST_ERRORS = 50
"""Of a document are gone through for the one to tell: a list of 100,000 may have one in each entry."""


class NotAtHandError(Exception):
    """A schema that would be needed is not here."""


def fault_of(document: Mapping[str, Any], uri: str) -> str | None:
    """Return in words what of a document is not as a schema wants it, None if all is.

    Raises:
        NotAtHandError: If the schema, or one that it refers to, is not here.
    """
    stand_in = STAND_INS.get(uri)
    if stand_in is not None:
        extensions = [stand_in if one == uri else one for one in document.get("stac_extensions", ())]
        document, uri = {**document, "stac_extensions": extensions}, stand_in
    document = _with_short_outline(document)
    try:
        errors = list(islice(_validator(uri).iter_errors(document), _MOST_ERRORS))
    except Unresolvable as missing:
        raise NotAtHandError(str(missing.ref)) from missing
    if not errors:
        return None
    error = max(errors, key=relevance)
    while error.context:  # of what could have fitted, what went furthest before it did not
        error = max(error.context, key=lambda one: len(one.absolute_path))
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    return f"{where.removeprefix('.') or 'the document'}: {error.message}"


def relation_types() -> tuple[str, ...]:
    """Return what DataCite lets a work be to another, such as `IsDocumentedBy`."""
    return tuple(_schemas()[DATACITE]["definitions"]["relationType"]["enum"])


def _with_short_outline(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an item whose rings have no more than four positions: those that are alike are looked at for long."""
    geometry = document.get("geometry")
    if not isinstance(geometry, dict) or not isinstance(geometry.get("coordinates"), list):
        return document
    return {**document, "geometry": {**geometry, "coordinates": _short(geometry["coordinates"])}}


def _short(coordinates: list[Any]) -> list[Any]:
    if len(coordinates) > _FEWEST and all(map(_is_position, coordinates)):
        return coordinates[:_FEWEST]
    return [_short(inner) if isinstance(inner, list) else inner for inner in coordinates]


def _is_position(value: Any) -> bool:
    return isinstance(value, list) and len(value) == _AXES and all(type(one) in (int, float) for one in value)


@cache
def _validator(uri: str) -> Any:
    """Return what validates against a schema; the schema itself is looked through once, which takes longest."""
    schemas = _schemas()
    if uri not in schemas:
        raise NotAtHandError(uri)
    kind = _DRAFT_2019 if "2019-09" in schemas[uri]["$schema"] else _DRAFT_7
    kind.check_schema(schemas[uri])
    return kind(schemas[uri], registry=_registry())


@cache
def _schemas() -> dict[str, Any]:
    ours = {uri: json.loads((_FOLDER / name).read_text(encoding="utf-8")) for uri, name in FILES.items()}
    return {**get_local_schema_cache(), **ours}


@cache
def _registry() -> Any:
    """Return all schemas that can be referred to; a registry that is told nothing else asks nobody."""
    return Registry().with_resources([(uri, Resource.from_contents(schema)) for uri, schema in _schemas().items()])


def _unique_items(_: Any, wanted: bool, items: Any, __: Any) -> Iterator[ValidationError]:
    """Yield an error if an entry is there twice; the library compares each with each where they cannot be sorted."""
    if wanted and isinstance(items, list):
        texts = {json.dumps(item, sort_keys=True) for item in items}
        if len(texts) < len(items):
            yield ValidationError("has an entry twice")


_DRAFT_7 = extend(Draft7Validator, {"uniqueItems": _unique_items})
_DRAFT_2019 = extend(Draft201909Validator, {"uniqueItems": _unique_items})
