"""What a run, or the preparation of one, is going to fetch: known before anything is fetched."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from darts.pipelines.auxiliary import LAYERS, AuxiliaryLayer, Request
from darts.pipelines.parameters import FeatureParameters
from darts.pipelines.tiles import Source, TileRef

if TYPE_CHECKING:
    import geopandas as gpd

    from darts_acquisition.auxiliary.filling import Chunk

USUAL_RATE = 10e6
"""Bytes a second of a usual line, for an estimate of the time."""
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
    offline: bool = False
    """Whether nothing of it will be fetched; then chunks are not counted, but the tiles that lack some."""

    @property
    def n_bytes(self) -> int:
        """Estimated bytes to fetch."""
        if self.offline:
            return 0
        layers = sum(count * LAYERS[name].chunk_bytes for name, count in self.chunks.items())
        return int(sum(self.images.values()) + layers)

    @property
    def lacks(self) -> bool:
        """Whether something is lacking for some tile."""
        layers = ["images", *self.layers]
        return any(not self.is_staged(layer, ref.tile_id) for ref in self.todo for layer in layers)

    def is_staged(self, layer: str, tile_id: str) -> bool:
        """Tell whether nothing is to be fetched of a layer (or `images`) for a tile."""
        if layer == "images":
            return tile_id not in self.images
        return tile_id in self.outlined and tile_id not in self.layers[layer]

    @property
    def seconds(self) -> float:
        """Estimated time to fetch them on a usual line."""
        return self.n_bytes / USUAL_RATE


def make_plan(
    parameters: FeatureParameters,
    source: Source,
    todo: Sequence[TileRef],
    *,
    images: bool = True,
    layers: Sequence[AuxiliaryLayer] = (),
    n_done: int = 0,
    loads: bool = False,
) -> Plan:
    """Return what is lacking for some tiles.

    Args:
        parameters: The resolved parameters.
        source: Where the images come from; it may ask its catalogue.
        todo: The tiles.
        images: Whether the images are needed.
        layers: Auxiliary layers that are needed.
        n_done: Tiles whose results are there already.
        loads: Whether what loads of the tiles lack is meant, to the pixel; else it is what staging would fetch, which
            is somewhat more.
    """
    to_fetch = source.to_fetch(todo) if images else {}
    offline = loads and parameters.offline
    plan = Plan(todo=tuple(todo), n_done=n_done, images=to_fetch, sizes=source.sizes(todo), offline=offline)
    if not layers or (footprints := source.footprints(todo)).empty:
        names = [layer.name for layer in layers]
        return replace(plan, layers={name: {} for name in names}, chunks=dict.fromkeys(names, 0))
    request = Request(parameters, source.resolution_m)
    served = {layer: list(_by_cube(layer, request, todo, footprints)) for layer in layers}
    if offline:
        unstaged = {layer.name: _unstaged(layer, served[layer]) for layer in layers}
        counts = {layer: len(tiles) for layer, tiles in unstaged.items()}
        return replace(plan, layers=unstaged, chunks=counts, outlined=frozenset(footprints.tile_id))
    chunks = {
        layer.name: [
            (outlines, _outlines((layer.to_fetch if loads else layer.missing)(one, outlines), outlines))
            for one, outlines in served[layer]
        ]
        for layer in layers
    }
    reach_m = max(layer.reach_m(request) for layer in LAYERS.values())
    near_m = reach_m if loads else _NEAR_M
    return replace(
        plan,
        layers={layer: _by_tile(cubes, near_m) for layer, cubes in chunks.items()},
        chunks={layer: sum(len(missing) for _, missing in cubes) for layer, cubes in chunks.items()},
        outlined=frozenset(footprints.tile_id),
    )


def _by_cube(
    layer: AuxiliaryLayer, request: Request, todo: Sequence[TileRef], footprints: "gpd.GeoDataFrame"
) -> Iterator[tuple[Request, "gpd.GeoDataFrame"]]:
    """Yield the outlines of the tiles that each cube of a layer serves, with what it is asked."""
    refs = {ref.tile_id: ref for ref in todo}
    requests = [request.of(refs[tile_id]) for tile_id in footprints.tile_id]
    cubes = [layer.cube(one) for one in requests]
    for cube in dict.fromkeys(cubes):
        yield requests[cubes.index(cube)], footprints[[one == cube for one in cubes]]


def _unstaged(layer: AuxiliaryLayer, served: Sequence[tuple[Request, "gpd.GeoDataFrame"]]) -> dict[str, int]:
    """Return the tiles for which an offline load will find that a datacube lacks something."""
    return {
        str(tile_id): 1
        for request, footprints in served
        for tile_id, there in zip(footprints.tile_id, layer.staged(request, footprints), strict=True)
        if not there
    }


def _outlines(missing: "Sequence[Chunk]", footprints: "gpd.GeoDataFrame") -> "gpd.GeoSeries":
    import geopandas as gpd

    if not missing:
        return gpd.GeoSeries([], crs=footprints.crs)
    outlines = gpd.GeoSeries([chunk.geobox.extent.geom for chunk in missing], crs=str(missing[0].geobox.crs))
    edge = max(abs(missing[0].geobox.resolution.x) * length for length in missing[0].geobox.shape)
    return outlines.segmentize(edge / 20).to_crs(footprints.crs)


def _by_tile(cubes: Sequence[tuple["gpd.GeoDataFrame", "gpd.GeoSeries"]], near_m: float) -> dict[str, int]:
    """Return how many chunks of its cube lie under each tile or beside it, within some metres."""
    counts: Counter[str] = Counter()
    for footprints, chunks in cubes:
        around = footprints.set_geometry(footprints.buffer(near_m, join_style="mitre"))
        met = around.iloc[chunks.sindex.query(around.geometry, predicate="intersects")[0]]
        counts.update(map(str, met.tile_id))
    return dict(counts)
