"""What all pipelines share: their parameters, and the two things that they do."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from darts.pipelines.config import FeatureRun, or_default
from darts.pipelines.fetch.downloader import FetchReport
from darts.pipelines.parameters import PipelineParameters
from darts.pipelines.tiles import RunReport
from darts_utils.errors import ConfigError
from darts_utils.parameters import check_uncertainty


@dataclass(frozen=True, kw_only=True)
class Pipeline(PipelineParameters, FeatureRun):
    """Parameters of a pipeline; a subclass says where its images come from."""

    def with_paths(self) -> Self:
        """Return a copy with every location filled in; doing it again changes nothing."""
        output = or_default(self.output_data_dir, self.paths.output_data(self.pipeline_name))
        record = or_default(self.metadata_dir, output)
        return replace(super().with_paths(), output_data_dir=output, metadata_dir=record)

    def resolved(self) -> Self:
        """Return a copy with every location and the list of models filled in; resolving it again changes nothing.

        Raises:
            ConfigError: If there is no model, two models have the same name, or the spread of one that sees one view
                is asked for.
        """
        models = list(self.models_by_name().values())
        if "uncertainty" in self.products:
            check_uncertainty(self.tta, len(models))
        return replace(
            self.with_paths(),
            model_files=models,
            write_model_outputs=self.write_model_outputs and not isinstance(self.model_files, Path),
        )

    def models_by_name(self) -> dict[str, Path]:
        """Return the checkpoints by file stem.

        Raises:
            ConfigError: If there is none, or two have the same name.
        """
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
        self.resolved()  # what is wrong is told before seconds of imports
        from darts.pipelines.run import run_pipeline

        return run_pipeline(self)

    def prepare_data(self, optical: bool = False, aux: bool = False, force: bool = False) -> FetchReport:
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

    def _prepare(self, *, optical: bool, aux: bool, all_layers: bool) -> FetchReport:
        if not (optical or aux):
            raise ConfigError("nothing is to be prepared. Add --optical, --aux or both, or --force for everything.")
        if self.offline:
            raise ConfigError("offline is set, but data can only be fetched online. Leave it out here.")
        from darts.pipelines.fetch.prepare import prepare

        return prepare(self, optical=optical, aux=aux, all_layers=all_layers)
