"""Level 2: which objects are one slump, which ground most looks agree on, and what says so."""

import geopandas as gpd
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from inventory_cases import looks_table, objects_table, rectangle, square

from darts_postprocessing.inventory.overlay import seen_by_at_least, unions
from darts_postprocessing.inventory.slumps import slumps_of_year
from darts_utils.crs import EQUAL_AREA
from darts_utils.errors import ConfigError, DataError
from darts_utils.objects.geodesy import ground_areas_m2

ALL = rectangle(-10_000, -10_000, 10_000, 10_000)


def area(table, column="geometry"):
    return float(shapely.area(table[column].iloc[0]))


def test_the_same_slump_in_two_images_is_one_and_counted_once():
    objects = objects_table([("image 1", square(0, 0, 100)), ("image 2", square(10, 0, 100))])
    found = slumps_of_year(objects, looks_table({"image 1": ALL, "image 2": ALL}))
    (row,) = found.table.itertuples()
    assert found.owners.tolist() == [0, 0]
    assert (row.n_looks, row.n_hits, row.agreement) == (2, 2, 1.0)
    assert (row.first_acquired, row.last_acquired) == ("2021-07-02", "2021-07-03")
    assert area(found.table) == pytest.approx(11_000)
    assert row.area_m2 == pytest.approx(11_000, rel=1e-3)
    assert row.area_majority_m2 == pytest.approx(row.area_m2)
    assert row.area_low_m2 == pytest.approx(0.7 * row.area_majority_m2, rel=1e-3)
    assert row.area_high_m2 == pytest.approx(1.2 * row.area_majority_m2, rel=1e-3)
    assert row.perimeter_m == pytest.approx(420, rel=1e-2)


@pytest.mark.parametrize(("apart", "n_slumps"), [(79.9, 1), (80.1, 2)])
def test_a_fifth_of_the_smaller_one_makes_two_objects_one(apart, n_slumps):
    objects = objects_table([("image 1", rectangle(0, 0, 500, 100)), ("image 2", square(500 - 100 + apart, 0, 100))])
    assert len(slumps_of_year(objects, looks_table({"image 1": ALL, "image 2": ALL})).table) == n_slumps


@pytest.mark.parametrize(
    ("left_cut", "right_cut", "gap", "images", "n_slumps"),
    [(True, True, 0, (1, 2), 1), (True, True, 4.9, (1, 2), 1), (True, True, 5.1, (1, 2), 2),
     (True, False, 0, (1, 2), 2), (False, False, 0, (1, 2), 2), (True, True, 0, (1, 1), 2)],
)  # fmt: skip
def test_objects_that_a_border_cuts_apart_are_one(left_cut, right_cut, gap, images, n_slumps):
    objects = objects_table(
        [
            (f"image {images[0]}", square(0, 0, 100), {"cut": left_cut}),
            (f"image {images[1]}", square(100 + gap, 0, 100), {"cut": right_cut}),
        ]
    )
    looks = looks_table({"image 1": rectangle(-500, -500, 100, 500), "image 2": rectangle(100, -500, 500, 500)})
    assert len(slumps_of_year(objects, looks).table) == n_slumps


def test_ground_that_most_looks_do_not_see_as_slump_is_no_majority():
    rows = [("image 1", square(0, 0, 100)), ("image 2", square(0, 0, 100)), ("image 3", rectangle(0, 0, 200, 100))]
    found = slumps_of_year(objects_table(rows), looks_table({f"image {n}": ALL for n in range(1, 5)}))
    row = found.table.iloc[0]
    assert area(found.table) == pytest.approx(20_000)
    assert area(found.table, "geometry_majority") == pytest.approx(10_000)
    assert (row["n_looks"], row["n_hits"], row["agreement"]) == (4, 3, 0.75)
    assert row["area_majority_m2"] == pytest.approx(row["area_m2"] / 2, rel=1e-3)


def test_each_piece_of_ground_is_judged_by_those_that_saw_it():
    """Two looks at all of it, two more at its left half alone, where one of them sees nothing."""
    left = rectangle(-500, -500, 100, 500)
    rows = [("image 1", rectangle(0, 0, 200, 100)), ("image 3", rectangle(0, 0, 100, 100))]
    looks = looks_table({"image 1": ALL, "image 2": ALL, "image 3": left, "image 4": left, "image 5": left})
    found = slumps_of_year(objects_table(rows), looks)
    row = found.table.iloc[0]
    # left: 2 of 5 say slump; right: 1 of 2 does
    assert found.table["geometry_majority"].iloc[0].equals(rectangle(100, 0, 200, 100))
    assert (row["n_looks"], row["n_hits"]) == (5, 2)


def test_a_look_at_less_than_half_does_not_count():
    rows = [("image 1", rectangle(0, 0, 200, 100))]
    looks = {"image 1": ALL, "image 2": rectangle(101, -9, 500, 500), "image 3": rectangle(99, -9, 500, 500)}
    row = slumps_of_year(objects_table(rows), looks_table(looks)).table.iloc[0]
    assert (row["n_looks"], row["n_hits"]) == (2, 1)


def test_an_image_saw_its_own_objects_whatever_its_observed_ground_is():
    rows = [("image 1", square(0, 0, 100))]
    for looks in ({}, {"image 1": rectangle(5000, 5000, 6000, 6000)}):
        row = slumps_of_year(objects_table(rows), looks_table(looks)).table.iloc[0]
        assert (row["n_looks"], row["n_hits"], row["agreement"]) == (1, 1, 1.0)


def test_tiers_and_probabilities_are_those_of_the_objects():
    rows = [
        ("image 1", rectangle(0, 0, 300, 100), {"mean_probability": 0.6, "max_probability": 0.7, "tier": "low"}),
        ("image 2", square(0, 0, 100), {"mean_probability": 0.9, "max_probability": 0.95, "tier": "high"}),
    ]
    looks = looks_table({"image 1": ALL, "image 2": ALL})
    row = slumps_of_year(objects_table(rows), looks).table.iloc[0]
    assert row["mean_probability"] == pytest.approx((3 * 0.6 + 0.9) / 4)
    assert (row["max_probability"], row["tier"]) == (0.95, "high")
    rows.append(("image 3", square(0, 0, 100), {"tier": "low"}))
    assert slumps_of_year(objects_table(rows), looks).table["tier"].tolist() == ["low"]
    rows.append(("image 3", square(0, 0, 100), {"tier": None}))
    assert slumps_of_year(objects_table(rows), looks).table["tier"].tolist() == ["low"]
    rows += 3 * [("image 3", square(0, 0, 100), {"tier": None})]
    assert slumps_of_year(objects_table(rows), looks).table["tier"].isna().all()


def test_what_objects_do_not_tell_is_unknown():
    rows = [("image 1", square(0, 0, 100), {"area_m2_t65": np.nan}), ("image 2", square(0, 0, 100))]
    row = slumps_of_year(objects_table(rows), looks_table({"image 1": ALL, "image 2": ALL})).table.iloc[0]
    assert np.isnan(row["area_low_m2"])
    assert row["area_high_m2"] > row["area_majority_m2"]


def test_a_year_without_objects_has_no_slumps():
    nothing = objects_table([("image 1", square(0, 0, 100))]).iloc[:0]
    found = slumps_of_year(nothing, looks_table({"image 1": ALL}))
    some = slumps_of_year(objects_table([("image 1", square(0, 0, 100))]), looks_table({"image 1": ALL}))
    assert len(found.table) == len(found.owners) == 0
    assert list(found.table.columns) == list(some.table.columns)


def test_tables_elsewhere_and_wrong_shares_are_refused():
    objects, looks = objects_table([("image 1", square(0, 0, 100))]), looks_table({"image 1": ALL})
    with pytest.raises(DataError, match=r"^outlines are compared in EPSG:6931, but these are in EPSG:32608\."):
        slumps_of_year(objects.set_crs("EPSG:32608", allow_override=True), looks)
    for share in (0, -0.1, 1.1, np.nan):
        with pytest.raises(ConfigError, match="must be above 0 and at most 1"):
            slumps_of_year(objects, looks, share)


squares = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 6), st.integers(0, 6), st.integers(1, 3)), min_size=1, max_size=12
)


@settings(deadline=None, max_examples=25)
@given(squares, st.randoms())
def test_no_ground_is_lost_and_order_changes_nothing(drawn, random):
    """Objects of one image may overlap here: nothing in the rules forbids it."""
    rows = [(f"image {image}", square(x * 50, y * 50, size * 50)) for image, x, y, size in drawn]
    looks = looks_table({f"image {n}": ALL for n in range(1, 5)})
    objects = objects_table(rows)
    found = slumps_of_year(objects, looks)
    every = shapely.union_all(objects.geometry)
    assert shapely.area(shapely.symmetric_difference(shapely.union_all(found.table.geometry), every)) < 1e-3
    assert shapely.area(shapely.difference(shapely.union_all(found.table["geometry_majority"]), every)) < 1e-3
    assert len(found.owners) == len(objects)
    assert sorted(set(found.owners)) == list(range(len(found.table)))
    order = random.sample(range(len(rows)), len(rows))
    again = slumps_of_year(objects.iloc[order].reset_index(drop=True), looks.iloc[::-1].reset_index(drop=True))
    assert again.owners.tolist() == found.owners[order].tolist()
    plain = [name for name in found.table.columns if not name.startswith("geometry")]
    pd.testing.assert_frame_equal(
        pd.DataFrame(again.table[plain]), pd.DataFrame(found.table[plain]), rtol=1e-6
    )  # lines meet on a grid
    for name in ("geometry", "geometry_majority"):
        apart = shapely.symmetric_difference(again.table[name].to_numpy(), found.table[name].to_numpy())
        assert shapely.area(apart).max() < 1e-3


@settings(deadline=None, max_examples=25)
@given(squares, st.integers(1, 4))
def test_ground_in_at_least_k_shapes_is_that_of_a_plain_count(drawn, k):
    shapes = np.array([square(x * 50, y * 50, size * 50) for _, x, y, size in drawn], dtype=object)
    groups = np.array([image % 2 for image, *_ in drawn])
    found = seen_by_at_least(shapes, groups, np.array([k, k]))
    for group in (0, 1):
        counts = np.zeros((12, 12), dtype=int)
        for image, x, y, size in drawn:
            if image % 2 == group:
                counts[y : y + size, x : x + size] += 1
        assert shapely.area(found[group]) == pytest.approx(2500 * (counts >= k).sum(), abs=1e-3)
    assert shapely.area(unions(shapes, groups, 2)).sum() >= shapely.area(found).sum() - 1e-3


def test_shapes_that_only_touch_have_no_ground_in_common():
    touching = np.array([square(0, 0, 100), square(100, 0, 100), square(200, 100, 50)], dtype=object)
    assert shapely.is_empty(seen_by_at_least(touching, np.zeros(3, dtype=int), np.array([2]))).all()


def test_areas_of_the_plane_are_those_of_the_ground():
    outline = gpd.GeoSeries([square(0, 0, 1000)], crs=EQUAL_AREA)
    assert ground_areas_m2(outline, EQUAL_AREA)[0] == pytest.approx(1e6, rel=1e-3)
