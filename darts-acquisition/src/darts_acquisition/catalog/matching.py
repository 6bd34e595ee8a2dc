"""The Sentinel-2 scene that fits a footprint of another satellite best: clear, covering it, and near in time."""

import logging
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
import shapely
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.areas import Simplify, area_of_interest
from darts_acquisition.catalog.coverage import Coverage
from darts_acquisition.catalog.fields import footprint_of, number_or_none
from darts_acquisition.catalog.matching_cache import Candidate, MatchingCache, Verdict
from darts_acquisition.catalog.query import SceneQuery
from darts_acquisition.catalog.takes import superseded
from darts_acquisition.services.parallel import at_once
from darts_utils.crs import checked_crs
from darts_utils.errors import ConfigError, GridError, OutputError
from darts_utils.files import atomic_file
from darts_utils.search.criteria import cover_limit

if TYPE_CHECKING:
    from darts_acquisition.optical.sentinel2.stac_scenes import StacScenes

logger = logging.getLogger(__name__)

_WORKERS = 4
"""As many as the catalogue takes at once; the shared limiter spaces their requests."""
_NAMED = 5
_CELL_DEGREES = 1.0
_SCORE_DIGITS = 6
_ROUNDING = 1e-6
"""A scene around a whole footprint covers it up to this."""
_PARTS = ("cloud_score", "coverage_score", "days_score")
_SCORE_COLUMNS = ["footprint", *(field.name for field in fields(Candidate)), *_PARTS, "score", "match"]

_NO_DATE, _NO_AREA = "it has no date", "it has no area"


class Matches(dict[Hashable, pystac.Item | None]):
    """The best scene of each footprint by its index, None where no scene fits; `reasons` says why."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: dict[Hashable, str] = {}
        """Why a footprint has no scene, by its index."""


@dataclass(frozen=True)
class _Criteria:
    """What a scene must fulfil; part of the key of a cached match."""

    day_range: int
    max_cloud_cover: float
    min_intersects: float
    simplify_geometry: Simplify

    def __post_init__(self) -> None:
        if self.day_range < 0:
            raise ConfigError(f"day_range is {self.day_range} but must not be negative. Use 0 or more.")
        if not 0 <= self.min_intersects <= 1:
            raise ConfigError(f"min_intersects is {self.min_intersects} but must be between 0 and 1. Correct it.")


@dataclass(frozen=True)
class _Footprint:
    index: Hashable
    area: BaseGeometry
    """In EPSG:4326, within -180 to 180 degrees."""
    query_area: BaseGeometry
    """The same, simplified."""
    day: date
    """In UTC."""
    moment: float
    """Seconds since 1970, to choose between scenes of the same score."""


def match_scenes(
    catalog: "StacScenes",
    aoi: gpd.GeoDataFrame,
    *,
    day_range: int,
    max_cloud_cover: float | None,
    min_intersects: float,
    simplify_geometry: Simplify = False,
    save_scores: Path | None = None,
    cache: Path | None = None,
) -> Matches:
    """Return the best scene of a catalogue for each footprint.

    The lowest score wins: (cloud cover in percent / 5)^2 + ((100 - 100 coverage) / 5)^2 + (days apart / 2)^2, with the
    share of the footprint's area that the scene covers and whole days (UTC). Of equal scores that nearest in time wins,
    then the one processed last. A scene of unknown cloud cover counts as overcast. Footprints near each other in space
    and time share a query. One warning sums up those without a scene.

    Args:
        catalog: The catalogue.
        aoi: One footprint a row, polygons in any CRS; column `date`, datetimes (without time zone: UTC). It stays as
            it is. A footprint without a date or an area has no scene.
        day_range: Most days between footprint and scene.
        max_cloud_cover: Largest cloud cover of a scene in percent; 100 or None for any.
        min_intersects: Least share of the footprint's area that a scene must cover, 0..1.
        simplify_geometry: Tolerance, in units of the footprints' CRS, by which outlines may be simplified for the
            query; what is covered is computed from the full outline.
        save_scores: Parquet file to write all candidates and the parts of their scores to.
        cache: JSON file with earlier answers, which is read and added to as answers come in. A footprint is asked for
            again if its outline, its day or a criterion has changed.

    Returns:
        Scenes (without their links), or None, by index of `aoi`, in its order; `reasons` tells why there is none.

    Raises:
        ConfigError: If `aoi` lacks dates or a CRS or has an index twice, or a value is wrong.
        ServiceError: If the catalogue does not answer; what it answered before is in the cache.
        OutputError: If the cache or the scores cannot be written.
    """
    limit = cover_limit("max_cloud_cover", max_cloud_cover)
    criteria = _Criteria(day_range, 100.0 if limit is None else limit, min_intersects, simplify_geometry)
    matches, footprints = Matches(), []
    for index, footprint in _footprints(aoi, simplify_geometry).items():
        matches[index] = None
        if isinstance(footprint, str):
            matches.reasons[index] = footprint
        else:
            footprints.append(footprint)
    verdicts = _verdicts(catalog, footprints, criteria, cache)
    for index, (verdict, item) in verdicts.items():
        matches[index] = item
        if verdict.reason is not None:
            matches.reasons[index] = verdict.reason
    if save_scores is not None:
        _write_scores(save_scores, {index: verdict for index, (verdict, _) in verdicts.items()})
    _report(matches)
    return matches


def _footprints(aoi: gpd.GeoDataFrame, simplify: Simplify) -> dict[Hashable, _Footprint | str]:
    """Return each row as a footprint, or why it cannot be one."""
    if not aoi.index.is_unique:
        raise ConfigError("the footprints have an index twice, so matches cannot be told apart. Reset their index.")
    if "date" not in aoi.columns:
        raise ConfigError(f"the footprints have no column date; they have {', '.join(aoi.columns)}. Add the dates.")
    if pd.api.types.is_numeric_dtype(aoi["date"]):
        raise ConfigError("the column date of the footprints holds numbers but must hold datetimes. Convert them.")
    if aoi.crs is None:
        raise ConfigError("the footprints have no coordinate reference system. Set one, such as EPSG:4326.")
    try:
        checked_crs(aoi.crs, "the table of footprints")
    except GridError as error:
        raise ConfigError(str(error)) from error
    moments = [pd.to_datetime(given, errors="coerce", utc=True) for given in aoi["date"]]
    return {
        index: _footprint(index, aoi.geometry.iloc[[row]], moment, simplify)
        for row, (index, moment) in enumerate(zip(aoi.index, moments, strict=True))
    }


def _footprint(index: Hashable, outline: gpd.GeoSeries, moment: pd.Timestamp, simplify: Simplify) -> _Footprint | str:
    if pd.isna(moment):
        return _NO_DATE
    frame = gpd.GeoDataFrame(geometry=outline)
    try:
        area = area_of_interest(frame)
        query_area = area if simplify is False else area_of_interest(frame, simplify)
    except ConfigError:
        return _NO_AREA
    return _Footprint(index, area, query_area, moment.date(), moment.timestamp())


def _verdicts(
    catalog: "StacScenes", footprints: Sequence[_Footprint], criteria: _Criteria, cache: Path | None
) -> dict[Hashable, tuple[Verdict, pystac.Item | None]]:
    """Return the verdict on each footprint and its scene; only those that the cache lacks are asked for."""
    known = MatchingCache(cache)
    keys = {
        f.index: known.key(f.area.wkb, f.day.isoformat(), {**asdict(criteria), **catalog.match_key}) for f in footprints
    }
    missing = [footprint for footprint in footprints if keys[footprint.index] not in known]

    def ask(group: Sequence[_Footprint]) -> None:
        for index, verdict, item in _judge(catalog, group, criteria):
            known.put(keys[index], verdict, item)
        known.write_now_and_then()

    logger.info("%d footprints to match, %d of them known", len(footprints), len(footprints) - len(missing))
    try:
        at_once(ask, _neighbours(missing, criteria.day_range), workers=_WORKERS)
    finally:
        known.write()
    return {index: (known[key], known.item(key)) for index, key in keys.items()}


def _neighbours(footprints: Sequence[_Footprint], day_range: int) -> list[list[_Footprint]]:
    """Return groups of footprints that share a query: about 100 km and `day_range` days wide.

    So a query covers at most half as many days again as one footprint needs.
    """
    groups: dict[tuple[int, int, int], list[_Footprint]] = defaultdict(list)
    for footprint in footprints:
        point = footprint.area.representative_point()
        row = int(np.floor(point.y / _CELL_DEGREES))
        width = _CELL_DEGREES / max(np.cos(np.radians(point.y)), 0.01)
        groups[row, int(np.floor(point.x / width)), footprint.day.toordinal() // max(day_range, 1)].append(footprint)
    return [groups[key] for key in sorted(groups)]


def _judge(
    catalog: "StacScenes", group: Sequence[_Footprint], criteria: _Criteria
) -> list[tuple[Hashable, Verdict, pystac.Item | None]]:
    """Ask the catalogue for a group of footprints and return the verdict on each."""
    items = _search(catalog, group, criteria, criteria.max_cloud_cover)
    judged = {footprint.index: _verdict(_near(catalog, footprint, items, criteria), criteria) for footprint in group}
    unmatched = [footprint for footprint in group if judged[footprint.index].scene_id is None]
    if unmatched:
        every = items if criteria.max_cloud_cover == 100 else _search(catalog, unmatched, criteria, 100)
        for footprint in unmatched:
            judged[footprint.index] = Verdict(None, _reason(_near(catalog, footprint, every, criteria), criteria))
    return [(index, verdict, items.get(verdict.scene_id or "")) for index, verdict in judged.items()]


def _search(
    catalog: "StacScenes", group: Sequence[_Footprint], criteria: _Criteria, max_cloud_cover: float
) -> dict[str, pystac.Item]:
    reach = timedelta(days=criteria.day_range)
    query = SceneQuery(
        area=shapely.union_all([footprint.query_area for footprint in group]),
        start_date=(min(footprint.day for footprint in group) - reach).isoformat(),
        end_date=(max(footprint.day for footprint in group) + reach).isoformat(),
        max_cloud_cover=max_cloud_cover,
        max_snow_cover=None,
    )
    found = catalog.search(query)
    worse = superseded(found, catalog.take)  # or else an older processing with a cloud less would win
    return {scene_id: item for scene_id, item in found.items() if scene_id not in worse}


def _near(
    catalog: "StacScenes", footprint: _Footprint, items: dict[str, pystac.Item], criteria: _Criteria
) -> list[Candidate]:
    """Return the scenes that touch a footprint within the days, with what their scores are made of."""
    coverage = Coverage(footprint.area)
    candidates = []
    for scene_id, item in items.items():
        moment = item.datetime
        outline = footprint_of(item.geometry)
        if moment is None or outline is None:
            continue
        days = abs((moment.date() - footprint.day).days)
        if days <= criteria.day_range and (covered := coverage.of(outline)) > 0:
            cloud = number_or_none(item.properties.get(catalog.cloud))
            seconds = abs(moment.timestamp() - footprint.moment)
            candidates.append(Candidate(scene_id, 100.0 if cloud is None else cloud, covered, days, seconds))
    return candidates


def _verdict(candidates: Sequence[Candidate], criteria: _Criteria) -> Verdict:
    """Return the best of the scenes near a footprint."""
    good = [c for c in _covering(candidates, criteria) if c.cloud_cover <= criteria.max_cloud_cover]
    if not good:
        return Verdict(scene_id=None, reason=None)
    latest_first = sorted(good, key=lambda c: c.scene_id, reverse=True)  # so that the newest processing wins a tie
    best = min(latest_first, key=lambda c: (round(c.score, _SCORE_DIGITS), c.seconds_apart))
    return Verdict(scene_id=best.scene_id, reason=None, candidates=tuple(reversed(latest_first)))


def _reason(candidates: Sequence[Candidate], criteria: _Criteria) -> str:
    """Return why none of the scenes near a footprint, cloudy ones included, is good enough."""
    if not candidates:
        return f"there is no scene within {criteria.day_range} days"
    covering = _covering(candidates, criteria)
    if not covering:
        best = max(candidate.coverage for candidate in candidates)
        return f"no scene covers {criteria.min_intersects:.0%} of it, the best one covers {best:.0%}"
    least, limit = min(candidate.cloud_cover for candidate in covering), criteria.max_cloud_cover
    return f"no scene that covers it has at most {limit:g} % clouds, the best one has {least:g} %"


def _covering(candidates: Sequence[Candidate], criteria: _Criteria) -> list[Candidate]:
    return [candidate for candidate in candidates if candidate.coverage >= criteria.min_intersects - _ROUNDING]


def _write_scores(path: Path, verdicts: Mapping[Hashable, Verdict]) -> None:
    """Write a row for each candidate of each footprint."""
    rows = [
        {"footprint": str(index), **asdict(candidate), **candidate.parts, "score": candidate.score,
         "match": candidate.scene_id == verdict.scene_id}
        for index, verdict in verdicts.items()
        for candidate in verdict.candidates
    ]  # fmt: skip
    try:
        with atomic_file(path) as part:
            pd.DataFrame(rows, columns=_SCORE_COLUMNS).to_parquet(part)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write the matching scores {path}: {error}. Choose another file.") from error


def _report(matches: Matches) -> None:
    """Say once how many footprints have no scene and why."""
    if not matches.reasons:
        return
    why = "; ".join(f"{index}: {reason}" for index, reason in list(matches.reasons.items())[:_NAMED])
    more = len(matches.reasons) - _NAMED
    logger.warning(
        "%d of %d footprints have no Sentinel-2 scene (%s%s)",
        len(matches.reasons),
        len(matches),
        why,
        f"; and {more} more" if more > 0 else "",
    )
