"""What a search may try is read as it is written, drawn within its bounds, and enumerated where that has an end."""

from datetime import date

import optuna
import pytest
from scipy import stats

from darts_segmentation.training.hparams import (
    Choice,
    Constant,
    IntUniform,
    LogUniform,
    Uniform,
    grid,
    grid_values,
    parse_hyperparameters,
    read_hyperparameters,
    sample,
)
from darts_utils.errors import ConfigError

YAML = """
hyperparameters:
  learning_rate: {distribution: loguniform, low: 1e-5, high: 1e-2}
  gamma: {low: 0.5, high: .99}
  batch_size: {distribution: intuniform, low: 2, high: 6}
  model_arch: [Unet, MAnet]
  augment:
    distribution: choice
    choices: [[HorizontalFlip, Blur], []]
  focal_loss_alpha: [null, 0.25]
  max_epochs: 20
  focal_loss_gamma: {distribution: constant, value: [2.0]}
"""
TOML = """
[hyperparameters]
learning_rate = {distribution = "loguniform", low = 1e-5, high = 1e-2}
gamma = {low = 0.5, high = 0.99}
batch_size = {distribution = "intuniform", low = 2, high = 6}
model_arch = ["Unet", "MAnet"]
max_epochs = 20
[hyperparameters.augment]
distribution = "choice"
choices = [["HorizontalFlip", "Blur"], []]
[hyperparameters.focal_loss_gamma]
distribution = "constant"
value = [2.0]
"""
SPACE = {
    "learning_rate": LogUniform(low=1e-5, high=1e-2), "gamma": Uniform(low=0.5, high=0.99),
    "batch_size": IntUniform(low=2, high=6), "model_arch": Choice(choices=("Unet", "MAnet")),
    "augment": Choice(choices=(["HorizontalFlip", "Blur"], [])), "max_epochs": Constant(value=20),
    "focal_loss_gamma": Constant(value=[2.0]),
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [("space.yaml", YAML), ("space.yml", YAML), ("space.toml", TOML)])
def test_yaml_and_toml_say_the_same(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    expected = SPACE | ({} if name.endswith("toml") else {"focal_loss_alpha": Choice(choices=(None, 0.25))})
    assert read_hyperparameters(tmp_path / name) == expected


def test_trials_draw_all_values_within_the_bounds_and_nothing_else():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = [sample(SPACE, study.ask()) for _ in range(400)]
    rates = [values["learning_rate"] for values in drawn]
    # uniform in the logarithm, as scipy has that distribution
    assert stats.kstest(rates, stats.loguniform(1e-5, 1e-2).cdf).pvalue > 0.01
    assert stats.kstest([values["gamma"] for values in drawn], stats.uniform(0.5, 0.49).cdf).pvalue > 0.01
    assert {values["batch_size"] for values in drawn} == {2, 3, 4, 5, 6}
    assert {values["model_arch"] for values in drawn} == {"Unet", "MAnet"}
    assert {tuple(values["augment"]) for values in drawn} == {("HorizontalFlip", "Blur"), ()}
    assert {values["max_epochs"] for values in drawn} == {20}
    assert drawn[0]["focal_loss_gamma"] == [2.0]


def test_a_study_in_a_file_takes_the_same_space_again(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    for _ in range(2):
        study = optuna.create_study(storage=url, study_name="s", load_if_exists=True)
        trial = study.ask()
        values = sample(SPACE, trial)
        study.tell(trial, values["gamma"])
    assert len(study.trials) == 2
    assert set(study.trials[0].params) == {"learning_rate", "gamma", "batch_size", "model_arch", "augment"}


FINITE = {"a": [1, 2.5], "b": {"distribution": "intuniform", "low": -1, "high": 1}, "c": "x", "d": [["p"], []]}


def test_a_grid_has_every_combination_once():
    combinations = list(grid(parse_hyperparameters(FINITE)))
    assert combinations == [
        {"a": a, "b": b, "c": "x", "d": d} for a in (1, 2.5) for b in (-1, 0, 1) for d in (["p"], [])
    ]
    assert list(grid({})) == [{}]


def test_optunas_own_grid_goes_over_the_same_combinations():
    space = parse_hyperparameters(FINITE)
    study = optuna.create_study(sampler=optuna.samplers.GridSampler(grid_values(space)))
    seen = []
    study.optimize(lambda trial: seen.append(sample(space, trial)) or 0.0)
    key = repr
    assert sorted(seen, key=key) == sorted(grid(space), key=key)


@pytest.mark.parametrize("made", [grid, grid_values])
@pytest.mark.parametrize("kind", ["uniform", "loguniform"])
def test_a_continuous_hyperparameter_has_no_grid(made, kind):
    space = parse_hyperparameters({"gamma": {"distribution": kind, "low": 0.1, "high": 1}})
    message = (
        f"hyperparameter gamma is {kind}, which a grid cannot enumerate. Make it a list of values, or give a number of "
        "trials."
    )
    with pytest.raises(ConfigError) as caught:
        made(space)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": 1}, "says no distribution. Add one of uniform, loguniform, intuniform, choice, constant."),
        ({}, "says no distribution. Add one of uniform, loguniform, intuniform, choice, constant."),
        ({"distribution": "logunifrom", "low": 1, "high": 2}, "distribution is logunifrom but must be uniform, "
         "loguniform, intuniform, choice, constant. Did you mean loguniform?"),
        ({"distribution": "uniform", "low": 1}, "uniform has low but needs low, high. Correct it."),
        ({"distribution": "uniform", "low": 1, "high": 2, "step": 1}, "uniform has high, low, step but needs low, "
         "high. Correct it."),
        ({"distribution": "choice"}, "choice has nothing but needs choices. Correct it."),
        ({"low": 2, "high": 2}, "low is 2 but must be below high (2). Correct them."),
        ({"low": "a", "high": 2}, "low is 'a' but must be a finite number. Correct it."),
        ({"low": True, "high": 2}, "low is True but must be a finite number. Correct it."),
        ({"low": 0, "high": float("inf")}, "high is inf but must be a finite number. Correct it."),
        ({"distribution": "loguniform", "low": 0, "high": 1}, "low is 0 but must be above 0 for loguniform. Raise it."),
        ({"distribution": "intuniform", "low": 0.5, "high": 1}, "low is 0.5 but must be a whole number. Correct it."),
        ([], "choices is [] but must be a list of values. Add some."),
        ([1, 2, 1], "a value is twice among the choices [1, 2, 1]. Remove one."),
        ([date(2024, 7, 1)], "a choice is no plain value (Object of type date is not JSON serializable). Correct it."),
        ({"distribution": "choice", "choices": "ab"}, "choices is 'ab' but must be a list of values. Add some."),
    ],
)  # fmt: skip
def test_what_is_no_distribution_is_refused_by_name(given, message):
    with pytest.raises(ConfigError) as caught:
        parse_hyperparameters({"gamma": given})
    colon = " " if message.startswith("says") else ": "
    assert str(caught.value) == f"hyperparameter gamma{colon}{message}"


def test_an_unknown_hyperparameter_is_refused():
    with pytest.raises(ConfigError, match=r"^there is no hyperparameter learning_rte\. Did you mean learning_rate\?$"):
        parse_hyperparameters({"learning_rte": 1}, known=["learning_rate", "gamma"])
    with pytest.raises(ConfigError, match=r"^there is no hyperparameter momentum\. There are gamma, learning_rate\.$"):
        parse_hyperparameters({"momentum": 1}, known=["learning_rate", "gamma"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{}", "must be a file of TOML (.toml) or YAML (.yaml, .yml). Rename it."),
        ("a.toml", "gamma = 1", "has no table hyperparameters. Put the hyperparameters under that key."),
        ("a.yaml", "hyperparameters: 3", "has no table hyperparameters. Put the hyperparameters under that key."),
        ("a.yaml", "", "has no table hyperparameters. Put the hyperparameters under that key."),
        ("a.yaml", "a: [", "cannot be read as YAML: while parsing a flow node"),
        ("a.yaml", "a: !!python/object/apply:os.getcwd []", "cannot be read as YAML: could not determine a constructor "
         "for the tag"),
        ("a.toml", "a = ", "cannot be read as TOML: Invalid value"),
    ],
)  # fmt: skip
def test_a_file_that_says_no_hyperparameters_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_hyperparameters(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name} {message}")
    with pytest.raises(ConfigError, match=r"cannot be read as YAML: \[Errno 2\] No such file or directory"):
        read_hyperparameters(tmp_path / "none.yaml")
