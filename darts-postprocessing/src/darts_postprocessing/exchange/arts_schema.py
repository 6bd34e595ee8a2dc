"""The columns of ARTS, the Arctic Retrogressive Thaw Slumps data set, and how their values are written.

Schema: Yang et al. (2025), doi:10.1038/s41597-025-04372-7.
"""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

import pandas as pd

REQUIRED = (
    "CentroidLat", "CentroidLon", "RegionName", "CreatorLab", "BaseMapDate", "BaseMapSource", "BaseMapResolution",
    "TrainClass", "LabelType",
)  # fmt: skip
"""In the order in which a UID is made of them."""
RELATIONS = ("MergedRTS", "SplitRTS", "NewRTS", "StabilizedRTS", "UnknownRelationship")
GENERATED = (*RELATIONS, "ContributionDate", "UID")
OPTIONAL = ("BaseMapID", "Area", "Notes")
COLUMNS = (*REQUIRED, *GENERATED, *OPTIONAL)
CLASSES = ("Positive", "Negative")
CRSES = ("EPSG:4326", "EPSG:3413")
"""What layers may be in; the published ones are in the second."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def degrees_text(degrees: float) -> str:
    """Return a latitude or longitude as ARTS writes it: of 5 decimals those that are needed, at least one.

    It is Python that rounds, and not numpy, which does so differently in the last digit.
    """
    return str(round(float(degrees), 5))


def number_of(value: object) -> float | None:
    """Return a number, be it written as text; None if it is none, or not finite."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def texts_of(values: pd.Series) -> list[str]:
    """Return values as text, that of null being empty; days are YYYY-MM-DD, also where a reader made moments of them.

    GDAL does so with a GeoJSON in which all values of a column look like days.
    """
    return ["" if missing else _text(value) for value, missing in zip(values.tolist(), values.isna(), strict=True)]


def _text(value: object) -> str:
    return value.strftime("%Y-%m-%d") if isinstance(value, date) else str(value)


def is_day(text: str) -> bool:
    """Tell whether a text is a day, YYYY-MM-DD."""
    if not _DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def days_of(text: str) -> tuple[str, str] | None:
    """Return the first and the last day of a BaseMapDate, None if it is none; blanks about the comma do not matter."""
    days = [day.strip() for day in text.split(",")]
    if len(days) > 2 or not all(is_day(day) for day in days) or days[0] > days[-1]:
        return None
    return days[0], days[-1]


def date_text(first: str, last: str) -> str:
    """Return a BaseMapDate: a day, or a range with a comma."""
    return first if first == last else f"{first},{last}"


def is_uid(text: str) -> bool:
    """Tell whether a text is a UID: 36 characters, small letters."""
    return _UID.fullmatch(text) is not None


def uids_in(text: str) -> list[str]:
    """Return the UIDs that a relation names."""
    return [uid.strip() for uid in text.split(",") if uid.strip()]


def uid_of(values: Sequence[Any]) -> str:
    """Return the UID of a row, uuid5 in the namespace of domain names.

    Args:
        values: Those of `REQUIRED`, in that order. Coordinates may be numbers or text, of any decimals: they count as
            they are written with 5. A resolution that is whole counts as an integer. All is joined without a separator.
    """
    latitude, longitude, *middle, resolution, train_class, label_type = values
    metres = float(resolution)
    parts = [degrees_text(latitude), degrees_text(longitude), *middle]
    parts += [str(int(metres) if metres.is_integer() else metres), train_class, label_type]
    return str(uuid5(NAMESPACE_DNS, "".join(str(part) for part in parts)))
