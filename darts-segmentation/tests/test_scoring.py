"""Scores of runs are the worked-out numbers; a run that broke down counts as 0."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from darts_segmentation.training.scoring import score_from_runs, score_runs
from darts_utils.errors import ConfigError, DataError

RUNS = pd.DataFrame({
    "run_name": list("abcdef"),
    "val/JaccardIndex": [0.75, 0.70, 0.65, 0.80, 0.73, 0.68],
    "val/Recall": [0.83, 0.80, 0.75, 0.85, 0.82, 0.77],
    "val/loss": [0.5, 0.45, 0.55, 0.1, 2.5, 1.2],
})  # fmt: skip
TWO = ["val/JaccardIndex:higher", "val/Recall"]
THREE = [*TWO, "val/loss:lower"]


@pytest.mark.parametrize(
    ("metrics", "strategy", "score"),
    [
        (["val/JaccardIndex"], "harmonic", 0.718), (["val/Recall"], "min", 0.803), (["val/loss"], "arithmetic", 0.883),
        (TWO, "harmonic", 0.758), (TWO, "arithmetic", 0.761), (TWO, "geometric", 0.760), (TWO, "min", 0.718),
        (THREE, "harmonic", 0.893), (THREE, "arithmetic", 1.467), (THREE, "geometric", 1.064), (THREE, "min", 0.663),
    ],
)  # fmt: skip
def test_scores_are_the_given_numbers(metrics, strategy, score):
    assert score_from_runs(RUNS, metrics, strategy) == pytest.approx(score, abs=0.0005)


@pytest.mark.parametrize(
    ("strategy", "mean"), [("harmonic", stats.hmean), ("geometric", stats.gmean), ("arithmetic", np.mean), ("min", min)]
)
def test_each_run_has_the_mean_of_its_metrics_as_scipy_has_it(strategy, mean):
    scored = score_runs(RUNS, THREE, strategy)
    expected = [
        mean([one, other, 1 / loss])
        for one, other, loss in zip(RUNS["val/JaccardIndex"], RUNS["val/Recall"], RUNS["val/loss"], strict=True)
    ]
    np.testing.assert_allclose(scored["score"], expected, rtol=1e-12)
    assert list(scored.columns) == [*RUNS.columns, "is_unstable", "score", "score_is_unstable"]
    assert not scored["is_unstable"].any()
    assert not scored["score_is_unstable"].any()
    assert "score" not in RUNS


@pytest.mark.parametrize("broken", [0.0, np.nan, np.inf, -np.inf, None])
@pytest.mark.parametrize("strategy", ["harmonic", "arithmetic", "geometric", "min"])
@pytest.mark.parametrize("column", ["val/Recall", "val/loss"])
def test_a_run_with_a_metric_that_is_0_or_not_finite_is_unstable_and_counts_as_0(broken, strategy, column):
    runs = RUNS.astype({column: object}) if broken is None else RUNS.copy()
    runs.loc[2, column] = broken
    scored = score_runs(runs, THREE, strategy)
    assert list(scored["is_unstable"]) == [False, False, True, False, False, False]
    assert scored["score_is_unstable"].all()
    assert scored["score"][2] == 0
    others = score_from_runs(RUNS.drop(index=2), THREE, strategy)
    assert score_from_runs(runs, THREE, strategy) == pytest.approx(others * 5 / 6)


def test_what_is_not_part_of_the_score_makes_no_run_unstable():
    runs = RUNS.assign(**{"val/loss": np.nan})
    assert not score_runs(runs, TWO)["is_unstable"].any()


@pytest.mark.parametrize(
    ("strategy", "score"), [("harmonic", 0), ("geometric", 0), ("arithmetic", 0.25), ("min", -0.1)]
)
def test_a_value_below_0_is_worth_nothing_in_means_that_have_none_of_it(strategy, score):
    runs = pd.DataFrame({"val/CohenKappa": [-0.1], "val/Recall": [0.6]})
    scored = score_runs(runs, list(runs.columns), strategy)
    assert scored["score"][0] == pytest.approx(score)
    assert not scored["is_unstable"][0]


@pytest.mark.parametrize(
    ("metrics", "strategy", "message"),
    [
        (["val/Jaccard"], "min", "scoring_metric names 'val/Jaccard', which the runs do not have. Did you mean "
         "val/JaccardIndex?"),
        (["AUROC:lower"], "min", "scoring_metric names 'AUROC', which the runs do not have. There are run_name, "
         "val/JaccardIndex, val/Recall, val/loss."),
        (["val/Recall:upper"], "min", "scoring_metric val/Recall:upper ends in :upper but must end in :higher or "
         ":lower. Correct it."),
        (["val/Recall", "val/Recall:lower"], "min", "scoring_metric names val/Recall more than once. Name each metric "
         "once."),
        ([], "min", "scoring_metric is empty. Name metrics, such as val/JaccardIndex val/Recall."),
        (TWO, "mean", "multi_score_strategy is 'mean' but must be harmonic, arithmetic, geometric, min. Correct it."),
    ],
)  # fmt: skip
def test_unknown_metrics_and_strategies_are_refused(metrics, strategy, message):
    with pytest.raises(ConfigError) as caught:
        score_from_runs(RUNS, metrics, strategy)
    assert str(caught.value) == message


def test_no_runs_have_no_score():
    with pytest.raises(DataError, match=r"^there are no runs to score\.$"):
        score_from_runs(RUNS.iloc[:0], TWO)
