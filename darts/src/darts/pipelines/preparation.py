"""Preparing data for a later run: find, plan, fetch, report."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from darts.pipelines.interrupts import on_interrupt
from darts.pipelines.plan import Plan, make_plan, needed_layers, with_margin
from darts.pipelines.selection import write_scene_ids
from darts.pipelines.stages import given
from darts.pipelines.staging import Arrived, Layer, OnBytes, Staged, Stager, StagingReport
from darts.pipelines.tiles import Source, TileRef
from darts_utils.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd

    from darts.pipelines.base import Pipeline

logger = logging.getLogger(__name__)

ALL_LAYERS = ("arcticdem", "tcvis")


def prepare(pipeline: "Pipeline", *, optical: bool, aux: bool, all_layers: bool) -> StagingReport:
    """Fetch what a later run needs; show the plan before, and what is staged after.

    Args:
        pipeline: The parameters of the later run.
        optical: Whether to fetch the images.
        aux: Whether to fetch auxiliary layers.
        all_layers: Whether to fetch all layers, and not only those that the models need.

    Raises:
        ConfigError: If nothing is to be fetched, or parameters contradict each other.
        CredentialsError: If keys are missing or refused.
        ServiceError: If the catalogue does not answer.
    """
    from darts.utils.plan_view import show_plan

    _check(pipeline, optical=optical, aux=aux)
    run = pipeline.located()
    run.use_endpoints()
    layers = ALL_LAYERS if all_layers else needed_layers(run.features()) if aux else ()
    source = run.source()
    refs = source.find()
    _keep_ids(run, refs)
    plan = make_plan(run, source, refs, images=optical, layers=layers)
    show_plan(plan, with_tiles=run.dry_run)
    if run.dry_run:
        return StagingReport()
    run.connect(source, plan)
    return _fetch(plan, _layers(run, source, plan, optical=optical, layers=layers))


def _check(pipeline: "Pipeline", *, optical: bool, aux: bool) -> None:
    if not (optical or aux):
        raise ConfigError("nothing is to be prepared. Add --optical, --aux or both, or --force for everything.")
    if pipeline.offline:
        raise ConfigError("offline is set, but data can only be fetched online. Leave it out here.")
    if optical and getattr(pipeline, "no_raw_data_store", False):
        raise ConfigError("no_raw_data_store is set, so fetched scenes would be kept nowhere. Leave it out here.")


def _keep_ids(pipeline: "Pipeline", refs: Sequence[TileRef]) -> None:
    """Write the ids for the offline run, if a file is named for them and they do not come from it."""
    path: Path | None = getattr(pipeline, "prep_data_scene_id_file", None)
    if path is not None and getattr(pipeline, "selector", None) is not None and not pipeline.dry_run:
        write_scene_ids(path, [ref.tile_id for ref in refs])
        logger.info("wrote %d scene ids to %s", len(refs), path)


def _layers(pipeline: "Pipeline", source: Source, plan: Plan, *, optical: bool, layers: Sequence[str]) -> list[Layer]:
    """Return what is fetched for each tile, and how."""

    def arcticdem(ref: TileRef, on_bytes: OnBytes) -> None:
        from darts_acquisition import download_arcticdem

        area = with_margin(pipeline, _footprint(source, ref))
        download_arcticdem(area, given(pipeline.arcticdem_dir), pipeline.resolution_m, on_bytes=on_bytes)

    def tcvis(ref: TileRef, on_bytes: OnBytes) -> None:
        from darts_acquisition import download_tcvis

        download_tcvis(_footprint(source, ref), given(pipeline.tcvis_dir), on_bytes=on_bytes)

    fetched = {"images": source.download, "arcticdem": arcticdem, "tcvis": tcvis}
    names = [*(["images"] if optical else []), *layers]
    return [Layer(name, _unless_staged(plan, name, fetched[name])) for name in names]


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


def _fetch(plan: Plan, layers: Sequence[Layer]) -> StagingReport:
    """Fetch the layers of all tiles with progress; return and show how each ended."""
    from darts.utils.plan_view import staging_view

    results: list[Staged] = []
    stager = Stager(layers)
    with staging_view(plan, [layer.name for layer in layers]) as view, on_interrupt(stager.stop) as interrupted:
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
