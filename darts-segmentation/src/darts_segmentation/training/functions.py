"""Training from Python, as functions whose parameters are those of the commands."""

from typing import Any

from darts_segmentation.training.crossval import CrossValidation, cross_validate
from darts_segmentation.training.parameters import (
    CrossValidationParameters,
    RunParameters,
    TestParameters,
    TuneParameters,
)
from darts_segmentation.training.testing import TestResult, assess
from darts_segmentation.training.train import TrainedRun, train
from darts_segmentation.training.tune import Tuning, tune
from darts_utils.paths import DefaultPaths, PathManager


def train_smp(*, default_dirs: DefaultPaths | None = None, **parameters: Any) -> TrainedRun:
    """Train a network and write its model, see `darts_segmentation.training.train.train`.

    Args:
        default_dirs: Base folders of default locations.
        parameters: See `darts_segmentation.training.parameters.RunParameters`.
    """
    return train(RunParameters(**parameters), _paths(default_dirs))


def test_smp(*, default_dirs: DefaultPaths | None = None, **parameters: Any) -> TestResult:
    """Test a model, see `darts_segmentation.training.testing.assess`.

    Args:
        default_dirs: Base folders of default locations.
        parameters: See `darts_segmentation.training.parameters.TestParameters`.
    """
    return assess(TestParameters(**parameters), _paths(default_dirs))


def cross_validation_smp(*, default_dirs: DefaultPaths | None = None, **parameters: Any) -> CrossValidation:
    """Train every fold with several seeds, see `darts_segmentation.training.crossval.cross_validate`.

    Args:
        default_dirs: Base folders of default locations.
        parameters: See `darts_segmentation.training.parameters.CrossValidationParameters`.
    """
    return cross_validate(CrossValidationParameters(**parameters), _paths(default_dirs))


def tune_smp(*, default_dirs: DefaultPaths | None = None, **parameters: Any) -> Tuning:
    """Search for hyperparameters, see `darts_segmentation.training.tune.tune`.

    Args:
        default_dirs: Base folders of default locations.
        parameters: See `darts_segmentation.training.parameters.TuneParameters`.
    """
    return tune(TuneParameters(**parameters), _paths(default_dirs))


def _paths(folders: DefaultPaths | None) -> PathManager:
    return PathManager(DefaultPaths() if folders is None else folders)
