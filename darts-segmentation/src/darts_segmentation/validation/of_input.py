"""Whether probabilities depend on what they must not: ground without data, the size of batches, the run itself."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import xarray as xr

from darts_segmentation.validation.findings import Finding, Status, passed_if
from darts_segmentation.validation.measures import differences
from darts_segmentation.validation.subject import Subject
from darts_utils.parameters import FLOAT32, Precision
from darts_utils.rasters.arrays import Array

BATCH_LIMITS = {"float32": 1e-4}
"""Of the largest difference: a batch is summed up in another order."""
HALF_LIMIT = 0.005
"""Of 99.9 % of pixels, where networks compute in half precision."""
_BATCHED_PX = 256
"""Edge of patches of which the CPU takes many at once, too."""
_HOLE_SHARE = 8
"""The hole that is made is an eighth of the ground wide."""


def check_no_data(subject: Subject) -> Finding:
    """Check that a hole without data gets no probability, and that what lies in it changes none around it."""
    hole = _hole(subject)
    first, second = (subject.probabilities(_with_hole(subject, hole, fill)) for fill in (_low, _noise))
    n_inside = int(np.count_nonzero(~np.isnan(first[hole])) + np.count_nonzero(~np.isnan(second[hole])))
    around = np.ones(subject.shape, dtype=bool)
    around[hole] = False
    n_leaked = int(np.count_nonzero(around & ~_same(first, second)))
    found = differences(first, second, around)
    side = (hole[0].stop - hole[0].start, hole[1].stop - hole[1].start)
    return Finding(
        check="no data",
        status=passed_if(n_inside == 0 and n_leaked == 0),
        measured=f"{n_inside} px with a probability in a hole of {side[0]} x {side[1]} px, {n_leaked} px around it"
        f" changed by what lies in it (at most {found.largest:.2g})",
        limit="0 and 0 px",
        meaning="What an image holds where it has no data decides nothing, and gets no probability.",
        figures={"n_inside": n_inside, "n_leaked": n_leaked, "largest": found.largest},
    )


def check_batch_size(subject: Subject) -> Finding:
    """Check that probabilities do not depend on how many patches go through the networks at once.

    Patches are small ones, because of large ones the CPU takes no more than one at once, whatever is asked.
    """
    given = subject.patching
    size, many = min(given.patch_size, _BATCHED_PX), max(2, given.batch_size)
    small = replace(subject, patching=replace(given, patch_size=size, overlap=min(given.overlap, size // 4)))
    found = differences(small.probabilities(batch_size=1), small.probabilities(batch_size=many), subject.valid)
    limit = BATCH_LIMITS.get(subject.precision.dtype)
    half = f"{HALF_LIMIT:g} on 99.9 % ({subject.precision})"
    return Finding(
        check="batch size",
        status=passed_if(found.most <= HALF_LIMIT if limit is None else found.largest <= limit),
        measured=f"{found.words} between batches of 1 and of {many} patches of {size} px",
        limit=half if limit is None else f"largest |dp| {limit:g}",
        meaning="How many patches go through the networks at once is a question of speed and memory only.",
        figures={**found.figures, "batch_size": many, "patch_size": size},
    )


def check_determinism(subject: Subject) -> Finding:
    """Check that the same tile gives the same probabilities again, to the bit."""
    first, second = subject.probabilities(), subject.probabilities()
    n_other = int(np.count_nonzero(~_same(first, second)))
    largest = differences(first, second, np.ones(subject.shape, dtype=bool)).largest
    return Finding(
        check="determinism",
        status=passed_if(n_other == 0),
        measured=f"{n_other} px of {first.size} differ the second time (by at most {largest:.2g})",
        limit="0 px",
        meaning="The same image and models give the same map again, to the bit.",
        figures={"n_other": n_other, "largest": largest},
    )


def check_precisions(subject: Subject) -> list[Finding]:
    """Compare each kind of numbers with float32; only the one that is used here can fail."""
    exact = _alone(subject, FLOAT32)
    return [_precision(subject, precision, exact) for precision in subject.in_precision if precision != FLOAT32]


def _precision(subject: Subject, precision: Precision, exact: Array) -> Finding:
    is_used = precision == subject.precision
    said = "which is used here" if is_used else f"{subject.precision.dtype} is used here"
    found = differences(_alone(subject, precision), exact, subject.valid)
    status: Status = passed_if(found.most <= HALF_LIMIT) if is_used else "information"
    return Finding(
        check=f"precision {precision}",
        status=status,
        measured=f"{found.words} from float32 ({said})",
        limit=f"{HALF_LIMIT:g} on 99.9 %",
        meaning="Faster numbers with fewer digits give the same map."
        if is_used
        else "What faster numbers with fewer digits would change; they are not used here.",
        figures={**found.figures, "is_used": int(is_used)},
    )


def _alone(subject: Subject, precision: Precision) -> Array:
    return subject.in_precision[precision](subject.tile, subject.patching)


def _same(first: Array, second: Array) -> Array:
    """Return where two arrays have the same bits, or both nothing."""
    same: Array = (first == second) | (np.isnan(first) & np.isnan(second))
    return same


def _hole(subject: Subject) -> tuple[slice, slice]:
    """Return rows and columns of a hole in the middle."""
    rows, columns = (
        slice(length // 2 - half, length // 2 + half)
        for length in subject.shape
        for half in (max(1, length // (2 * _HOLE_SHARE)),)
    )
    return rows, columns


def _with_hole(subject: Subject, hole: tuple[slice, slice], fill: Callable[[Array, int], Array]) -> xr.Dataset:
    """Return the tile with a hole in the quality mask, under which all bands hold something else."""
    tile = subject.tile.copy(deep=True)
    tile["quality_data_mask"].values[hole] = 0
    for index, band in enumerate(subject.bands):
        values = tile[band].values[hole]
        tile[band].values[hole] = fill(values, index)
    return tile


def _low(values: Array, seed: int) -> Array:  # noqa: ARG001  (as the other)
    return np.zeros_like(values)


def _noise(values: Array, seed: int) -> Array:
    """Return numbers as no image has them, or all that a band of whole numbers can hold."""
    rng = np.random.default_rng(seed)
    if np.issubdtype(values.dtype, np.integer):
        return np.asarray(rng.integers(0, np.iinfo(values.dtype).max, values.shape), dtype=values.dtype)
    return np.asarray(rng.normal(0, 1e4, values.shape), dtype=values.dtype)
