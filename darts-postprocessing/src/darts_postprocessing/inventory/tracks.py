"""Slumps over years: which of one year is which of another, what splits and what merges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid5

import numpy as np
import shapely

from darts_postprocessing.inventory.dissolve import MIN_OVERLAP, check_min_overlap, share_enough
from darts_utils.rasters.arrays import Array

NAMESPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""Of all ids of an inventory: that of addresses, RFC 9562."""


@dataclass(frozen=True, kw_only=True)
class YearOfSlumps:
    """The slumps of one year."""

    year: int
    outlines: Array
    """(slump,) maximum extents in an equal-area plane."""
    first_objects: Array
    """(slump,) text, the smallest id of the objects that each consists of: what a new id is made from."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """Slumps that have an id already, such as those of an inventory that is continued: one row a slump and year."""

    ids: Array
    """(row,) text."""
    years: Array
    """(row,) whole numbers."""
    outlines: Array
    """(row,) polygons and multipolygons in the plane."""


@dataclass(frozen=True, kw_only=True)
class Links:
    """Who is who."""

    ids: Mapping[int, Array]
    """By year: (slump,) text, the id of each slump of that year."""
    split_from: Mapping[str, str]
    """Ids that began as a part of another one, and that one."""
    merged_into: Mapping[str, tuple[str, int]]
    """Ids that ended in another one, that one, and the year in which they did."""


@dataclass
class _Known:
    """Slumps with an id, each with an outline of some year: their last one, or their first one on the way back."""

    ids: list[str] = field(default_factory=list)
    outlines: list[shapely.Geometry] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)

    def put(self, ids: Sequence[str] | Array, outlines: Array) -> None:
        """Add slumps, or move those that are known to new outlines."""
        for slump_id, outline in zip(ids, outlines, strict=True):
            place = self.places.setdefault(slump_id, len(self.ids))
            if place == len(self.ids):
                self.ids.append(slump_id)
                self.outlines.append(outline)
            else:
                self.outlines[place] = outline


@dataclass(frozen=True)
class _Overlaps:
    """Pairs of a known slump and one of a year that share enough ground, those that share most first."""

    known: Array
    here: Array


def link_years(
    years: Sequence[YearOfSlumps], published: Published | None = None, min_overlap: float = MIN_OVERLAP
) -> Links:
    """Return the ids of slumps over years, and how they are related.

    Each slump of a year is compared with the last outline of all that were there before, whatever year that is from: a
    year in which a slump was hidden or missed breaks no track. Of pairs that share enough ground those that share most
    are linked first, each slump to one other at most. What is left over of a year while its ground belonged to a slump
    that goes on is split from it; a slump that is left over while its ground belongs to one that goes on is merged into
    that, and ends.

    Ids that were published stay: slumps of the year of a published outline are compared with that one first, those of
    earlier years with the first outline of a published id that begins later, and those of later years with what was
    published before them too.

    Args:
        years: Each once, in any order.
        published: Slumps that have ids.
        min_overlap: Two outlines share enough ground if it is at least this part of the smaller one.

    Raises:
        ConfigError: If `min_overlap` is not above 0 and at most 1.
    """
    check_min_overlap(min_overlap)
    linker = _Linker(sorted(years, key=lambda one: one.year), min_overlap)
    if published is not None and len(published.ids):
        linker.keep(published)
        linker.go_back(published)
    linker.go_forward(published)
    return Links(
        ids={one.year: np.array(linker.ids[one.year], dtype=object) for one in linker.years},
        split_from=linker.split_from,
        merged_into=linker.merged_into,
    )


class _Linker:
    """Gives ids to the slumps of all years, one rule after the other."""

    def __init__(self, years: Sequence[YearOfSlumps], min_overlap: float) -> None:
        self.years = years
        self.ids: dict[int, list[str | None]] = {one.year: [None] * len(one.outlines) for one in years}
        self.split_from: dict[str, str] = {}
        self.merged_into: dict[str, tuple[str, int]] = {}
        self._min_overlap = min_overlap

    def keep(self, published: Published) -> None:
        """Give published ids to what lies on their outlines of the same year."""
        for one in self.years:
            rows = np.flatnonzero(published.years == one.year)
            known = _Known()
            known.put(published.ids[rows], published.outlines[rows])
            self._link(one, known)

    def go_back(self, published: Published) -> None:
        """Give published ids to what lies on their first outlines, in the years before."""
        order = np.argsort(-published.years, kind="stable")
        first_years = {str(published.ids[row]): int(published.years[row]) for row in order}
        ids, outlines, years = published.ids[order], published.outlines[order], published.years[order]
        known = _Known()
        for one in reversed(self.years):
            begins = (years > one.year) & (years == [first_years[str(slump_id)] for slump_id in ids])
            new = np.flatnonzero(begins & [str(slump_id) not in known.places for slump_id in ids])
            known.put(ids[new], outlines[new])
            self._link(one, known)
            taken = [place for place, slump_id in enumerate(self.ids[one.year]) if slump_id in known.places]
            known.put([str(self.ids[one.year][place]) for place in taken], one.outlines[taken])

    def go_forward(self, published: Published | None) -> None:
        """Give all others the id of what was there before, or a new one, and note what splits and what merges."""
        known = _Known()
        begun: set[str] = set()
        last_year, named = -1, set[str]()
        for one in self.years:
            if published is not None:
                between = (published.years >= last_year) & (published.years < one.year)
                self._remember(published, between, named, known)
                begun.update(known.ids)
            overlaps = self._link(one, known)
            new = [place for place, slump_id in enumerate(self.ids[one.year]) if slump_id is None]
            for place in new:
                self.ids[one.year][place] = str(uuid5(NAMESPACE, str(one.first_objects[place])))
            self._relate(one, known, overlaps, begun)
            here = [str(slump_id) for slump_id in self.ids[one.year]]
            last_year, named = one.year, set(here)
            known.put(here, one.outlines)
            begun.update(named)

    def _remember(self, published: Published, between: Array, named: set[str], known: _Known) -> None:
        """Put published slumps of some years, the earliest first, among those that were there before.

        Of the first of these years those that have been found are left out: what was found then says more.
        """
        rows = np.flatnonzero(between)
        for row in rows[np.argsort(published.years[rows], kind="stable")]:
            slump_id = str(published.ids[row])
            if slump_id not in named or int(published.years[row]) not in self.ids:
                known.put([slump_id], published.outlines[[row]])

    def _link(self, one: YearOfSlumps, known: _Known) -> _Overlaps:
        """Give known ids to slumps of a year that have none, and return all that share enough ground."""
        here = self.ids[one.year]
        taken = {slump_id for slump_id in here if slump_id is not None} | set(self.merged_into)
        overlaps = _overlaps(known.outlines, one.outlines, self._min_overlap)
        for place, slump in zip(overlaps.known, overlaps.here, strict=True):
            slump_id = known.ids[place]
            if here[slump] is None and slump_id not in taken:
                here[slump] = slump_id
                taken.add(slump_id)
        return overlaps

    def _relate(self, one: YearOfSlumps, known: _Known, overlaps: _Overlaps, begun: set[str]) -> None:
        """Note which slumps of a year are split from others, and which known ones end in one of them."""
        here = [str(slump_id) for slump_id in self.ids[one.year]]
        goes_on = set(here)
        for place, slump in zip(overlaps.known, overlaps.here, strict=True):
            before, now = known.ids[place], here[slump]
            if before == now or before in self.merged_into:
                continue
            if before not in goes_on:  # `now` is another's: had it been free it would have got this id
                self.merged_into[before] = (now, one.year)
            elif now not in begun:
                self.split_from.setdefault(now, before)


def _overlaps(known: Sequence[shapely.Geometry], here: Array, min_overlap: float) -> _Overlaps:
    """Return pairs that share enough ground, those that share most first; of equal ones by their order."""
    outlines = np.array(known, dtype=object)
    of_here, of_known = shapely.STRtree(outlines).query(here, predicate="intersects")
    is_enough, shared = share_enough(outlines[of_known], here[of_here], min_overlap)
    enough = np.flatnonzero(is_enough)
    order = enough[np.lexsort((of_here[enough], of_known[enough], -shared[enough]))]
    return _Overlaps(of_known[order], of_here[order])
