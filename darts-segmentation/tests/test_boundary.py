"""Boundary IoU is that of its definition, worked out by distances."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_cdt

from darts_segmentation.metrics import BinaryBoundaryIoU
from darts_utils.errors import ConfigError


def boundary(mask, width):
    """Return the pixels of a mask whose distance to what is not in it, or to beyond the image, is at most the width."""
    distance = distance_transform_cdt(np.pad(mask, 1), metric="chessboard")[1:-1, 1:-1]
    return mask & (distance <= width)


def masks(rng, shape=(23, 31)):
    true = np.zeros(shape, dtype=bool)
    for _ in range(3):
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        true[max(y - 5, 0) : y + 6, max(x - 7, 0) : x + 4] = True
    return np.roll(true, rng.integers(-2, 3, 2), (0, 1)), true


@pytest.mark.parametrize("width", [1, 2, 5])
def test_it_is_the_iou_of_the_pixels_near_the_outlines(width):
    rng = np.random.default_rng(width)
    metric, shared, either = BinaryBoundaryIoU(width_px=width), 0, 0
    for _ in range(20):
        pred, true = masks(rng)
        near_pred, near_true = boundary(pred, width), boundary(true, width)
        shared += (near_pred & near_true).sum()
        either += (near_pred | near_true).sum()
        metric.update(torch.from_numpy(pred[None, None] * 0.9), torch.from_numpy(true[None].astype(np.uint8)))
    assert 0.1 < shared / either < 0.95
    assert float(metric.compute()) == pytest.approx(shared / either, rel=1e-6)


def square(size, shift=0):
    image = torch.zeros(1, 60, 60)
    image[:, 5 + shift : 5 + shift + size, 5 : 5 + size] = 1
    return image


def test_the_same_shift_costs_as_much_for_a_large_object_as_for_a_small_one():
    scores = {}
    for size in (10, 40):
        metric = BinaryBoundaryIoU(width_px=1)
        metric.update(square(size, shift=1), square(size))
        scores[size] = float(metric.compute())
        # rims of two squares of edge n, one moved by 1: they share n - 1 at each side, and the two corners they cross
        rim = 4 * size - 4
        assert scores[size] == pytest.approx(2 * (size - 1) / (2 * rim - 2 * (size - 1)))
    assert scores[10] == pytest.approx(scores[40], abs=0.02)


def test_ignored_pixels_do_not_count():
    pred, target = square(20), square(20).long()
    pred[:, :, 30:] = 1
    target[:, :, 30:] = 2
    metric = BinaryBoundaryIoU(ignore_index=2)
    metric.update(pred, target)
    assert float(metric.compute()) == 1


def test_nothing_predicted_and_nothing_there_is_0():
    metric = BinaryBoundaryIoU()
    metric.update(torch.zeros(2, 4, 5), torch.zeros(2, 4, 5, dtype=torch.uint8))
    metric.update(torch.zeros(0, 4, 5), torch.zeros(0, 4, 5, dtype=torch.uint8))
    assert float(metric.compute()) == 0


def test_a_width_of_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"^width_px is 0 but must be at least 1 pixel\.$"):
        BinaryBoundaryIoU(width_px=0)
