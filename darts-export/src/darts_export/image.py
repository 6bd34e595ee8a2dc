"""Which image a tile was made from, and when that was taken: by the tile's attributes, else by the image's name."""

import re
from datetime import UTC, datetime

import xarray as xr

_IDS = {"s2_tile_id": "sentinel2", "planet_scene_id": "planet", "planet_orthotile_id": "planet"}
"""Attributes that name an image of a sensor."""
_DAYS = (r"(?<!\d)(20\d\d)-(\d\d)-(\d\d)(?!\d)", r"(?<!\d)(20\d\d)(\d\d)(\d\d)(?=T|_|$)")
_TIMES = (r"(?<!\d)(20\d{6})T(\d{6})(?!\d)", r"(?<!\d)(20\d{6})_(\d{6})(?=_)")


def image_id(tile: xr.Dataset) -> str:
    """Return the id of the image as its provider has it, from the attributes of the tile."""
    names = (tile.attrs.get(key) for key in ("s2_tile_id", "planet_scene_id", "tile_id"))
    return next((str(name) for name in names if name), "unnamed tile")


def sensor(tile: xr.Dataset) -> str | None:
    """Return `sentinel2` or `planet`, None if the attributes of the tile tell neither."""
    return next((name for key, name in _IDS.items() if tile.attrs.get(key)), None)


def acquired(tile: xr.Dataset) -> str | None:
    """Return the day of the image as YYYY-MM-DD, UTC; None if neither its attributes nor its names tell."""
    for text in _words(tile):
        for pattern in _DAYS:
            found = re.search(pattern, text)
            if found and "01" <= found[2] <= "12" and "01" <= found[3] <= "31":
                return "-".join(found.groups())
    return None


def image_time(tile: xr.Dataset) -> datetime:
    """Return when the image was taken, UTC: to the second where that is known, else the beginning of its day.

    Of an image without a date it is the beginning of 1970: the same for each run over the same data.
    """
    for text in _words(tile):
        for pattern in _TIMES:
            for day, clock in re.findall(pattern, text):
                if (time := _parsed(f"{day}{clock}", "%Y%m%d%H%M%S")) is not None:
                    return time
        if (time := _iso(text)) is not None:
            return time
    day_alone = acquired(tile)
    time = None if day_alone is None else _parsed(day_alone, "%Y-%m-%d")
    return datetime(1970, 1, 1, tzinfo=UTC) if time is None else time


def _words(tile: xr.Dataset) -> list[str]:
    """Return what may hold a date, the surest first."""
    told = [str(tile.attrs[key]) for key in ("date", "datetime", "acquisition_date") if tile.attrs.get(key)]
    return [*told, image_id(tile), str(tile.attrs.get("tile_id", ""))]


def _iso(text: str) -> datetime | None:
    if not re.match(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d", text):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _parsed(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return None
