"""An inventory of a world whose slumps are known over years: what is found, who is who, how large, how fast."""

from dataclasses import dataclass
from functools import cache

import cv2
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from world_over_years import COARSE_M, HOME, YEARS, make_world, write_tiles

from darts_postprocessing.inventory.build import build
from darts_postprocessing.inventory.plane import to_plane
from darts_utils.crs import EQUAL_AREA
from darts_utils.objects.geodesy import ground_areas_m2

STEP_M = 2.5
"""Distance of the points by which the pixels of all images are compared: sixteen in one of Sentinel-2."""
MARGIN_M = 15.0
REACH_M = 1.02 * COARSE_M / np.sqrt(2) + 0.2
"""How far an outline of pixels can lie from the true one: half a diagonal, which the plane stretches by 1.7 %."""


@dataclass(frozen=True)
class Expected:
    """What the images of a year show of a true slump, counted pixel by pixel."""

    area_m2: float
    area_majority_m2: float
    n_parts: int
    """Parts that no image shows to be connected: of a slump whose middle is hidden in all of them there are two."""
    is_whole: bool
    """Whether all of its ground was seen."""


@dataclass(frozen=True)
class Truth:
    """The world, its inventory, and which rows belong to which true slump."""

    world: object
    slumps: gpd.GeoDataFrame
    tracks: pd.DataFrame
    objects: gpd.GeoDataFrame
    expected: dict
    """`Expected` by name and year, of true slumps that some image shows."""
    rows: dict
    """Rows of `slumps` by name and year."""

    def ids(self, name):
        return [self.slumps["slump_id"][row] for (of, _), rows in self.rows.items() if of == name for row in rows]

    def track(self, name):
        (slump_id,) = set(self.ids(name))
        return self.tracks.loc[slump_id]

    def seen_in(self, name):
        return [year for year in YEARS if (name, year) in self.expected]

    def seen_whole(self, slump):
        """Tell whether all of a slump was seen in each year in which it was there."""
        return all((slump.name, y) in self.expected and self.expected[slump.name, y].is_whole for y in slump.outlines)

    def one_part(self):
        """Yield row, true slump, year and expectation where one part was seen."""
        for slump in self.world.slumps:
            for year in self.seen_in(slump.name):
                if self.expected[slump.name, year].n_parts == 1:
                    yield self.slumps.loc[self.rows[slump.name, year][0]], slump, year, self.expected[slump.name, year]


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    world = make_world()
    write_tiles(world, folder / "tiles")
    built = build([folder / "tiles"], folder / "inventory").folder
    slumps, objects, tracks = (_in_plane(built / kind) for kind in ("slumps", "objects", "tracks"))
    there = [(slump, year) for slump in world.slumps for year in slump.outlines]
    expected = {(slump.name, year): seen for slump, year in there if (seen := _expected(world, slump, year))}
    years = {year: slumps[slumps["year"] == year] for year in YEARS}
    trees = {year: shapely.STRtree(rows.geometry.to_numpy()) for year, rows in years.items()}
    on = {key: trees[key[1]].query(_plane(slump.outlines[key[1]]), predicate="intersects")
          for slump, year in there for key in [(slump.name, year)]}  # fmt: skip
    rows = {key: list(years[key[1]].index[at]) for key, at in on.items()}
    return Truth(world, slumps, tracks.set_index("slump_id"), objects, expected, rows)


def _in_plane(folder):
    table = gpd.read_parquet(folder)
    for name in {"geometry", "geometry_majority"}.intersection(table.columns):
        table[name] = gpd.GeoSeries(to_plane(table[name].to_numpy(), "EPSG:4326"), crs=EQUAL_AREA)
    return table


@cache
def _plane(outline):
    return to_plane([outline], HOME)[0]


def _expected(world, slump, year):
    """Return what is to be expected of a slump and year, None where no image shows it."""
    outline = slump.outlines[year]
    x, y = _points(outline)
    n_looks, n_hits = np.zeros(x.shape, dtype=int), np.zeros(x.shape, dtype=int)
    for image in world.images_of(year):
        rows, columns = image.places(x, y)
        inside = (rows >= 0) & (columns >= 0) & (rows < image.grid.shape[0]) & (columns < image.grid.shape[1])
        if inside.any():
            at = rows[inside], columns[inside]
            n_looks[inside] += world.clear[image.image_id][at]
            n_hits[inside] += world.found[image.image_id][at]
    slumped = n_hits > 0
    if not slumped.any():
        return None
    point_m2 = STEP_M**2 * ground_areas_m2([outline], HOME)[0] / outline.area
    majority = slumped & (2 * n_hits >= n_looks)
    # a step wider, for pixels that touch at a corner are one part and no point need lie there
    parts, _ = cv2.connectedComponents(cv2.dilate(slumped.astype(np.uint8), np.ones((3, 3), np.uint8)))
    is_whole = bool(n_looks[shapely.contains_xy(outline, x, y)].all())
    return Expected(slumped.sum() * point_m2, majority.sum() * point_m2, parts - 1, is_whole)


def _points(outline):
    """Return points in and around an outline, one anywhere in each cell: regular ones would favour some pixels."""
    left, bottom, right, top = np.array(outline.bounds) + np.array([-1, -1, 1, 1]) * MARGIN_M
    x, y = np.meshgrid(np.arange(left, right, STEP_M), np.arange(bottom, top, STEP_M))
    rng = np.random.default_rng(0)
    return x + rng.uniform(0, STEP_M, x.shape), y + rng.uniform(0, STEP_M, x.shape)


def test_the_world_holds_what_the_tests_are_about(truth):
    slumps, seen = truth.world.slumps, truth.expected.values()
    assert len(slumps) > 60
    assert sum(slump.merged_into is not None for slump in slumps) == 6
    assert sum(slump.split_from is not None for slump in slumps) == 6
    assert sum(not one.is_whole for one in seen) > 3, "slumps are cut by clouds in all images"
    assert len(seen) < sum(len(slump.outlines) for slump in slumps), "some are hidden in a year"
    assert {3, 4} <= {sum(image.sensor == "sentinel2" for image in truth.world.images_of(year)) for year in YEARS}
    assert truth.objects["cut"].sum() > 50
    assert truth.objects["sensor"].value_counts().min() > 50


def test_each_slump_is_found_once_in_each_year_in_which_it_is_seen(truth):
    found = {key: len(rows) for key, rows in truth.rows.items() if rows}
    assert found == {key: one.n_parts for key, one in truth.expected.items()}


def test_there_is_no_other_slump(truth):
    rows = [row for of_one in truth.rows.values() for row in of_one]
    assert sorted(rows) == list(truth.slumps.index)


def test_ids_are_the_same_in_all_years_and_those_of_no_other(truth):
    whole = [slump.name for slump in truth.world.slumps if _in_one_part(truth, slump.name)]
    ids = [set(truth.ids(name)) for name in whole if truth.ids(name)]
    assert len(whole) > 0.97 * len(truth.world.slumps)
    assert all(len(one) == 1 for one in ids)
    assert len(set.union(*ids)) == len(ids)


def _in_one_part(truth, name):
    return all(truth.expected[name, year].n_parts == 1 for year in truth.seen_in(name))


@pytest.mark.parametrize("relation", ["merged_into", "split_from"])
def test_what_merges_and_what_splits_is_told(truth, relation):
    named = {slump.name: getattr(slump, relation) for slump in truth.world.slumps if getattr(slump, relation)}
    wanted = {truth.track(name).name: truth.track(other).name for name, other in named.items()}
    told = truth.tracks[relation].dropna()
    assert told.to_dict() == wanted


def test_areas_are_those_of_the_pixels_of_all_images(truth):
    """Of all slumps, those too of which no image shows the whole."""
    for row, slump, year, expected in truth.one_part():
        assert row.area_m2 == pytest.approx(expected.area_m2, rel=0.005, abs=25), (slump.name, year)
        assert row.area_majority_m2 == pytest.approx(expected.area_majority_m2, rel=0.005, abs=25), (slump.name, year)


def test_outlines_are_the_true_ones_within_a_pixel(truth):
    for row, slump, year, expected in truth.one_part():
        true = _plane(slump.outlines[year])
        assert shapely.covers(shapely.buffer(true, REACH_M), row.geometry), (slump.name, year)
        if expected.is_whole:
            inner = shapely.buffer(true, -REACH_M)
            assert shapely.area(shapely.difference(inner, row.geometry_majority)) < 10, (slump.name, year)


def test_growth_is_the_true_one_within_five_percent_or_a_pixel_of_the_headwall(truth):
    """Over all years together, from three on: two outlines alone differ by more, along all of their sides."""
    for slump, track in _growing(truth, fewest=3):
        rate, years = _true_growth(slump), track.last_year - track.first_year
        allowed = max(0.05 * rate, COARSE_M * slump.width_m / years)
        assert track.growth_m2_per_year == pytest.approx(rate, abs=allowed), slump.name


def test_the_interval_of_growth_holds_the_truth_for_nine_of_ten(truth):
    within = [t.growth_low <= _true_growth(slump) <= t.growth_high for slump, t in _growing(truth, fewest=5)]
    assert len(within) > 12
    assert np.mean(within) >= 0.9


def _growing(truth, fewest):
    """Yield slumps that were seen whole in each of their years, with their tracks; none that merge or split."""
    for slump in truth.world.slumps:
        if slump.width_m and len(slump.outlines) >= fewest and truth.seen_whole(slump):
            yield slump, truth.track(slump.name)


def _true_growth(slump):
    outline = next(iter(slump.outlines.values()))
    return slump.retreat_m * slump.width_m * ground_areas_m2([outline], HOME)[0] / outline.area


def test_statuses_are_what_became_of_them(truth):
    for slump, track in _growing(truth, fewest=2):
        last = max(slump.outlines)
        if last <= YEARS[-3] and all(_looked_at(truth.world, slump.outlines[last], year) for year in YEARS[-2:]):
            assert track.status == "stabilised", slump.name
        elif last == YEARS[-1] and slump.retreat_m == 0:
            assert track.status == "stable", slump.name
        elif len(slump.outlines) == 5 and slump.retreat_m > 8:  # three pixels and more in all
            assert track.status == "active", slump.name


def _looked_at(world, outline, year):
    """Tell whether an image of a year saw well over half of where a slump was."""
    x, y = _points(outline)
    within = shapely.contains_xy(outline, x, y)
    shares = []
    for image in world.images_of(year):
        rows, columns = (np.clip(at[within], -1, most) + 1 for at, most in zip(image.places(x, y), image.grid.shape,
                                                                               strict=True))  # fmt: skip
        shares.append(np.pad(world.clear[image.image_id], 1)[rows, columns].mean())
    return max(shares) > 0.55


def test_no_ground_is_counted_twice(truth):
    for year in YEARS:
        slumps = truth.slumps[truth.slumps["year"] == year]
        objects = truth.objects[truth.objects["year"] == year]
        ground = shapely.union_all(objects.geometry.to_numpy())
        assert shapely.area(slumps.geometry.to_numpy()).sum() == pytest.approx(shapely.area(ground), rel=1e-6)
        assert slumps["area_m2"].sum() == pytest.approx(ground_areas_m2([ground], EQUAL_AREA)[0], rel=1e-6)
