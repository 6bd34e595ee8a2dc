"""The answer of a search: scenes with what one chooses by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from darts.pipelines.sources.parameters import SceneParameters
from darts.pipelines.sources.scenes import SceneSource
from darts.report.layers import CRS
from darts_acquisition.catalog.areas import area_of_interest
from darts_utils.crs import transformer

_MAPPED_AT_LEAST_M2 = 1.0
_STEP_DEGREES = 0.05


@dataclass(frozen=True, kw_only=True)
class FoundScene:
    """A scene of a catalogue."""

    scene_id: str
    acquired: str | None
    """When, ISO 8601 in UTC; None if the catalogue does not say."""
    cloud_percent: float | None
    snow_percent: float | None
    n_bytes: int
    """Of what a map needs of it."""
    footprint: BaseGeometry | None
    """In EPSG:4326."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """All scenes of a search."""

    source: str
    label: str
    """Name of the catalogue for people."""
    scenes: Sequence[FoundScene]
    """In the order of time."""
    area: BaseGeometry | None
    """The area of interest in EPSG:4326, if one was given."""

    @property
    def days(self) -> list[str]:
        """Days with a scene, in order."""
        return sorted({scene.acquired[:10] for scene in self.scenes if scene.acquired})

    @property
    def n_bytes(self) -> int:
        """What all scenes take to fetch."""
        return sum(scene.n_bytes for scene in self.scenes)

    def covered_share(self) -> float | None:
        """Return which share of the area lies in a scene, 0 to 1; None without an area."""
        if self.area is None:
            return None
        area = in_plane(self.area)
        shapes = [in_plane(scene.footprint) for scene in self.scenes if scene.footprint is not None]
        if area.area < _MAPPED_AT_LEAST_M2:  # points and lines: how many of them are touched is another question
            return None
        return float(shapely.intersection(area, shapely.union_all(shapes)).area / area.area)


def search(parameters: SceneParameters) -> Found:
    """Return the scenes that parameters select.

    Raises:
        ConfigError: If nothing is selected, or it cannot be asked so.
        CredentialsError: If the catalogue lets nobody in without keys, and they are missing or refused.
        ServiceError: If it does not answer.
    """
    source = SceneSource(parameters)
    ids = [ref.tile_id for ref in source.find()]
    source.look_up(ids)
    there = [_scene(source, scene_id) for scene_id in ids if scene_id in source.items]
    return Found(
        source=source.name,
        label=source.catalog.label,
        scenes=sorted(there, key=lambda scene: (scene.acquired or "", scene.scene_id)),
        area=None if parameters.aoi_file is None else area_of_interest(parameters.aoi_file),
    )


def _scene(source: SceneSource, scene_id: str) -> FoundScene:
    catalog, scene = source.catalog, source.items[scene_id]
    cloud, snow = catalog.covers(scene)
    return FoundScene(
        scene_id=scene_id,
        acquired=_moment(catalog.attributes(scene).get("datetime")),
        cloud_percent=cloud,
        snow_percent=snow,
        n_bytes=catalog.size_bytes(scene, catalog.bands),
        footprint=catalog.footprint(scene),
    )


def _moment(said: Any) -> str | None:
    """Return a time as whole seconds in UTC, None for what is none."""
    try:
        return datetime.fromisoformat(str(said)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None


def in_plane(shape: BaseGeometry) -> BaseGeometry:
    """Return a geometry of EPSG:4326 in the polar plane of reports, its edges bent as they are there."""
    project = transformer("EPSG:4326", CRS).transform
    moved: BaseGeometry = shapely.transform(shapely.segmentize(shape, _STEP_DEGREES), project, interleaved=False)
    return moved if moved.is_valid else shapely.make_valid(moved)


def features(found: Found) -> Iterator[dict[str, Any]]:
    """Yield scenes as GeoJSON features; the ids are those that `--scene-id-file` takes."""
    for scene in found.scenes:
        yield {
            "type": "Feature",
            "id": scene.scene_id,
            "geometry": None if scene.footprint is None else shapely.geometry.mapping(scene.footprint),
            "properties": {
                "scene_id": scene.scene_id, "datetime": scene.acquired, "cloud_cover": scene.cloud_percent,
                "snow_cover": scene.snow_percent, "n_bytes": scene.n_bytes, "source": found.source,
            },
        }  # fmt: skip
