"""Slump objects from probabilities."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import xarray as xr

from darts_postprocessing.masks import check_sizes
from darts_utils.errors import ConfigError
from darts_utils.machine.devices import DeviceSpec
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import row_blocks
from darts_utils.rasters.run_length import RunLengthEncoding, connected_components, run_length_decode, run_length_encode

_NEIGHBOURS = np.ones((3, 3), dtype=np.uint8)


def binarize(
    probs: xr.DataArray,
    threshold: float,
    min_object_size: int,
    mask: xr.DataArray,
    device: DeviceSpec = None,  # noqa: ARG001  (part of the public signature of every step)
    *,
    drop_cut_objects: bool = False,
) -> xr.DataArray:
    """Return where slumps are: objects of high probability inside a mask that are large enough.

    An object is a set of pixels of the mask with a probability strictly above the threshold (NaN is not) that touch
    each other at edges or corners; those with too few pixels go. One that the border of the mask cuts stays, with the
    part that is inside; `find_slumps` says which these are.

    Args:
        probs: (y, x) float32 from 0 to 1, NaN where unknown, over the whole tile.
        threshold: From 0 to 1.
        min_object_size: Fewest pixels that an object must have.
        mask: (y, x) bool or uint8, nonzero = valid ground.
        device: Accepted for all steps to be called alike. Labelling runs in host memory, which takes less time than
            the transfer to a GPU and back.
        drop_cut_objects: Whether objects that the border of the mask or of the tile cuts go whole.

    Returns:
        (y, x) bool, True = slump; the attribute `n_objects` is their number.
        Connected components of a run-length encoded mask as in Rosenfeld and Pfaltz (1966), doi:10.1145/321356.321357.

    Raises:
        ConfigError: If the threshold is not within 0..1 or the size is negative.
    """
    valid = mask.values.astype(bool, copy=False)
    slumps = find_slumps(probs.values, valid, threshold, min_object_size, drop_cut_objects=drop_cut_objects)
    attributes = {"long_name": "Binarized segmentation, 1 = slump", "n_objects": slumps.n_objects}
    return xr.DataArray(
        slumps.objects, dims=probs.dims, coords=probs.coords, name="binarized_segmentation", attrs=attributes
    )


def check_threshold(threshold: float) -> None:
    """Refuse a threshold that is no probability.

    Raises:
        ConfigError: If it is not within 0..1.
    """
    if not (math.isfinite(threshold) and 0 <= threshold <= 1):
        raise ConfigError(f"the binarization threshold is {threshold} but must be within 0..1. Set it to e.g. 0.5.")


@dataclass(frozen=True, kw_only=True)
class Slumps:
    """Objects of a tile."""

    objects: Array
    """(y, x) bool, True = slump."""
    cut: Array
    """(y, x) bool, True = pixel of an object that goes on, or may go on, beyond the extent or the tile."""
    n_objects: int


def find_slumps(
    probs: Array, valid: Array, threshold: float, min_object_size: int, *, drop_cut_objects: bool = False
) -> Slumps:
    """Return the 8-connected objects of high probability on valid ground, and which of them are cut.

    An object is cut if one of its pixels touches, at an edge or a corner, a pixel that is not valid and whose
    probability is above the threshold or unknown, or if it has a pixel in the outermost row or column of the valid
    ground or of the tile: then nobody knows where it ends.

    Args:
        probs: (y, x) float32 from 0 to 1, also where the ground is not valid; NaN where unknown.
        valid: (y, x) bool.
        threshold: From 0 to 1.
        min_object_size: Fewest pixels that an object must have.
        drop_cut_objects: Whether those that are cut go whole.

    Raises:
        ConfigError: If the threshold is not within 0..1 or the size is negative.
    """
    check_threshold(threshold)
    check_sizes(min_object_size=min_object_size)
    candidates = (probs > threshold) & valid
    stretches = run_length_encode(candidates)
    labels, n_objects = connected_components(stretches, diagonal=True)
    is_cut = np.zeros(n_objects, dtype=bool)
    is_cut[labels[stretches.at(_cut_indices(probs, valid, candidates, threshold, stretches))]] = True
    keep = np.bincount(labels, stretches.lengths, n_objects) >= min_object_size
    if drop_cut_objects:
        keep &= ~is_cut
    return Slumps(
        objects=candidates if keep.all() else run_length_decode(stretches, keep[labels], candidates.shape),
        cut=run_length_decode(stretches, (keep & is_cut)[labels], candidates.shape),
        n_objects=int(keep.sum()),
    )


def _cut_indices(
    probs: Array, valid: Array, candidates: Array, threshold: float, stretches: RunLengthEncoding
) -> Array:
    """Return the flat indices of candidates where an object meets its end without being seen whole."""
    found = [_on_the_border(candidates, valid)]
    for rows in row_blocks(len(valid)):
        window = slice(max(rows.start - 1, 0), rows.stop + 1)
        beyond = ~valid[window] & ~(probs[window] <= threshold)  # so that NaN, which is unknown, counts
        if beyond.any():
            near = cv2.dilate(beyond.view(np.uint8), _NEIGHBOURS)[rows.start - window.start :][: rows.stop - rows.start]
            y, x = np.nonzero(candidates[rows] & near.view(bool))
            found.append(np.stack([y + rows.start, x], axis=-1))
    y, x = np.concatenate(found).T
    return y * stretches.stride + x


def _on_the_border(candidates: Array, valid: Array) -> Array:
    """Return (pixel, 2) rows and columns of candidates in the outermost ones of the tile and of the extent."""
    rows, columns = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    if not len(rows):
        return np.empty((0, 2), dtype=np.intp)
    height, width = valid.shape
    found = []
    for row in {0, int(rows[0]), int(rows[-1]), height - 1}:
        x = np.flatnonzero(candidates[row])
        found.append(np.stack([np.full_like(x, row), x], axis=-1))
    for column in {0, int(columns[0]), int(columns[-1]), width - 1}:
        y = np.flatnonzero(candidates[:, column])
        found.append(np.stack([y, np.full_like(y, column)], axis=-1))
    return np.concatenate(found)
