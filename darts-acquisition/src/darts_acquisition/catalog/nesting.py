"""JSON of strangers, read whatever its depth: lists within lists exhaust the usual reader, and would cost a page."""

import json
import re
from typing import Any

_DEEPEST = 100
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{\]}]|[^"\[{\]}]+|"', re.DOTALL)


def read_json(text: str) -> Any:
    """Return what JSON says; where it is nested too deeply to be read, null stands in place of the depths.

    Raises:
        json.JSONDecodeError: If it is no JSON.
    """
    try:
        return json.loads(text)
    except RecursionError:
        return json.loads(_shallow(text))


def _shallow(text: str) -> str:
    """Return JSON with null in place of each list or object that is nested deeper than anybody means."""
    kept: list[str] = []
    depth = 0
    for token in _TOKEN.findall(text):
        if token in ("[", "{"):
            depth += 1
            if depth == _DEEPEST + 1:
                kept.append("null")
        if depth <= _DEEPEST:
            kept.append(token)
        if token in ("]", "}"):
            depth -= 1
    return "".join(kept)
