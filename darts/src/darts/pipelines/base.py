"""What all pipelines share: resolve the parameters, find the tiles, send them through the stages, keep the record."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from darts.pipelines.features import FeatureRun, or_default
from darts.pipelines.parameters import PipelineParameters
from darts.pipelines.tiles import Executor, Outcome, RunReport, Source, TileRef
from darts_utils.errors import ConfigError, OutputError
from darts_utils.files import make_folder, remove_parts

if TYPE_CHECKING:
    from darts.pipelines.journal import Journal
    from darts.pipelines.plan import Plan
    from darts.pipelines.staging import StagingReport
    from darts_segmentation import EnsembleV1

logger = logging.getLogger(__name__)

type MakeExecutor = Callable[[Plan | None], Executor]


@dataclass(frozen=True, kw_only=True)
class Pipeline(PipelineParameters, FeatureRun):
    """Parameters and course of a pipeline; a subclass says where its images come from."""

    def located(self) -> Self:
        """Return a copy with every location filled in; locating it again changes nothing."""
        output = or_default(self.output_data_dir, self.paths.output_data(self.pipeline_name))
        return replace(super().located(), output_data_dir=output)

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
        with run._engine(source) as make_executor:
            skipped, todo = run._split(source.find())
            plan = run.plan_and_connect(source, todo, run.features(), n_done=len(skipped))
            return run._map(make_executor(plan), todo, skipped, folder)

    def _map(self, executor: Executor, todo: list[TileRef], skipped: list[TileRef], folder: Path) -> RunReport:
        """Send tiles through the stages, show and write down how they end."""
        from darts.pipelines.execution import execute
        from darts.pipelines.journal import Journal
        from darts.utils.console import run_view

        journal = Journal(folder, self.to_config())
        journal.add(*(Outcome(ref=ref, status="skipped") for ref in skipped))
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
        from darts.pipelines.plan import make_plan, needed_layers
        from darts.utils.plan_view import show_plan

        skipped, todo = self._split(source.find())
        plan = make_plan(self, source, todo, layers=needed_layers(self.features()), n_done=len(skipped))
        show_plan(plan, with_tiles=True)
        assert self.output_data_dir is not None, "resolved() fills it"
        return RunReport((), self.output_data_dir)

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
        from darts.pipelines.plan import make_plan, needed_layers
        from darts.pipelines.preparation import ALL_LAYERS, check, fetch, keep_ids
        from darts.pipelines.staging import StagingReport
        from darts.utils.plan_view import show_plan

        check(self, optical=optical, aux=aux)
        run = self.located()
        run.use_endpoints()
        layers = ALL_LAYERS if all_layers else needed_layers(run.features()) if aux else ()
        source = run.source()
        refs = source.find()
        keep_ids(run, refs)
        plan = make_plan(run, source, refs, images=optical, layers=layers)
        show_plan(plan, with_tiles=run.dry_run)
        if run.dry_run:
            return StagingReport()
        run.connect(source, plan)
        return fetch(run, source, plan, [*(["images"] if optical else []), *layers])

    @contextmanager
    def _engine(self, source: Source) -> Iterator[MakeExecutor]:
        """Hold what computes ready, from before scenes are searched for; give what makes the executor of a plan."""
        from darts.pipelines.execution import on_this_machine
        from darts.pipelines.stages import build_stages

        ensemble = self._load_models()
        yield lambda _: on_this_machine(build_stages(self, source, ensemble, self.features()), self.max_memory_gb)

    def _check_exports(self) -> None:
        from darts_export.check import check_bands

        check_bands(self.export_bands)

    def _load_models(self) -> "EnsembleV1":
        from darts_segmentation import EnsembleV1

        return EnsembleV1(self._models(), self.device)

    def features(self) -> frozenset[str]:
        """Return the bands that the models or the exports read; the weights of the models are not loaded.

        Raises:
            CheckpointError: If a model cannot be used.
        """
        from darts_export.check import needed_variables
        from darts_segmentation.checkpoint import read_bands

        bands = {band for file in self._models().values() for band in read_bands(file)}
        return frozenset(bands) | needed_variables(self.export_bands)

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

    def _split(self, refs: list[TileRef]) -> tuple[list[TileRef], list[TileRef]]:
        """Return the tiles whose results are all there, and those that are to be made."""
        from darts.pipelines.stages import subsets
        from darts_export import missing_outputs

        assert self.output_data_dir is not None, "resolved() fills it"
        names = subsets(self, list(self._models()))
        todo = [
            ref
            for ref in refs
            if self.overwrite
            or missing_outputs(self.output_data_dir / ref.output_folder, self.export_bands, names) != "none"
        ]
        made = set(todo)
        return [ref for ref in refs if ref not in made], todo


def _log_beginning(run: Pipeline, journal: "Journal", n_todo: int, n_skipped: int) -> None:
    """Write down what begins, with all parameters, for the log file."""
    logger.info("%s: %d tiles to do, %d done before, record %s", run.pipeline_name, n_todo, n_skipped, journal.stem)
    for name, value in run.to_config()["darts"].items():
        logger.debug("%s = %s", name, value)


def _clear_parts(results: Path, *, own: bool = False) -> None:
    """Delete half-done folders of tiles, which lie in the results folder or one below."""
    for folder in (results, *(path for path in results.iterdir() if path.is_dir())):
        remove_parts(folder, own=own)
