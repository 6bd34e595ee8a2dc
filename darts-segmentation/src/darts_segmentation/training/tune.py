"""The search for hyperparameters: trials of cross-validations, shared by any number of processes."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from darts_segmentation.training.crossval import (
    DIVISION_SEED,
    CrossValidation,
    check_scored_by,
    cross_validate,
    keep_same,
)
from darts_segmentation.training.hparams import (
    Distribution,
    grid_values,
    parse_hyperparameters,
    read_hyperparameters,
    sample,
)
from darts_segmentation.training.loop.history import Silent, TrainingView
from darts_segmentation.training.loop.module import MONITORED
from darts_segmentation.training.loop.runs import decisive
from darts_segmentation.training.parameters import (
    CommonParameters,
    CrossValidationParameters,
    HyperParameters,
    RunParameters,
    TuneParameters,
)
from darts_segmentation.training.patch_set import PatchSet
from darts_segmentation.training.train import TrainedRun, train, training_set
from darts_utils.errors import DartsError, one_line
from darts_utils.files import atomic_file, exclusive_lock, make_folder
from darts_utils.paths import PathManager

DEFAULT_SPACE: Mapping[str, Any] = {
    "learning_rate": {"distribution": "loguniform", "low": 1e-4, "high": 1e-2},
    "gamma": {"distribution": "uniform", "low": 0.85, "high": 0.99},
    "focal_loss_gamma": {"distribution": "uniform", "low": 1.0, "high": 4.0},
    "batch_size": {"distribution": "choice", "choices": [4, 8, 16]},
}
"""What is searched where no file says it."""
_PRUNED_FROM_EPOCH = 5
_WAIT_S = 60
_SEED = 42
_NOT_OF_A_TRIAL = frozenset({"tune_name", "n_trials", "hpconfig", "sampler", "prune", "retrain_and_test"})
"""Parameters that may differ where a search goes on."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """A search that has ended."""

    folder: Path
    trials: pd.DataFrame
    """A row a trial: `number state score`, its hyperparameters, `error`, `folder`."""
    best: Mapping[str, Any] | None
    """The best settings, None if every trial failed."""
    model: TrainedRun | None
    """A model that was trained with them, if that was asked for."""


def tune(parameters: TuneParameters, paths: PathManager, *, view: TrainingView | None = None) -> Tuning:
    """Search for hyperparameters; a search that was interrupted, in one process or in many, goes on.

    Raises:
        ConfigError: If parameters or distributions are wrong, or the folder holds trials of something else.
        KeyboardInterrupt: If it was interrupted; the same call goes on.
    """
    check_scored_by(parameters)
    search = _Search(parameters, paths, view or Silent())
    search.open()
    while search.one_trial():
        search.write_table()
    table = search.write_table()
    best = search.best()
    model = search.retrain(best) if best is not None and parameters.retrain_and_test else None
    return Tuning(folder=search.folder, trials=table, best=best, model=model)


class _Search:
    """A study in a folder.

    Args:
        parameters: What is searched, and how.
        paths: Default locations.
        view: What shows how it goes.
    """

    def __init__(self, parameters: TuneParameters, paths: PathManager, view: TrainingView) -> None:
        self._given = parameters
        self._paths = paths
        self._view = view
        name = parameters.tune_name or f"{parameters.model_arch}-{parameters.model_encoder}".lower()
        self.folder = (parameters.artifact_dir or paths.artifacts) / name
        self._name = name
        self._space = _space_of(parameters)
        self._study: optuna.Study

    def open(self) -> None:
        """Make the study, or join it."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        decides = self._decides()
        make_folder(self.folder)
        with self._alone():
            keep_same(self.folder, decides)
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{self.folder.absolute() / 'study.db'}",
                engine_kwargs={"connect_args": {"timeout": _WAIT_S}},
            )
            pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=_PRUNED_FROM_EPOCH)
            self._study = optuna.create_study(
                storage=storage,
                study_name=self._name,
                direction="maximize",
                load_if_exists=True,
                pruner=pruner if self._given.prune else optuna.pruners.NopPruner(),
            )
            if self._given.n_trials == "grid" and not self._study.trials:
                values = grid_values(self._space)
                for combination in product(*values.values()):
                    self._study.enqueue_trial(dict(zip(values, combination, strict=True)))

    def _decides(self) -> dict[str, Any]:
        """Return on what the score of a trial depends, so that trials are compared with their like only."""
        given = {name: value for name, value in decisive(self._given).items() if name not in _NOT_OF_A_TRIAL}
        space = {name: str(distribution) for name, distribution in self._space.items()}
        patches = PatchSet(training_set(self._given.train_data_dir, self._paths))
        return {**given, "scoring_metric": list(self._given.scored_by), "searched": space, "patch_set": patches.id}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the study alone, for the moment in which a trial is taken."""
        with exclusive_lock(self.folder / ".lock", timeout_s=_WAIT_S):
            yield

    def one_trial(self) -> bool:
        """Run a trial; return False if there is none left that another process does not work on."""
        with ExitStack() as held:
            trial = self._take(held)
            if trial is None:
                return False
            self._run(trial)
        return True

    def _take(self, held: ExitStack) -> optuna.Trial | None:
        """Return a trial that a dead process has left, else a new one, and hold its folder."""
        with self._alone():
            for one in self._study.trials:
                if one.state == TrialState.RUNNING and self._hold(one.number, held):
                    return self._again(one)
            waiting = any(one.state == TrialState.WAITING for one in self._study.trials)
            if not waiting and self._n_begun() >= self._n_wanted():
                return None
            self._study.sampler = self._sampler()
            trial = self._study.ask()
            self._hold(trial.number, held)
            sample(self._space, trial)  # kept with the trial before anybody can find it without
            return trial

    def _again(self, one: FrozenTrial) -> optuna.Trial:
        return optuna.Trial(self._study, one._trial_id)  # noqa: SLF001  (there is no other way to go on with a trial)

    def _hold(self, number: int, held: ExitStack) -> bool:
        """Hold the folder of a trial, unless another process does."""
        folder = self._trial_folder(number)
        make_folder(folder)
        try:
            held.enter_context(exclusive_lock(folder / ".trial", timeout_s=0))
        except DartsError:
            return False
        return True

    def _trial_folder(self, number: int) -> Path:
        return self.folder / f"trial-{number:04d}"

    def _n_begun(self) -> int:
        return len(self._study.trials)

    def _n_wanted(self) -> int:
        return 0 if self._given.n_trials == "grid" else int(self._given.n_trials)

    def _sampler(self) -> optuna.samplers.BaseSampler:
        """Return a sampler whose next draw depends on the trials before alone, and not on what was killed."""
        seed = _SEED + self._n_begun()
        if self._given.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=5)

    def _run(self, trial: optuna.Trial) -> None:
        """Run a trial to its end; one that fails is a row, not the end of the search."""
        drawn = sample(self._space, trial)
        self._view.say(f"Trial {trial.number}: {', '.join(f'{name} {value}' for name, value in drawn.items())}")
        try:
            result = self._validated(trial, drawn)
        except optuna.TrialPruned:
            self._study.tell(trial, state=TrialState.PRUNED)
        except DartsError as error:
            trial.set_user_attr("error", one_line(error))
            self._view.say(f"Trial {trial.number} failed: {error}")
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            trial.set_user_attr("is_unstable", result.is_unstable)
            self._study.tell(trial, result.score)

    def _validated(self, trial: optuna.Trial, drawn: Mapping[str, Any]) -> CrossValidation:
        reported = {int(step) for step in self._study.trials[trial.number].intermediate_values}

        def on_validation(epoch: int, scores: Mapping[str, float]) -> None:
            if epoch not in reported:
                trial.report(scores[MONITORED], epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        return cross_validate(
            _with(self._given, CrossValidationParameters, drawn),
            self._paths,
            view=self._view,
            folder=self._trial_folder(trial.number),
            on_first_run=on_validation,
        )

    def write_table(self) -> pd.DataFrame:
        """Write the trials so far as `{tune}.parquet`, and return them."""
        rows = [
            {
                "number": one.number,
                "state": one.state.name.lower(),
                "score": one.value,
                **{name: one.params.get(name) for name in self._space},
                "error": one.user_attrs.get("error"),
                "folder": self._trial_folder(one.number).name,
            }
            for one in self._study.trials
        ]
        columns = ["number", "state", "score", *self._space, "error", "folder"]
        table = pd.DataFrame(rows, columns=columns)
        with atomic_file(self.folder / f"{self._name}.parquet") as part:
            table.astype(dict.fromkeys(self._space, str)).to_parquet(part, index=False)
        return table

    def best(self) -> dict[str, Any] | None:
        """Return the settings of the best trial, None if none has ended well."""
        done = [one for one in self._study.trials if one.state == TrialState.COMPLETE and one.value is not None]
        if not done:
            return None
        best = max(done, key=lambda one: (one.value, -one.number))
        return sample(self._space, optuna.trial.FixedTrial(dict(best.params)))

    def retrain(self, best: Mapping[str, Any]) -> TrainedRun:
        """Train a model with the best settings."""
        given = _with(self._given, RunParameters, {**best, "name": f"{self._name}-best"})
        return train(given, self._paths, view=self._view, parent=self.folder, division_seed=DIVISION_SEED)


def _space_of(parameters: TuneParameters) -> dict[str, Distribution]:
    known = {field.name for field in fields(HyperParameters)}
    if parameters.hpconfig is None:
        return parse_hyperparameters(DEFAULT_SPACE, known)
    return read_hyperparameters(parameters.hpconfig, known)


def _with[P: CommonParameters](given: TuneParameters, kind: type[P], changed: Mapping[str, Any]) -> P:
    """Return the parameters of a run or a cross-validation of a search, some of them changed."""
    shared = {field.name for field in fields(kind)} & {field.name for field in fields(given)}
    return replace(kind(**{name: getattr(given, name) for name in shared}), **changed)
