"""Trends made where they are read are those of a warp of the whole tile."""

import pickle

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_preprocessing.align import TCVIS_BANDS, align_tcvis, trend_windows

TILE = GeoBox.from_bbox((400_000, 7_700_000, 413_000, 7_711_700), "EPSG:32608", resolution=10)
"""Two blocks down and across, the second ones cut: 1170 x 1300 pixels."""


def trends_around(lowest: int, highest: int, hole: bool = False) -> xr.Dataset:
    grid = GeoBox.from_bbox(tuple(TILE.geographic_extent.boundingbox.buffered(0.01)), "EPSG:4326", resolution=2.7e-4)
    rng = np.random.default_rng(3)
    bands = {name: rng.integers(lowest, highest, grid.shape).astype(np.uint8) for name in TCVIS_BANDS}
    for values in bands.values():
        if hole:
            values[100:160, 200:300] = 0
    return xr.Dataset({name: wrap_xr(values, grid) for name, values in bands.items()})


@pytest.fixture(scope="module", params=["noise", "even", "hole"])
def tcvis(request):
    return trends_around(*{"noise": (0, 255), "even": (100, 130), "hole": (100, 130, True)}[request.param])


@pytest.fixture(scope="module")
def whole(tcvis):
    return align_tcvis(tcvis, TILE, TCVIS_BANDS)


@pytest.fixture(scope="module")
def windows(tcvis):
    return trend_windows(tcvis, TILE, TCVIS_BANDS)


def a_slice(length: int) -> st.SearchStrategy[slice]:
    return st.tuples(st.integers(0, length - 1), st.integers(1, 300)).map(lambda at: slice(at[0], min(sum(at), length)))


@settings(max_examples=30)
@given(rows=a_slice(TILE.shape[0]), columns=a_slice(TILE.shape[1]), band=st.sampled_from(TCVIS_BANDS))
def test_a_window_is_cut_out_of_the_whole(windows, whole, rows, columns, band):
    np.testing.assert_array_equal(windows.read(band, rows, columns), whole[band][rows, columns])


def test_all_of_it_is_the_whole(windows, whole):
    for band in TCVIS_BANDS:
        np.testing.assert_array_equal(windows.read(band, *map(slice, (0, 0), TILE.shape)), whole[band])


def test_holes_are_where_all_trends_are_0(windows, whole, tcvis):
    expected = np.logical_and.reduce([whole[band] == 0 for band in TCVIS_BANDS])
    holes = np.unpackbits(windows.holes(), axis=1, count=TILE.shape[1]).view(bool)
    np.testing.assert_array_equal(holes, expected)


def test_there_are_holes_beyond_the_trends():
    half = trends_around(100, 130).isel(longitude=slice(0, 300))
    windows, whole = trend_windows(half, TILE, TCVIS_BANDS), align_tcvis(half, TILE, TCVIS_BANDS)
    holes = np.unpackbits(windows.holes(), axis=1, count=TILE.shape[1]).view(bool)
    assert 0.1 < holes.mean() < 0.9
    np.testing.assert_array_equal(holes, whole["tc_wetness"] == 0)


def test_where_no_trend_can_be_0_nothing_is_warped(monkeypatch):
    windows = trend_windows(trends_around(100, 130), TILE, TCVIS_BANDS)
    monkeypatch.setattr(type(windows), "_piece", lambda *_: pytest.fail("warped for nothing"))
    assert not windows.holes().any()


def test_they_go_to_other_processes(windows, whole):
    windows.read("tc_wetness", slice(0, 9), slice(0, 9))
    there = pickle.loads(pickle.dumps(windows))
    np.testing.assert_array_equal(
        there.read("tc_wetness", slice(5, 80), slice(1000, 1100)), whole["tc_wetness"][5:80, 1000:1100]
    )
