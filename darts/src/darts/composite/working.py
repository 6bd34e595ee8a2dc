"""Composites at work: scenes at hand or fetched, those of a tile and a year put together."""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

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
from darts_acquisition.optical.composites import Composites
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
    groups = _groups(source, refs, wanted)
    with _spread(wanted.ray_address) as spread:
        made = list(spread(make_composite, [(group, wanted.method, wanted.store) for group in groups]))
    ids = [group.composite_id for group in groups]
    if wanted.ids is not None:
        write_scene_ids(wanted.ids, ids)
    for composite_id, told in zip(ids, made, strict=True):
        say(f"{composite_id}: {told}")
    say(f"Composites: {wanted.store}")
    return int(failed > 0 or not groups)


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


def _groups(source: SceneSource, refs: Sequence[TileRef], wanted: Wanted) -> list[Ingredients]:
    """Return what each composite is made of: the scenes of a tile and a year that lie on one grid."""
    by_tile: dict[tuple[str, int], list[str]] = defaultdict(list)
    for ref in refs:
        found, year = _TILE.search(ref.tile_id), year_in(ref.tile_id)
        if found is None or year is None:
            note(f"{ref.tile_id} is left out: its id tells no tile or no date.")
            continue
        by_tile[found[1].zfill(5), year].append(ref.tile_id)
    groups = (_group(source, tile, scene_ids, wanted) for (tile, _), scene_ids in sorted(by_tile.items()))
    return [group for group in groups if group is not None]


def _group(source: SceneSource, tile: str, scene_ids: Sequence[str], wanted: Wanted) -> Ingredients | None:
    """Return what the composite of a tile is made of; None if nothing is staged, or it is there."""
    store = source.catalog.store(require(source.store))
    grids = {}
    for scene_id in sorted(scene_ids, key=lambda one: (date_in(one), one)):
        try:
            grids[scene_id] = store.open(scene_id).geobox
        except (DataError, MissingDataError) as error:
            note(f"{scene_id} is left out: {error}")
    if not grids:
        return None
    usual, _ = Counter(grids.values()).most_common(1)[0]
    kept = [scene_id for scene_id, grid in grids.items() if grid == usual]
    if len(kept) < len(grids):
        note(f"{counted(len(grids) - len(kept), 'scene')} of {tile} lie on another grid, and are left out.")
    first, last = ("".join(require(date_in(scene_id))) for scene_id in (kept[0], kept[-1]))
    composite_id = f"composite-{tile}-{first}-{last}-{wanted.method}"
    if composite_id in Composites().store(wanted.store) and not wanted.overwrite:
        note(f"{composite_id} is there already. --overwrite makes it again.")
    return Ingredients(
        composite_id=composite_id, source=source.name, store=require(source.store), scene_ids=tuple(kept),
        overwrite=wanted.overwrite,
    )  # fmt: skip
