import numpy as np
import pytest
import shapely
from shapely.errors import GEOSException

from darts_postprocessing.inventory import robust


def squares(n, shift):
    return shapely.box(np.arange(n) * 10.0, 0, np.arange(n) * 10.0 + 8, 8 + shift)


@pytest.fixture
def failing(monkeypatch):
    """Let overlays of one pair fail in floating point, as the library does now and then."""
    bad = shapely.box(20, 0, 28, 8)

    def of(operation):
        def overlay(one, other, grid_size=None):
            if grid_size is None and shapely.equals(one, bad).any():
                raise GEOSException("AssertionFailedException: found two shells in EdgeRing list")
            return operation(one, other, grid_size=grid_size)

        return overlay

    for name in ("intersection", "union", "difference"):
        monkeypatch.setattr(shapely, name, of(getattr(shapely, name)))
    all_of = shapely.union_all

    def joined(shapes, grid_size=None):
        if grid_size is None:
            raise GEOSException("found two shells")
        return all_of(shapes, grid_size=grid_size)

    monkeypatch.setattr(shapely, "union_all", joined)


def test_a_pair_that_fails_is_worked_out_on_a_grid_and_the_others_as_they_would_be_alone(failing):
    one, other = squares(5, 0.0), squares(5, 0.12345678)
    for operation, area in ((robust.intersection, 64.0), (robust.union, 64 + 8 * 0.12345678), (robust.difference, 0.0)):
        found = operation(one, other)
        assert shapely.area(found) == pytest.approx(np.full(5, area), abs=0.01)
    union = robust.union(one, other)
    heights = shapely.bounds(union)[:, 3]
    assert heights[[0, 1, 3, 4]].tolist() == [8.12345678] * 4
    assert heights[2] == pytest.approx(8.123)
    assert shapely.area(robust.union_all(one)) == pytest.approx(5 * 64)
