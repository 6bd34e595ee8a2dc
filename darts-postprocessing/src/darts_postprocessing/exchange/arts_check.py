"""What is wrong with a layer in the ARTS schema, one line a kind of fault."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts_postprocessing.exchange.arts_schema import (
    CLASSES,
    CRSES,
    GENERATED,
    RELATIONS,
    REQUIRED,
    days_of,
    degrees_text,
    is_day,
    is_uid,
    number_of,
    texts_of,
    uid_of,
    uids_in,
)
from darts_postprocessing.exchange.places import DEGREES, centroids, is_areal, outlines_in
from darts_utils.names import shown
from darts_utils.rasters.arrays import Array

NEAR_DEGREES = 1e-3
_LATITUDE, _LONGITUDE, _RESOLUTION = "CentroidLat", "CentroidLon", "BaseMapResolution"


def check_arts(frame: gpd.GeoDataFrame) -> list[str]:
    """Return what is wrong with a layer in the ARTS schema; nothing if it can be contributed as it is.

    Args:
        frame: The layer. Published ones have coordinates of more than 5 decimals, which is a fault here.

    Returns:
        One line a kind of fault, with the number of rows, the first of them by its label in the index, and its value:
        what `unreadable` tells; then columns that are made, latitudes and longitudes that are not written as
        `str(round(x, 5))` or are further than `NEAR_DEGREES` from the outline and from its centroid, ranges of days
        with blanks, days of contribution, relations that are no UIDs or name the row itself, UIDs that do not follow
        from the values or are there twice, outlines that are invalid or there twice for a BaseMapDate, and another CRS
        than the two of ARTS.
    """
    faults = [*unreadable(frame), *(f"the column {name} is missing" for name in GENERATED if name not in frame)]
    for check in (_coordinates, _ranges, _contributions, _uids, _relations, _outlines):
        faults += check(frame)
    return faults


def unreadable(frame: gpd.GeoDataFrame) -> list[str]:
    """Return what keeps a layer from being read, one line a kind of fault.

    That is a required column or value that is missing, coordinates and resolutions that are no numbers, dates that are
    none, a TrainClass that is none of `CLASSES`, and rows without a polygon or a layer without a CRS.
    """
    faults = [f"the column {name} is missing" for name in REQUIRED if name not in frame]
    for name in REQUIRED:
        faults += _of_values(frame, name, f"{name} is missing", lambda text: not text.strip())
    for name, limit in ((_LATITUDE, 90), (_LONGITUDE, 180)):
        what = f"{name} is no number from -{limit} to {limit}"
        faults += _of_values(frame, name, what, partial(_is_beyond, limit), filled=True)
    for name, what, is_wrong in _VALUES:
        faults += _of_values(frame, name, f"{name} {what}", is_wrong, filled=True)
    if frame.active_geometry_name is None or frame.crs is None:
        return [*faults, "the layer has no outlines" if frame.active_geometry_name is None else "the layer has no CRS"]
    return [*faults, *_line("the outline is no polygon", frame, ~is_areal(frame.geometry.to_numpy()))]


def _is_beyond(limit: float, text: str) -> bool:
    number = number_of(text)
    return number is None or abs(number) > limit


_VALUES: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("BaseMapDate", "is no YYYY-MM-DD and no two in their order with a comma", lambda text: days_of(text) is None),
    (_RESOLUTION, "is no number of metres above 0", lambda text: (number_of(text) or 0) <= 0),
    ("TrainClass", f"is neither {' nor '.join(CLASSES)}", lambda text: text not in CLASSES),
)


def _of_values(
    frame: pd.DataFrame, name: str, what: str, is_wrong: Callable[[str], bool], *, filled: bool = False
) -> list[str]:
    """Return the line about a column, if there is one of that name and a value in it is wrong.

    Args:
        frame: The layer.
        name: The column.
        what: What is wrong.
        is_wrong: Says so of a value as text.
        filled: Whether only values that are there count.
    """
    if name not in frame:
        return []
    texts = texts_of(frame[name])
    return _line(what, frame, [is_wrong(text) and bool(text.strip() or not filled) for text in texts], texts)


def _line(what: str, frame: pd.DataFrame, wrong: Sequence[bool] | Array, texts: Sequence[str] = ()) -> list[str]:
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return []
    value = f": {shown(texts[rows[0]])}" if len(texts) else ""
    return [f"{what} in {len(rows)} of {len(frame)} rows, first in row {frame.index[rows[0]]}{value}"]


def _coordinates(frame: gpd.GeoDataFrame) -> Iterator[str]:
    for name in (_LATITUDE, _LONGITUDE):
        yield from _of_values(frame, name, f"{name} is not written as str(round(x, 5))", _has_other_digits)
    if frame.active_geometry_name is None or frame.crs is None or not {_LATITUDE, _LONGITUDE} <= set(frame):
        return
    told = np.column_stack([_numbers(frame[name]) for name in (_LONGITUDE, _LATITUDE)])
    usable = is_areal(frame.geometry.to_numpy()) & np.isfinite(told).all(axis=1)
    shapes = frame.geometry.to_numpy()[usable]
    far = np.zeros(len(frame), dtype=bool)
    far[usable] = ~is_near(told[usable], shapes, frame.crs)
    texts = [f"{latitude}, {longitude}" for longitude, latitude in told.tolist()]
    yield from _line(f"the centroid is further than {NEAR_DEGREES:g} degrees from the outline", frame, far, texts)


def _has_other_digits(text: str) -> bool:
    number = number_of(text)
    return number is not None and text != degrees_text(number)


def _numbers(values: pd.Series) -> Array:
    """Return numbers or text as float64, NaN for what is no number."""
    numbers = [number_of(text) for text in texts_of(values)]
    return np.array([np.nan if number is None else number for number in numbers], dtype=np.float64)


def is_near(points: Array, shapes: Array, crs: object) -> Array:
    """Tell which points are near to shapes, or to their centroids, which may lie outside of a horseshoe.

    Args:
        points: (shape, 2) longitude and latitude in degrees.
        shapes: (shape,) polygons and multipolygons.
        crs: What their coordinates are in.

    Returns:
        (shape,) bool, whether within `NEAR_DEGREES`; 180 and -180 degrees are the same.
    """
    degrees = outlines_in(DEGREES, shapes, crs)
    near: Array = np.zeros(len(shapes), dtype=bool)
    for turn in (-360, 0, 360):
        near |= shapely.dwithin(degrees, shapely.points(points + np.array([turn, 0])), NEAR_DEGREES)
    apart = np.abs(points - centroids(shapes, crs))
    apart[:, 0] = np.minimum(apart[:, 0], 360 - apart[:, 0])
    return near | (apart <= NEAR_DEGREES).all(axis=1)


def _ranges(frame: pd.DataFrame) -> list[str]:
    what = "BaseMapDate is a range with blanks, or of one day,"
    return _of_values(frame, "BaseMapDate", what, lambda text: not _is_tidy(text))


def _is_tidy(text: str) -> bool:
    days = days_of(text)
    return days is None or text == (days[0] if days[0] == days[1] else ",".join(days))


def _contributions(frame: pd.DataFrame) -> list[str]:
    return _of_values(frame, "ContributionDate", "ContributionDate is no YYYY-MM-DD", lambda text: not is_day(text))


def _relations(frame: pd.DataFrame) -> Iterator[str]:
    own = texts_of(frame["UID"]) if "UID" in frame else [""] * len(frame)
    for name in RELATIONS:
        what = f"{name} is no text of UIDs with commas between them"
        yield from _of_values(frame, name, what, lambda text: not all(map(is_uid, uids_in(text))))
        if name in frame:
            texts = texts_of(frame[name])
            itself = [uid in uids_in(text) for uid, text in zip(own, texts, strict=True)]
            yield from _line(f"{name} names the row itself", frame, itself, texts)


def _uids(frame: pd.DataFrame) -> Iterator[str]:
    if "UID" not in frame:
        return
    uids = pd.Series(texts_of(frame["UID"]))
    if set(REQUIRED) <= set(frame):
        wrong = [uid != right for uid, right in zip(uids, right_uids(frame), strict=True)]
        yield from _line("UID is not that of the required values", frame, wrong, uids.tolist())
    yield from _line("UID is there more than once,", frame, uids.duplicated().to_numpy(), uids.tolist())


def right_uids(frame: pd.DataFrame) -> Iterable[str]:
    """Yield the UID of each row as its required values make it, empty text where they make none."""
    columns = [texts_of(frame[name]) for name in REQUIRED]
    numbers = [REQUIRED.index(name) for name in (_LATITUDE, _LONGITUDE, _RESOLUTION)]
    for values in zip(*columns, strict=True):
        is_whole = all(number_of(values[place]) is not None for place in numbers)
        yield uid_of(values) if is_whole else ""


def _outlines(frame: gpd.GeoDataFrame) -> Iterator[str]:
    if frame.active_geometry_name is None or frame.crs is None:
        return
    if not any(frame.crs == crs for crs in CRSES):
        yield f"the layer is in {frame.crs.name}, not in {' or '.join(CRSES)}"
    shapes = frame.geometry.to_numpy()
    areal = is_areal(shapes)
    yield from _line("the outline is invalid", frame, areal & ~shapely.is_valid(shapes))
    if "BaseMapDate" not in frame:
        return
    same = pd.DataFrame({"outline": shapely.to_wkb(shapely.normalize(shapes)), "date": texts_of(frame["BaseMapDate"])})
    twice = same.duplicated().to_numpy() & areal
    yield from _line("the outline is there more than once for its BaseMapDate,", frame, twice)
