"""Whether probabilities depend on how a tile is cut into patches: coverage, another grid, seams."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from darts_segmentation.patches import Patching, patch_grid
from darts_segmentation.validation.findings import Finding, passed_if
from darts_segmentation.validation.measures import (
    coverage,
    differences,
    seams,
    share_error,
    steps_at_seams,
)
from darts_segmentation.validation.subject import Subject
from darts_utils.rasters.arrays import Array

SHARE_LIMIT = 1e-5
"""How far shares in a pixel may be from adding up to 1: they are float32, and up to a dozen of them."""
OFFSET_LIMIT = 0.0006
SEAM_LIMIT = 1.1


def check_coverage(subject: Subject) -> Finding:
    """Check that each pixel with valid input has one probability and no other pixel has any."""
    found = coverage(subject.base, subject.valid)
    error = share_error(subject.grid(), subject.shape)
    return Finding(
        check="coverage",
        status=passed_if(found.n_without == 0 and found.n_beyond == 0 and error <= SHARE_LIMIT),
        measured=f"{found.n_valid} px valid, {found.n_without} of them without a probability, {found.n_beyond} other px"
        f" with one; shares of patches add up to 1 within {error:.1g}",
        limit=f"0 and 0 px, {SHARE_LIMIT:g}",
        meaning="Each pixel with valid input has one probability, to which patches contribute 1 in all; no other has.",
        figures={
            "n_valid": found.n_valid, "n_without": found.n_without, "n_beyond": found.n_beyond, "share_error": error,
        },
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Shifted:
    """The same ground on two grids of patches, away from the edges of both cuts."""

    base: Array
    """Probabilities on the tile's own grid."""
    again: Array
    """Those on the grid that begins later."""
    rows: int
    """By how many rows it does."""
    columns: int
    seams: tuple[tuple[list[int], list[int]], tuple[list[int], list[int]]]
    """Of the first and of the second grid, between rows and between columns, without those that both have."""
    margin_px: int


def on_shifted_grid(subject: Subject) -> Shifted:
    """Return the probabilities of the same ground on the tile's own grid, and on one with its seams elsewhere.

    The first rows and columns are cut off, by multiples that the network does not see, so that patches begin elsewhere.
    What lies within half an overlap of an edge is left out: there a part of the surroundings is missing, whatever the
    grid.
    """
    down, across = (
        _best_shift(length, subject.patching, subject.multiple, first)
        for length, first in zip(subject.shape, subject.origin, strict=True)
    )
    again = subject.probabilities(subject.tile.isel(y=slice(down, None), x=slice(across, None)))
    margin = max(subject.patching.overlap // 2, subject.multiple)
    first, second = subject.grid(), subject.grid(down, across)
    height, width = subject.shape
    rows = _own_seams(seams(first.rows, height), seams(second.rows, height - down), down, margin, len(again))
    columns = _own_seams(
        seams(first.columns, width), seams(second.columns, width - across), across, margin, again.shape[1]
    )
    kept = tuple(slice(margin, max(margin, length - margin)) for length in again.shape)
    return Shifted(
        base=subject.base[down:, across:][kept],
        again=again[kept],
        rows=down,
        columns=across,
        seams=((rows[0], columns[0]), (rows[1], columns[1])),
        margin_px=margin,
    )


def _own_seams(
    first: Collection[int], second: Collection[int], cut: int, margin: int, length: int
) -> tuple[list[int], list[int]]:
    """Return the seams along an axis that only the first, and only the second grid has, in the ground that is kept."""
    here, there = ({line - margin for line in lines} for lines in ({line - cut for line in first}, second))
    inside = range(1, length - 2 * margin)
    return sorted((here - there) & set(inside)), sorted((there - here) & set(inside))


def check_offset(shifted: Shifted) -> Finding:
    """Check that probabilities are nearly the same on another grid of patches."""
    found = differences(shifted.again, shifted.base, np.ones(shifted.base.shape, dtype=bool))
    meaning = "Where patches happen to lie on the ground decides nothing that a map shows."
    limit = f"mean |dp| {OFFSET_LIMIT:g}"
    if not found.n:
        reason = f"no valid ground is farther than {shifted.margin_px} px from the edges"
        return Finding(check="offset grid", status="skipped", measured=reason, limit=limit, meaning=meaning)
    return Finding(
        check="offset grid",
        status=passed_if(found.mean <= OFFSET_LIMIT),
        measured=f"{found.words} (patches {shifted.rows} rows and {shifted.columns} columns on; {shifted.margin_px} px"
        " from edges)",
        limit=limit,
        meaning=meaning,
        figures={**found.figures, "rows": shifted.rows, "columns": shifted.columns},
    )


def check_seams(shifted: Shifted) -> Finding:
    """Check that probabilities step no higher where patches begin and end than the same pixels of another grid do."""
    limit, meaning = f"ratio {SEAM_LIMIT:g}", "Borders of patches cannot be seen in a map."
    own, others = shifted.seams
    steps = steps_at_seams(shifted.base, shifted.again, *own) + steps_at_seams(shifted.again, shifted.base, *others)
    if not steps.n:
        reason = "no patch begins or ends inside of the ground that both grids have"
        return Finding(check="seams", status="skipped", measured=reason, limit=limit, meaning=meaning)
    n_seams = sum(map(len, (*own, *others)))
    return Finding(
        check="seams",
        status=passed_if(steps.ratio <= SEAM_LIMIT),
        measured=f"ratio {steps.ratio:.3f}: steps of {steps.at_seams:.2g} at {n_seams} seams, {steps.without:.2g} of"
        " the same pixels on the other grid",
        limit=limit,
        meaning=meaning,
        figures={
            "ratio": steps.ratio, "at_seams": steps.at_seams, "without": steps.without, "n_seams": n_seams,
        },
    )  # fmt: skip


def _best_shift(length: int, patching: Patching, multiple: int, origin: int) -> int:
    """Return by how many pixels to cut an axis so that the seams of its new patches are farthest from the old ones."""

    def seams_after(cut: int) -> list[int]:
        spans = patch_grid((length - cut, 1), patching, multiple, (origin + cut, 0)).rows
        return [cut + line for line in seams(spans, length - cut)]

    stride = multiple * math.ceil((patching.patch_size - patching.overlap) / multiple)
    cuts = range(multiple, min(stride, length // 2) + 1, multiple)
    return max(cuts, key=lambda cut: _apart(cut, seams_after, length), default=0)


def _apart(cut: int, seams_after: Callable[[int], Collection[int]], length: int) -> tuple[float, int]:
    """Return the mean distance of the seams after a cut from those without one, and of two cuts prefer the smaller."""
    there, new = [0, length, *seams_after(0)], [cut, *seams_after(cut)]
    return sum(min(abs(line - old) for old in there) for line in new) / len(new), -cut
