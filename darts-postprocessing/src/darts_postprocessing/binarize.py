"""Slump objects from probabilities."""

import math
from typing import Any

import numpy as np
import xarray as xr

from darts_postprocessing.masks import check_sizes
from darts_utils.devices import DeviceSpec
from darts_utils.errors import ConfigError
from darts_utils.runs import label_runs, mask_of, runs_of

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
        device: Accepted for all steps to be called alike. Labelling runs in host memory, which takes less time than
            the transfer to a GPU and back.

    Returns:
        (y, x) bool, True = slump; the attribute `n_objects` is their number.
        Labels of runs of pixels as in Rosenfeld and Pfaltz (1966), doi:10.1145/321356.321357.

    Raises:
        ConfigError: If the threshold is not within 0..1 or the size is negative.
    """
    check_threshold(threshold)
    check_sizes(min_object_size=min_object_size)
    valid = mask.values.astype(bool, copy=False)
    objects, n_objects = keep_whole_objects(probs.values > threshold, valid, min_object_size)
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
    runs = runs_of(candidates)
    labels, n_objects = label_runs(runs, diagonal=True)
    keep = np.bincount(labels, runs.lengths, n_objects) >= min_object_size
    outside = runs_of(candidates > valid)  # as truth values: the former and not the latter
    keep[labels[runs.at(outside.starts)]] = False
    if keep.all():
        return candidates, n_objects
    return mask_of(runs, keep[labels], candidates.shape), int(keep.sum())
