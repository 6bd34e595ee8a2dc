"""Takes that a catalogue has more than once, as processed first and again: the best of each place is told."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.fields import footprint_of

_PRODUCT = re.compile(r"(S2[A-Z])_MSIL2A_(\d{8}T\d{6})_N(\d{4})_R(\d{3})_T(\w{5})_(\d{8}T\d{6})(\.SAFE)?")
_EARTH_ENGINE = re.compile(r"(\d{8}T\d{6})_(\d{8}T\d{6})_T(\w{5})")
_UNKNOWN_BASELINE = 99.99
_SAME_GROUND = 0.9
"""Share of a footprint: those of two processings of the same data differ a little along their edges."""


@dataclass(frozen=True, kw_only=True)
class Take:
    """A processing of what a satellite saw of a tile at a time."""

    seen: tuple[str, ...]
    """Satellite, sensing time, orbit and tile, as far as they are known; equal for all processings."""
    baseline: float
    """Processing baseline, -1 if unknown."""
    made: str
    """When it was processed; sorts by time."""
    footprint: BaseGeometry | None
    """What it covers, in EPSG:4326; None if unknown."""
    preferred: int = 0
    """Of several collections, the higher the better, whatever else."""

    @property
    def rank(self) -> tuple[int, float, str]:
        """The higher the better: the collection counts, then the baseline, then the time of processing."""
        return self.preferred, self.baseline, self.made


def take_of_item(item: Any) -> Take | None:
    """Return which take a STAC item of the Copernicus Data Space is, None if its id does not tell."""
    return take_of_product(str(item.id), footprint_of(item.geometry))


def take_of_gee_scene(scene: Any) -> Take | None:
    """Return which take a scene of Earth Engine is, by its product id, or else its own; None if neither tells."""
    given = scene.properties
    take = take_of_product(str(given.get("PRODUCT_ID")), scene.footprint)
    match = _EARTH_ENGINE.fullmatch(scene.scene_id)
    if take is not None or match is None:
        return take
    return Take(
        seen=(str(given.get("SPACECRAFT_NAME")), match[1], str(given.get("SENSING_ORBIT_NUMBER")), match[3]),
        baseline=baseline_number(str(given.get("PROCESSING_BASELINE"))),
        made=match[2],
        footprint=scene.footprint,
    )


def take_of_product(product_id: str, footprint: BaseGeometry | None) -> Take | None:
    """Return which take a product of ESA is, by its name, None if that is no such name."""
    match = _PRODUCT.fullmatch(product_id)
    if match is None:
        return None
    satellite, sensed, baseline, orbit, tile, made, _ = match.groups()
    return Take(
        seen=(satellite, sensed, orbit, tile),
        baseline=baseline_number(f"{baseline[:2]}.{baseline[2:]}"),
        made=made,
        footprint=footprint,
    )


def baseline_number(text: str) -> float:
    """Return a baseline as a number; one that says nothing, such as 99.99 of test products, comes last."""
    if re.fullmatch(r"\d{1,2}\.\d{1,2}", text) is None or float(text) == _UNKNOWN_BASELINE:
        return -1.0
    return float(text)


def superseded[T](found: Mapping[str, T], take_of: Callable[[T], Take | None]) -> dict[str, str]:
    """Return the scenes whose ground better processings of the same take cover, each with the best of these.

    Parts of a take that lie beside each other, as at the border of two data strips, are not superseded by each other.

    Args:
        found: Scenes by id.
        take_of: Says which take a scene is.
    """
    groups: defaultdict[tuple[str, ...], dict[str, Take]] = defaultdict(dict)
    for scene_id, scene in found.items():
        if (take := take_of(scene)) is not None:
            groups[take.seen][scene_id] = take
    worse: dict[str, str] = {}
    for group in groups.values():
        kept: list[str] = []
        for scene_id in sorted(group, key=lambda name: (group[name].rank, name), reverse=True):
            if _covers(group, kept, scene_id):
                worse[scene_id] = kept[0]
            else:
                kept.append(scene_id)
    return worse


def _covers(group: Mapping[str, Take], others: list[str], scene_id: str) -> bool:
    """Tell whether scenes cover the ground of another one together; not if something is unknown."""
    ground, around = group[scene_id].footprint, [group[name].footprint for name in others]
    known = [footprint for footprint in around if footprint is not None]
    if ground is None or not known:
        return False
    return bool(shapely.intersection(ground, shapely.union_all(known)).area >= _SAME_GROUND * ground.area)
