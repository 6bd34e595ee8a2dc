"""What becomes of slumps over years: which scars each consists of in which year."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from darts.demo.world.fields import PIXEL_M
from darts.demo.world.scars import ScarDesign
from darts.demo.world.sites import Circle

FASTEST_M = 12.0
"""By how much a headwall retreats in a year at most."""
_ALL_YEARS_SHARE, _STANDING_SHARE = 0.5, 0.25
"""Shares of slumps that are active in all years, and of those that do not grow."""
_TWIN_SHARE = 0.2
"""Share of slumps beside which there is another one that they merge with or split from."""
_BETWEEN_PX = 7.0
"""Ground between slumps that merge, or that one slump splits into: enough for pixels of 10 m to tell them apart."""


@dataclass(frozen=True, kw_only=True)
class Life:
    """A slump and what becomes of it."""

    number: int
    scars: Mapping[int, tuple[ScarDesign, ...]]
    """By year in which it is a slump: what it consists of."""
    overgrown: Mapping[int, tuple[ScarDesign, ...]] = field(default_factory=dict)
    """By year: what of it is a slump no more."""
    retreat_m: float | None = 0.0
    """By how much its headwall retreats in a year; None if it merges or splits."""
    split_from: int | None = None
    """Number of the slump that it was a part of before."""
    merged_into: int | None = None
    """Number of the slump that it ends in."""


def lives_of(rng: np.random.Generator, designs: Sequence[ScarDesign], years: Sequence[int]) -> list[tuple[Life, ...]]:
    """Return what becomes of slumps: alone, or in pairs that merge or split.

    Those that would grow into another one stay as they are.

    Args:
        rng: Random numbers.
        designs: The slumps as they begin; none touches another.
        years: All years, ascending.
    """
    circles = [design.circle for design in designs]
    alone = list(range(len(designs)))
    lives: list[tuple[Life, ...]] = []
    wanted = max(2, round(_TWIN_SHARE * len(designs)))
    for index in rng.permutation(len(designs)).tolist():
        twin = _twin_of(designs[index], _without(circles, index)) if len(lives) < wanted else None
        if twin is not None:
            alone.remove(index)
            circles.append(twin.circle)
            one = replace(designs[index], lobes=(), bend=0.0)
            event = 1 + len(lives) // 2 % (len(years) - 1)
            lives.append(_pair(2 * len(lives), (one, twin), years, event, is_merging=len(lives) % 2 == 0))
    for index in alone:
        number = len(lives) + sum(len(pair) == 2 for pair in lives)
        lives.append((_single(rng, number, designs[index], _without(circles, index), years),))
    return lives


def _without(circles: Sequence[Circle], index: int) -> list[Circle]:
    return [*circles[:index], *circles[index + 1 :]]


def _single(
    rng: np.random.Generator, number: int, design: ScarDesign, others: Sequence[Circle], years: Sequence[int]
) -> Life:
    """Return a slump that appears, grows or does not, and perhaps ends."""
    first, last = 0, len(years) - 1
    if rng.random() > _ALL_YEARS_SHARE:
        if rng.random() < 0.5:
            first = int(rng.integers(1, len(years)))
        else:
            last = int(rng.integers(0, len(years) - 1))
    retreat_m = 0.0 if rng.random() < _STANDING_SHARE else float(rng.uniform(0, FASTEST_M))
    retreat = retreat_m / PIXEL_M
    room = replace(design, room=retreat * (last - first))
    if not _is_free(room, others):
        retreat, retreat_m, room = 0.0, 0.0, design
    grown = {year: (replace(room, retreat=retreat * age),) for age, year in enumerate(years[first : last + 1])}
    overgrown = dict.fromkeys(years[last + 1 :], grown[years[last]])
    return Life(number=number, scars=grown, overgrown=overgrown, retreat_m=retreat_m)


def _twin_of(design: ScarDesign, others: Sequence[Circle]) -> ScarDesign | None:
    """Return a smaller slump that fits beside a slump on the same slope, None if there is no room on either side."""
    if design.radius < 6:
        return None
    small = replace(design, radius=0.75 * design.radius, body=0.75 * design.body, lobes=(), bend=0.0)
    away = design.radius + small.radius + _BETWEEN_PX
    for side in (-1, 1):
        row, column = (c + side * away * d for c, d in zip(design.centre, _across(design), strict=True))
        twin = replace(small, centre=(row, column))
        if _is_free(twin, others):
            return twin
    return None


def _across(design: ScarDesign) -> tuple[float, float]:
    return -design.downslope[1], design.downslope[0]


def _is_free(design: ScarDesign, others: Sequence[Circle]) -> bool:
    row, column, radius = design.circle
    return all(np.hypot(row - y, column - x) > radius + r for y, x, r in others)


def _pair(
    number: int, twins: tuple[ScarDesign, ScarDesign], years: Sequence[int], event: int, *, is_merging: bool
) -> tuple[Life, Life]:
    """Return the larger one of two slumps that become one in a year, or are one until then, and the smaller one."""
    large, small = twins
    bridge = _bridge(large, small)
    before, after = years[:event], years[event:]
    together, apart = (after, before) if is_merging else (before, after)
    scars = dict.fromkeys(together, (large, small, bridge)) | dict.fromkeys(apart, (large,))
    overgrown = {} if is_merging else dict.fromkeys(apart, (bridge,))
    one = Life(number=number, scars=dict(sorted(scars.items())), overgrown=overgrown, retreat_m=None)
    other = Life(
        number=number + 1,
        scars=dict.fromkeys(apart, (small,)),
        retreat_m=None,
        merged_into=number if is_merging else None,
        split_from=None if is_merging else number,
    )
    return one, other


def _bridge(large: ScarDesign, small: ScarDesign) -> ScarDesign:
    """Return the scar between two slumps; it reaches into both."""
    # the middle of the gap, for the smaller one is less wide
    share = (large.radius + _BETWEEN_PX / 2) / (large.radius + small.radius + _BETWEEN_PX)
    row, column = (a + share * (b - a) for a, b in zip(large.centre, small.centre, strict=True))
    radius = _BETWEEN_PX / 2 + 0.5 * small.radius
    return replace(
        small, centre=(row, column), radius=radius, head=0.4, body=0.6 * small.body, neck=0.9 * radius, tongue=0.0
    )
