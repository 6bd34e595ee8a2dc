"""Samples of slumps that people look at, and what follows from what they say."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from darts_postprocessing.review.figures import cohen_kappa, precision_table, wilson_interval
from darts_postprocessing.review.sampling import LEAST_BETWEEN, everything, in_order, stratified, with_repeats


def slumps(number, seed=0, tiers=("low", "medium", "high", None)):
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "slump_id": [f"{one:05d}" for one in random.permutation(number)],
            "tier": random.choice(np.array(tiers, dtype=object), number),
            "area_m2": random.lognormal(8, 1, number),
            "longitude": random.uniform(-180, 180, number),
            "mean_probability": random.uniform(0.5, 1, number),
        }
    )


def test_a_tier_gives_as_many_as_wanted_spread_over_sizes_and_longitudes():
    given = slumps(4000)
    found = stratified(given, per_tier=60)
    assert found["tier"].fillna("none").value_counts().to_dict() == {"low": 60, "medium": 60, "high": 60, "none": 60}
    assert found["slump_id"].is_unique
    for tier in ("low", "high"):
        of_tier, drawn = (table[table["tier"] == tier] for table in (given, found))
        sizes = np.searchsorted(np.quantile(of_tier["area_m2"], np.arange(1, 6) / 6), drawn["area_m2"])
        places = np.searchsorted(np.quantile(of_tier["longitude"], [1 / 3, 2 / 3]), drawn["longitude"])
        counts = np.bincount(sizes * 3 + places, minlength=18)
        assert counts.min() >= 2
        assert counts.max() <= 5
        assert drawn["weight"].sum() == pytest.approx(len(of_tier))


def test_strata_of_which_none_is_drawn_are_stood_for_by_the_others():
    given = slumps(4000, tiers=("high",))
    found = stratified(given, per_tier=10)  # of 18 strata
    assert (len(found), found["weight"].sum()) == (10, pytest.approx(4000))


def test_a_small_tier_is_taken_whole_and_the_order_of_rows_changes_nothing():
    given = slumps(300, tiers=("high",) * 50 + ("low",))
    found = stratified(given, per_tier=60)
    assert set(given.loc[given["tier"] == "low", "slump_id"]) == set(found.loc[found["tier"] == "low", "slump_id"])
    assert (found.loc[found["tier"] == "low", "weight"] == 1).all()
    again = stratified(given.sample(frac=1, random_state=1), per_tier=60)
    assert found["slump_id"].tolist() == again["slump_id"].tolist()
    assert stratified(given, per_tier=60, seed=1)["slump_id"].tolist() != found["slump_id"].tolist()
    assert stratified(given.iloc[:0]).empty


def test_the_weighted_share_of_a_sample_is_that_of_all():
    given = slumps(20_000, tiers=("high",))
    given["is_large"] = given["area_m2"] > given["area_m2"].median()
    found = [stratified(given, per_tier=60, seed=seed) for seed in range(40)]
    shares = [np.average(one["is_large"], weights=one["weight"]) for one in found]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.02)


def test_batches_fall_in_probability_and_are_shuffled_inside():
    given = slumps(450)
    found = in_order(given, batch=200)
    assert found["batch"].value_counts().to_dict() == {0: 200, 1: 200, 2: 50}
    ends = found.groupby("batch")["mean_probability"].agg(["min", "max"])
    assert (ends["min"].to_numpy()[:-1] >= ends["max"].to_numpy()[1:]).all()
    assert not found["mean_probability"].is_monotonic_decreasing
    assert abs(found.loc[:199, "mean_probability"].corr(pd.Series(range(200)))) < 0.2
    assert in_order(given.sample(frac=1, random_state=3))["slump_id"].tolist() == in_order(given)["slump_id"].tolist()


def test_some_are_asked_again_later():
    given = in_order(everything(slumps(400)))
    found = with_repeats(given, share=0.05)
    again = found[found["repeat_of"].notna()]
    assert (len(found), len(again)) == (420, 20)
    firsts = found.loc[again["repeat_of"].astype(int)]
    assert firsts["slump_id"].tolist() == again["slump_id"].tolist()
    assert firsts["repeat_of"].isna().all()
    gaps = again.index.to_numpy() - firsts.index.to_numpy()
    assert (gaps[firsts.index.to_numpy() < 380] > LEAST_BETWEEN).all()
    assert (gaps > 0).all()
    assert found[found["repeat_of"].isna()]["slump_id"].tolist() == given["slump_id"].tolist()
    assert with_repeats(given.iloc[:0]).empty
    assert len(with_repeats(given.iloc[:1])) == 2


@pytest.mark.parametrize(("hits", "number"), [(0, 7), (7, 7), (3, 10), (190, 200), (1, 1)])
def test_the_interval_is_that_of_wilson(hits, number):
    oracle = binomtest(hits, number).proportion_ci(method="wilson")
    assert wilson_interval(hits / number, number) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


def test_precision_by_tier_and_size_counts_weights_and_leaves_the_unsure_out():
    verdicts = pd.DataFrame(
        {
            "verdict": ["slump", "slump", "not", "unsure", "not"],
            "tier": ["high", "high", "high", "low", None],
            "area_m2": [400.0, 600.0, 600.0, 600.0, 30_000.0],
            "weight": [1.0, 1.0, 2.0, 5.0, 4.0],
        }
    )
    found = precision_table(verdicts).set_index("group")
    assert found.index.tolist() == [
        "all", "tier:high", "tier:low", "tier:none", "size:<500", "size:500-2000", "size:>20000"
    ]  # fmt: skip
    assert found.loc["all", ["n_slump", "n_not", "n_unsure"]].tolist() == [2, 2, 1]
    assert found.loc["all", "precision"] == pytest.approx(2 / 8)
    assert found.loc["tier:high", "precision"] == pytest.approx(0.5)
    assert found.loc["tier:high", ["low", "high"]].tolist() == pytest.approx(wilson_interval(0.5, 16 / 6))
    assert np.isnan(found.loc["tier:low", "precision"])
    assert precision_table(verdicts.iloc[:0])["precision"].isna().all()


def test_precision_is_told_of_groups_of_which_no_question_is_open():
    verdicts = pd.DataFrame(
        {
            "verdict": ["slump", "not", "slump", None, None],
            "tier": ["high", "high", "low", "low", "medium"],
            "area_m2": [400.0, 400.0, 400.0, 900.0, 900.0],
            "weight": 1.0,
        }
    )
    found = precision_table(verdicts).set_index("group")
    assert found["n_open"].to_dict() == {
        "all": 2, "tier:high": 0, "tier:medium": 1, "tier:low": 1, "size:<500": 0, "size:500-2000": 2
    }  # fmt: skip
    assert found.loc["tier:low", "n_slump"] == 1, "counts so far are told"
    told = found[["precision", "low", "high"]].notna()
    assert (told.any(axis=1) == (found["n_open"] == 0)).all()
    assert found.loc[["tier:high", "size:<500"], "precision"].tolist() == pytest.approx([1 / 2, 2 / 3])


def test_kappa_is_that_of_the_book():
    first = np.array(["slump"] * 25 + ["not"] * 25)
    second = np.array(["slump"] * 20 + ["not"] * 5 + ["slump"] * 10 + ["not"] * 15)
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert cohen_kappa(first, first) == 1
    assert np.isnan(cohen_kappa(first[:0], first[:0]))
    assert np.isnan(cohen_kappa(first[:5], first[:5]))
