"""The schemas that lie beside the package: what they say they are, and verdicts like those of the STAC library."""

import copy
import json
import random
from pathlib import Path
from typing import Any

import pystac
import pytest
from published_catalogue import write_all
from pystac.errors import STACValidationError
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from darts_export.publish.checking import schemas
from darts_export.publish.checking.schemas import CORE, FILES, NotAtHandError, fault_of

FOLDER = Path(schemas.__file__).parents[1] / "schemas"


def test_each_schema_is_the_one_that_its_address_names():
    said = {uri: json.loads((FOLDER / name).read_text()) for uri, name in FILES.items()}
    own = {uri: schema["$id"].removesuffix("#") for uri, schema in said.items() if "$id" in schema}
    assert all(uri == name for uri, name in own.items())
    assert said.keys() - own.keys() == {schemas.GEOPARQUET, schemas.DATACITE}
    assert said[schemas.GEOPARQUET]["properties"]["version"] == {"type": "string", "const": "1.1.0"}
    assert said[schemas.DATACITE]["title"] == "DataCite v4.5"


def test_each_schema_is_named_in_the_readme_with_its_licence():
    text = (FOLDER / "README.md").read_text()
    rows = {line.split("`")[1]: line for line in text.split("\n") if line.startswith("| `")}
    assert set(rows) == {path.name for path in FOLDER.glob("*.json")} == set(FILES.values())
    assert all(any(licence in row for licence in ("Apache-2.0", "MIT", "BSD-3-Clause")) for row in rows.values())


def test_an_entry_that_comes_twice_is_found(documents):
    item = copy.deepcopy(documents[2])
    item["stac_extensions"] *= 2
    assert fault_of(item, CORE.format(version="1.1.0", kind="item")) == "stac_extensions: has an entry twice"


def test_a_schema_that_is_not_at_hand_is_said_and_not_fetched():
    with pytest.raises(NotAtHandError, match=r"https://example\.org/schema\.json"):
        fault_of({}, "https://example.org/schema.json")


@pytest.fixture(scope="module")
def documents(tmp_path_factory) -> list[dict[str, Any]]:
    folder = write_all(tmp_path_factory.mktemp("sound"))
    paths = ["catalog.json", "stac/map/collection.json", "stac/map/2021-x-12y+11.json", "stac/models/tiny.json"]
    return [json.loads((folder / path).read_text()) for path in paths]


@pytest.fixture(scope="module")
def theirs() -> JsonSchemaSTACValidator:
    validator = JsonSchemaSTACValidator()
    validator.schema_cache.update({uri: json.loads((FOLDER / name).read_text()) for uri, name in FILES.items()})
    return validator


def spoiled(document: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return a document with one of its values replaced or left out."""
    value: Any = document
    while True:
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        inner = value[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
            value = inner
        elif rng.random() < 0.3:
            del value[key]
            return document
        else:
            value[key] = rng.choice([None, 3, "x", [], {}, ["a", "a"], [1, 2, 3, 4], {"name": "b"}])
            return document


def test_verdicts_are_those_of_the_stac_library(documents, theirs):
    rng, ours, librarys = random.Random(1), [], []
    for number in range(100):
        original = documents[number % len(documents)]
        document, kind = spoiled(copy.deepcopy(original), rng), pystac.STACObjectType(original["type"])
        core = CORE.format(version="1.1.0", kind=KINDS[kind])
        for uri in [core, *(uri for uri in original.get("stac_extensions", []) if uri in FILES)]:
            ours.append(fault_of(document, uri) is None)
            librarys.append(is_sound(theirs, document, kind, uri, is_core=uri == core))
    assert ours == librarys
    assert 40 < sum(ours) < len(ours) - 40


KINDS = {
    pystac.STACObjectType.CATALOG: "catalog",
    pystac.STACObjectType.COLLECTION: "collection",
    pystac.STACObjectType.ITEM: "item",
}


def is_sound(
    validator: JsonSchemaSTACValidator, document: dict[str, Any], kind: Any, uri: str, *, is_core: bool
) -> bool:
    try:
        if is_core:
            validator.validate_core(document, kind, "1.1.0")
        else:
            validator.validate_extension(document, kind, "1.1.0", uri)
    except STACValidationError:
        return False
    return True
