import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import optuna
import pandas as pd
import pytest
import torch
from optuna.trial import TrialState
from training_sets import make_set

from darts_segmentation.training import tune as tune_module
from darts_segmentation.training.crossval import check_scored_by, cross_validate, seeds
from darts_segmentation.training.parameters import CrossValidationParameters, TuneParameters
from darts_segmentation.training.tune import tune
from darts_utils.errors import ConfigError
from darts_utils.paths import DefaultPaths, PathManager

PATHS = PathManager(DefaultPaths())
SMALL = {
    "model_encoder": "tu-mobilenetv2_050", "encoder_depth": 3, "decoder_channels": [8, 8, 4], "batch_size": 8,
    "loss": "bce+dice", "learning_rate": 3e-3, "accelerator": "cpu", "check_val_every_n_epoch": 1, "max_epochs": 1,
    "data_split_by": ["Region 3"], "data_split_method": "region", "n_randoms": 1,
}  # fmt: skip


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "coast"
    make_set(path)
    return path


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """As the processes that are killed have it: sums of several threads differ in their last digits."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="module")
def no_estimate():
    """Leave out what takes as long as the small runs themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("darts_segmentation.training.train.expected_duration", lambda *_: "")
        patch.setattr("darts_segmentation.training.train.draw_run", lambda *_: None)
        yield


def given(kind, folder, artifacts, **changes):
    return kind(**{**SMALL, "train_data_dir": folder, "artifact_dir": artifacts, **changes})


def test_seeds_are_those_that_are_documented():
    assert seeds(3) == [42, 21, 69]
    assert seeds(2) == [42, 21]
    assert seeds(5)[:3] == [42, 21, 69]
    assert len(set(seeds(6))) == 6
    assert seeds(6)[:5] == seeds(5)


@pytest.fixture(scope="session")
def validated(folder, tmp_path_factory):
    artifacts = tmp_path_factory.mktemp("artifacts")
    parameters = given(CrossValidationParameters, folder, artifacts, n_folds=2, n_randoms=2, cv_name="cv")
    return parameters, cross_validate(parameters, PATHS)


def test_a_cross_validation_leaves_a_table_of_its_runs(validated):
    parameters, result = validated
    table = pd.read_parquet(result.folder / "run_infos.parquet")
    assert result.folder == parameters.artifact_dir / "_cross_validations" / "cv"
    assert list(zip(table.seed, table.fold, strict=True)) == [(42, 0), (42, 1), (21, 0), (21, 1)]
    wanted = "run_name run_id seed fold duration checkpoint is_unstable score score_is_unstable val/JaccardIndex"
    assert set(wanted.split()) <= set(table.columns)
    assert (table.duration > 0).all()
    for row in table.itertuples():
        assert (result.folder / f"{row.run_name}-{row.run_id}").is_dir()
    assert result.score == pytest.approx(table.score.mean())


def test_the_test_region_is_the_same_for_every_seed_and_fold(validated):
    from darts_segmentation.models.card import read_card

    cards = [read_card(file) for file in validated[1].folder.rglob("*.safetensors")]
    assert {tuple(card.training["split"]["test"]) for card in cards} == {("Region 3",)}
    assert {tuple(card.training["split"]["val"]) for card in cards} == {("Region 0",), ("Region 1",)} or len(cards) == 4
    assert len({tuple(card.training["split"]["val"]) for card in cards}) == 2


def test_what_is_done_is_not_done_again(validated):
    parameters, result = validated
    start = time.monotonic()
    again = cross_validate(parameters, PATHS)
    assert time.monotonic() - start < 5
    pd.testing.assert_frame_equal(again.runs, result.runs)


def test_runs_of_other_parameters_are_not_mixed(validated):
    with pytest.raises(ConfigError, match=r"holds runs with gamma 0.9 \(now 0.5\)"):
        cross_validate(replace(validated[0], gamma=0.5), PATHS)


def test_runs_of_another_training_set_are_not_mixed(validated, tmp_path):
    other = tmp_path / "other"
    make_set(other, seed=9)
    with pytest.raises(ConfigError, match=r"holds runs with patch_set [0-9a-f]{64} \(now [0-9a-f]{64}\)"):
        cross_validate(replace(validated[0], train_data_dir=other), PATHS)


@pytest.mark.parametrize("kind", [CrossValidationParameters, TuneParameters])
def test_metrics_that_no_run_has_are_told_before_hours_are_spent(folder, tmp_path, kind):
    start = cross_validate if kind is CrossValidationParameters else tune
    with pytest.raises(ConfigError, match=r"'val/JacardIndex', which the runs do not have. Did you mean val/Jaccard"):
        start(given(kind, folder, tmp_path, scoring_metric=["val/JacardIndex"]), PATHS)
    assert not list(tmp_path.iterdir())


def test_every_score_of_a_run_can_be_scored_by(validated):
    names = [name for name in validated[1].runs.columns if name.startswith("val/")]
    check_scored_by(replace(validated[0], scoring_metric=names))


def test_the_same_runs_can_be_scored_otherwise(validated):
    parameters, result = validated
    again = cross_validate(replace(parameters, scoring_metric=["val/loss:lower"]), PATHS)
    assert again.runs["run_id"].tolist() == result.runs["run_id"].tolist()
    assert again.score != result.score
    cross_validate(parameters, PATHS)  # the table is that of others too


def test_more_folds_than_there_are_is_one_line(folder, tmp_path):
    with pytest.raises(ConfigError, match="n_folds is 9, but there are 3 folds"):
        cross_validate(given(CrossValidationParameters, folder, tmp_path, n_folds=9), PATHS)


SPACE = (
    "hyperparameters:\n  learning_rate: {distribution: loguniform, low: 1.0e-4, high: 1.0e-2}\n  batch_size: [4, 8]\n"
)


def search(folder, artifacts, **changes):
    artifacts.mkdir(exist_ok=True)
    config = artifacts / "space.yaml"
    config.write_text(changes.pop("space", SPACE))
    return given(TuneParameters, folder, artifacts, tune_name="tune", n_folds=1, hpconfig=config, **changes)


def test_a_search_leaves_a_table_and_the_best_settings(folder, tmp_path):
    result = tune(search(folder, tmp_path / "a", n_trials=3), PATHS)
    assert list(result.trials.state) == ["complete"] * 3
    assert result.folder == tmp_path / "a" / "tune"
    best = result.trials.loc[result.trials.score.idxmax()]
    assert result.best == {"learning_rate": best.learning_rate, "batch_size": best.batch_size}
    assert (result.folder / "tune.parquet").is_file()
    assert (result.folder / "trial-0000" / "run_infos.parquet").is_file()
    again = tune(search(folder, tmp_path / "a", n_trials=4), PATHS)
    assert list(again.trials.learning_rate[:3]) == list(result.trials.learning_rate)
    assert len(again.trials) == 4


def test_trials_of_something_else_are_not_compared(folder, tmp_path):
    parameters = given(TuneParameters, folder, tmp_path, n_trials=1, n_folds=1, tune_name="one")
    tune(parameters, PATHS)
    for changed, words in (({"loss": "dice"}, "loss"), ({"scoring_metric": ["val/loss:lower"]}, "scoring_metric")):
        with pytest.raises(ConfigError, match=f"holds runs with {words} "):
            tune(replace(parameters, **changed), PATHS)
    assert len(tune(replace(parameters, n_trials=2), PATHS).trials) == 2


def test_a_grid_tries_every_combination_once(folder, tmp_path):
    space = "hyperparameters:\n  batch_size: [4, 8]\n  gamma: [0.8, 0.9]\n  weight_decay: 0.001\n"
    result = tune(search(folder, tmp_path / "a", n_trials="grid", space=space), PATHS)
    assert sorted(zip(result.trials.batch_size, result.trials.gamma, strict=True)) == [
        (4, 0.8), (4, 0.9), (8, 0.8), (8, 0.9),
    ]  # fmt: skip


def test_a_trial_that_fails_is_a_row_and_not_the_end(folder, tmp_path):
    space = "hyperparameters:\n  model_encoder: [tu-mobilenetv2_050, resnet99]\n"
    result = tune(search(folder, tmp_path / "a", n_trials="grid", space=space), PATHS)
    assert sorted(result.trials.state) == ["complete", "fail"]
    (error,) = result.trials.error.dropna()
    assert error.startswith("model_encoder is 'resnet99'")
    assert result.best == {"model_encoder": "tu-mobilenetv2_050"}


def test_the_best_settings_are_trained_once_more_if_that_is_asked_for(folder, tmp_path):
    result = tune(search(folder, tmp_path / "a", n_trials=1, retrain_and_test=True), PATHS)
    assert result.model is not None
    assert result.model.card.training["hyperparameters"]["learning_rate"] == result.best["learning_rate"]
    assert "test" in result.model.card.training["metrics"]


def test_a_search_that_is_pruned_says_so(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(optuna.trial.Trial, "should_prune", lambda self: self.number == 1)
    result = tune(search(folder, tmp_path / "a", n_trials=2, prune=True), PATHS)
    assert list(result.trials.state) == ["complete", "pruned"]


N_KILLED = 4
CHILD = """
import sys, torch
torch.set_num_threads(1)
from pathlib import Path
from darts_segmentation.training.parameters import TuneParameters
from darts_segmentation.training.tune import tune
from darts_utils.paths import DefaultPaths, PathManager
given = {**SMALL_GIVEN, "train_data_dir": Path(sys.argv[1]), "artifact_dir": Path(sys.argv[2])}
config = Path(sys.argv[2]) / "space.yaml"
search = TuneParameters(**given, tune_name="tune", n_folds=1, hpconfig=config, n_trials=N_TRIALS)
tune(search, PathManager(DefaultPaths()))
""".replace("SMALL_GIVEN", repr(SMALL)).replace("N_TRIALS", str(N_KILLED))


def child(folder, artifacts):
    return subprocess.Popen([sys.executable, "-c", CHILD, str(folder), str(artifacts)])


@pytest.mark.skipif("DARTS_TEST_KILLS" not in os.environ, reason="slow: DARTS_TEST_KILLS=4 runs it")
def test_a_search_that_is_killed_at_any_moment_loses_nothing(folder, tmp_path):
    moments = torch.rand(int(os.environ.get("DARTS_TEST_KILLS", "1")), generator=torch.Generator().manual_seed(5))
    whole = tune(search(folder, tmp_path / "whole", n_trials=N_KILLED), PATHS)
    search(folder, tmp_path / "killed")
    start = time.monotonic()
    with child(folder, tmp_path / "killed") as process:
        time.sleep(5 + 5 * moments[0].item())
        process.send_signal(signal.SIGKILL)
    for moment in moments[1:].tolist():
        with child(folder, tmp_path / "killed") as process:
            time.sleep(6 + 8 * moment)
            process.send_signal(signal.SIGKILL)
    with child(folder, tmp_path / "killed") as process:
        assert process.wait() == 0
    assert time.monotonic() - start < 600
    table = pd.read_parquet(tmp_path / "killed" / "tune" / "tune.parquet")
    assert list(table.state) == ["complete"] * N_KILLED
    assert list(table.score) == pytest.approx(list(whole.trials.score), abs=1e-4)


def test_a_trial_of_a_living_process_is_left_to_it(folder, tmp_path):
    parameters = search(folder, tmp_path / "a", n_trials=2)
    first = tune_module._Search(parameters, PATHS, tune_module.Silent())
    first.open()
    with tune_module.ExitStack() as held:
        first._take(held)
        result = tune(parameters, PATHS)
        assert list(result.trials.state) == ["running", "complete"]
    result = tune(parameters, PATHS)
    assert [TrialState.COMPLETE.name.lower()] * 2 == list(result.trials.state)
