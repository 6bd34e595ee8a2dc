"""Slumps over years: ids that stay, splits and merges, ids that were published before, growth, and the plane."""

from uuid import UUID

import hypothesis.strategies as st
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from inventory_cases import rectangle, square

from darts_postprocessing.inventory.plane import to_degrees, to_plane
from darts_postprocessing.inventory.tracking import growth_of
from darts_postprocessing.inventory.tracks import Published, YearOfSlumps, link_years
from darts_utils.crs import EQUAL_AREA
from darts_utils.objects.geodesy import ground_areas_m2, ground_perimeters_m

A, B, C = square(0, 0, 100), square(1000, 0, 100), square(2000, 0, 100)


def year(number, *outlines):
    names = [f"{number} {place}" for place in range(len(outlines))]
    return YearOfSlumps(
        year=number, outlines=np.array(outlines, dtype=object), first_objects=np.array(names, dtype=object)
    )


def published(*rows):
    ids, years, outlines = zip(*rows, strict=True)
    return Published(ids=np.array(ids, dtype=object), years=np.array(years), outlines=np.array(outlines, dtype=object))


def test_a_slump_keeps_its_id_while_it_grows_and_others_have_their_own():
    links = link_years([year(2020, A, B), year(2021, B, square(-20, 0, 120)), year(2022, square(-40, 0, 140), C)])
    a, b = links.ids[2020]
    assert a != b
    assert links.ids[2021].tolist() == [b, a]
    assert links.ids[2022][0] == a
    assert links.ids[2022][1] not in (a, b)
    assert UUID(a).version == 5
    assert not links.split_from
    assert not links.merged_into


def test_what_was_published_of_earlier_years_goes_on_in_later_ones():
    """Of tiles of new years alone, across a year that only the published inventory has."""
    known = published(("a", 2018, A), ("b", 2019, B), ("a", 2019, square(-20, 0, 120)))
    links = link_years([year(2021, square(-30, 0, 130), B, C)], known)
    assert links.ids[2021][:2].tolist() == ["a", "b"]
    assert links.ids[2021][2] not in ("a", "b")
    assert not links.split_from
    assert not links.merged_into


def test_a_published_slump_that_two_new_ones_lie_on_gives_its_id_to_one():
    known = published(("whole", 2019, rectangle(0, 0, 300, 100)))
    links = link_years([year(2021, rectangle(0, 0, 180, 100), rectangle(200, 0, 300, 100))], known)
    first, second = links.ids[2021]
    assert first == "whole"
    assert links.split_from == {second: "whole"}


def test_two_published_slumps_that_one_new_one_lies_on_end_in_one():
    known = published(("large", 2019, rectangle(0, 0, 180, 100)), ("small", 2019, rectangle(200, 0, 300, 100)))
    links = link_years([year(2021, rectangle(0, 0, 300, 100))], known)
    assert links.ids[2021].tolist() == ["large"]
    assert links.merged_into == {"small": ("large", 2021)}


def test_what_was_published_of_a_year_does_not_move_what_was_found_in_it():
    """The outline of 2020 that was found lies elsewhere than the published one, from which it has its id."""
    known = published(("a", 2020, rectangle(0, 0, 100, 100)))
    links = link_years([year(2020, rectangle(60, 0, 260, 100)), year(2021, rectangle(180, 0, 330, 100))], known)
    assert links.ids[2020].tolist() == links.ids[2021].tolist() == ["a"]


def test_the_order_of_the_years_changes_nothing():
    years = [year(2020, A, B), year(2021, B), year(2022, A)]
    one, other = link_years(years), link_years(years[::-1])
    assert {number: ids.tolist() for number, ids in one.ids.items()} == {
        number: ids.tolist() for number, ids in other.ids.items()
    }


def test_a_year_in_which_a_slump_was_hidden_breaks_no_track():
    links = link_years([year(2020, A), year(2021), year(2022, A)])
    assert links.ids[2020].tolist() == links.ids[2022].tolist()


def test_the_largest_part_of_a_split_keeps_the_id():
    large, small = rectangle(0, 0, 60, 100), rectangle(70, 0, 100, 100)
    links = link_years([year(2020, A), year(2021, small, large)])
    (parent,) = links.ids[2020]
    assert links.ids[2021][1] == parent
    assert links.split_from == {links.ids[2021][0]: parent}
    assert not links.merged_into


def test_what_merges_ends_in_the_one_that_goes_on():
    small, large = square(0, 0, 50), rectangle(60, 0, 200, 100)
    links = link_years([year(2020, small, large), year(2021, rectangle(0, 0, 200, 100)), year(2022, small, large)])
    child, parent = links.ids[2020]
    assert links.ids[2021].tolist() == [parent]
    assert links.merged_into == {child: (parent, 2021)}
    # what has ended does not come back: its ground is split from the one that went on
    assert links.ids[2022][1] == parent
    assert links.split_from == {links.ids[2022][0]: parent}


def test_each_is_linked_to_one_other_at_most_those_that_share_most_first():
    before = [rectangle(0, 0, 100, 100), rectangle(100, 0, 200, 100)]
    after = [rectangle(20, 0, 90, 100), rectangle(95, 0, 180, 100)]
    links = link_years([year(2020, *before), year(2021, *after)])
    assert links.ids[2021].tolist() == links.ids[2020].tolist()


def test_a_sliver_of_shared_ground_relates_nothing():
    links = link_years([year(2020, A), year(2021, A, rectangle(95, 0, 200, 100))])
    assert not links.split_from
    assert links.ids[2021][1] != links.ids[2020][0]


def test_published_ids_stay_whatever_is_added_before_or_after():
    old = published(("mine", 2021, A), ("mine", 2022, A), ("yours", 2022, B))
    links = link_years([year(2019, B, A), year(2020, A), year(2021, A), year(2022, B, A), year(2023, A, B, C)], old)
    assert links.ids[2019].tolist() == ["yours", "mine"]
    assert links.ids[2020].tolist() == ["mine"]
    assert links.ids[2021].tolist() == ["mine"]
    assert links.ids[2022].tolist() == ["yours", "mine"]
    assert links.ids[2023].tolist()[:2] == ["mine", "yours"]
    assert UUID(links.ids[2023][2])


def test_a_published_id_is_given_once_a_year():
    old = published(("mine", 2021, rectangle(0, 0, 200, 100)))
    links = link_years(
        [year(2020, rectangle(0, 0, 90, 100), rectangle(100, 0, 200, 100)), year(2021, *old.outlines)], old
    )
    assert links.ids[2020][1] == "mine"
    assert links.ids[2020][0] != "mine"
    assert links.merged_into == {links.ids[2020][0]: ("mine", 2021)}


outlines = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2), st.integers(1, 3)), max_size=6)


@settings(deadline=None, max_examples=40)
@given(st.lists(outlines, min_size=1, max_size=4))
def test_ids_of_a_year_are_its_own_and_what_is_continued_keeps_all_of_them(drawn):
    years = [year(2000 + number, *(square(x * 40, y * 300, size * 40) for x, y, size in row)) for number, row in
             enumerate(drawn)]  # fmt: skip
    links = link_years(years)
    for one in years:
        assert len(set(links.ids[one.year])) == len(one.outlines)
    known = {slump_id for ids in links.ids.values() for slump_id in ids}
    for child, parent in [*links.split_from.items(), *((a, b) for a, (b, _) in links.merged_into.items())]:
        assert {child, parent} <= known
        assert child != parent
    distinct = all(
        not shapely.equals(a, b) for one in years for place, a in enumerate(one.outlines) for b in one.outlines[:place]
    )
    if distinct and known:
        rows = [(slump_id, one.year, outline) for one in years for slump_id, outline in
                zip(links.ids[one.year], one.outlines, strict=True)]  # fmt: skip
        again = link_years(years, published(*rows))
        assert {number: ids.tolist() for number, ids in again.ids.items()} == {
            number: ids.tolist() for number, ids in links.ids.items()
        }


def test_growth_is_the_median_of_slopes_with_an_interval_from_five_years_on():
    years = np.arange(2018, 2023)
    exact = growth_of(years, 1000 + 50.0 * (years - 2018))
    assert (exact.m2_per_year, exact.low, exact.high) == pytest.approx((50, 50, 50))
    outlier = growth_of(years, np.array([1000, 1050, 9000, 1150, 1200.0]))
    assert outlier.m2_per_year == pytest.approx(50)
    assert outlier.low < 50 < outlier.high
    four = growth_of(years[:4], 1000 + 50.0 * np.arange(4))
    assert (four.m2_per_year, four.low, four.high) == (pytest.approx(50), None, None)
    assert growth_of(years[:1], np.array([1.0])).m2_per_year is None


def test_a_slump_on_the_antimeridian_is_one_in_the_plane_and_cut_in_degrees():
    halves = shapely.MultiPolygon([shapely.box(179.99, 68, 180, 68.01), shapely.box(-180, 68, -179.98, 68.01)])
    (whole,) = to_plane([halves], "EPSG:4326")
    assert whole.geom_type == "Polygon"
    assert shapely.area(whole) == pytest.approx(ground_areas_m2([halves], "EPSG:4326")[0], rel=1e-4)
    (back,) = to_degrees([whole])
    assert back.geom_type == "MultiPolygon"
    assert back.is_valid
    west, east = sorted(back.geoms, key=lambda part: part.bounds[0])
    assert west.bounds == pytest.approx((-180, 68, -179.98, 68.01))
    assert east.bounds == pytest.approx((179.99, 68, 180, 68.01))
    assert ground_areas_m2([back], "EPSG:4326")[0] == pytest.approx(ground_areas_m2([halves], "EPSG:4326")[0], rel=1e-4)


@pytest.mark.parametrize(
    ("crs", "place"),
    [("EPSG:32601", (300_000, 7_600_000)), ("EPSG:32660", (700_000, 8_400_000)), ("EPSG:3413", (100_000, -1_500_000))],
)
def test_there_and_back_is_the_same_ground(crs, place):
    outline = shapely.box(*place, place[0] + 1000, place[1] + 500)
    (plane,) = to_plane([outline], crs)
    (degrees,) = to_degrees([plane])
    (truth,) = ground_areas_m2([outline], crs)
    assert ground_areas_m2([degrees], "EPSG:4326")[0] == pytest.approx(truth, rel=1e-6)
    assert shapely.area(plane) == pytest.approx(truth, rel=1e-3)


def test_broken_outlines_are_mended():
    bow_tie = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])
    (mended,) = to_plane([bow_tie], EQUAL_AREA)
    assert mended.is_valid
    assert shapely.area(mended) == pytest.approx(5000)


def test_perimeters_count_holes():
    ring = shapely.Polygon(square(0, 0, 1000).exterior, [square(400, 400, 100).exterior])
    assert ground_perimeters_m([ring], EQUAL_AREA)[0] == pytest.approx(4400, rel=0.05)
    assert len(ground_perimeters_m([], EQUAL_AREA)) == 0
