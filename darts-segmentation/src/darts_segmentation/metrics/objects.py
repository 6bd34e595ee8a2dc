"""How many objects of a mask were found: objects of two masks matched one to one by their overlap."""

from dataclasses import dataclass

import cv2
import numpy as np

from darts_utils.errors import ConfigError, DataError
from darts_utils.objects.matching import match_one_to_one
from darts_utils.rasters.arrays import Array


@dataclass(frozen=True, kw_only=True)
class ObjectCounts:
    """What became of predicted and true objects."""

    tp: int = 0
    """True objects that were found; each has a predicted one of its own."""
    fp: int = 0
    """Predicted objects without a true one."""
    fn: int = 0
    """True objects without a predicted one."""

    def __add__(self, other: "ObjectCounts") -> "ObjectCounts":
        return ObjectCounts(tp=self.tp + other.tp, fp=self.fp + other.fp, fn=self.fn + other.fn)


def count_objects(pred_mask: Array, true_mask: Array, iou: float) -> ObjectCounts:
    """Return how many objects of a mask were found, missed, and predicted where there is none.

    Objects are pixels that touch at a side or a corner. Of all pairs whose IoU (shared pixels by pixels of either) is
    at least the threshold, those are taken that give each object one partner at most and the largest sum of IoU. So a
    true object predicted as two halves is found once, and the other half is a false object.

    Args:
        pred_mask: (y, x) bool, where objects are predicted.
        true_mask: (y, x) bool, where they are.
        iou: Least IoU of a pair, from 0 to 1; at 0 a shared pixel is enough.

    Returns:
        The numbers: `tp + fp` predicted and `tp + fn` true objects.

    Raises:
        ConfigError: If the threshold is not within 0 to 1.
        DataError: If the masks are not two rasters of one shape.
    """
    matched = match_objects(pred_mask, true_mask, iou)
    tp = int(matched.hits.sum())
    return ObjectCounts(tp=tp, fp=len(matched.hits) - tp, fn=matched.n_true - tp)


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchedObjects:
    """Predicted objects, and which of them have a true one of their own."""

    predicted: Array
    """(y, x) int32, the number of each pixel's object from 1 on, 0 where there is none."""
    hits: Array
    """(n) bool for each object, the first for number 1."""
    n_true: int
    """How many true objects there are."""


def match_objects(pred_mask: Array, true_mask: Array, iou: float) -> MatchedObjects:
    """Return the predicted objects with whether each has a true one of its own, see `count_objects`.

    Raises:
        ConfigError: If the threshold is not within 0 to 1.
        DataError: If the masks are not two rasters of one shape.
    """
    check_iou(iou)
    if pred_mask.ndim != 2 or pred_mask.shape != true_mask.shape:
        raise DataError(f"masks must be (y, x) of one shape, but are {pred_mask.shape} and {true_mask.shape}.")
    n_pred, pred = _labelled(pred_mask)
    n_true, true = _labelled(true_mask)
    predicted, actual, overlap = _overlaps(pred, true, n_true)
    is_pair = overlap >= iou
    chosen = match_one_to_one(predicted[is_pair], actual[is_pair], overlap[is_pair])
    hits = np.zeros(n_pred, dtype=bool)
    hits[predicted[is_pair][chosen] - 1] = True
    return MatchedObjects(predicted=pred, hits=hits, n_true=n_true)


def check_iou(iou: float) -> None:
    """Refuse a threshold of IoU that is none.

    Raises:
        ConfigError: If it is not within 0 to 1.
    """
    if not 0 <= iou <= 1:
        raise ConfigError(f"the matching threshold is {iou} but must be an IoU from 0 to 1, such as 0.5.")


def _labelled(mask: Array) -> tuple[int, Array]:
    """Return the number of objects and the (y, x) int32 number of each pixel's, 0 where there is none."""
    if not mask.size:
        return 0, np.zeros(mask.shape, dtype=np.int32)
    n_labels, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    return n_labels - 1, labels


def _overlaps(pred: Array, true: Array, n_true: int) -> tuple[Array, Array, Array]:
    """Return the predicted and the true object, and the IoU, of each pair that shares a pixel."""
    shared = (pred > 0) & (true > 0)
    codes, common = np.unique(pred[shared].astype(np.int64) * (n_true + 1) + true[shared], return_counts=True)
    predicted, actual = np.divmod(codes, n_true + 1)
    either = np.bincount(pred.ravel())[predicted] + np.bincount(true.ravel())[actual] - common
    return predicted, actual, common / either
