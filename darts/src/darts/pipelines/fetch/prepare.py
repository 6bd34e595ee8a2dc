"""Preparing data for a later run: what makes sense, what is fetched and how, what is written down."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import geopandas as gpd

from darts.pipelines.auxiliary import LAYERS, AuxiliaryLayer, Request, layers_of
from darts.pipelines.base import Pipeline
from darts.pipelines.fetch.connect import ask_at_given_addresses, connect
from darts.pipelines.fetch.downloader import Arrived, Downloader, Fetched, FetchReport, Layer, OnBytes
from darts.pipelines.fetch.plan import Plan, make_plan
from darts.pipelines.fetch.view import fetch_view, show_plan
from darts.pipelines.interrupts import on_interrupt
from darts.pipelines.parameters import PipelineParameters
from darts.pipelines.sources.selection import write_scene_ids
from darts.pipelines.tiles import Source, TileRef
from darts_export.products import needed_variables
from darts_segmentation.models.checkpoint import read_bands
from darts_utils.errors import ConfigError, DataError

logger = logging.getLogger(__name__)


def prepare(pipeline: Pipeline, *, optical: bool, aux: bool, all_layers: bool) -> FetchReport:
    """Find tiles, plan, fetch and report, see `Pipeline.prepare_data`.

    Args:
        pipeline: The run to prepare for.
        optical: Whether images are fetched.
        aux: Whether auxiliary layers are.
        all_layers: Whether they are fetched even if no model reads them.
    """
    _check_kept(pipeline, optical=optical)
    pipeline.check()
    parameters = pipeline.with_paths()
    ask_at_given_addresses(parameters, offline=parameters.offline)
    layers = _layers(parameters, all_layers=all_layers) if aux else ()
    source = parameters.source()
    found = source.find()
    keep_ids(parameters, found)  # of all parts: they share the file, and the run that reads it
    refs = pipeline.part_of(found)
    plan = make_plan(parameters, source, refs, images=optical, layers=layers)
    show_plan(plan, with_tiles=parameters.dry_run)
    if parameters.dry_run:
        return FetchReport()
    connect(parameters, source, plan)
    return fetch(parameters, source, plan, [*(["images"] if optical else []), *(layer.name for layer in layers)])


def _layers(parameters: Pipeline, *, all_layers: bool) -> tuple[AuxiliaryLayer, ...]:
    """Return the layers to fetch: all, or those that models and exports read."""
    if all_layers:
        return tuple(LAYERS.values())
    read = {band for file in parameters.models_by_name().values() for band in read_bands(file)}
    return layers_of(read | needed_variables(parameters.products))


def _check_kept(parameters: PipelineParameters, *, optical: bool) -> None:
    """Refuse to fetch what would be kept nowhere.

    Raises:
        ConfigError: If it would be.
    """
    if optical and getattr(parameters, "no_raw_data_store", False):
        raise ConfigError("no_raw_data_store is set, so fetched scenes would be kept nowhere. Leave it out here.")


def keep_ids(parameters: PipelineParameters, refs: Sequence[TileRef]) -> None:
    """Write the ids for the offline run, if a file is named for them and they do not come from it."""
    path: Path | None = getattr(parameters, "prep_data_scene_id_file", None)
    if path is not None and getattr(parameters, "selector", None) is not None and not parameters.dry_run:
        write_scene_ids(path, [ref.tile_id for ref in refs])
        logger.info("wrote %d scene ids to %s", len(refs), path)


def fetch(parameters: PipelineParameters, source: Source, plan: Plan, layers: Sequence[str]) -> FetchReport:
    """Fetch layers of all tiles, with progress; return and show how each ended.

    Args:
        parameters: The resolved parameters.
        source: Where the images come from.
        plan: What is lacking.
        layers: `images` or names of auxiliary layers.
    """
    results: list[Fetched] = []
    stager = Downloader(_how_to_fetch(parameters, source, plan, layers))
    with fetch_view(plan, layers) as view, on_interrupt(stager.stop) as interrupted:
        for event in stager.run(plan.todo):
            if isinstance(event, Arrived):
                view.arrived(event.n_bytes)
            else:
                results.append(event)
                logger.info("%s of %s: %s %s", event.layer, event.ref.tile_id, event.status, event.error or "")
                view.ended(event)
        report = FetchReport(tuple(results), interrupted.is_set())
        view.finish(report)
    return report


def _how_to_fetch(parameters: PipelineParameters, source: Source, plan: Plan, layers: Sequence[str]) -> list[Layer]:
    """Return what is fetched for each tile, and how."""
    request = Request(parameters, source.resolution_m)

    def download(name: str, ref: TileRef, on_bytes: OnBytes) -> None:
        LAYERS[name].download(request.of(ref), _footprint(source, ref), on_bytes)

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


def _footprint(source: Source, ref: TileRef) -> gpd.GeoDataFrame:
    footprint = source.footprints([ref])
    if footprint.empty:
        raise DataError(f"the outline of {ref.tile_id} is unknown: it is neither staged nor in the catalogue.")
    return footprint
