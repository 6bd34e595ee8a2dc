"""Where the sun stood, out of the metadata that comes with an image."""

import json
import logging
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from darts_utils.errors import one_line

logger = logging.getLogger(__name__)

_KEYS = {"azimuth": ("sun_azimuth", "view:sun_azimuth"), "elevation": ("sun_elevation", "view:sun_elevation")}
_XML = {"azimuth": "illuminationAzimuthAngle", "elevation": "illuminationElevationAngle"}
"""Elements of Planet's product metadata; read without an XML parser, which a stranger's file could exhaust."""
UNKNOWN = {"azimuth": math.nan, "elevation": math.nan}


def sun_angles(files: Iterable[Path]) -> dict[str, float]:
    """Return `azimuth` (clockwise from north) and `elevation` of the sun in degrees, NaN if no file tells both.

    JSON is read flat or with the values under `properties`, as in GeoJSON and STAC; XML as Planet writes it. A file
    that cannot be read is named in a warning.
    """
    for path in files:
        try:
            text = path.read_text(encoding="utf-8-sig")
            angles = _from_xml(text) if path.suffix.lower() == ".xml" else _from_json(json.loads(text))
        except (OSError, ValueError, RecursionError) as error:
            logger.warning("the metadata %s cannot be read (%s)", path, one_line(error))
            continue
        if all(map(math.isfinite, angles.values())):
            return angles
    return dict(UNKNOWN)


def _from_json(content: Any) -> dict[str, float]:
    properties = content.get("properties") if isinstance(content, Mapping) else None
    places = [place for place in (content, properties) if isinstance(place, Mapping)]
    found = dict(UNKNOWN)
    for name, keys in _KEYS.items():
        numbers = [_number(place.get(key)) for place in places for key in keys]
        found[name] = next((number for number in numbers if math.isfinite(number)), math.nan)
    return found


def _from_xml(text: str) -> dict[str, float]:
    matches = {name: re.search(rf"<(?:\w+:)?{tag}\b[^>]*>([^<]*)<", text) for name, tag in _XML.items()}
    return {name: math.nan if match is None else _number(match[1]) for name, match in matches.items()}


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
