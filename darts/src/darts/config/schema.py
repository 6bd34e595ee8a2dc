"""A JSON schema of config files (draft 2020-12), made of the declared parameters: editors check and complete by it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from darts.config.declared import Declared
from darts.config.kinds import alternatives, choices

_TABLE = "darts-table"
"""Name of what describes a table; with `-`, which no key has here."""
_SIMPLE = {int: "integer", float: "number", bool: "boolean", str: "string", Path: "string"}
_VARIABLE = {"type": "string", "pattern": r"^\$\{[^}]+\}$"}
"""A variable of the environment may stand for any value."""
_RANGE = {"type": "string", "pattern": r"^\d+-\d*$"}

type Schema = dict[str, Any]


def config_schema(keys: Mapping[str, Sequence[Declared]]) -> Schema:
    """Return the schema of files that hold some keys, in `[darts]` and any table below; other tools' tables are theirs.

    Args:
        keys: For each key the parameters that it is.
    """
    spellings = {spelling: key for key in sorted(keys) for spelling in (key, key.replace("_", "-"))}
    table = {
        "type": "object",
        "properties": {spelling: {"anyOf": [_ref(key), _ref(_TABLE)]} for spelling, key in spellings.items()},
        "additionalProperties": _ref(_TABLE),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Config file of DARTS",
        "type": "object",
        "properties": {"darts": _ref(_TABLE)},
        "$defs": {_TABLE: table, **{key: _of_key(several) for key, several in sorted(keys.items())}},
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _of_key(parameters: Sequence[Declared]) -> Schema:
    """Return what a key may be: what any command takes that reads it."""
    kinds = [kind for one in parameters for kind in _of_hint(one.hint)]
    texts = list(dict.fromkeys(one.help for one in parameters if one.help))
    defaults = [one.default for one in parameters]
    described = {"description": texts[0]} if texts else {}
    if _is_plain(defaults[0]) and all(one == defaults[0] for one in defaults):
        described["default"] = defaults[0]
    return {**described, "anyOf": _each_once([*kinds, _VARIABLE])}


def _of_hint(hint: Any) -> list[Schema]:
    """Return what a type may be; one of a list may stand alone."""
    found: list[Schema] = []
    for one in alternatives(hint):
        if get_origin(one) in (list, set):
            items = _of_hint(get_args(one)[0])
            items += [_RANGE] if {"type": "integer"} in items else []
            found += [{"type": "array", "items": {"anyOf": items}}, *items]
        elif get_origin(one) is tuple:
            found.append(_of_tuple(get_args(one)))
        elif get_origin(one) is Literal:
            found.append({"enum": list(get_args(one))} if len(choices(one)) > 1 else {"const": get_args(one)[0]})
        elif one is not NoneType:
            found.append({"type": _SIMPLE[one]} if one in _SIMPLE else {})
    return found


def _of_tuple(items: tuple[Any, ...]) -> Schema:
    if Ellipsis in items:
        return {"type": "array", "items": {"anyOf": _of_hint(items[0])}}
    each = [{"anyOf": _of_hint(item)} for item in items]
    return {"type": "array", "prefixItems": each, "minItems": len(each), "maxItems": len(each)}


def _is_plain(default: Any) -> bool:
    if isinstance(default, list):
        return all(map(_is_plain, default))
    return isinstance(default, bool | int | float | str)


def _each_once(schemas: list[Schema]) -> list[Schema]:
    return [one for at, one in enumerate(schemas) if one not in schemas[:at]]
