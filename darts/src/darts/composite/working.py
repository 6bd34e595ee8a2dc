"""Composites at work: scenes at hand or fetched, those of a tile and a year put together."""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from odc.geo.geobox import GeoBox

from darts.composite.making import Ingredients, make_composite
from darts.inventory.spreading import spread_over_cluster, spread_over_cores
from darts.pipelines.fetch.connect import ask_at_given_addresses, connect
from darts.pipelines.fetch.plan import make_plan
from darts.pipelines.fetch.prepare import fetch
from darts.pipelines.fetch.view import show_plan
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.sources.scenes import SceneSource
from darts.pipelines.sources.selection import write_scene_ids
from darts.pipelines.tiles import TileRef, require
from darts.utils.terminal import note, say
from darts_postprocessing.inventory.build import Spread
from darts_preprocessing.compositing import Method
from darts_utils.errors import ConfigError, DataError, MissingDataError
from darts_utils.names import date_in, year_in
from darts_utils.text import counted

logger = logging.getLogger(__name__)

_TILE = re.compile(r"_T?(\d{1,2}[A-Z]{3})(?=_|$)")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What composites are to be."""

    method: Method
    store: Path
    ids: Path | None
    """File for their ids."""
    overwrite: bool
    ray_address: str | None


def make_composites(pipeline: Sentinel2Pipeline, wanted: Wanted) -> int:
    """Make a composite of each tile and year, see `darts.composite.command.composite_sentinel2`."""
    if pipeline.no_raw_data_store:
        raise ConfigError("no_raw_data_store is set, but composites are made of scenes on disk. Leave it out here.")
    parameters = pipeline.with_paths()
    ask_at_given_addresses(parameters, offline=parameters.offline)
    source = SceneSource(parameters)
    refs = parameters.part_of(source.find())
    failed = 0 if parameters.offline else _fetched(parameters, source, refs)
    if parameters.dry_run:
        return 0
    staged = _staged(source, refs)
    failed += len(refs) - len(staged)
    groups = _groups(source, staged, wanted)
    with _spread(wanted.ray_address) as spread:
        made = list(spread(make_composite, [(group, wanted.method, wanted.store) for group in groups]))
    ids = [group.composite_id for group in groups]
    if wanted.ids is not None:
        write_scene_ids(wanted.ids, ids)
    for composite_id, one in zip(ids, made, strict=True):
        say(f"{composite_id}: {one.words}")
    say(f"Composites: {wanted.store}")
    return int(failed > 0 or not groups or not all(one.is_right for one in made))


def _spread(ray_address: str | None) -> AbstractContextManager[Spread]:
    return spread_over_cores(1) if ray_address is None else spread_over_cluster(ray_address)


def _fetched(parameters: Sentinel2Pipeline, source: SceneSource, refs: Sequence[TileRef]) -> int:
    """Fetch the scenes that are lacking; return how many failed."""
    plan = make_plan(parameters, source, refs, images=True, layers=())
    show_plan(plan, with_tiles=parameters.dry_run)
    if parameters.dry_run:
        return 0
    connect(parameters, source, plan)
    report = fetch(parameters, source, plan, ["images"])
    return sum(one.status == "failed" for one in report.results)


def _staged(source: SceneSource, refs: Sequence[TileRef]) -> dict[str, GeoBox]:
    """Return the grids of scenes that are on disk and tell tile and date, in the order of time; name the others."""
    store, grids = source.catalog.store(require(source.store)), {}
    for scene_id in sorted((ref.tile_id for ref in refs), key=lambda one: (date_in(one) or (), one)):
        if _TILE.search(scene_id) is None or date_in(scene_id) is None:
            note(f"{scene_id} is left out: its id tells no tile or no date.")
            continue
        try:
            grids[scene_id] = store.open(scene_id).geobox
        except (DataError, MissingDataError) as error:
            note(f"{scene_id} is left out: {error}")
    return grids


def _groups(source: SceneSource, staged: Mapping[str, GeoBox], wanted: Wanted) -> list[Ingredients]:
    """Return what each composite is made of: the scenes of a tile and a year that lie on one grid."""
    by_tile: dict[tuple[str, int], dict[str, GeoBox]] = defaultdict(dict)
    for scene_id, grid in staged.items():
        tile = require(_TILE.search(scene_id))[1].zfill(5)
        by_tile[tile, require(year_in(scene_id))][scene_id] = grid
    return [_group(source, tile, grids, wanted) for (tile, _), grids in sorted(by_tile.items())]


def _group(source: SceneSource, tile: str, grids: Mapping[str, GeoBox], wanted: Wanted) -> Ingredients:
    usual, _ = Counter(grids.values()).most_common(1)[0]
    kept = [scene_id for scene_id, grid in grids.items() if grid == usual]
    if len(kept) < len(grids):
        note(f"{counted(len(grids) - len(kept), 'scene')} of {tile} lie on another grid, and are left out.")
    first, last = ("".join(require(date_in(scene_id))) for scene_id in (kept[0], kept[-1]))
    return Ingredients(
        composite_id=f"composite-{tile}-{first}-{last}-{wanted.method}",
        source=source.name,
        store=require(source.store),
        scene_ids=tuple(kept),
        overwrite=wanted.overwrite,
    )
