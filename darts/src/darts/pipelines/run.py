"""A run: what it needs resolved, tiles found, sent through the stages, and the record of it kept."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import torch

from darts.pipelines.auxiliary import Request, layers_of
from darts.pipelines.auxiliary.seen import say_unseen
from darts.pipelines.base import Pipeline
from darts.pipelines.computing.ability import Ability
from darts.pipelines.computing.memory import memory_budget_bytes
from darts.pipelines.computing.settled import settled_patch_px, settled_precision
from darts.pipelines.computing.verdicts import Judge, checked_precision, judged_on
from darts.pipelines.execution import execute
from darts.pipelines.fetch.connect import ask_at_given_addresses, plan_and_connect
from darts.pipelines.fetch.dry_run import show_dry_run
from darts.pipelines.fetch.plan import Plan
from darts.pipelines.local import SequentialExecutor
from darts.pipelines.results.ending import end_run
from darts.pipelines.results.fingerprint import Models, Recipe
from darts.pipelines.results.finished import Finished, State, check_same, say_left
from darts.pipelines.results.journal import Journal
from darts.pipelines.results.progress import FILE as PROGRESS
from darts.pipelines.results.progress import Progress, Together
from darts.pipelines.results.provenance import Making, making_of
from darts.pipelines.stages import build_stages, feature_stages, subsets, with_record
from darts.pipelines.tiles import Executor, Outcome, Result, RunReport, Source, TileRef, require
from darts.utils.console import run_view
from darts_export.products import missing_files, needed_variables
from darts_segmentation import EnsembleV1
from darts_segmentation.models.card import ModelCard
from darts_segmentation.models.checkpoint import read_checkpoint
from darts_segmentation.network_memory import bytes_per_px
from darts_utils.errors import OutputError
from darts_utils.files import make_folder, remove_parts
from darts_utils.machine.cpu import usable_cores
from darts_utils.machine.devices import DeviceSpec, decide_device, device_name
from darts_utils.machine.memory import keep_freed, spared_from_search
from darts_utils.parameters import FLOAT32, Precision
from darts_utils.text import counted

logger = logging.getLogger(__name__)

type MakeExecutor = Callable[[Plan | None, Making], Executor]
type MakeJudge = Callable[[Plan | None, Making], Judge]


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A run as it is going to be: nothing of it is left to defaults, and each thing is found out once."""

    parameters: Pipeline
    """With every location filled in."""
    source: Source
    """Where the images come from."""
    models: Mapping[str, Path]
    """Checkpoints by name."""
    ensemble_card: Path | None = field(default=None, kw_only=True)
    """Their ensemble card if one is named, else it is looked for beside them."""
    results: Path
    """The results folder."""

    @cached_property
    def cards(self) -> Mapping[str, ModelCard]:
        """What each model says of itself; the weights are not loaded.

        Raises:
            CheckpointError: If a model cannot be used.
        """
        return {name: read_checkpoint(file).card for name, file in self.models.items()}

    @property
    def model_bands(self) -> Mapping[str, tuple[str, ...]]:
        """Bands that each model reads."""
        return {name: card.band_names for name, card in self.cards.items()}

    @cached_property
    def features(self) -> frozenset[str]:
        """Bands that the models or the exports read."""
        read = {band for bands in self.model_bands.values() for band in bands}
        return frozenset(read) | needed_variables(self.parameters.products)

    def load_models(self) -> EnsembleV1:
        """Return the models, on the device."""
        ensemble = self.ensemble(self.parameters.device)
        if ensemble.device.type == "cpu":
            keep_freed()
            # torch does not know of the limits of containers; fewer threads may have been asked for
            torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
        return ensemble

    def ensemble(self, device: DeviceSpec = "cpu") -> EnsembleV1:
        """Return the models on a device."""
        return EnsembleV1(dict(self.models), device, ensemble_card=self.ensemble_card)

    def models_on_disk(self) -> Models:
        """Return what a run would know of its models, without placing them on a device."""
        return models_of(self.ensemble())

    def config(self, models: Models) -> dict[str, Any]:
        """Return the parameters as a config file holds them, with the ensemble card that was found for the models."""
        files = [*self.models.values(), *([] if models.card_file is None else [models.card_file])]
        return replace(self.parameters, model_files=files).to_config()

    def making(self, models: Models, precision: Precision | None, patch_px: int | None = None) -> Making:
        """Return how its tiles are made, with what is known of its models.

        Args:
            models: Its models.
            precision: What they compute in, float32 while that is not settled.
            patch_px: Edge of the patches, as the parameters say if not given.
        """
        known = replace(models, precision=FLOAT32 if precision is None else precision)
        return making_of(self.with_patches(patch_px), known, self.source.resolution_m)

    def with_patches(self, patch_px: int | None) -> Pipeline:
        """Return its parameters with the edge of patches that was settled."""
        return self.parameters if patch_px is None else replace(self.parameters, patch_size=patch_px)

    def finished(self, recipe: Callable[[], Recipe]) -> Finished:
        """Return what tells which tiles are done."""
        run = self.parameters
        products, models = with_record(run.products), subsets(run, list(self.models))
        lacking = partial(missing_files, bands=products, ensemble_subsets=models)
        return Finished(folder=self.results, lacking=lacking, recipe=cache(recipe), source=self.source)


@dataclass(frozen=True)
class Engine:
    """What computes."""

    models: Models
    """But for what they compute in, which is decided for all that computes."""
    ability: Ability
    bytes_per_px: Callable[[], float]
    """Finds out what the networks take for a pixel of a patch."""
    executor: MakeExecutor
    """Makes what brings tiles through the stages, once it is known what must be fetched."""
    judge: MakeJudge
    """Likewise what tries precisions."""


type OpenEngine = Callable[[Resolved], AbstractContextManager[Engine]]


def resolve(pipeline: Pipeline) -> Resolved:
    """Return a run with all that is known before it begins.

    Raises:
        ConfigError: If parameters are wrong, or there is no model.
    """
    pipeline.check()
    parameters = pipeline.resolved()
    ask_at_given_addresses(parameters, offline=parameters.offline)
    return Resolved(
        parameters=parameters,
        source=parameters.source(),
        models=parameters.models_by_name(),
        ensemble_card=next(iter(parameters.ensemble_cards()), None),
        results=require(parameters.output_data_dir),
    )


@contextmanager
def on_this_machine(run: Resolved, models: EnsembleV1 | None = None) -> Iterator[Engine]:
    """Hold the models loaded on the device of this machine, from before scenes are searched for.

    Args:
        run: The run.
        models: Its models if they are loaded already.
    """
    ensemble, parameters = run.load_models() if models is None else models, run.parameters

    def executor(_: Plan | None, making: Making) -> Executor:
        ensemble.precision = making.precision
        if ensemble.device.type == "cpu":
            keep_freed(making.patch_px)
        stages = build_stages(
            run.with_patches(making.patch_px),
            run.source,
            ensemble,
            features=run.features,
            making=making,
            results=run.results,
        )
        return SequentialExecutor(stages, budget_bytes=memory_budget_bytes(parameters.max_memory_gb))

    def judge(_: Plan | None, __: Making) -> Judge:
        stages = feature_stages(parameters, run.source, run.features, run.model_bands)
        return partial(judged_on, stages, ensemble, faster=ability.faster)

    ability = Ability.of(ensemble.device, parameters.max_memory_gb)
    yield Engine(
        models=models_of(ensemble),
        ability=ability,
        bytes_per_px=partial(bytes_per_px, ensemble.members, ensemble.device),
        executor=executor,
        judge=judge,
    )


def run_pipeline(pipeline: Pipeline, open_engine: OpenEngine = on_this_machine) -> RunReport:
    """Map all selected tiles and return how each ended, see `Pipeline.run`."""
    run = resolve(pipeline)
    if run.parameters.dry_run:
        return _dry_run(run)
    _prepare_folder(run.results)
    with open_engine(run) as engine:
        precision = settled_precision(run.parameters, run.results, engine.ability)
        patch_px = settled_patch_px(run.parameters, run.results, engine.ability, engine.bytes_per_px)
        making = run.making(engine.models, precision, patch_px)
        skipped, todo = _split(run, run.finished(lambda: making.recipe))
        say_cards(run, todo)
        plan = plan_and_connect(run.parameters, run.source, todo, run.features, n_done=len(skipped))
        if precision is None and todo:
            precision = _checked(run, engine, todo, engine.judge(plan, making))
            making = run.making(engine.models, precision, patch_px)
        return _map(run, run.config(engine.models), engine.executor(plan, making), todo, skipped)


def _checked(run: Resolved, engine: Engine, todo: Sequence[TileRef], judge: Judge) -> Precision:
    """Return what the models are to compute in, of which no results in the folder tell."""
    logs = run.parameters.paths.logs
    return checked_precision(engine.ability, engine.models.ids, logs, todo, judge)


def _map(
    run: Resolved, config: Mapping[str, Any], executor: Executor, todo: list[TileRef], skipped: list[Outcome]
) -> RunReport:
    """Send tiles through the stages, show and write down how they end."""
    parameters = run.parameters
    journal = Journal(run.results, config, record_folder=parameters.metadata_dir)
    journal.add(*skipped)
    _log_beginning(parameters, journal, len(todo), len(skipped))
    n_tiles, n_skipped = len(todo) + len(skipped), len(skipped)
    progress = Progress(journal.path(PROGRESS), n_selected=n_tiles, n_skipped=n_skipped, part=parameters.shard)
    with progress:
        with spared_from_search(), run_view(n_tiles=n_tiles, n_skipped=n_skipped) as view:
            views = Together([progress, view])
            interrupted = execute(executor, todo, view=views, on_outcome=journal.add)
            if interrupted:
                _clear_parts(run.results, own=True)
            report = RunReport(tuple(journal.outcomes), run.results, interrupted, record_folder=journal.folder)
            views.finish(report)
        end_run(parameters, report, progress, len(todo), journal.folder)
    return report


def _dry_run(run: Resolved) -> RunReport:
    """Show what would be done and fetched; nothing is made on disk."""
    skipped, todo = _split(run, run.finished(lambda: _making_of_dry_run(run).recipe))
    say_cards(run, todo)
    return show_dry_run(run.parameters, run.source, todo, layers_of(run.features), n_done=len(skipped))


def _making_of_dry_run(run: Resolved) -> Making:
    """Return how tiles would be made, as far as that is known where nothing is computed."""
    ensemble = run.ensemble()
    ability = Ability.of(decide_device(run.parameters.device), run.parameters.max_memory_gb)
    weigh = partial(bytes_per_px, ensemble.members, ensemble.device)
    patch_px = settled_patch_px(run.parameters, run.results, ability, weigh)
    return run.making(models_of(ensemble), settled_precision(run.parameters, run.results, None), patch_px)


def say_cards(run: Resolved, todo: Sequence[TileRef]) -> None:
    """Say if models saw another sensor, or other editions of auxiliary layers, than tiles are of."""
    wanted = run.parameters.trained_on
    others = {name: card.sensors for name, card in run.cards.items() if card.sensors and wanted not in card.sensors}
    if others:
        listed = ", ".join(f"{name} ({' and '.join(sorted(sensors))})" for name, sensors in others.items())
        logger.warning("models trained on another sensor than %s are used, as you asked: %s", wanted, listed)
    inputs = {name: card.input or {} for name, card in run.cards.items()}
    say_unseen(inputs, run.model_bands, Request(run.parameters, run.source.resolution_m), todo)


def _prepare_folder(results: Path) -> None:
    """Make the results folder, find it writable, and free it of what killed runs left half done.

    Raises:
        OutputError: If it cannot be made or written to.
    """
    make_folder(results)
    if not os.access(results, os.W_OK | os.X_OK):
        raise OutputError(f"the results folder {results} is not writable. Choose another with --output-data-dir.")
    _clear_parts(results)


def _split(run: Resolved, finished: Finished) -> tuple[list[Outcome], list[TileRef]]:
    """Find the tiles; return those that are done, or are to be left alone, and those that are to be made.

    Raises:
        ConfigError: If there are results that were made otherwise, and nothing says what is to become of them.
    """
    refs = run.parameters.part_of(run.source.find())
    if run.parameters.overwrite:
        return [], refs
    states = {ref: finished.state(ref) for ref in refs}
    if not run.parameters.keep_old:
        check_same(states, finished.folder)
    say_left(states, finished.folder)
    left = [_left_alone(ref, state) for ref, state in states.items() if not state.is_to_be_made]
    return left, [ref for ref, state in states.items() if state.is_to_be_made]


def _left_alone(ref: TileRef, state: State) -> Outcome:
    """Return the outcome of a tile that is not made again, with the reason if it is not that it is done."""
    why = {
        "different": f"left as it was {', '.join(state.reasons)}",
        "unknown": "left as it is, though it does not say how it was made",
    }
    return Outcome(
        ref=ref, status="skipped", error=why.get(state.kind), host=None, result=Result(fingerprint=state.fingerprint)
    )


def models_of(ensemble: EnsembleV1) -> Models:
    """Return what a run knows of loaded models."""
    return Models(
        ids=ensemble.model_ids,
        bands=ensemble.model_bands,
        device=device_name(ensemble.device),
        ensemble_card=None if ensemble.card is None else ensemble.card.card_id,
        card_file=None if ensemble.card is None else ensemble.card.file,
        is_calibrated=ensemble.is_calibrated,
        thresholds=ensemble.thresholds,
    )


def _log_beginning(parameters: Pipeline, journal: Journal, n_todo: int, n_skipped: int) -> None:
    """Write down what begins, with all parameters, for the log file."""
    logger.info(
        "%s: %s to do, %d done before, record %s",
        parameters.pipeline_name,
        counted(n_todo, "tile"),
        n_skipped,
        journal.stem,
    )
    for name, value in parameters.to_config()["darts"].items():
        logger.debug("%s = %s", name, value)


def _clear_parts(results: Path, *, own: bool = False) -> None:
    """Delete half-done folders of tiles, which lie in the results folder or one below."""
    for folder in (results, *(path for path in results.iterdir() if path.is_dir())):
        remove_parts(folder, own=own)
