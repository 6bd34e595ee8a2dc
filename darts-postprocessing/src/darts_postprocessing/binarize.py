"""Slump objects from probabilities."""

import math
from typing import Any

import cv2
import numpy as np
import xarray as xr

from darts_postprocessing.masks import check_sizes
from darts_utils.devices import DeviceSpec
from darts_utils.errors import ConfigError

type Array = np.ndarray[Any, np.dtype[Any]]


def binarize(
    probs: xr.DataArray,
    threshold: float,
    min_object_size: int,
    mask: xr.DataArray,
    device: DeviceSpec = None,  # noqa: ARG001  (part of the public signature of every step)
) -> xr.DataArray:
    """Return where slumps are: objects of high probability that are whole and large enough.

    An object is a set of pixels with a probability strictly above the threshold (NaN is not) that touch each other at
    edges or corners. One that has a pixel outside of the mask goes whole, because its outline would be that of the
    mask; then those with too few pixels go.

    Args:
        probs: (y, x) float32 from 0 to 1, NaN where unknown, over the whole tile.
        threshold: From 0 to 1.
        min_object_size: Fewest pixels that an object must have.
        mask: (y, x) bool or uint8, nonzero = valid ground.
        device: Accepted for all steps to be called alike. Labelling runs in host memory by OpenCV, which takes less
            time than the transfer to a GPU and back.

    Returns:
        (y, x) bool, True = slump; the attribute `n_objects` is their number.
        Labels by Bolelli et al. (2019), doi:10.1109/TIP.2019.2946979.

    Raises:
        ConfigError: If the threshold is not within 0..1 or the size is negative.
    """
    check_threshold(threshold)
    check_sizes(min_object_size=min_object_size)
    objects, n_objects = keep_whole_objects(probs.values > threshold, mask.values != 0, min_object_size)
    attributes = {"long_name": "Binarized segmentation, 1 = slump", "n_objects": n_objects}
    return xr.DataArray(objects, dims=probs.dims, coords=probs.coords, name="binarized_segmentation", attrs=attributes)


def check_threshold(threshold: float) -> None:
    """Refuse a threshold that is no probability.

    Raises:
        ConfigError: If it is not within 0..1.
    """
    if not (math.isfinite(threshold) and 0 <= threshold <= 1):
        raise ConfigError(f"the binarization threshold is {threshold} but must be within 0..1. Set it to e.g. 0.5.")


def keep_whole_objects(candidates: Array, valid: Array, min_object_size: int) -> tuple[Array, int]:
    """Return the 8-connected objects that lie entirely on valid ground and have at least so many pixels, and how many.

    Args:
        candidates: (y, x) bool.
        valid: (y, x) bool.
        min_object_size: In pixels.
    """
    n_labels, labels, stats, _ = cv2.connectedComponentsWithStats(candidates.view(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= min_object_size
    keep[0] = False  # the background
    outside = np.flatnonzero(candidates & ~valid)
    keep[labels.ravel()[outside]] = False
    if keep.sum() == n_labels - 1:
        return candidates, n_labels - 1
    return _select(labels, candidates, keep), int(keep.sum())


def _select(labels: Array, candidates: Array, keep: Array) -> Array:
    """Return the candidates whose label is kept; only their pixels are looked at, which are few in most scenes."""
    pixels = np.flatnonzero(candidates)
    selected = np.zeros(candidates.shape, dtype=bool)
    selected.ravel()[pixels] = keep[labels.ravel()[pixels]]
    return selected
