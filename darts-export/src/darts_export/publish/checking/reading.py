"""JSON that somebody else wrote, read within limits: a finding where it is none, or more than can be held."""

import json
from typing import Any

from darts_export.publish.checking.findings import Findings
from darts_export.publish.checking.tree import Tree

MOST_BYTES = 256 * 2**20
"""Of any document: the provenance of 100,000 images has 36 megabytes."""
DEEPEST = 64
"""Levels of objects and lists in one another."""
_AGAIN = "Write it again, or copy it anew."


def read_object(tree: Tree, path: str, findings: Findings, *, most_bytes: int = MOST_BYTES) -> dict[str, Any] | None:
    """Return the JSON object in a file, None where there is none that can be used, which is a finding then.

    Args:
        tree: The catalogue.
        path: Of the file.
        findings: Added to.
        most_bytes: How large a file of its kind may be.
    """
    if tree.sizes[path] > most_bytes:
        findings.add(path, f"has {tree.sizes[path]:,} bytes, more than {most_bytes:,}", "Divide it.")
        return None
    try:
        content = tree.place(path).read_bytes()
    except OSError as error:
        findings.add(path, f"cannot be read: {error.strerror}", "Ask for the right to read it.")
        return None
    return parse_object(content, path, findings)


def parse_object(content: bytes, path: str, findings: Findings) -> dict[str, Any] | None:
    """Return the JSON object in bytes, None where there is none that can be used, which is a finding then.

    Args:
        content: The bytes.
        path: Of the file that they are from.
        findings: Added to.
    """
    try:
        said = json.loads(content.decode("utf-8-sig"), parse_constant=_refuse)
    except RecursionError:
        said = _TOO_DEEP
    except ValueError as error:
        findings.add(path, f"is no JSON: {error}", _AGAIN)
        return None
    if said is _TOO_DEEP or _is_deeper(said, DEEPEST):
        findings.add(path, f"is nested more than {DEEPEST} levels deep", "Write it flatter.")
        return None
    if not isinstance(said, dict):
        findings.add(path, f"holds a JSON {type(said).__name__}, no object", _AGAIN)
        return None
    return said


_TOO_DEEP = object()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _is_deeper(value: Any, deepest: int) -> bool:
    """Return whether a value has more than so many levels; level by level, so that depth costs nothing."""
    level = [value]
    for _ in range(deepest + 1):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _inside(one)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value
