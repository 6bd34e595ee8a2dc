"""What a run, or the preparation of one, is going to fetch: known before anything is fetched."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from darts.pipelines.parameters import FeatureParameters
from darts.pipelines.stages import TERRAIN_BANDS, TREND_BANDS, arcticdem_margin_m, given
from darts.pipelines.tiles import MosaicResolution, Source, TileRef

if TYPE_CHECKING:
    import geopandas as gpd

USUAL_RATE = 10e6
"""Bytes a second of a usual line, for an estimate of the time."""
_CHUNK_BYTES = {"arcticdem": 65e6, "tcvis": 39e6}
"""What a chunk of a datacube usually costs: 3600 x 3600 pixels of elevation with its mask, of three bytes."""
_NEAR_M = 3_000
"""Chunks as far away as this count for a tile: more than any layer reaches beyond it."""


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
    outlined: frozenset[str] = frozenset()
    """Tiles whose outline is known, if auxiliary layers are needed."""

    @property
    def n_bytes(self) -> int:
        """Estimated bytes to fetch."""
        layers = sum(count * _CHUNK_BYTES[layer] for layer, count in self.chunks.items())
        return int(sum(self.images.values()) + layers)

    def is_staged(self, layer: str, tile_id: str) -> bool:
        """Tell whether nothing is to be fetched of a layer (or `images`) for a tile."""
        if layer == "images":
            return tile_id not in self.images
        return tile_id in self.outlined and tile_id not in self.layers[layer]

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
    parameters: FeatureParameters,
    source: Source,
    todo: Sequence[TileRef],
    *,
    images: bool = True,
    layers: Sequence[str] = (),
    n_done: int = 0,
) -> Plan:
    """Return what is lacking for some tiles.

    Args:
        parameters: The resolved parameters.
        source: Where the images come from; it may ask its catalogue.
        todo: The tiles.
        images: Whether the images are needed.
        layers: Auxiliary layers that are needed.
        n_done: Tiles whose results are there already.
    """
    to_fetch = source.to_fetch(todo) if images else {}
    plan = Plan(todo=tuple(todo), n_done=n_done, images=to_fetch, sizes=source.sizes(todo))
    if not layers or (footprints := source.footprints(todo)).empty:
        return replace(plan, layers={layer: {} for layer in layers}, chunks=dict.fromkeys(layers, 0))
    chunks = {layer: _missing_chunks(parameters, layer, footprints, source.resolution_m) for layer in layers}
    return replace(
        plan,
        layers={layer: _by_tile(footprints, outlines) for layer, outlines in chunks.items()},
        chunks={layer: len(outlines) for layer, outlines in chunks.items()},
        outlined=frozenset(footprints.tile_id),
    )


def _missing_chunks(
    parameters: FeatureParameters, layer: str, footprints: "gpd.GeoDataFrame", resolution_m: MosaicResolution
) -> "gpd.GeoSeries":
    """Return the outlines of the chunks that a datacube lacks for some tiles; asked once, for a cube opens slowly."""
    import geopandas as gpd

    from darts_acquisition import missing_arcticdem, missing_tcvis

    if layer == "tcvis":
        missing = missing_tcvis(footprints, given(parameters.tcvis_dir))
    else:
        area = with_margin(parameters, footprints, resolution_m)
        missing = missing_arcticdem(area, given(parameters.arcticdem_dir), resolution_m)
    if not missing:
        return gpd.GeoSeries([], crs=footprints.crs)
    outlines = gpd.GeoSeries([chunk.geobox.extent.geom for chunk in missing], crs=str(missing[0].geobox.crs))
    edge = max(abs(missing[0].geobox.resolution.x) * length for length in missing[0].geobox.shape)
    return outlines.segmentize(edge / 20).to_crs(footprints.crs)


def _by_tile(footprints: "gpd.GeoDataFrame", chunks: "gpd.GeoSeries") -> dict[str, int]:
    """Return how many of the chunks lie under each tile or beside it, within the margin of all layers."""
    around = footprints.set_geometry(footprints.buffer(_NEAR_M))
    met = around.iloc[chunks.sindex.query(around.geometry, predicate="intersects")[0]]
    return {str(tile_id): int(count) for tile_id, count in met.tile_id.value_counts().items()}


def with_margin(
    parameters: FeatureParameters, footprints: "gpd.GeoDataFrame", resolution_m: MosaicResolution
) -> "gpd.GeoDataFrame":
    """Return outlines with the ground around them that relative elevation and resampling reach, in metres."""
    margin = arcticdem_margin_m(parameters, resolution_m)
    return footprints.set_geometry(footprints.buffer(margin, join_style="mitre"))
