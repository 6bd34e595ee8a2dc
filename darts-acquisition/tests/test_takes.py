"""The same take of the same tile, processed several times."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import shapely
from shapely import box

from darts_acquisition.catalog.takes import superseded, take_of_gee_scene, take_of_item

WHOLE, WEST, EAST = box(0, 0, 10, 10), box(0, 0, 5.1, 10), box(5, 0, 10, 10)


@dataclass
class Item:
    id: str
    geometry: Any


def product(baseline="0500", made="20230613T212700", sensed="20200703T103031", orbit="108", tile="32TMT", unit="A"):
    return f"S2{unit}_MSIL2A_{sensed}_N{baseline}_R{orbit}_T{tile}_{made}"


OLD, NEW, NEWER = product("0214", "20200703T141302"), product(), product(made="20230801T101112")
NOBODY = product("9999", "20250101T000000")


def left_out(**shapes):
    """Return what is left out of items by id and footprint, whatever their order in the catalogue."""
    given = {name: shape if shape is None else shapely.geometry.mapping(shape) for name, shape in shapes.items()}
    answers = []
    for names in (list(given), list(reversed(given))):
        found = {name: Item(name, given[name]) for name in names}
        answers.append(superseded(found, take_of_item))
    assert answers[0] == answers[1]
    return answers[0]


def test_the_highest_baseline_then_the_newest_processing_is_the_best():
    assert left_out(**{OLD: WHOLE, NEW: WHOLE, NEWER: WHOLE}) == {OLD: NEWER, NEW: NEWER}
    assert left_out(**{OLD: WHOLE, NEW: WHOLE}) == {OLD: NEW}


def test_the_baseline_that_says_nothing_comes_last():
    assert left_out(**{NOBODY: WHOLE, OLD: WHOLE}) == {NOBODY: OLD}


@pytest.mark.parametrize(
    "other",
    [
        product(sensed="20200703T103029"),
        product(orbit="065"),
        product(tile="32TNT"),
        product(unit="B"),
        "S2C_8XMR_20260712_0_L2A",
        "my own scene",
    ],
)
def test_another_take_stays(other):
    assert left_out(**{OLD: WHOLE, other: WHOLE}) == {}


def test_parts_of_a_take_beside_each_other_are_both_mapped():
    west, east = product(made="20230613T212700"), product(made="20230613T212701")
    assert left_out(**{west: WEST, east: EAST}) == {}
    old_west, old_east = product("0214", "20200703T141302"), product("0214", "20200703T141303")
    assert left_out(**{west: WEST, east: EAST, old_west: WEST, old_east: EAST, OLD: WHOLE}).keys() == {
        old_west, old_east, OLD,
    }  # fmt: skip


def test_no_ground_is_lost_for_a_better_processing_of_a_part():
    assert left_out(**{NEW: WEST, OLD: WHOLE}) == {}


def test_edges_of_processings_differ_a_little():
    assert left_out(**{NEW: box(0.1, 0, 10, 9.9), OLD: WHOLE}) == {OLD: NEW}


def test_what_lies_nobody_knows_where_stays():
    assert left_out(**{NEW: None, OLD: WHOLE}) == {}
    assert left_out(**{NEW: WHOLE, OLD: None}) == {}


@dataclass
class Scene:
    scene_id: str
    footprint: Any = WHOLE
    properties: dict = field(default_factory=dict)


def gee(*scenes):
    return superseded({scene.scene_id: scene for scene in scenes}, take_of_gee_scene)


def test_scenes_of_earth_engine_are_told_by_their_product_or_their_own_id():
    first, again = "20230701T194909_20230701T195350_T11XNA", "20230701T194909_20231102T101010_T11XNA"
    assert gee(Scene(first), Scene(again)) == {first: again}
    assert gee(
        Scene(first, properties={"PROCESSING_BASELINE": "05.10"}),
        Scene(again, properties={"PROCESSING_BASELINE": "99.99"}),
    ) == {again: first}
    assert gee(Scene(first, properties={"PRODUCT_ID": NEWER}), Scene(again, properties={"PRODUCT_ID": NEW})) == {
        again: first
    }
    assert gee(Scene(first, WEST), Scene(again, EAST)) == {}
    assert gee(Scene(first), Scene("20230701T194911_20231102T101010_T11XNA"), Scene("odd")) == {}
