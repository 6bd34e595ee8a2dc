"""What a catalogue says of a scene, read with care: nonsense costs what it is said of, never a search."""

import json
import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pystac
import shapely
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from darts_utils.crs import checked_grid
from darts_utils.errors import DataError
from darts_utils.names import is_id, shown
from darts_utils.objects.antimeridian import polygons, wrapped
from darts_utils.search.criteria import named

logger = logging.getLogger(__name__)

_MOST_BYTES = 1 << 40
_COVERS = ("eo:cloud_cover", "eo:snow_cover", "s2:snow_ice_percentage")


class LeftOut:
    """Counts what cannot be used of a service's answers, and says so once.

    Args:
        service: Name of the service.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._reasons: dict[str, str] = {}
        self._number = 0

    def add(self, name: Any, reason: object) -> None:
        """Note a scene that is left out."""
        self._number += 1
        self._reasons.setdefault(shown(name), " ".join(str(reason).split())[:200])

    def report(self) -> None:
        """Warn if something was left out."""
        if self._number:
            said = named([f"{name} ({reason})" for name, reason in self._reasons.items()])
            logger.warning(
                "%s: %d scenes cannot be used as it describes them and are left out: %s",
                self._service, self._number, said,
            )  # fmt: skip


def usable_item(feature: Any) -> pystac.Item:
    """Return a STAC item from a catalogue's words on it; assets and links that are none are dropped.

    Raises:
        DataError: If it has no id that can name a scene, no time, no properties or no assets.
    """
    if not isinstance(feature, dict) or not is_id(feature.get("id")):
        raise DataError("it has no id that can name a scene")
    if not isinstance(feature.get("properties"), dict) or not isinstance(feature.get("assets"), dict):
        raise DataError("it has no properties or no assets")
    checked = {
        **feature,
        "assets": {name: asset for name, asset in feature["assets"].items() if _is_link(asset)},
        "links": [link for link in _list(feature.get("links")) if _is_link(link) and isinstance(link.get("rel"), str)],
        "stac_extensions": [uri for uri in _list(feature.get("stac_extensions")) if isinstance(uri, str)],
        "collection": _text_or_none(feature.get("collection")),
    }
    try:
        json.dumps(checked)  # what is nested too deeply cannot be kept, nor sent to other processes
        item = pystac.Item.from_dict(checked, preserve_dict=False)
        for key in {*_COVERS} & item.properties.keys():
            item.properties[key] = number_or_none(item.properties[key])
    except Exception as error:
        raise DataError(f"{type(error).__name__}: {error}") from error
    return item


def _is_link(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("href"), str)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def number_or_none(value: Any) -> float | None:
    """Return a finite number, None for anything else: what is not known stays unknown."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if is_number else None


def n_bytes(assets: Iterable[Mapping[str, Any]], usual: int) -> int:
    """Return how many bytes files have together, those of unknown size as such files usually have.

    Args:
        assets: The fields of each file; `file:size` is its number of bytes.
        usual: Bytes of a file whose size is not said, or cannot be one.
    """
    sizes = (number_or_none(fields.get("file:size")) for fields in assets)
    return sum(usual if size is None or not 0 < size < _MOST_BYTES else int(size) for size in sizes)


def grid_of_item(item: pystac.Item, resolution_m: float) -> GeoBox:
    """Return the grid of a scene with a pixel size, as the projection extension describes it.

    Raises:
        DataError: If the catalogue gives none that can be used.
    """
    for asset in item.assets.values():
        given = {**item.properties, **asset.extra_fields}
        shape, transform = given.get("proj:shape"), given.get("proj:transform")
        code = given.get("proj:code") or given.get("proj:epsg")
        if isinstance(shape, list) and isinstance(transform, list) and code and transform[:1] == [resolution_m]:
            return checked_grid(shape, transform, code, f"the catalogue's entry of scene {item.id}")
    raise DataError(
        f"the catalogue does not give the {resolution_m:g} m grid of scene {item.id}. Fetch the scene first."
    )


def footprint_of(geometry: Any) -> BaseGeometry | None:
    """Return what a scene covers in EPSG:4326, valid, in parts where it crosses the antimeridian; None if unknown.

    Longitudes of a ring may jump by 360 degrees, rings may cross themselves or be left open.

    Args:
        geometry: GeoJSON, or `LinearRing` as Earth Engine writes it.
    """
    try:
        with np.errstate(invalid="ignore"):  # for what is no number it is unknown, and that is no news
            shape = _shape(geometry)
            if not _is_on_map(shape):
                return None
            if _is_plain(shape):
                return shape
            footprint = shapely.union_all([wrapped(polygon) for polygon in polygons(shape)])
    except Exception:  # noqa: BLE001  (whatever it holds instead of numbers: then it is unknown)
        return None
    return None if footprint.is_empty else footprint


def _shape(geometry: Any) -> BaseGeometry:
    if geometry["type"] == "LinearRing":
        return shapely.Polygon(geometry["coordinates"])
    return shapely.force_2d(shapely.geometry.shape({key: geometry[key] for key in ("type", "coordinates")}))


def _is_on_map(shape: BaseGeometry) -> bool:
    west, south, east, north = shape.bounds  # nan for an empty one
    inside = -720 <= west <= east <= 720 and -90.001 <= south <= north <= 90.001
    return bool(inside and np.isfinite(shapely.get_coordinates(shape)).all())


def _is_plain(shape: BaseGeometry) -> bool:
    """Tell whether a geometry is valid polygons whose longitudes neither jump nor go beyond 180."""
    west, _, east, _ = shape.bounds
    is_area = shape.geom_type in ("Polygon", "MultiPolygon")
    return (
        is_area
        and west >= -180
        and east <= 180
        and shape.is_valid
        and all(np.abs(np.diff(shapely.get_coordinates(part)[:, 0])).max() <= 180 for part in polygons(shape))
    )
