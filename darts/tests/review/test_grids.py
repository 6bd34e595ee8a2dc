"""The grid of a picture: north is up, and a metre is one."""

import pyproj
import pytest

from darts.review.candidates import SIZE_PX, grid_of
from darts_postprocessing.review.frames import Frame

GEOD = pyproj.Geod(ellps="WGS84")


def test_north_is_up_and_a_metre_is_one():
    frame = Frame(-132.0, 69.0, 400.0)
    grid = grid_of(frame, "close")
    assert grid.shape == (SIZE_PX, SIZE_PX)
    assert grid.extent.boundingbox.bbox == pytest.approx((-600, -600, 600, 600))
    middle = pyproj.Transformer.from_crs(frame.crs, "EPSG:4326", always_xy=True).transform(0, 1000)
    assert GEOD.inv(-132.0, 69.0, *middle)[0] == pytest.approx(0, abs=0.1)
    assert GEOD.inv(-132.0, 69.0, *middle)[2] == pytest.approx(1000, abs=0.2)
