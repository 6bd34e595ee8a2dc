"""An inventory from tiles, cell by cell: objects and looks, slumps of each year, tracks over years."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import starmap
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from darts_postprocessing.inventory.cells import Index, cell_at
from darts_postprocessing.inventory.dissolve import groups_of
from darts_postprocessing.inventory.parts import NOTES, Part, note_all, parts_of, remove_others
from darts_postprocessing.inventory.published import keep_published, kept_published, published_of
from darts_postprocessing.inventory.rules import Rules
from darts_postprocessing.inventory.said import FILE, Counted, read_said, write_said
from darts_postprocessing.inventory.tiles.choice import chosen_tiles, content_of, find_tiles
from darts_postprocessing.inventory.tiles.facts import TileFacts, tile_facts
from darts_postprocessing.inventory.tiles.tables import EXTENT
from darts_postprocessing.inventory.tracks import Published
from darts_postprocessing.inventory.work import (
    LEVEL_2,
    REACH_M,
    SUMS_KIND,
    Members,
    Period,
    Place,
    dissolve,
    ingest,
    object_pairs,
    published_pairs,
    slump_pairs,
    sums_beside,
    track,
)
from darts_utils.errors import ConfigError
from darts_utils.files import exclusive_lock, make_folder, remove_parts
from darts_utils.rasters.arrays import Array

KINDS = ("objects", "looks", "slumps", "tracks", "changes", LEVEL_2, SUMS_KIND)

type Spread = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], Iterable[Any]]
"""Calls a function with each of many arguments, here or elsewhere, and gives what it returns in their order."""


@dataclass(frozen=True, kw_only=True)
class BuiltInventory:
    """An inventory that is there."""

    folder: Path
    n_tiles: int
    n_objects: int
    slumps: Mapping[int, int]
    """Slumps by year."""
    n_tracks: int
    n_without_looks: int
    """Tiles that do not tell which ground was really seen."""


def here(function: Callable[..., Any], given: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    """Call a function with each of many arguments in this process."""
    yield from starmap(function, given)


@contextmanager
def spread_over(workers: int) -> Iterator[Spread]:
    """Give what calls functions in several processes of this machine, which end with the context."""
    if workers < 2:
        yield here
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:

        def spread(function: Callable[..., Any], given: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
            waited = [pool.submit(function, *one) for one in given]
            try:
                for one in waited:
                    yield one.result()
            finally:  # of one that failed, the others need not be done
                for one in waited:
                    one.cancel()

        yield spread


def build(
    roots: Sequence[Path],
    out: Path,
    rules: Rules | None = None,
    *,
    spread: Spread | None = None,
    published: Published | None = None,
) -> BuiltInventory:
    """Make an inventory of all tiles below some folders, or bring one up to date with them.

    What is there already and made of the same is not made again, so that a build that was killed goes on; of tiles that
    are gone nothing remains. Equal tiles, rules and published slumps give equal files.

    Args:
        roots: Results folders of runs, or folders of tiles.
        out: Folder of the inventory.
        rules: What counts.
        spread: Calls functions in other processes; here if not given.
        published: Slumps whose ids are kept.

    Raises:
        ConfigError: If a folder is not there, tiles are not made alike, or `out` has other things in it.
        DataError: If a tile is damaged, or does not say what is needed.
        MissingDataError: If there is no tile that counts.
    """
    rules, spread = rules or Rules(), spread or here
    _check_own(out)
    folders = find_tiles(roots)
    tiles = chosen_tiles(list(spread(tile_facts, [(folder,) for folder in folders])), rules)
    make_folder(out)
    with exclusive_lock(out / ".lock", timeout_s=0):
        for folder in (out, *(path for path in out.rglob("*") if path.is_dir())):
            remove_parts(folder)  # what killed builds left half done
        counted = Counted(
            images=sorted({(one.image_id, one.model_ids) for one in tiles}),
            years=sorted({one.year for one in tiles}),
            n_without_looks=sum(one.saw == EXTENT for one in tiles),
            results=_results(tiles, spread),
        )
        write_said(out, rules, counted, unfinished="build")
        keep_published(out, published)
        objects, looks = ingest_all(out, tiles, rules, spread)
        return _follow(out, rules, spread, counted, level_1=(objects, looks), published=published)


def _results(tiles: Sequence[TileFacts], spread: Spread) -> Mapping[str, Sequence[str]]:
    """Return the hashes of the tables of tiles, by image."""
    found: dict[str, list[str]] = {}
    for one, content in zip(tiles, spread(content_of, [(one.folder,) for one in tiles]), strict=True):
        found.setdefault(one.image_id, []).append(content)
    return {image: sorted(several) for image, several in sorted(found.items())}


def _check_own(out: Path) -> None:
    """Refuse a folder with other things in it: parts that an inventory does not have any more are deleted.

    Raises:
        ConfigError: If it is neither empty nor that of an inventory.
    """
    is_own = (out / NOTES).is_dir() or (out / FILE).is_file()
    if out.exists() and not is_own and any(entry.name[0] != "." for entry in out.iterdir()):
        raise ConfigError(f"{out} has other things in it than an inventory. Give a folder of its own with --out.")


def retrack(
    folder: Path, changed: Mapping[str, Any], *, spread: Spread | None = None, published: Published | None = None
) -> BuiltInventory:
    """Make slumps and tracks of an inventory again, with other rules or ids, from the objects and looks that it has.

    Args:
        folder: The inventory; its tiles need not be there any more.
        changed: `min_overlap`, `min_looks` and `min_agreement` where they are to be others than before.
        spread: Calls functions in other processes; here if not given.
        published: Slumps whose ids are kept; those that were kept before if not given.

    Raises:
        ConfigError: If there is no inventory, or a rule is out of its range.
        DataError: If `inventory.json` or a part is damaged or lost, or a build was not finished.
    """
    said = read_said(folder, unfinished_is_fine=("track",))
    rules, counted = replace(said.rules, **changed), said.counted
    with exclusive_lock(folder / ".lock", timeout_s=0):
        note_all(folder)
        level_1 = parts_of(folder, "objects"), parts_of(folder, "looks")
        if published is None:
            published = kept_published(folder)
        if published is None and not (folder / LEVEL_2).is_dir():  # it was published as it is
            published = published_of(gpd.read_parquet(folder / "slumps"), str(folder))
        write_said(folder, rules, counted, unfinished="track")
        keep_published(folder, published)
        return _follow(folder, rules, spread or here, counted, level_1=level_1, published=published)


def _follow(
    out: Path,
    rules: Rules,
    spread: Spread,
    counted: Counted,
    *,
    level_1: tuple[Sequence[Part], Sequence[Part]],
    published: Published | None,
) -> BuiltInventory:  # fmt: skip
    """Make slumps and tracks of objects and looks, and write down what the inventory is made of."""
    objects, looks = level_1
    steps = Steps(out, rules, spread, looks=looks, years=counted.years, published=published)
    slumps = steps.dissolve(objects)
    made = steps.track(slumps)
    sums = [sums_beside(part) for part in looks]
    remove_others(out, KINDS, [*objects, *looks, *sums, *slumps, *made])
    by_year: dict[int, int] = dict.fromkeys(counted.years, 0)
    for part in made:
        if part.name.startswith("slumps/"):
            by_year[part.year] += part.rows
    write_said(out, rules, counted)
    return BuiltInventory(
        folder=out,
        n_tiles=len(counted.images),
        n_objects=sum(part.rows for part in objects),
        slumps=by_year,
        n_tracks=sum(part.rows for part in made if part.name.startswith("tracks/")),
        n_without_looks=counted.n_without_looks,
    )


def ingest_all(out: Path, tiles: Sequence[TileFacts], rules: Rules, spread: Spread) -> tuple[list[Part], list[Part]]:
    """Write objects and looks of all tiles, and return their parts."""
    by_place: dict[tuple[int, str], list[TileFacts]] = {}
    for one in sorted(tiles, key=lambda one: (one.image_id, one.model_ids)):
        by_place.setdefault((one.year, one.cell), []).append(one)
    places = [Place(root=out, cell=cell, year=year) for year, cell in sorted(by_place)]
    work = [(place, of_place, rules) for place, (_, of_place) in zip(places, sorted(by_place.items()), strict=True)]
    list(spread(ingest, work))
    return [place.part("objects") for place in places], [place.part("looks") for place in places]


class Steps:
    """What is worked out of objects and looks, each step over all cells.

    What passes between the steps are names of parts and numbers of rows.

    Args:
        out: Folder of the inventory.
        rules: What counts.
        spread: Calls functions in other processes.
        looks: Parts with the ground that images saw.
        years: All years of the inventory, rising.
        published: Slumps whose ids are kept.
    """

    def __init__(
        self,
        out: Path,
        rules: Rules,
        spread: Spread,
        *,
        looks: Sequence[Part],
        years: Sequence[int],
        published: Published | None = None,
    ) -> None:
        self._out = out
        self._rules = rules
        self._spread = spread
        self._published = published
        self._looks = looks
        self._years = years

    def _do(self, function: Callable[..., Any], given: Sequence[tuple[Any, ...]]) -> list[Any]:
        return list(self._spread(function, given))

    def dissolve(self, objects: Sequence[Part]) -> list[Part]:
        """Write the slumps of each year, without ids, and return their parts."""
        made = []
        for year in self._years:
            parts = [part for part in objects if part.year == year and part.rows]
            groups = self._grouped(object_pairs, parts, REACH_M)
            beside = _Beside([part for part in self._looks if part.year == year])
            work = []
            for cell, members in _by_home(parts, groups).items():
                place = Place(root=self._out, cell=cell, year=year)
                work.append((place, members, beside.those_of(members), self._rules))
            self._do(dissolve, work)
            made += [place.part(LEVEL_2) for place, *_ in work]
        return made

    def track(self, slumps: Sequence[Part]) -> list[Part]:
        """Write slumps with ids, tracks and changes, and return their parts."""
        parts = sorted((part for part in slumps if part.rows), key=lambda part: (part.cell, part.name))
        beside = _Beside(self._looks)
        work = []
        for cell, members in _by_home(parts, self._grouped(slump_pairs, parts, 0.0, self._published)).items():
            period = Period(years=self._years, rules=self._rules, published=_published_in(self._published, members))
            work.append((Place(root=self._out, cell=cell), members, beside.those_of(members), period))
        if not work:  # tables without a row tell more than no tables
            period = Period(years=self._years, rules=self._rules)
            work.append((Place(root=self._out, cell=cell_at(0, 0)), [], [], period))
        return [part for made in self._do(track, work) for part in made]

    def _grouped(
        self,
        pairs: Callable[..., tuple[Array, Array]],
        parts: Sequence[Part],
        reach: float,
        published: Published | None = None,
    ) -> list[Array]:
        """Return the group of each row of parts, numbered by their first rows, from pairs of rows.

        Rows on outlines of one published slump are a group too: its id must be given once, wherever they lie.
        """
        starts = np.cumsum([0, *(part.rows for part in parts)])
        bounds = [part.bounds for part in parts]
        index = Index(bounds)
        beside = [[int(at) for at in index.near([own], reach) if at > number] for number, own in enumerate(bounds)]
        overlap = self._rules.min_overlap
        given = [(part, [parts[at] for at in others], overlap) for part, others in zip(parts, beside, strict=True)]
        linked = [np.empty((2, 0), dtype=np.int64)]
        for number, (of_part, rows) in enumerate(self._do(pairs, given)):
            linked.append(starts[np.array([number, *beside[number]])[of_part]] + rows)
        n_nodes = int(starts[-1])
        if published is not None:
            n_nodes += len(np.unique(published.ids))
            linked += self._on_published(parts, starts, published)
        first, second = np.concatenate(linked, axis=1)
        return np.split(groups_of(n_nodes, first, second)[: starts[-1]], starts[1:-1])

    def _on_published(self, parts: Sequence[Part], starts: Array, published: Published) -> list[Array]:
        """Return pairs of rows and published ids, which are numbered after all rows."""
        _, of_id = np.unique(published.ids, return_inverse=True)
        near = [_near_published(published, [part]) for part in parts]
        given = [(part, published.outlines[at], self._rules.min_overlap) for part, at in zip(parts, near, strict=True)]
        found = zip(starts, near, self._do(published_pairs, given), strict=False)
        return [np.stack([start + rows, starts[-1] + of_id[at[numbers]]]) for start, at, (rows, numbers) in found]


def _by_home(parts: Sequence[Part], groups: Sequence[Array]) -> dict[str, list[Members]]:
    """Return the rows of all groups by the cell in which the first row of each lies."""
    if not parts:
        return {}
    owners = np.concatenate(groups)
    of_part = np.repeat(np.arange(len(parts)), [len(one) for one in groups])
    rows = np.concatenate([np.arange(len(one)) for one in groups])
    cells = np.array([part.cell for part in parts])
    homes = cells[of_part[np.unique(owners, return_index=True)[1]]][owners]
    work: dict[str, list[Members]] = {}
    for cell in np.unique(homes):
        at = np.flatnonzero(homes == cell)
        numbers = np.unique(owners[at], return_inverse=True)[1]
        work[str(cell)] = [
            Members(part=parts[part], rows=rows[at[of_part[at] == part]], groups=numbers[of_part[at] == part])
            for part in np.unique(of_part[at])
        ]
    return work


class _Beside:
    """Looks by where they lie.

    Args:
        looks: Their parts.
    """

    def __init__(self, looks: Sequence[Part]) -> None:
        self._looks = looks
        self._index = Index([part.bounds for part in looks])

    def those_of(self, members: Sequence[Members]) -> list[Part]:
        """Return the looks that may have seen some of the rows."""
        return [self._looks[at] for at in self._index.near([one.part.bounds for one in members])]


def _published_in(published: Published | None, members: Sequence[Members]) -> Published | None:
    """Return the published slumps that may be those of some rows."""
    if published is None:
        return None
    near = _near_published(published, [one.part for one in members])
    return Published(ids=published.ids[near], years=published.years[near], outlines=published.outlines[near])


def _near_published(published: Published, parts: Sequence[Part]) -> Array:
    """Return which published slumps reach into the bounds of parts, their numbers in rising order."""
    boxes = np.array([shapely.box(*part.bounds) for part in parts if part.bounds is not None], dtype=object)
    return np.unique(shapely.STRtree(published.outlines).query(boxes, predicate="intersects")[1])
