from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from darts.demo.world import scars
from darts.demo.world.drainage import drain
from darts.demo.world.scars import ScarDesign, draw_scar, united

FAR_FROM_WATER = np.full((120, 150), 500, dtype=np.float32)


def drawn_at(design, *retreats):
    return [draw_scar(np.random.default_rng(1), replace(design, retreat=one), FAR_FROM_WATER) for one in retreats]


def design_of(**changes) -> ScarDesign:
    angle = changes.pop("angle", 0.7)
    design = {"kind": "hillside", "centre": (60.0, 70.0), "downslope": (float(np.cos(angle)), float(np.sin(angle))),
            "radius": 10.0, "head": 1.0, "body": 9.0, "neck": 6.0, "tongue": 8.0, "bend": 0.2, "lobes": (),
            "depth_m": 6.0, "activity": 0.8}  # fmt: skip
    return ScarDesign(**{**design, **changes})


@settings(deadline=None, max_examples=40)
@given(
    angle=st.floats(0, 6.28),
    radius=st.floats(2.5, 16),
    stretch=st.floats(0.5, 3),
    bend=st.floats(-1, 1),
    lobes=st.sampled_from([(), (-0.8, 0.8)]),
)
def test_a_scar_lies_in_its_circle_with_a_valid_outline(angle, radius, stretch, bend, lobes):
    design = design_of(
        angle=angle, radius=radius, body=stretch * radius, neck=0.7 * radius, tongue=radius, bend=bend, lobes=lobes
    )
    scar = draw_scar(np.random.default_rng(1), design, FAR_FROM_WATER)
    assert scar is not None
    assert scar.outline.is_valid
    row, column, reach = design.circle
    assert shapely.Point(column, row).buffer(reach + 0.5 * radius + 4).contains(scar.outline)
    assert scar.cover.sum() == pytest.approx(scar.outline.area, rel=0.12, abs=4)
    for layer in (scar.cover, scar.headwall, scar.tongue):
        assert layer.min() >= 0
        assert layer.max() <= 1


def test_the_headwall_is_upslope_and_the_tongue_downslope():
    scar = draw_scar(np.random.default_rng(1), design_of(), FAR_FROM_WATER)
    rows, columns = (np.arange(part.start, part.stop) for part in scar.window)
    along = (rows[:, None] - 60) * scar.design.downslope[0] + (columns[None, :] - 70) * scar.design.downslope[1]
    wall, tongue = (float((layer * along).sum() / layer.sum()) for layer in (scar.headwall, scar.tongue))
    assert wall < -3
    assert tongue > 8


def test_the_floor_lies_below_the_headwall_and_the_mud_above_the_ground():
    scar = draw_scar(np.random.default_rng(1), design_of(), FAR_FROM_WATER)
    assert scar.lowering_m.max() == pytest.approx(6, abs=0.5)
    assert scar.lowering_m.min() < -0.2
    assert np.abs(scar.lowering_m[scar.cover == 0]).max() < 0.2


def test_water_cuts_a_scar_and_leaves_one_part():
    to_water = np.abs(np.arange(150, dtype=np.float32) - 72) * np.ones((120, 1), dtype=np.float32)
    scar = draw_scar(np.random.default_rng(1), design_of(angle=1.57), to_water)
    west, _, east, _ = scar.outline.bounds
    assert east < 72.8 or west > 72.2


def test_nothing_is_left_of_a_scar_beyond_the_grid():
    assert draw_scar(np.random.default_rng(1), design_of(centre=(-300.0, 10.0)), FAR_FROM_WATER) is None


def test_water_gathers_in_the_valley():
    y, x = np.mgrid[0:160, 0:200].astype(np.float32)
    trough = np.abs(x - 100) * 0.5 + (160 - y) * 0.05
    sea = y > 152
    drainage = drain(trough.astype(np.float32), sea)
    assert drainage.incision_m.shape == (160, 200)
    assert drainage.wetness[80, 95:105].max() > 2 * drainage.wetness[80, 30:60].mean()
    assert drainage.incision_m[120, 95:105].max() > drainage.incision_m[120, 40:60].max()


@settings(deadline=None, max_examples=20)
@given(angle=st.floats(0, 6.28), radius=st.floats(5, 12), retreat=st.floats(1, 6))
def test_a_headwall_that_goes_back_takes_its_width_and_gives_nothing_back(angle, radius, retreat):
    """Without the irregular edge, which moves it by more than what is measured; outlines are of pixels all the same."""
    design = design_of(angle=angle, radius=radius, bend=0.0, tongue=0.0, room=6.0)
    with patch.object(scars, "_ripple", lambda rng, shape, wavelength: np.zeros(shape, dtype=np.float32)):
        before, after = drawn_at(design, 0.0, retreat)
    headwall_px = np.pi * radius
    swept = after.outline.area - before.outline.area
    assert swept == pytest.approx(2 * radius * retreat, abs=0.1 * headwall_px)
    assert (after.cover - before.cover).sum() == pytest.approx(swept, abs=0.1 * headwall_px)
    before, after = drawn_at(design, 0.0, retreat)
    assert before.window == after.window
    assert shapely.area(shapely.difference(before.outline, after.outline)) < 0.01


def test_scars_that_unite_have_one_outline_and_no_wall_between_them():
    left, right = (
        draw_scar(np.random.default_rng(1), design_of(centre=(60.0, column), angle=0.0, bend=0.0), FAR_FROM_WATER)
        for column in (62.0, 78.0)
    )
    both = united([left, right])
    assert both.outline.equals(shapely.union(left.outline, right.outline))
    assert both.cover.sum() == pytest.approx(both.outline.area, rel=0.1)
    assert both.headwall.sum() < 0.95 * (left.headwall.sum() + right.headwall.sum())
    rows, columns = (np.arange(part.start, part.stop) + 0.5 for part in both.window)
    inner = shapely.contains_xy(shapely.buffer(both.outline, -6), *np.meshgrid(columns, rows))
    assert inner.sum() > 20
    assert both.headwall[inner].max() < 0.02
    assert united([left]) is left
