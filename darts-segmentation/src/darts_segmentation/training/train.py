"""A training run from patches to a calibrated model, in one folder."""

import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from darts_segmentation.models.card import BandRange, ModelCard
from darts_segmentation.models.checkpoint import load, read_model
from darts_segmentation.models.safe_file import write_model
from darts_segmentation.training.assess.calibration import Calibration, calibrate, fitted_on
from darts_segmentation.training.assess.domain import described_input, domain_of, input_statistics
from darts_segmentation.training.assess.evaluation import evaluate
from darts_segmentation.training.assess.predicting import predictor
from darts_segmentation.training.data import DartsDataModule, LearningData, open_learning_data
from darts_segmentation.training.figures.pictures import draw_augmentations
from darts_segmentation.training.figures.plots import draw_run, save_figure
from darts_segmentation.training.loop.beginnings import (
    check_continues,
    check_regions,
    check_unseen,
    described_checkpoint,
    described_model,
    start_from,
)
from darts_segmentation.training.loop.estimate import expected_duration
from darts_segmentation.training.loop.fit import Fitting, best_checkpoint, epoch_of, fit
from darts_segmentation.training.loop.history import History, Silent, TrainingView
from darts_segmentation.training.loop.module import TrainedNetwork
from darts_segmentation.training.loop.networks import architecture_of, new_network
from darts_segmentation.training.loop.runs import RUNS, RunFolder, decisive, open_run, plain, rank
from darts_segmentation.training.parameters import RunParameters
from darts_segmentation.training.patches.batches import PatchBatches
from darts_segmentation.training.patches.order import InOrder
from darts_utils.errors import ConfigError
from darts_utils.machine.devices import decide_device
from darts_utils.paths import PathManager, visible_folders

type OnValidation = Callable[[int, Mapping[str, float]], None]

_VERSIONS = ("darts-segmentation", "torch", "lightning", "segmentation-models-pytorch")


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """A run that has ended."""

    run: RunFolder
    card: ModelCard
    """Of its model."""
    scores: Mapping[str, float]
    """Of the best epoch on the validation patches, empty without any."""
    seconds: float
    train_data_dir: Path
    """The training set that it learned from."""


def training_set(given: Path | None, paths: PathManager) -> Path:
    """Return the folder of the training set that was given, else the newest one.

    Raises:
        ConfigError: If there is none.
    """
    if given is not None:
        return given
    found = [folder for folder in visible_folders(paths.training) if (folder / "config.toml").is_file()]
    if not found:
        raise ConfigError(
            f"there is no training set in {paths.training}. Make one with `darts training create-dataset`, or name one "
            "with --train-data-dir."
        )
    return max(found, key=lambda folder: (folder / "config.toml").stat().st_mtime_ns)


def train(
    parameters: RunParameters,
    paths: PathManager,
    *,
    view: TrainingView | None = None,
    parent: Path | None = None,
    on_validation: OnValidation | None = None,
    division_seed: int | None = None,
) -> TrainedRun:
    """Train a network and write its model; a run that was interrupted goes on.

    Args:
        parameters: What is learned, on what, and how.
        paths: Default locations.
        view: What shows how it goes.
        parent: Folder of runs, `{artifacts}/_runs` if not given.
        on_validation: Called after each validation; may raise to end the run.
        division_seed: Seed of the division into folds, where it is not that of the run.

    Raises:
        ConfigError: If parameters are wrong, or an unfinished run of this name was begun with others.
        DataError: If the training set cannot be learned from, or the loss is no number.
        KeyboardInterrupt: If it was interrupted; the same call goes on.
    """
    start, view = time.monotonic(), Silent() if view is None or rank() else view
    folder = training_set(parameters.train_data_dir, paths)
    division = parameters if division_seed is None else replace(parameters, random_seed=division_seed)
    data = open_learning_data(folder, parameters.bands, division)
    architecture = architecture_of(parameters, len(data.bands))
    began_with = _began_with(parameters, data, architecture)
    parent = (parameters.artifact_dir or paths.artifacts) / RUNS if parent is None else parent
    run = open_run(
        parent,
        parameters.run_name,
        _decides(parameters, data, division),
        {**_described(folder, data, architecture), "began_with": began_with},
    )
    with run.held():
        statistics = input_statistics(data)  # first, for it finds values that nothing can be learned from
        work = Work(parameters, data, run, architecture, view, division.random_seed, began_with, statistics)
        return _train(work, on_validation, start)


def _began_with(parameters: RunParameters, data: LearningData, architecture: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a run begins with that has learned before, and from which regions; checked before anything begins."""
    described = None
    weights, checkpoint = parameters.weights_from_checkpoint, parameters.continue_from_checkpoint
    if weights is not None:
        card = read_model(weights)[0]
        check_unseen(data, weights, card)
        described = described_model(weights, card)
    if checkpoint is not None:
        check_continues(checkpoint, architecture, data.bands, parameters.max_epochs)
        described = described_checkpoint(checkpoint)
        check_regions(data, described["regions"], checkpoint)
    return described


@dataclass(frozen=True)
class Work:
    """A run, and all that it is made of."""

    parameters: RunParameters
    data: LearningData
    run: RunFolder
    architecture: dict[str, Any]
    view: TrainingView
    division_seed: int
    began_with: dict[str, Any] | None
    """The model whose weights were the first, or the checkpoint."""
    statistics: Mapping[str, Any]
    """Of the bands, see `input_statistics`."""

    @property
    def device(self) -> torch.device:
        """Where a network is evaluated."""
        return decide_device("cpu" if self.parameters.accelerator == "cpu" else None)


def _train(work: Work, on_validation: OnValidation | None, start: float) -> TrainedRun:
    given, data = work.parameters, work.data
    torch.manual_seed(given.random_seed)
    network = new_network(given, work.architecture, data.patches.patch_shape[1])
    if given.weights_from_checkpoint is not None:
        start_from(network, work.architecture, data.bands, given.weights_from_checkpoint)
    module = DartsDataModule(data, given, batch_size=given.batch_size, seed=given.random_seed)
    learner = TrainedNetwork(
        network,
        architecture=work.architecture,
        bands=data.bands,
        parameters=given,
        seed=given.random_seed,
        epochs=given.max_epochs,
    )
    if not rank():
        _begin(work, learner, len(module.train_batches()))
    history = History(work.run.metrics, every=given.log_every_n_steps, view=work.view, on_validation=on_validation)
    fit(Fitting(learner, module, work.run, given, history))
    return _finish(work, history, start)


def _begin(work: Work, learner: TrainedNetwork, n_batches: int) -> None:
    """Say what begins, or goes on, and how long it may take; draw what augmentations do if that is asked for."""
    given = work.parameters
    if given.plot_augmentations:
        drawn = draw_augmentations(work.data, given.augmentations, given.random_seed)
        save_figure(drawn, work.run.figures / "augmentations.png")
    going_on = work.run.last.is_file()
    work.view.say(
        f"{'Going on with' if going_on else 'Training'} {work.run.folder.name} ({work.data.split.describe()})"
    )
    if work.device.type == "cpu" and not going_on:
        work.view.say(expected_duration(learner, work.data, given, n_batches))


def _finish(work: Work, history: History, start: float) -> TrainedRun:
    """Calibrate the best epoch, write the model, and return what became of the run."""
    checkpoint = best_checkpoint(work.run)
    loaded, epoch = load(checkpoint), epoch_of(checkpoint)
    if work.parameters.half_weights:
        loaded.network.half().float()  # what is scored is what is written
    predict = predictor(loaded.network, work.device)
    metrics: dict[str, Any] = {}
    calibration = None
    for role in ("val", "test"):
        chosen = getattr(work.data.split, role)
        if len(chosen):
            batches = reader(work.data, chosen, work.parameters.batch_size)
            if role == "val":
                fitted = calibrate(predict, batches)
                calibration = fitted if fitted.is_known else None
            temperature = 1.0 if calibration is None else calibration.temperature
            metrics[role] = evaluate(predict, batches(), temperature=temperature).scores()
    before, after = (None, None) if calibration is None else (calibration.before, calibration.after)
    draw_run(work.run.figures, history.rows, before, after)
    card = _card(work, calibration, metrics, history, epoch)
    card = write_model(work.run.model, card, _weights(loaded.network, half=work.parameters.half_weights))
    scores = {**_row_of(history, epoch), **{f"val/{name}": value for name, value in (metrics.get("val") or {}).items()}}
    return TrainedRun(
        run=work.run,
        card=card,
        scores=scores,
        seconds=time.monotonic() - start,
        train_data_dir=work.data.patches.folder,
    )


def _weights(network: nn.Module, *, half: bool) -> dict[str, torch.Tensor]:
    """Return the weights of a network as they are written."""
    weights: dict[str, torch.Tensor] = network.state_dict()
    return {name: value.half() if half and value.is_floating_point() else value for name, value in weights.items()}


def _row_of(history: History, epoch: int) -> dict[str, float]:
    """Return what was logged of the validation of an epoch."""
    rows = [row for row in history.rows if row["epoch"] == epoch and "val/loss" in row]
    return {name: value for name, value in rows[0].items() if name.startswith("val/")} if rows else {}


def reader(data: LearningData, chosen: Any, batch_size: int) -> Callable[[], Any]:
    """Return what gives some patches in batches, each time anew."""
    batches = PatchBatches(data.patches, data.channels)
    return lambda: (batches[indices] for indices in InOrder(chosen, batch_size))


def _card(
    work: Work, calibration: Calibration | None, metrics: Mapping[str, Any], history: History, epoch: int
) -> ModelCard:
    data, table = work.data, work.data.patches.metadata
    validated = bool(_row_of(history, epoch))
    return ModelCard(
        name=work.run.name,
        version="1",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        architecture=work.architecture,
        bands=tuple(BandRange.of(band) for band in data.bands),
        input=described_input(data),
        calibration=None if calibration is None else calibration.to_card(fitted_on(data)),
        thresholds=None if calibration is None else calibration.thresholds(),
        training={
            **_provenance(),
            "patch_set": data.patches.id,
            "patch_set_name": data.patches.folder.name,
            "split": {role: list(names) for role, names in data.split.regions.items()},
            "seed": work.parameters.random_seed,
            "division_seed": work.division_seed,
            "epochs": int(history.rows[-1]["epoch"]) + 1 if history.rows else 0,
            "best_epoch": epoch if validated else None,
            **({} if work.began_with is None else {"began_with": work.began_with}),
            "hyperparameters": _published(work.parameters),
            "metrics": {role: _finite(scores) for role, scores in metrics.items()},
        },
        domain=domain_of(table.iloc[data.split.train]),
        input_statistics=work.statistics,
    )


def _published(parameters: RunParameters) -> dict[str, Any]:
    """Return the parameters that decide, with names of files instead of places: a card goes around the world."""
    places = {field.name: getattr(parameters, field.name) for field in fields(parameters)}
    names = {name: place.name for name, place in places.items() if isinstance(place, Path)}
    return {name: names.get(name, value) for name, value in decisive(parameters).items()}


def _finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {name: round(value, 6) if abs(value) < float("inf") else None for name, value in scores.items()}


def _decides(parameters: RunParameters, data: LearningData, division: RunParameters) -> dict[str, Any]:
    """Return all on which depends what is learned."""
    divided = {"division_seed": division.random_seed}
    return {**decisive(parameters), **divided, "bands": list(data.bands), "patch_set": data.patches.id}


def _described(folder: Path, data: LearningData, architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Return what else is worth writing down about a run."""
    return {
        "train_data_dir": plain(folder),
        "architecture": {name: plain(value) for name, value in architecture.items()},
        "split": {
            "method": data.split.method,
            "fold_method": data.split.fold_method,
            "regions": {role: list(names) for role, names in data.split.regions.items()},
            "patches": {role: len(getattr(data.split, role)) for role in ("train", "val", "test")},
        },
        **_provenance(),
    }


def _provenance() -> dict[str, Any]:
    return {"versions": {name: version(name) for name in _VERSIONS}, "git_commit": commit_of_code()}


def commit_of_code() -> str | None:
    """Return the commit of this code, with `-dirty` where it was changed since; None where it is no checkout of git.

    Not that of the working folder, which may be somebody's article, nor of a repository that has packages installed.
    """
    here = Path(__file__)

    def git(*words: str) -> str:
        command = ["git", "-C", str(here.parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)
        return git("describe", "--always", "--abbrev=40", "--exclude=*", "--dirty")
    except (OSError, subprocess.SubprocessError):
        return None
