"""Preparing data for a later run: what makes sense, what is fetched and how, what is written down."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from darts.pipelines.auxiliary import LAYERS, Request
from darts.pipelines.interrupts import on_interrupt
from darts.pipelines.parameters import PipelineParameters
from darts.pipelines.plan import Plan
from darts.pipelines.selection import write_scene_ids
from darts.pipelines.staging import Arrived, Layer, OnBytes, Staged, Stager, StagingReport
from darts.pipelines.tiles import Source, TileRef
from darts_utils.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd


logger = logging.getLogger(__name__)


def check(parameters: PipelineParameters, *, optical: bool, aux: bool) -> None:
    """Refuse a preparation that would fetch nothing, or keep nothing.

    Raises:
        ConfigError: If it would.
    """
    if not (optical or aux):
        raise ConfigError("nothing is to be prepared. Add --optical, --aux or both, or --force for everything.")
    if parameters.offline:
        raise ConfigError("offline is set, but data can only be fetched online. Leave it out here.")
    if optical and getattr(parameters, "no_raw_data_store", False):
        raise ConfigError("no_raw_data_store is set, so fetched scenes would be kept nowhere. Leave it out here.")


def keep_ids(parameters: PipelineParameters, refs: Sequence[TileRef]) -> None:
    """Write the ids for the offline run, if a file is named for them and they do not come from it."""
    path: Path | None = getattr(parameters, "prep_data_scene_id_file", None)
    if path is not None and getattr(parameters, "selector", None) is not None and not parameters.dry_run:
        write_scene_ids(path, [ref.tile_id for ref in refs])
        logger.info("wrote %d scene ids to %s", len(refs), path)


def fetch(parameters: PipelineParameters, source: Source, plan: Plan, layers: Sequence[str]) -> StagingReport:
    """Fetch layers of all tiles, with progress; return and show how each ended.

    Args:
        parameters: The resolved parameters.
        source: Where the images come from.
        plan: What is lacking.
        layers: `images` or names of auxiliary layers.
    """
    from darts.utils.plan_view import staging_view

    results: list[Staged] = []
    stager = Stager(_how_to_fetch(parameters, source, plan, layers))
    with staging_view(plan, layers) as view, on_interrupt(stager.stop) as interrupted:
        for event in stager.run(plan.todo):
            if isinstance(event, Arrived):
                view.arrived(event.n_bytes)
            else:
                results.append(event)
                logger.info("%s of %s: %s %s", event.layer, event.ref.tile_id, event.status, event.error or "")
                view.ended(event)
        report = StagingReport(tuple(results), interrupted.is_set())
        view.finish(report)
    return report


def _how_to_fetch(parameters: PipelineParameters, source: Source, plan: Plan, layers: Sequence[str]) -> list[Layer]:
    """Return what is fetched for each tile, and how."""
    request = Request(parameters, source.resolution_m)

    def download(name: str, ref: TileRef, on_bytes: OnBytes) -> None:
        LAYERS[name].download(request, _footprint(source, ref), on_bytes)

    fetched: dict[str, Callable[[TileRef, OnBytes], None]] = {
        "images": source.download,
        **{name: partial(download, name) for name in LAYERS},
    }
    return [Layer(name, _unless_staged(plan, name, fetched[name])) for name in layers]


def _unless_staged(
    plan: Plan, layer: str, fetch: Callable[[TileRef, OnBytes], None]
) -> Callable[[TileRef, OnBytes], None]:
    """Return a function that fetches what the plan says is lacking: to look again costs time for each tile."""
    return lambda ref, on_bytes: None if plan.is_staged(layer, ref.tile_id) else fetch(ref, on_bytes)


def _footprint(source: Source, ref: TileRef) -> "gpd.GeoDataFrame":
    footprint = source.footprints([ref])
    if footprint.empty:
        raise DataError(f"the outline of {ref.tile_id} is unknown: it is neither staged nor in the catalogue.")
    return footprint
