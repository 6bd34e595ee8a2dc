"""What all pipelines share: their parameters, and the two things that they do."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from darts.logs.events import tell
from darts.pipelines.config import FeatureRun, or_default
from darts.pipelines.fetch.downloader import FetchReport
from darts.pipelines.parameters import PipelineParameters
from darts.pipelines.results.records import FAILED
from darts.pipelines.sources.shard import Shard
from darts.pipelines.tiles import RunReport
from darts_utils.errors import ConfigError
from darts_utils.parameters import check_uncertainty

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pipeline(PipelineParameters, FeatureRun):
    """Parameters of a pipeline; a subclass says where its images come from."""

    trained_on: ClassVar[str]
    """What models for its images have been trained on, as their cards call it."""

    @property
    def id_list(self) -> Path | None:
        """The file with the ids of its images, None if they are not listed."""
        return None

    def with_paths(self) -> Self:
        """Return a copy with every location filled in; doing it again changes nothing."""
        output = or_default(self.output_data_dir, self.paths.output_data(self.pipeline_name))
        record = or_default(self.metadata_dir, output)
        return replace(super().with_paths(), output_data_dir=output, metadata_dir=record)

    def check(self) -> None:
        """Refuse what no model, no file and no service is needed to see through.

        Raises:
            ConfigError: If a product, or what selects images, is wrong.
        """
        from darts_export.products import check_bands

        check_bands(self.products)
        self.part_of([])
        listed = self.id_list
        if self.shard is not None and listed is not None and listed.name == FAILED:
            raise ConfigError(
                f"{listed} changes as images are mapped, so that each task of an array would share out another list. "
                "Copy it before the array starts, and name the copy."
            )

    def part_of[T](self, selected: list[T]) -> list[T]:
        """Return what this run takes of what is selected.

        Raises:
            ConfigError: If `shard` names no part.
        """
        if self.shard is None:
            return selected
        shard = Shard.of(self.shard)
        part = shard.part(selected)
        if selected:
            tell(f"part {shard}: {len(part)} of the {len(selected)} that are selected")
        return part

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
            shard=None if self.shard is None else str(Shard.of(self.shard)),  # for the record: it is run anywhere
            model_files=[*models, *self.ensemble_cards()],
            write_model_outputs=self.write_model_outputs and not isinstance(self.model_files, Path),
        )

    def with_models(self) -> Self:
        """Return a copy that names its models, so that they are chosen, and what is left out is said, once.

        Raises:
            ConfigError: If there is no model, or two models have the same name.
            CheckpointError: If a model of the models folder cannot be read.
        """
        models = list(self.models_by_name().values())
        if isinstance(self.model_files, Path):
            return self
        return replace(self, model_files=[*models, *self.ensemble_cards()])

    def models_by_name(self) -> dict[str, Path]:
        """Return the models by file stem; of the models folder all but those of another sensor.

        Raises:
            ConfigError: If there is none, or two have the same name.
            CheckpointError: If a model of the models folder cannot be read.
        """
        files = self._default_models() if self.model_files is None else [f for f in self._named() if not _is_card(f)]
        models = {file.stem: file for file in files}
        if not models:
            raise ConfigError("model_files is empty. Name at least one checkpoint, or leave it out.")
        if len(models) < len(files):
            raise ConfigError(f"two models have the same name: {', '.join(map(str, files))}. Rename one.")
        return models

    def ensemble_cards(self) -> list[Path]:
        """Return the ensemble card that is named among the models, as a list of one; of none if it is to be looked for.

        Raises:
            ConfigError: If several are named.
        """
        cards = [file for file in self._named() if _is_card(file)]
        if len(cards) > 1:
            raise ConfigError(f"model_files has {len(cards)} ensemble cards: {', '.join(map(str, cards))}. Name one.")
        return cards

    def _named(self) -> list[Path]:
        """Return the files that are named as models."""
        named = self.model_files or []
        return [Path(named)] if isinstance(named, Path) else [Path(file) for file in named]

    def _default_models(self) -> list[Path]:
        """Return the models of the models folder but those that say they were trained on another sensor."""
        folder, found = self.paths.models, self.paths.model_files()
        others = {file: sensors for file in found if (sensors := _sensors(file)) and self.trained_on not in sensors}
        usable = [file for file in found if file not in others]
        listed = ", ".join(f"{file.name} ({' and '.join(sorted(sensors))})" for file, sensors in others.items())
        if not found:
            where = folder if folder.is_dir() else f"{folder}, which does not exist"
            raise ConfigError(
                f"there is no model (*.safetensors, *.pt) in {where}. Put one there, or name one with --model-files."
            )
        if not usable:
            raise ConfigError(
                f"no model in {folder} is of {self.trained_on}: {listed}. Put one there, or name one by --model-files."
            )
        if others:
            logger.warning("models of another sensor than %s are left out: %s", self.trained_on, listed)
        return usable

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
        self.check()
        if self.has_plan_only:
            return self.plan_without_model()
        chosen = self.with_models()
        chosen.resolved()  # what is wrong is told before seconds of imports
        from darts.pipelines.run import run_pipeline

        return run_pipeline(chosen)

    @property
    def has_plan_only(self) -> bool:
        """Whether only a plan is asked for, and there is no model that would tell what is read."""
        return self.dry_run and self.model_files is None and not self.paths.model_files()

    def plan_without_model(self) -> RunReport:
        """Show what would be done and fetched, and what depends on a model."""
        from darts.pipelines.fetch.dry_run import dry_run_without_model

        return dry_run_without_model(self)

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


def _is_card(file: Path) -> bool:
    """Tell whether a file is an ensemble card by its name; nothing heavy is imported for it."""
    from darts_segmentation.models.ensemble_card import SUFFIX

    return file.name.endswith(SUFFIX)


def _sensors(file: Path) -> frozenset[str]:
    """Return the sensors that a model of the models folder says it was trained on; nothing heavy is imported for it."""
    if file.suffix.lower() != ".safetensors":
        return frozenset()  # an older file tells only those who import torch
    from darts_segmentation.models.card import read_card

    return read_card(file).sensors
