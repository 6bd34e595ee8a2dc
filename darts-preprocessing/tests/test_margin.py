"""Elevation that ends too near to a tile is told of, with numbers; what is enough leads to the same features."""

import numpy as np
import pytest
import xarray as xr
from odc.geo.xr import xr_coords

from darts_preprocessing import align_arcticdem, preprocess_v2
from darts_preprocessing.margin import margins_m


@pytest.fixture
def elevation_around(hills):
    """Make hills on the tile's own grid and some pixels around it."""

    def make(geobox, *, margin_px, pixel_m=10):
        around = geobox.pad(margin_px).zoom_to(resolution=pixel_m)
        x, y = np.meshgrid(around.coords["x"].values, around.coords["y"].values)
        layers = {"dem": hills(x, y).astype(np.float32), "arcticdem_data_mask": np.ones(around.shape, np.uint8)}
        return xr.Dataset({name: (("y", "x"), layer) for name, layer in layers.items()}, xr_coords(around))

    return make


@pytest.mark.parametrize(("margin_px", "pixel_m", "needed_m"), [(7, 10, 120), (11, 5, 120), (15, 20, 140)])
def test_what_is_given_and_needed_is_counted_in_metres_of_the_tile(
    grid, elevation_around, margin_px, pixel_m, needed_m
):
    elevation = elevation_around(grid, margin_px=margin_px, pixel_m=pixel_m)
    found = margins_m(elevation.odc.geobox, grid, 10)
    assert found == pytest.approx((margin_px * 10, needed_m, pixel_m), abs=pixel_m / 2)


def test_across_projections_lengths_are_those_of_the_tile(grid, make_arcticdem):
    """At 70 degrees north EPSG:3413 is true to scale, and stands 5 degrees askew to the tile."""
    given_m, needed_m, cell_m = margins_m(make_arcticdem(grid, margin_m=400).odc.geobox, grid, 10)
    assert (needed_m, cell_m) == (pytest.approx(120, abs=0.2), pytest.approx(10, abs=0.02))
    assert 395 < given_m < 415


def test_a_side_that_is_left_out_counts_negative(grid, elevation_around):
    elevation = elevation_around(grid, margin_px=20).isel(x=slice(35, None))
    assert margins_m(elevation.odc.geobox, grid, 10)[0] == pytest.approx(-150)


def test_too_little_is_said_once_with_numbers_and_what_to_do(grid, make_tile, elevation_around, caplog):
    preprocess_v2(make_tile(grid), elevation_around(grid, margin_px=4), device="cpu")
    assert [record.getMessage() for record in caplog.records] == [
        "elevation reaches 40 m beyond a scene, but 120 m are needed for terrain and relative elevation at its edges; "
        "load it with a margin of 12 pixels (buffer)"
    ]


def test_what_is_asked_for_is_enough_and_gives_what_more_gives(grid, make_tile, elevation_around, caplog):
    tile = make_tile(grid)
    features, wide = (
        preprocess_v2(tile, elevation_around(grid, margin_px=margin), device="cpu") for margin in (12, 60)
    )
    assert not caplog.records
    xr.testing.assert_allclose(features, wide, atol=1e-4)
    short = preprocess_v2(tile, elevation_around(grid, margin_px=4), device="cpu")
    assert caplog.records
    assert not np.allclose(short["relative_elevation"], wide["relative_elevation"], atol=0.1, equal_nan=True)


def test_what_does_not_reach_far_needs_less(grid, make_tile, elevation_around, caplog):
    preprocess_v2(make_tile(grid), elevation_around(grid, margin_px=4), device="cpu", bands=["slope"])
    assert not caplog.records


def test_aligned_elevation_is_told_of_where_it_is_aligned(grid, make_tile, elevation_around, caplog):
    aligned = align_arcticdem(elevation_around(grid, margin_px=4), grid)
    assert [record.getMessage().split(",")[0] for record in caplog.records] == [
        "elevation reaches 40 m beyond the tile"
    ]
    preprocess_v2(make_tile(grid), aligned, device="cpu")
    assert len(caplog.records) == 1
    preprocess_v2(make_tile(grid), aligned, tpi_outer_radius=200, device="cpu")
    assert len(caplog.records) == 2, "it was aligned for a smaller radius"
