"""Objects are counted one to one, as an independent matcher counts them."""

import numpy as np
import pytest
import torch
from scipy.ndimage import label
from scipy.optimize import linear_sum_assignment
from torchmetrics import MetricCollection

from darts_segmentation.metrics import (
    BinaryInstanceF1Score,
    BinaryInstancePrecision,
    BinaryInstanceRecall,
    ObjectCounts,
    count_objects,
)
from darts_utils.errors import ConfigError, DataError


def plainly(pred, true, iou):
    """Count objects pair by pair, over the whole table of IoU."""
    predicted, actual = (label(mask, np.ones((3, 3)))[0] for mask in (pred, true))
    table = np.zeros((predicted.max(), actual.max()))
    for i in range(len(table)):
        for j in range(table.shape[1]):
            one, other = predicted == i + 1, actual == j + 1
            value = (one & other).sum() / (one | other).sum()
            table[i, j] = value if value >= iou and value > 0 else 0
    tp = int((table[linear_sum_assignment(-table)] > 0).sum())
    return ObjectCounts(tp=tp, fp=len(table) - tp, fn=table.shape[1] - tp)


def blobs(rng, shape=(14, 19)):
    """Return a true mask of a few boxes, and one that differs from it by noise, shifts and losses."""
    true = np.zeros(shape, dtype=bool)
    for _ in range(rng.integers(0, 6)):
        y, x = rng.integers(0, shape[0] - 1), rng.integers(0, shape[1] - 1)
        true[y : y + rng.integers(1, 6), x : x + rng.integers(1, 6)] = True
    pred = np.roll(true, rng.integers(-1, 2, 2), (0, 1)) ^ (rng.random(shape) < rng.choice([0, 0.05, 0.3]))
    return pred, true


def test_a_thousand_random_masks_are_counted_as_an_independent_matcher_counts_them():
    rng = np.random.default_rng(11)
    seen = ObjectCounts()
    for case in range(1000):
        pred, true = blobs(rng)
        iou = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)[case % 6]
        counts = count_objects(pred, true, iou)
        assert counts == plainly(pred, true, iou), (case, iou)
        seen += counts
    assert min(seen.tp, seen.fp, seen.fn) > 500


def halves():
    """Return one true object of 10 by 4 pixels, predicted as two halves of IoU 0.4 each."""
    pred, true = np.zeros((6, 12), dtype=bool), np.zeros((6, 12), dtype=bool)
    true[1:5, 1:11] = True
    pred[1:5, 1:5] = True
    pred[1:5, 7:11] = True
    return pred, true


def test_one_object_predicted_as_two_halves_is_one_hit_and_one_false_object():
    pred, true = halves()
    assert count_objects(pred, true, 0.3) == ObjectCounts(tp=1, fp=1, fn=0)
    assert count_objects(pred, true, 0.5) == ObjectCounts(tp=0, fp=2, fn=1)
    assert count_objects(true, pred, 0.3) == ObjectCounts(tp=1, fp=0, fn=1)


def test_an_iou_of_just_the_threshold_is_enough():
    pred, true = np.zeros((2, 10), dtype=bool), np.zeros((2, 10), dtype=bool)
    true[0], pred[0, :3] = True, True
    assert count_objects(pred, true, 0.3).tp == 1
    assert count_objects(pred, true, 0.3001).tp == 0


def test_objects_that_touch_at_a_corner_are_one():
    corner = np.eye(3, dtype=bool)
    assert count_objects(corner, np.zeros((3, 3), dtype=bool), 0.5) == ObjectCounts(fp=1)


def test_there_may_be_more_than_255_objects():
    dots = np.zeros((60, 60), dtype=bool)
    dots[::2, ::2] = True
    fewer = dots.copy()
    fewer[:, :4] = False
    assert count_objects(fewer, dots, 0.5) == ObjectCounts(tp=840, fp=0, fn=60)


def test_masks_without_pixels_or_objects_have_none():
    assert count_objects(np.zeros((0, 4), dtype=bool), np.zeros((0, 4), dtype=bool), 0.5) == ObjectCounts()
    assert count_objects(np.zeros((3, 4), dtype=bool), np.ones((3, 4), dtype=bool), 0.5) == ObjectCounts(fn=1)


def batch(n=6, seed=4):
    rng = np.random.default_rng(seed)
    masks = [blobs(rng) for _ in range(n)]
    pred, true = (torch.from_numpy(np.stack(some)) for some in zip(*masks, strict=True))
    noise = torch.from_numpy(rng.uniform(0, 0.5, pred.shape))
    return pred * 0.5 + noise.clamp(min=1e-6), true.to(torch.uint8), masks


@pytest.mark.parametrize("iou", [0.2, 0.5])
def test_the_metrics_are_those_of_the_counts_of_all_images(iou):
    probabilities, target, masks = batch()
    counts = sum((plainly(pred, true, iou) for pred, true in masks), ObjectCounts())
    options = {"matching_threshold": iou}
    metrics = MetricCollection({
        "f1": BinaryInstanceF1Score(**options), "precision": BinaryInstancePrecision(**options),
        "recall": BinaryInstanceRecall(**options),
    })  # fmt: skip
    metrics.update(probabilities[:1], target[:1])
    metrics.update(probabilities[1:].unsqueeze(1), target[1:])
    found = {name: float(value) for name, value in metrics.compute().items()}
    tp, fp, fn = counts.tp, counts.fp, counts.fn
    assert found == pytest.approx(
        {"f1": 2 * tp / (2 * tp + fp + fn), "precision": tp / (tp + fp), "recall": tp / (tp + fn)}, rel=1e-6
    )
    assert 0 < found["f1"] < 1
    assert len(metrics.compute_groups) == 1  # counted once for all three
    metrics.reset()
    assert float(metrics["f1"].tp) == 0


def test_ignored_pixels_are_neither_predicted_nor_true():
    pred, true = halves()
    target = torch.from_numpy(true.astype(np.uint8))
    target[:, 6:] = 2
    metric = BinaryInstanceF1Score(ignore_index=2, matching_threshold=0.75)
    metric.update(torch.from_numpy(pred[None].astype(np.float32)), target[None])
    # what is left is a true object of 5 by 4 pixels, predicted in 4 by 4; the other half lies on ignored ground
    assert (int(metric.tp), int(metric.fp), int(metric.fn)) == (1, 0, 0)


def test_nothing_predicted_and_nothing_there_is_0_like_other_metrics_of_torchmetrics():
    for metric in (BinaryInstanceF1Score(), BinaryInstancePrecision(), BinaryInstanceRecall()):
        metric.update(torch.zeros(2, 4, 5), torch.zeros(2, 4, 5, dtype=torch.long))
        assert float(metric.compute()) == 0


def test_sums_of_several_processes_are_added():
    probabilities, target, _ = batch()
    whole, parts = BinaryInstanceF1Score(), [BinaryInstanceF1Score(), BinaryInstanceF1Score()]
    whole.update(probabilities, target)
    parts[0].update(probabilities[:2], target[:2])
    parts[1].update(probabilities[2:], target[2:])
    parts[0].merge_state(parts[1])
    assert float(parts[0].compute()) == float(whole.compute())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"matching_threshold": 1.1}, "the matching threshold is 1.1 but must be an IoU from 0 to 1, such as 0.5."),
        ({"threshold": -0.1}, "threshold is -0.1 but must be a probability from 0 to 1, such as 0.5."),
    ],
)
def test_thresholds_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        BinaryInstanceRecall(**options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("preds", "target", "message"),
    [
        (torch.zeros(2, 4), torch.zeros(2, 4), "preds must be (n, y, x) or (n, 1, y, x), but is (2, 4)."),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4), "preds must be (n, y, x) or (n, 1, y, x), but is (2, 3, 4, "
         "4)."),
        (torch.zeros(2, 4, 5), torch.zeros(2, 5, 4), "preds are (2, 4, 5) but target is (2, 5, 4). Give both the same "
         "shape."),
        (torch.full((1, 2, 2), 1.5), torch.zeros(1, 2, 2), "preds must be probabilities from 0 to 1, but some are "
         "beyond. Apply the sigmoid to logits first."),
        (torch.zeros(1, 2, 2), torch.full((1, 2, 2), 2), "target must be 0, 1, but has other values. Set ignore_index "
         "if one means to ignore."),
    ],
)  # fmt: skip
def test_what_is_no_probability_or_label_is_refused(preds, target, message):
    with pytest.raises(DataError) as caught:
        BinaryInstanceF1Score().update(preds, target)
    assert str(caught.value) == message


def test_masks_of_other_shapes_are_refused():
    with pytest.raises(DataError, match=r"^masks must be \(y, x\) of one shape, but are \(2, 3\) and \(3, 2\)\.$"):
        count_objects(np.zeros((2, 3)), np.zeros((3, 2)), 0.5)
