"""What a run, or the preparation of one, is going to fetch: known before anything is fetched."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from darts.pipelines.stages import TERRAIN_BANDS, TREND_BANDS, arcticdem_margin_m
from darts.pipelines.tiles import Source, TileRef

if TYPE_CHECKING:
    import geopandas as gpd

    from darts.pipelines.base import Pipeline

USUAL_RATE = 10e6
"""Bytes a second of a usual line, for an estimate of the time."""
_CHUNK_BYTES = {"arcticdem": 65e6, "tcvis": 39e6}
"""What a chunk of a datacube usually costs: 3600 x 3600 pixels of elevation with its mask, of three bytes."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done and fetched."""

    todo: tuple[TileRef, ...]
    """Tiles to work on."""
    n_done: int = 0
    """Tiles whose results are there already."""
    images: Mapping[str, int] = field(default_factory=dict)
    """Bytes to fetch by tile id, 0 where unknown; staged tiles are not in it."""
    layers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """For each auxiliary layer the chunks to fetch by tile id; tiles that share chunks each count them."""
    sizes: Mapping[str, str] = field(default_factory=dict)
    """How large images on disk are, for people, by tile id."""
    chunks: Mapping[str, int] = field(default_factory=dict)
    """For each auxiliary layer the chunks to fetch for all tiles together."""

    @property
    def n_bytes(self) -> int:
        """Estimated bytes to fetch."""
        layers = sum(count * _CHUNK_BYTES[layer] for layer, count in self.chunks.items())
        return int(sum(self.images.values()) + layers)

    @property
    def seconds(self) -> float:
        """Estimated time to fetch them on a usual line."""
        return self.n_bytes / USUAL_RATE


def needed_layers(features: Iterable[str]) -> tuple[str, ...]:
    """Return the auxiliary layers that some bands need."""
    wanted = frozenset(features)
    bands = {"arcticdem": TERRAIN_BANDS, "tcvis": TREND_BANDS}
    return tuple(layer for layer, made_from_it in bands.items() if wanted & made_from_it)


def make_plan(
    pipeline: "Pipeline",
    source: Source,
    todo: Sequence[TileRef],
    *,
    images: bool = True,
    layers: Sequence[str] = (),
    n_done: int = 0,
) -> Plan:
    """Return what is lacking for some tiles.

    Args:
        pipeline: The resolved parameters.
        source: Where the images come from; it may ask its catalogue.
        todo: The tiles.
        images: Whether the images are needed.
        layers: Auxiliary layers that are needed.
        n_done: Tiles whose results are there already.
    """
    to_fetch = source.to_fetch(todo) if images else {}
    footprints = source.footprints(todo) if layers else None
    by_layer = {} if footprints is None else {layer: _lacking(pipeline, layer, footprints) for layer in layers}
    return Plan(
        todo=tuple(todo),
        n_done=n_done,
        images=to_fetch,
        sizes=source.sizes(todo),
        layers={layer: {tile: len(ids) for tile, ids in tiles.items() if ids} for layer, tiles in by_layer.items()},
        chunks={layer: len(set().union(*tiles.values())) for layer, tiles in by_layer.items()},
    )


def _lacking(pipeline: "Pipeline", layer: str, footprints: "gpd.GeoDataFrame") -> dict[str, set[str]]:
    """Return the ids of the chunks that a datacube lacks, by tile id."""
    return {
        str(tile_id): layer_chunks(pipeline, layer, footprints[footprints.tile_id == tile_id])
        for tile_id in footprints.tile_id
    }


def layer_chunks(pipeline: "Pipeline", layer: str, footprints: "gpd.GeoDataFrame") -> set[str]:
    """Return the ids of the chunks that a datacube lacks for some tiles."""
    if layer == "tcvis":
        from darts_acquisition import missing_tcvis

        return {chunk.patch_id for chunk in missing_tcvis(footprints, pipeline.tcvis_dir)}
    from darts_acquisition import missing_arcticdem

    area = with_margin(pipeline, footprints)
    return {chunk.patch_id for chunk in missing_arcticdem(area, pipeline.arcticdem_dir, pipeline.resolution_m)}


def with_margin(pipeline: "Pipeline", footprints: "gpd.GeoDataFrame") -> "gpd.GeoDataFrame":
    """Return outlines with the ground around them that relative elevation and resampling reach, in metres."""
    margin = arcticdem_margin_m(pipeline, pipeline.resolution_m)
    return footprints.set_geometry(footprints.buffer(margin, join_style="mitre"))
