"""What scenes are searched for: one frozen query, whatever the catalogue."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import geopandas as gpd
import shapely
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.areas import Simplify, area_of_interest
from darts_utils.errors import ConfigError
from darts_utils.search.criteria import cover_limit, mgrs_tiles, named
from darts_utils.search.periods import Period, periods

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SceneQuery:
    """Scenes that match everything given.

    Raises:
        ConfigError: If neither area nor tiles are given, or a value is wrong.
    """

    area: BaseGeometry | None = None
    """In EPSG:4326; a scene must touch it."""
    tiles: Sequence[str] | None = None
    """MGRS tiles such as `08WNB`; a leading `T` is accepted."""
    start_date: str | None = None
    """First day, `YYYY-MM-DD`."""
    end_date: str | None = None
    """Last day, included."""
    max_cloud_cover: float | None = 10
    """Largest cloud cover in percent; 100 or None for any."""
    max_snow_cover: float | None = 10
    """Largest snow cover in percent; 100 or None for any."""
    months: Sequence[int] | None = None
    """Months, 1 to 12; a date range wins over months and years."""
    years: Sequence[int] | None = None
    """Years; with months alone, every year since the first Sentinel-2 image."""
    quarters: Sequence[int] | None = None
    """Quarters of mosaics, 1 to 4, instead of months: each is asked for by its first month."""

    def __post_init__(self) -> None:
        if self.area is None and self.tiles is None:
            raise ConfigError(
                "neither an area nor tiles are given, so the whole world would be searched. Give one of them."
            )

    @classmethod
    def over(cls, aoi: gpd.GeoDataFrame | Path | str, simplify: Simplify = False, **limits: Any) -> Self:
        """Return the query for scenes that touch polygons.

        Args:
            aoi: Polygons in any CRS, or a file of them; all rows together are the area. Polygons may have holes and
                cross the antimeridian or a pole.
            simplify: Tolerance, in units of the area's CRS, by which long outlines may be simplified; scenes that
                touch less than that may be lost.
            limits: The other fields.
        """
        return cls(area=area_of_interest(aoi, simplify), **limits)

    @classmethod
    def touching(cls, intersects: BaseGeometry | dict[str, Any] | None, **limits: Any) -> Self:
        """Return the query for scenes that touch a geometry in EPSG:4326, or GeoJSON."""
        return cls(area=shapely.geometry.shape(intersects) if isinstance(intersects, dict) else intersects, **limits)

    @property
    def periods(self) -> list[Period]:
        """Times to search in, one question each."""
        return periods(self.start_date, self.end_date, self.months, self.years, self.quarters)

    @property
    def mgrs_tiles(self) -> list[str] | None:
        """The tiles in the usual spelling, such as `08WNB`."""
        return None if self.tiles is None else mgrs_tiles(self.tiles)

    @property
    def cloud_limit(self) -> float | None:
        """Largest cloud cover in percent, None where everything is welcome."""
        return cover_limit("max_cloud_cover", self.max_cloud_cover)

    @property
    def snow_limit(self) -> float | None:
        """Largest snow cover in percent, None where everything is welcome."""
        return cover_limit("max_snow_cover", self.max_snow_cover)


def warn_of_unknown[T](
    found: Mapping[str, T], limits: Mapping[str, float | None], known: Callable[[T, str], Any], where: str
) -> None:
    """Say which scenes are kept although a property that is limited is not known of them.

    Args:
        found: Scenes by id.
        limits: Largest values by name of the property, None for any.
        known: Returns a property of a scene, None if it is unknown.
        where: Where it is not known, such as `in the catalogue`.
    """
    for key, limit in limits.items():
        unknown = [scene_id for scene_id, scene in found.items() if known(scene, key) is None]
        if unknown and limit is not None:
            logger.warning("%d scenes without %s %s are kept: %s", len(unknown), key, where, named(unknown))
