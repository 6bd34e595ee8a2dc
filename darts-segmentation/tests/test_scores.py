import os

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import average_precision_score, f1_score, log_loss, roc_auc_score

from darts_segmentation.metrics.histogram import LogitHistogram
from darts_utils.errors import DataError


def counted(logits, labels, parts=1):
    metric = LogitHistogram()
    for logit, label in zip(np.array_split(logits, parts), np.array_split(labels, parts), strict=True):
        metric.update(torch.from_numpy(logit), torch.from_numpy(label))
    return metric.scores()


def random_pixels(seed, n=400):
    """Logits as half precision has them, some equal, and labels of which some are ignored."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=[0.6, 0.3, 0.1]).astype(np.uint8)
    logits = rng.normal(0, rng.uniform(0.2, 6), n) + 2 * (labels == 1) * rng.uniform(0, 1)
    return (np.round(logits, 1) if seed % 2 else logits).astype(np.float16).astype(np.float32), labels


def test_scores_are_those_of_scikit_learn_on_random_masks():
    for seed in range(int(os.environ.get("DARTS_TEST_MASKS", "200"))):
        logits, labels = random_pixels(seed)
        counts = counted(logits, labels, parts=1 + seed % 3)
        known = labels < 2
        p, y = expit(logits[known].astype(np.float64)), labels[known]
        assert counts.auroc() == pytest.approx(roc_auc_score(y, p), abs=1e-12)
        assert counts.average_precision() == pytest.approx(average_precision_score(y, p), abs=1e-12)
        assert counts.nll() == pytest.approx(log_loss(y, p), rel=1e-9)
        assert (counts.n, counts.n_slump) == (len(y), y.sum())


def test_the_best_threshold_is_the_best_of_all():
    for seed in range(8):
        logits, labels = random_pixels(seed)
        known = labels < 2
        p, y = expit(logits[known].astype(np.float64)), labels[known]
        threshold, f1 = counted(logits, labels).best_f1()
        assert f1_score(y, p > threshold) == pytest.approx(f1)
        assert f1 == pytest.approx(max(f1_score(y, p >= one) for one in np.unique(p)))


def test_logits_of_single_precision_are_within_a_thousandth():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 20_000).astype(np.uint8)
    logits = (rng.normal(0, 3, 20_000) + labels).astype(np.float32)
    counts = counted(logits, labels)
    assert counts.auroc() == pytest.approx(roc_auc_score(labels, logits), abs=2e-4)
    assert counts.ece() == pytest.approx(slow_ece(expit(logits.astype(np.float64)), labels), abs=1e-3)


def slow_ece(p, y, bins=15):
    total = 0.0
    for index in range(bins):
        inside = (p >= index / bins) & ((p < (index + 1) / bins) | (index == bins - 1))
        if inside.any():
            total += inside.sum() * abs(p[inside].mean() - y[inside].mean())
    return total / len(p)


def test_the_calibration_error_is_that_of_a_plain_loop_and_of_chosen_pixels_alone():
    for seed in range(20):
        logits, labels = random_pixels(seed)
        known = labels < 2
        p, y = expit(logits[known].astype(np.float64)), labels[known]
        assert counted(logits, labels).ece() == pytest.approx(slow_ece(p, y))
        inside = (p > 0.02) & (p < 0.98)
        assert counted(logits, labels).ece(0.02, 0.98) == pytest.approx(slow_ece(p[inside], y[inside]))


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_by_which_logits_were_blown_up_is_found(temperature):
    rng = np.random.default_rng(5)
    true = rng.normal(-1, 1.5, 400_000)
    labels = (rng.random(len(true)) < expit(true)).astype(np.uint8)
    counts = counted((true * temperature).astype(np.float32), labels)
    found = counts.fit_temperature()
    assert found == pytest.approx(temperature, rel=0.02)
    assert counts.nll(found) <= min(counts.nll(found * factor) for factor in (0.9, 0.99, 1.01, 1.1))
    assert counts.scaled(found).ece() < 0.01


def test_where_there_is_one_class_nothing_is_claimed():
    counts = counted(np.float32([1, 2, 3]), np.uint8([0, 0, 2]))
    assert np.isnan([counts.auroc(), counts.average_precision(), *counts.best_f1()]).all()
    assert counts.fit_temperature() == 1
    assert np.isnan(counted(np.float32([1]), np.uint8([2])).ece())


def test_huge_logits_stay_finite_and_the_order_is_kept():
    counts = counted(np.float32([-1e9, -0.0, 0.0, 1e-8, 1e9]), np.uint8([0, 0, 1, 1, 1]))
    assert list(counts.logits) == [-60_000, 0, 60_000]
    assert list(counts.background + counts.slump) == [1, 3, 1]


def test_logits_that_are_no_numbers_are_refused():
    with pytest.raises(DataError, match="logits that are not numbers"):
        counted(np.float32([np.nan]), np.uint8([1]))


def test_counts_of_several_processes_add_up():
    logits, labels = random_pixels(1)
    parts = [LogitHistogram(), LogitHistogram()]
    for metric, half in zip(parts, (slice(0, 150), slice(150, None)), strict=True):
        metric.update(torch.from_numpy(logits[half]), torch.from_numpy(labels[half]))
    parts[0].counts += parts[1].counts
    assert np.array_equal(parts[0].scores().slump, counted(logits, labels).slump)
