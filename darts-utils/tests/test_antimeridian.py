"""Longitudes that go around: the shortest stretch that holds others, beside degrees tried one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_utils.objects.antimeridian import shortest_span

STEP = 15
ENDS = st.integers(-180 // STEP, 180 // STEP).map(lambda number: number * STEP)


def pieces(west, east):
    """Return the pieces of `STEP` degrees in a stretch, each by its western end."""
    turn = 360 if east - west >= 360 else (east - west) % 360
    return {(west + i) % 360 for i in range(0, turn, STEP)}


def fewest_by_trying(wanted):
    """Return how many pieces in a row hold those that are wanted, found by trying all."""
    rows = ({(west + i * STEP) % 360 for i in range(n)} for n in range(1, 25) for west in range(-180, 180, STEP))
    return next(len(row) for row in rows if wanted <= row)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(10, 20)], (10, 20)),
        ([(10, 20), (15, 40)], (10, 40)),
        ([(-170, -160), (10, 20)], (10, -160)),
        ([(-160, -150), (100, 110)], (100, -150)),
        ([(170, -170)], (170, -170)),
        ([(170, 180), (-180, -175)], (170, -175)),
        ([(-180, 180)], (-180, 180)),
        ([(-180, 0), (0, 180)], (-180, 180)),
        ([(170.1, -169.9), (-175, -172)], (170.1, -169.9)),
        ([(5, 5)], (5, 5)),
    ],
)
def test_the_shortest_stretch_of_longitudes_goes_over_the_antimeridian_where_that_is_shorter(spans, expected):
    assert shortest_span(spans) == expected


@given(st.lists(st.tuples(ENDS, ENDS).filter(lambda span: span[0] != span[1]), min_size=1, max_size=4))
def test_no_stretch_of_longitudes_that_holds_all_is_shorter(spans):
    west, east = shortest_span(spans)
    wanted = set().union(*(pieces(*span) for span in spans))
    assert wanted <= pieces(west, east)
    assert len(pieces(west, east)) == fewest_by_trying(wanted)
    assert np.isin([west, east], [*np.ravel(spans), -180, 180]).all()
