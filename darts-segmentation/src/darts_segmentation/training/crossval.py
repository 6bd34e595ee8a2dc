"""Cross-validation: the same training on every fold and with several seeds, and one score of all runs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from darts_segmentation.models.card import read_card
from darts_segmentation.training.assess.evaluation import score_names
from darts_segmentation.training.data import LearningData, open_learning_data
from darts_segmentation.training.loop.fit import best_checkpoint
from darts_segmentation.training.loop.history import Silent, TrainingView
from darts_segmentation.training.loop.module import stage_score_names
from darts_segmentation.training.loop.runs import CROSS_VALIDATIONS, RunFolder, decisive, find_runs
from darts_segmentation.training.parameters import (
    CommonParameters,
    CrossValidationParameters,
    RepeatParameters,
    RunParameters,
)
from darts_segmentation.training.scoring import parse_scoring_metrics, score_from_runs, score_runs
from darts_segmentation.training.splits.division import DivisionParameters, SplitParameters
from darts_segmentation.training.train import OnValidation, train, training_set
from darts_utils.errors import ConfigError
from darts_utils.files import atomic_file, exclusive_lock, make_folder
from darts_utils.paths import PathManager

DIVISION_SEED = 42
_SEEDS = (42, 21, 69)
_TABLE = "run_infos.parquet"
_PARAMETERS = "hparams.yaml"


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """A cross-validation that has ended."""

    folder: Path
    runs: pd.DataFrame
    """A row a run, see `run_infos.parquet`."""
    score: float
    is_unstable: bool
    """Whether one of the runs is."""


def seeds(number: int) -> list[int]:
    """Return the seeds of a cross-validation: 42, 21, 69, then drawn."""
    drawn = np.random.default_rng(_SEEDS[0]).integers(0, 2**31, max(0, number - len(_SEEDS)))
    return [*_SEEDS, *map(int, drawn)][:number]


def cross_validate(
    parameters: CrossValidationParameters,
    paths: PathManager,
    *,
    view: TrainingView | None = None,
    folder: Path | None = None,
    on_first_run: OnValidation | None = None,
) -> CrossValidation:
    """Train every fold with several seeds, and score the runs; one that was interrupted goes on.

    The division into test and folds is the same for all seeds, so that the test patches stay unseen.

    Args:
        parameters: What is trained, and how it is scored.
        paths: Default locations.
        view: What shows how it goes.
        folder: Where the runs go, `{artifacts}/_cross_validations/{cv_name}` if not given.
        on_first_run: Called after each validation of the first run; may raise to end everything.

    Raises:
        ConfigError: If parameters are wrong, or the folder holds runs that were trained otherwise.
        DataError: If the training set cannot be learned from.
        KeyboardInterrupt: If it was interrupted; the same call goes on.
    """
    view = view or Silent()
    name = f"{parameters.model_arch}-{parameters.model_encoder}".lower()
    if folder is None:
        base = parameters.artifact_dir or paths.artifacts
        folder = base / CROSS_VALIDATIONS / (parameters.cv_name or name)
    check_scored_by(parameters)
    data = _open(parameters, paths)
    folds = n_folds(parameters, data)
    make_folder(folder)
    with exclusive_lock(folder / ".lock", timeout_s=0):
        keep_same(folder, {**_decides(parameters), "patch_set": data.patches.id})
        rows: list[dict[str, Any]] = []
        for seed in seeds(parameters.n_randoms):
            for fold in range(folds):
                view.say(f"Seed {seed}, fold {fold}")
                rows.append(
                    _run(
                        parameters,
                        paths,
                        folder,
                        seed=seed,
                        fold=fold,
                        view=view,
                        on_validation=on_first_run if not rows else None,
                    )
                )
                _write(folder / _TABLE, pd.DataFrame(rows))
    table = score_runs(pd.DataFrame(rows), parameters.scored_by, parameters.multi_score_strategy)
    _write(folder / _TABLE, table)
    score = score_from_runs(table, parameters.scored_by, parameters.multi_score_strategy)
    return CrossValidation(folder=folder, runs=table, score=score, is_unstable=bool(table["is_unstable"].any()))


def check_scored_by(parameters: RepeatParameters) -> None:
    """Refuse metrics that runs will not have, before hours are spent on them.

    Raises:
        ConfigError: If there are such ones; it names one that is near.
    """
    names = [*stage_score_names("val"), *(f"val/{name}" for name in score_names())]
    parse_scoring_metrics(parameters.scored_by, list(dict.fromkeys(names)))


def _open(parameters: CrossValidationParameters, paths: PathManager) -> LearningData:
    division = SplitParameters(
        **{field.name: getattr(parameters, field.name) for field in fields(DivisionParameters)},
        random_seed=DIVISION_SEED,
    )
    return open_learning_data(training_set(parameters.train_data_dir, paths), parameters.bands, division)


def n_folds(parameters: CrossValidationParameters, data: LearningData) -> int:
    """Return how many folds are trained.

    Raises:
        ConfigError: If there is no validation, or more folds are wanted than there are.
    """
    there = data.split.total_folds
    if not there:
        raise ConfigError("fold_method is none, but a cross-validation needs folds. Choose another.")
    if parameters.n_folds is not None and parameters.n_folds > there:
        raise ConfigError(f"n_folds is {parameters.n_folds}, but there are {there} folds. Lower it, or leave it out.")
    return there if parameters.n_folds is None else parameters.n_folds


def _run(
    parameters: CrossValidationParameters,
    paths: PathManager,
    folder: Path,
    *,
    seed: int,
    fold: int,
    view: TrainingView,
    on_validation: OnValidation | None,
) -> dict[str, Any]:
    """Return the row of a run, which is trained unless it was before."""
    shared = [*fields(CommonParameters), *fields(DivisionParameters)]
    given = {field.name: getattr(parameters, field.name) for field in shared}
    name = f"seed{seed}-fold{fold}"
    done = [run for run in find_runs(folder, name) if run.is_finished]
    if done:
        return _row(done[0], seed, fold)
    run = RunParameters(**given, name=name, fold=fold, random_seed=seed)
    start = time.time()
    trained = train(run, paths, view=view, parent=folder, on_validation=on_validation, division_seed=DIVISION_SEED)
    _keep(trained.run, {"duration": time.time() - start, **trained.scores})
    return _row(trained.run, seed, fold)


def _keep(run: RunFolder, values: Mapping[str, float]) -> None:
    with atomic_file(run.folder / "scores.yaml") as part:
        part.write_text(yaml.safe_dump({name: float(value) for name, value in values.items()}), encoding="utf-8")


def _row(run: RunFolder, seed: int, fold: int) -> dict[str, Any]:
    """Return what is known of a finished run; if it was killed before its scores were written, those of its card."""
    file = run.folder / "scores.yaml"
    if file.is_file():
        scores = yaml.safe_load(file.read_text(encoding="utf-8"))
    else:
        metrics = ((read_card(run.model).training or {}).get("metrics") or {}).get("val") or {}
        scores = {f"val/{name}": value for name, value in metrics.items()}
    first = {"run_name": run.name, "run_id": run.run_id, "seed": seed, "fold": fold}
    return {
        **first,
        "duration": scores.pop("duration", float("nan")),
        **scores,
        "checkpoint": str(best_checkpoint(run)),
    }


def _write(file: Path, table: pd.DataFrame) -> None:
    with atomic_file(file) as part:
        table.to_parquet(part, index=False)


def _decides(parameters: CrossValidationParameters) -> dict[str, Any]:
    """Return on what each of the runs depends: neither how many there are, nor how they are scored."""
    repeated = {"cv_name", *(field.name for field in fields(RepeatParameters))}
    return {name: value for name, value in decisive(parameters).items() if name not in repeated}


def keep_same(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Write down what runs are made of that are compared with one another, or refuse to go on with others.

    Args:
        folder: The folder of all of them.
        wanted: Parameters and what else decides, as plain values.

    Raises:
        ConfigError: If runs in the folder were made of something else.
    """
    file = folder / _PARAMETERS
    if not file.is_file():
        with atomic_file(file) as part:
            part.write_text(yaml.safe_dump(dict(wanted), sort_keys=True), encoding="utf-8")
        return
    begun = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    names = sorted(name for name in {*begun, *wanted} if begun.get(name) != wanted.get(name))
    if names:
        differing = ", ".join(f"{name} {begun.get(name)} (now {wanted.get(name)})" for name in names)
        raise ConfigError(f"{folder} holds runs with {differing}. Give the same to go on, or another name.")
