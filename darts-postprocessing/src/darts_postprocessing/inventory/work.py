"""What is worked out of one cell, or of one cell and year: functions of names and plain values, for any process.

Each leaves a part of the inventory, and does nothing where that is there and made of the same.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts_postprocessing.inventory.cells import Bounds, bounds_of
from darts_postprocessing.inventory.dissolve import same_slump_pairs, share_enough
from darts_postprocessing.inventory.overlay import unions
from darts_postprocessing.inventory.parts import Part, digest_of, digests
from darts_postprocessing.inventory.plane import PLANE_CRS
from darts_postprocessing.inventory.rules import Rules
from darts_postprocessing.inventory.slumps import compared, no_slumps, slumps_of
from darts_postprocessing.inventory.tiles.facts import TileFacts
from darts_postprocessing.inventory.tiles.level_1 import SUMS, read_look, read_objects, read_sums
from darts_postprocessing.inventory.tracking import tracked
from darts_postprocessing.inventory.tracks import Published
from darts_utils.rasters.arrays import Array

LEVEL_2 = ".parts/slumps"
SUMS_KIND = ".parts/sums"
PUBLISHED_SUMS = "sums"
"""Folder of parts of cells that are summed over the tiles of a place, beside those of their looks."""
REACH_M = 100.0
"""As near as two cut objects of coarse pixels may touch, with room to spare."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A cell, or a cell in a year."""

    root: Path
    """Folder of the inventory."""
    cell: str
    year: int | None = None

    def part(self, kind: str, year: int | None = None) -> Part:
        """Return its part of a kind."""
        year = self.year if year is None else year
        return Part(self.root, f"{kind}/{self.cell}.parquet" if year is None else f"{kind}/{year}/{self.cell}.parquet")


def ingest(place: Place, tiles: Sequence[TileFacts], rules: Rules) -> None:
    """Write the objects of the tiles of a cell and year, the looks, and the sums of probabilities over their ground."""
    digest = digest_of([[one.image_id, one.digest] for one in tiles], sorted(rules.drop))
    objects, looks, sums = place.part("objects"), place.part("looks"), place.part(SUMS_KIND)
    if all(part.is_made_of(digest) for part in (objects, looks, sums)):
        return
    sums.write(_added([read_sums(one) for one in tiles]), digest)
    looks.write(_by_image(_stacked([read_look(one, rules) for one in tiles], "image_id")), digest)
    found = _stacked([read_objects(one, rules) for one in tiles], "object_id")
    objects.write(found.drop_duplicates("object_id", ignore_index=True), digest)


def _stacked(frames: Sequence[gpd.GeoDataFrame], by: str) -> gpd.GeoDataFrame:
    """Return tables one below the other; an empty one must not turn columns into others."""
    filled = [frame for frame in frames if len(frame)] or list(frames[:1])
    stacked: gpd.GeoDataFrame = pd.concat(filled).sort_values(by, ignore_index=True)
    return stacked


def sums_beside(looks: Part) -> Part:
    """Return the part with the sums over the ground of some looks; a published inventory has them in the open."""
    own, published = (Part(looks.root, looks.name.replace("looks", kind, 1)) for kind in (SUMS_KIND, PUBLISHED_SUMS))
    return published if published.file.is_file() and not own.file.is_file() else own


def _added(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the sums of several tiles by cell, in an order of its own: floating numbers are added in that of tiles."""
    return pd.concat(tables).groupby(["y", "x"], as_index=False).sum()[list(SUMS)]


def _by_image(looks: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return one row an image, of whose tiles each saw a part of the ground."""
    codes, images = pd.factorize(looks["image_id"])
    if len(images) == len(looks):
        return looks
    outlines = unions(looks.geometry.to_numpy(), codes, len(images))
    known = looks.groupby("image_id", sort=False)["is_observed"].all().to_numpy()
    first = looks.drop_duplicates("image_id", ignore_index=True)
    merged: gpd.GeoDataFrame = first.assign(is_observed=known).set_geometry(gpd.GeoSeries(outlines, crs=PLANE_CRS))
    return merged


def object_pairs(own: Part, others: Sequence[Part], min_overlap: float) -> tuple[Array, Array]:
    """Return which objects of a part belong together, or with those of parts beside it.

    Returns:
        (2, pair) numbers of the parts, 0 for the own one and then as given, and (2, pair) rows in them.
    """
    columns = ("image_id", "cut", "npixel", "geometry")
    tables, parts, rows = _near(own, others, columns, REACH_M)
    first, second = same_slump_pairs(*compared(tables), min_overlap=min_overlap)
    kept = (parts[first] == 0) | (parts[second] == 0)
    pairs = np.stack([first[kept], second[kept]])
    return parts[pairs], rows[pairs]


def _near(
    own: Part, others: Sequence[Part], columns: Sequence[str], reach: float
) -> tuple[gpd.GeoDataFrame, Array, Array]:
    """Return the rows of a part and those beside it that reach into its bounds, with the part and row of each."""
    tables = [own.read(columns)]
    rows = [np.arange(len(tables[0]))]
    bounds = own.bounds
    for other in others:
        table = other.read(columns)
        near = np.flatnonzero(_reaching(table, bounds, reach))
        tables.append(table.iloc[near])
        rows.append(near)
    parts = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    stacked: gpd.GeoDataFrame = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    return stacked, parts, np.concatenate(rows)


def _reaching(table: gpd.GeoDataFrame, bounds: Bounds | None, reach: float) -> Array:
    """Return which rows come within reach of bounds, (row,) bool."""
    if bounds is None or table.empty:
        return np.zeros(len(table), dtype=bool)
    left, bottom, right, top = shapely.bounds(table.geometry.to_numpy()).T
    return (
        (left <= bounds[2] + reach)
        & (right >= bounds[0] - reach)
        & (bottom <= bounds[3] + reach)
        & (top >= bounds[1] - reach)
    )


@dataclass(frozen=True, kw_only=True)
class Members:
    """Rows of a part that make up groups."""

    part: Part
    rows: Array
    """(row,) int64."""
    groups: Array
    """(row,) int64, the group of each, numbered from 0 on for one piece of work."""


def gathered(members: Sequence[Members], columns: Sequence[str] | None = None) -> tuple[gpd.GeoDataFrame, Array]:
    """Return the rows of several parts, and the group of each."""
    tables = [one.part.read(columns).iloc[one.rows] for one in members]
    filled = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(filled, ignore_index=True), np.concatenate([one.groups for one in members])


def _told(members: Sequence[Members]) -> list[object]:
    return [[one.part.name, one.part.noted().get("digest"), one.rows.tolist(), one.groups.tolist()] for one in members]


def dissolve(place: Place, members: Sequence[Members], looks: Sequence[Part], rules: Rules) -> None:
    """Write the slumps of a year whose first objects lie in a cell, before they have ids."""
    part = place.part(LEVEL_2)
    counts = [rules.min_looks, rules.min_agreement]
    digest = digest_of(_told(members), digests(looks), counts)
    if part.is_made_of(digest):
        return
    objects, owners = gathered(members)
    seen = looks_within(looks, bounds_of(objects.geometry.to_numpy()))
    table = slumps_of(objects, seen, owners).table
    table.insert(1, "year", np.full(len(table), place.year, dtype=np.int32))
    counts = (table["n_looks"] >= rules.min_looks) & ~(table["agreement"] < rules.min_agreement)
    part.write(table.assign(counts=counts.to_numpy()), digest)  # of those that do not, it is known that they are there


def looks_within(looks: Sequence[Part], bounds: Bounds | None) -> gpd.GeoDataFrame:
    """Return the looks that reach into bounds."""
    near = [table[_reaching(table, bounds, 0.0)] for table in (part.read() for part in looks)]
    filled = [table for table in near if len(table)]
    if filled:
        return _by_image(pd.concat(filled, ignore_index=True))
    empty = {"image_id": [], "year": np.array([], dtype=np.int32), "is_observed": np.array([], dtype=bool)}
    return gpd.GeoDataFrame(empty, geometry=[], crs=PLANE_CRS)


def slump_pairs(own: Part, others: Sequence[Part], min_overlap: float) -> tuple[Array, Array]:
    """Return which slumps of a part share enough ground with those of other parts to be the same in another year.

    Returns:
        As `object_pairs`.
    """
    table, parts, rows = _near(own, others, ("year", "geometry"), 0.0)
    shapes, years = table.geometry.to_numpy(), table["year"].to_numpy()
    first, second = shapely.STRtree(shapes).query(shapes[parts == 0], predicate="intersects")
    apart = years[first] != years[second]
    first, second = first[apart], second[apart]
    kept, _ = share_enough(shapes[first], shapes[second], min_overlap)
    pairs = np.stack([first[kept], second[kept]])
    return parts[pairs], rows[pairs]


def published_pairs(own: Part, outlines: Array, min_overlap: float) -> Array:
    """Return which slumps of a part share enough ground with published ones, whatever year either is of.

    Args:
        own: The part.
        outlines: (published,) outlines in the plane.
        min_overlap: The part of the smaller one that they must share.

    Returns:
        (2, pair) rows of the part, and numbers of published outlines.
    """
    shapes = own.read(("geometry",)).geometry.to_numpy()
    rows, numbers = shapely.STRtree(outlines).query(shapes, predicate="intersects")
    kept, _ = share_enough(shapes[rows], outlines[numbers], min_overlap)
    return np.stack([rows[kept], numbers[kept]])


@dataclass(frozen=True, kw_only=True)
class Period:
    """What tracks are made over."""

    years: Sequence[int]
    """All years of the inventory, rising."""
    rules: Rules
    published: Published | None = None
    """Slumps that have ids already, and may be some of a piece of work."""

    def told(self) -> list[object]:
        """Return what tells one from another, as plain values."""
        known = self.published
        kept: list[object] = []
        if known is not None:
            kept = [known.ids.tolist(), known.years.tolist(), shapely.to_wkb(known.outlines, hex=True).tolist()]
        return [list(self.years), asdict(self.rules), kept]


def track(place: Place, members: Sequence[Members], looks: Sequence[Part], period: Period) -> list[Part]:
    """Write the slumps of all years whose tracks begin in a cell, with their tracks and changes; return the parts.

    Without any, the tables are there all the same, with their columns and no row.
    """
    digest = digest_of(_told(members), digests(looks), period.told())
    years = _years_of(members) or [period.years[0]]
    tracks, changes, made = place.part("tracks"), place.part("changes"), [place.part("slumps", year) for year in years]
    parts = [tracks, changes, *made]
    if all(part.is_made_of(digest) for part in parts):
        return parts
    slumps = gathered(members)[0] if members else no_slumps().assign(counts=np.array([], dtype=bool))
    seen = looks_within(looks, bounds_of(slumps.geometry.to_numpy()))
    found = tracked(slumps, seen, period.years, period.rules, period.published)
    for year, part in zip(years, made, strict=True):
        rows = found.slumps[found.slumps["year"] == year].reset_index(drop=True)
        part.write(rows.drop(columns="first_object"), digest)
    changes.write(found.changes, digest)
    tracks.write(found.tracks, digest)
    return parts


def _years_of(members: Sequence[Members]) -> list[int]:
    """Return the years of slumps that have not got their ids yet, from the names of their parts."""
    return sorted({one.part.year for one in members if len(one.rows)})
