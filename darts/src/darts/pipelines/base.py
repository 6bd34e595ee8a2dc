"""What all pipelines share: resolve the parameters, find the tiles, send them through the stages, keep the record."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from darts.pipelines.auxiliary import LAYERS, layers_of
from darts.pipelines.features import FeatureRun, or_default
from darts.pipelines.fingerprint import Models, Recipe, recipe_of
from darts.pipelines.finished import Finished, State, check_same, say_left
from darts.pipelines.parameters import PipelineParameters
from darts.pipelines.provenance import Making, making_of
from darts.pipelines.tiles import Executor, Outcome, Result, RunReport, Source, TileRef
from darts_utils.errors import ConfigError, OutputError
from darts_utils.files import make_folder, remove_parts

if TYPE_CHECKING:
    from darts.pipelines.journal import Journal
    from darts.pipelines.plan import Plan
    from darts.pipelines.staging import StagingReport
    from darts_segmentation import EnsembleV1

logger = logging.getLogger(__name__)

type MakeExecutor = Callable[[Plan | None, Making], Executor]


@dataclass(frozen=True)
class Engine:
    """What computes."""

    models: Models
    executor: MakeExecutor
    """Makes what brings tiles through the stages, once it is known what must be fetched."""


@dataclass(frozen=True, kw_only=True)
class Pipeline(PipelineParameters, FeatureRun):
    """Parameters and course of a pipeline; a subclass says where its images come from."""

    def located(self) -> Self:
        """Return a copy with every location filled in; locating it again changes nothing."""
        output = or_default(self.output_data_dir, self.paths.output_data(self.pipeline_name))
        record = or_default(self.metadata_dir, output)
        return replace(super().located(), output_data_dir=output, metadata_dir=record)

    def resolved(self) -> Self:
        """Return a copy with every location and the list of models filled in; resolving it again changes nothing.

        Raises:
            ConfigError: If there is no model, or two models have the same name.
        """
        return replace(
            self.located(),
            model_files=list(self._models().values()),
            write_model_outputs=self.write_model_outputs and not isinstance(self.model_files, Path),
        )

    def _models(self) -> dict[str, Path]:
        """Return the checkpoints by file stem."""
        if self.model_files is None:
            files = self.paths.model_files()
            if not files:
                raise ConfigError(
                    f"there is no model (*.pt) in {self.paths.models}. Put one there, or name one with --model-files."
                )
        else:
            files = [self.model_files] if isinstance(self.model_files, Path) else [Path(f) for f in self.model_files]
        models = {file.stem: file for file in files}
        if not models:
            raise ConfigError("model_files is empty. Name at least one checkpoint, or leave it out.")
        if len(models) < len(files):
            raise ConfigError(f"two models have the same name: {', '.join(map(str, files))}. Rename one.")
        return models

    def run(self) -> RunReport:
        """Map all selected tiles and return how each ended; a failing tile does not end the run.

        Writes a folder a tile and the run record (`{time}.config.toml`, `.results.parquet`, `.timer.parquet`,
        `.stopwatch.parquet`) to the results folder. What is not staged is fetched, unless `offline` is set; `dry_run`
        only shows what would be done.

        Raises:
            ConfigError: If parameters are wrong or contradict each other.
            CheckpointError: If a model cannot be used.
            CredentialsError: If something must be fetched, and keys are missing or refused.
            ServiceError: If scenes must be searched for, and the catalogue does not answer.
            OutputError: If the results folder cannot be written to.
        """
        run = self.resolved()
        run.use_endpoints()
        source = run.source()
        run._check_exports()
        if run.dry_run:
            return run._dry_run(source)
        folder = run._prepare_folder()
        with run._engine(source) as engine:
            making = making_of(run, engine.models, source.resolution_m)
            skipped, todo = run._split(source.find(), run._finished(source, lambda: making.recipe))
            plan = run.plan_and_connect(source, todo, run.features(), n_done=len(skipped))
            return run._map(engine.executor(plan, making), todo, skipped, folder)

    def _map(self, executor: Executor, todo: list[TileRef], skipped: list[Outcome], folder: Path) -> RunReport:
        """Send tiles through the stages, show and write down how they end."""
        from darts.pipelines.execution import execute
        from darts.pipelines.journal import Journal
        from darts.utils.console import run_view

        journal = Journal(folder, self.to_config(), record_folder=self.metadata_dir)
        journal.add(*skipped)
        _log_beginning(self, journal, len(todo), len(skipped))
        with run_view(n_tiles=len(todo) + len(skipped), n_skipped=len(skipped)) as view:
            interrupted = execute(executor, todo, view=view, on_outcome=journal.add)
            if interrupted:
                _clear_parts(folder, own=True)
            report = RunReport(tuple(journal.outcomes), folder, interrupted)
            view.finish(report)
        return report

    def _dry_run(self, source: Source) -> RunReport:
        """Show what would be done and fetched; nothing is made on disk."""
        from darts.pipelines.plan import make_plan
        from darts.utils.plan_view import show_plan

        finished = self._finished(source, lambda: recipe_of(self, self._models_on_disk(), source.resolution_m))
        skipped, todo = self._split(source.find(), finished)
        plan = make_plan(self, source, todo, layers=layers_of(self.features()), n_done=len(skipped), loads=True)
        show_plan(plan, with_tiles=True)
        assert self.output_data_dir is not None, "resolved() fills it"
        return RunReport((), self.output_data_dir, lacks_data=plan.offline and plan.lacks)

    def prepare_data(self, optical: bool = False, aux: bool = False, force: bool = False) -> "StagingReport":
        """Fetch what a later run needs, so that it can be offline; what is there is not fetched again.

        Args:
            optical: Fetch the images.
            aux: Fetch elevation and trends, if the models need them.
            force: Fetch everything, whatever the other flags say and the models need.

        Raises:
            ConfigError: If nothing is to be fetched, or parameters are wrong.
            CredentialsError: If keys are missing or refused.
            ServiceError: If scenes must be searched for, and the catalogue does not answer.
        """
        return self._prepare(optical=optical or force, aux=aux or force, all_layers=force)

    def _prepare(self, *, optical: bool, aux: bool, all_layers: bool) -> "StagingReport":
        """Find, plan, fetch and report."""
        from darts.pipelines.plan import make_plan
        from darts.pipelines.preparation import check, fetch, keep_ids
        from darts.pipelines.staging import StagingReport
        from darts.utils.plan_view import show_plan

        check(self, optical=optical, aux=aux)
        run = self.located()
        run.use_endpoints()
        layers = tuple(LAYERS.values()) if all_layers else layers_of(run.features()) if aux else ()
        source = run.source()
        refs = source.find()
        keep_ids(run, refs)
        plan = make_plan(run, source, refs, images=optical, layers=layers)
        show_plan(plan, with_tiles=run.dry_run)
        if run.dry_run:
            return StagingReport()
        run.connect(source, plan)
        return fetch(run, source, plan, [*(["images"] if optical else []), *(layer.name for layer in layers)])

    @contextmanager
    def _engine(self, source: Source) -> Iterator[Engine]:
        """Hold what computes ready, from before scenes are searched for."""
        from darts.pipelines.execution import on_this_machine
        from darts.pipelines.stages import build_stages

        ensemble = self._load_models()

        def executor(_: "Plan | None", making: Making) -> Executor:
            return on_this_machine(build_stages(self, source, ensemble, self.features(), making), self.max_memory_gb)

        yield Engine(models_of(ensemble), executor)

    def _models_on_disk(self) -> Models:
        """Return what a run would know of its models, without placing them on a device."""
        from darts_segmentation import EnsembleV1
        from darts_segmentation.network import precision_of
        from darts_utils.machine.devices import decide_device

        ensemble = EnsembleV1(self._models(), "cpu")
        return replace(models_of(ensemble), precision=precision_of(decide_device(self.device)))

    def _check_exports(self) -> None:
        from darts_export.products import check_bands

        check_bands(self.export_bands)

    def _load_models(self) -> "EnsembleV1":
        from darts_segmentation import EnsembleV1

        return EnsembleV1(self._models(), self.device)

    def features(self) -> frozenset[str]:
        """Return the bands that the models or the exports read; the weights of the models are not loaded.

        Raises:
            CheckpointError: If a model cannot be used.
        """
        from darts_export.products import needed_variables

        bands = {band for bands in self._model_bands().values() for band in bands}
        return frozenset(bands) | needed_variables(self.export_bands)

    def _model_bands(self) -> dict[str, tuple[str, ...]]:
        """Return the bands that each model reads, by its name."""
        from darts_segmentation.models.checkpoint import read_bands

        return {name: read_bands(file) for name, file in self._models().items()}

    def _prepare_folder(self) -> Path:
        """Return the results folder, made, found writable, and freed of what killed runs left half done.

        Raises:
            OutputError: If it cannot be made or written to.
        """
        assert self.output_data_dir is not None, "resolved() fills it"
        make_folder(self.output_data_dir)
        if not os.access(self.output_data_dir, os.W_OK | os.X_OK):
            raise OutputError(
                f"the results folder {self.output_data_dir} is not writable. Choose another with --output-data-dir."
            )
        _clear_parts(self.output_data_dir)
        return self.output_data_dir

    def _finished(self, source: Source, recipe: Callable[[], Recipe]) -> Finished:
        """Return what tells which tiles are done."""
        from darts.pipelines.stages import subsets, with_record
        from darts_export.products import missing_files

        assert self.output_data_dir is not None, "resolved() fills it"
        lacking = partial(
            missing_files, bands=with_record(self.export_bands), ensemble_subsets=subsets(self, list(self._models()))
        )
        return Finished(folder=self.output_data_dir, lacking=lacking, recipe=cache(recipe), source=source)

    def _split(self, refs: list[TileRef], finished: Finished) -> tuple[list[Outcome], list[TileRef]]:
        """Return the tiles that are done, or are to be left alone, and those that are to be made.

        Raises:
            ConfigError: If there are results that were made otherwise, and nothing says what is to become of them.
        """
        if self.overwrite:
            return [], refs
        states = {ref: finished.state(ref) for ref in refs}
        if not self.keep_old:
            check_same(states, finished.folder)
        say_left(states, finished.folder)
        todo = [ref for ref, state in states.items() if state.kind in ("absent", "partial")]
        return [
            _left_alone(ref, state) for ref, state in states.items() if state.kind not in ("absent", "partial")
        ], todo


def _left_alone(ref: TileRef, state: State) -> Outcome:
    """Return the outcome of a tile that is not made again, with the reason if it is not that it is done."""
    why = {
        "different": f"left as it was {', '.join(state.reasons)}",
        "unknown": "left as it is, though it does not say how it was made",
    }
    return Outcome(
        ref=ref, status="skipped", error=why.get(state.kind), host=None, result=Result(fingerprint=state.fingerprint)
    )


def models_of(ensemble: "EnsembleV1") -> Models:
    """Return what a run knows of loaded models."""
    from darts_segmentation.network import precision_of
    from darts_utils.machine.devices import device_name

    return Models(
        ids=ensemble.model_ids,
        bands=ensemble.model_bands,
        precision=precision_of(ensemble.device),
        device=device_name(ensemble.device),
    )


def _log_beginning(run: Pipeline, journal: "Journal", n_todo: int, n_skipped: int) -> None:
    """Write down what begins, with all parameters, for the log file."""
    logger.info("%s: %d tiles to do, %d done before, record %s", run.pipeline_name, n_todo, n_skipped, journal.stem)
    for name, value in run.to_config()["darts"].items():
        logger.debug("%s = %s", name, value)


def _clear_parts(results: Path, *, own: bool = False) -> None:
    """Delete half-done folders of tiles, which lie in the results folder or one below."""
    for folder in (results, *(path for path in results.iterdir() if path.is_dir())):
        remove_parts(folder, own=own)
