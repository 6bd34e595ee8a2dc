import logging
import re

import numpy as np
import pytest
import xarray as xr

from darts_preprocessing import DEM_BANDS, TCVIS_BANDS, preprocess_v2
from darts_preprocessing import preprocess as preprocess_module
from darts_utils.bands import manager
from darts_utils.errors import ConfigError, DataError, GridError
from darts_utils.tile import validate

FEATURES = {"ndvi", *DEM_BANDS, *TCVIS_BANDS}


@pytest.fixture
def world(grid, make_tile, make_arcticdem, make_tcvis):
    return make_tile(grid), make_arcticdem(grid), make_tcvis(grid)


def test_all_features_are_made_on_the_optical_grid_and_keep_the_contract(world):
    optical, arcticdem, tcvis = world
    before = [dataset.copy(deep=True) for dataset in world]
    tile = preprocess_v2(optical, arcticdem, tcvis, device="cpu")
    assert set(tile.data_vars) == set(optical.data_vars) | FEATURES
    assert tile.odc.geobox == optical.odc.geobox
    assert tile.attrs == optical.attrs
    validate(tile)
    for name in FEATURES:
        low, high = (-1e3, 1e3) if name in ("curvature", "relative_elevation") else manager[name].valid_range
        assert np.isfinite(tile[name]).all(), name
        assert tile[name].min() >= (-1 if name == "aspect" else low)
        assert tile[name].max() <= high
    for changed, original in zip(world, before, strict=True):
        xr.testing.assert_identical(changed, original)


def test_optical_bands_pass_through_untouched(world):
    optical, arcticdem, tcvis = world
    tile = preprocess_v2(optical, arcticdem, tcvis, device="cpu", bands=("slope",))
    xr.testing.assert_identical(tile[list(optical.data_vars)], optical)


@pytest.mark.parametrize("asked", [(), ("ndvi", "red"), ("slope", "tc_wetness"), ("dem",), ("aspect", "hillshade")])
def test_only_the_bands_asked_for_are_made_and_they_are_the_same(world, asked):
    optical = world[0]
    everything = preprocess_v2(*world, device="cpu")
    some = preprocess_v2(*world, device="cpu", bands=asked)
    assert set(some.data_vars) - set(optical.data_vars) == set(asked) - {"red"}
    for name in set(asked):
        # the padding differs, so GDAL's interpolation of the transform does within its tolerance
        np.testing.assert_allclose(some[name], everything[name], atol=0.05, err_msg=name)


def test_the_dem_is_not_warped_when_nothing_of_it_is_asked_for(world, monkeypatch):
    monkeypatch.setattr(preprocess_module, "align_dem", None)
    assert "ndvi" in preprocess_v2(*world, device="cpu", bands={"ndvi", "tc_wetness"})


def test_without_auxiliary_data_there_is_ndvi(world):
    assert set(preprocess_v2(world[0], device="cpu").data_vars) == {*world[0].data_vars, "ndvi"}


@pytest.mark.parametrize("band", ["relative_elevation", "slope", "curvature", "hillshade"])
def test_no_edge_effect_reaches_the_tile(make_grid, make_tile, make_arcticdem, band):
    large = make_grid(90, 80)
    small = large[30:60, 25:61]
    arcticdem = make_arcticdem(large, margin_m=1000)
    whole = preprocess_v2(make_tile(large), arcticdem, device="cpu", bands=[band])[band].values[30:60, 25:61]
    part = preprocess_v2(make_tile(small), arcticdem, device="cpu", bands=[band])[band].values
    assert np.isfinite(part).all()
    # GDAL interpolates the transform along each row within 0.001 px, so the elevations differ by millimetres
    np.testing.assert_allclose(part, whole, atol=1e-2)


def test_relative_elevation_follows_the_radii(world):
    def index(**radii: float) -> np.ndarray:
        return preprocess_v2(*world, device="cpu", bands=["relative_elevation"], **radii)["relative_elevation"].values

    assert np.abs(index(tpi_outer_radius=200)).mean() > 2 * np.abs(index(tpi_outer_radius=50)).mean()
    assert not np.allclose(index(), index(tpi_inner_radius=50))


def test_dem_is_clipped_but_the_terrain_is_that_of_the_real_ground(world):
    optical, arcticdem, _ = world
    high = arcticdem.assign(dem=arcticdem["dem"] + 5000)
    plain = preprocess_v2(optical, arcticdem, device="cpu")
    raised = preprocess_v2(optical, high, device="cpu")
    assert np.all(raised["dem"] == 3000)
    np.testing.assert_allclose(raised["slope"], plain["slope"], atol=0.02)


def test_data_mask_tells_where_the_dem_is_known(world):
    optical, arcticdem, _ = world
    holed = arcticdem.copy(deep=True)
    holed["dem"][40:60, 40:60] = np.nan
    holed["arcticdem_data_mask"][:50] = 0
    tile = preprocess_v2(optical, holed, device="cpu", bands=["dem", "arcticdem_data_mask"])
    mask = tile["arcticdem_data_mask"].values
    assert mask.dtype == np.uint8
    assert np.isnan(tile["dem"].values[mask == 1]).sum() == 0
    assert (mask[np.isfinite(tile["dem"].values)] == 0).any()


@pytest.mark.parametrize("angle", [None, float("nan"), "unknown", float("inf"), -500, 1e9])
def test_unknown_sun_angles_are_replaced_with_one_warning(world, angle, caplog):
    optical, arcticdem, _ = world
    expected = preprocess_v2(optical.assign_attrs(azimuth=225, elevation=25), arcticdem, device="cpu")
    with caplog.at_level(logging.WARNING):
        tile = preprocess_v2(optical.assign_attrs(azimuth=angle, elevation=angle), arcticdem, device="cpu")
    np.testing.assert_array_equal(tile["hillshade"], expected["hillshade"])
    assert [record.getMessage() for record in caplog.records] == [
        "the sun angles of a scene are unknown; hillshade is made with azimuth 225 and elevation 25 degrees"
    ]


def test_absent_sun_angles_are_replaced_each_by_itself(world, caplog):
    optical, arcticdem, _ = world
    del optical.attrs["azimuth"]
    preprocess_v2(optical, arcticdem, device="cpu", bands=["hillshade"])
    assert "azimuth 225 and elevation 33 degrees" in caplog.text


def test_nobody_is_warned_of_sun_angles_that_are_not_needed(world, caplog):
    optical, arcticdem, _ = world
    preprocess_v2(optical.assign_attrs(azimuth=None), arcticdem, device="cpu", bands=["slope"])
    assert not caplog.records


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (7, 2)])
def test_any_tile_size_works(make_grid, make_tile, make_arcticdem, make_tcvis, rows, columns):
    grid = make_grid(rows, columns)
    tile = preprocess_v2(make_tile(grid), make_arcticdem(grid), make_tcvis(grid), device="cpu")
    for name in FEATURES:
        assert tile[name].shape == (rows, columns)
        assert np.isfinite(tile[name]).all(), name


def test_a_planet_sized_pixel_works(make_grid, make_tile, make_arcticdem):
    grid = make_grid(40, 31, pixel_m=3)
    tile = preprocess_v2(make_tile(grid), make_arcticdem(grid, pixel_m=2), device="cpu")
    assert np.isfinite(tile["relative_elevation"]).all()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            ["slope", "tc_wetness"],
            "cannot make slope, tc_wetness: terrain needs ArcticDEM, tc_* needs TCVIS. "
            "Give the missing data or leave the bands out.",
        ),
        (["slop"], f"no band is called slop; known bands: {', '.join(manager)}. Correct the name."),
    ],
)
def test_bands_that_cannot_be_made_are_refused(world, asked, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        preprocess_v2(world[0], bands=asked)


def test_a_band_that_the_tile_has_already_needs_no_source(world):
    tile = preprocess_v2(*world, device="cpu")
    again = preprocess_v2(tile, bands=["slope"])
    xr.testing.assert_identical(again, tile)


def test_illegal_radii_are_refused_before_any_work(world, monkeypatch):
    monkeypatch.setattr(preprocess_module, "align_dem", None)
    with pytest.raises(ConfigError, match=r"^tpi_outer_radius is -5 m but must be above 0 m. Set it to e.g. 100.$"):
        preprocess_v2(*world, tpi_outer_radius=-5)


def test_a_tile_in_degrees_is_refused(world):
    with pytest.raises(GridError, match="a projected CRS in metres is needed"):
        preprocess_v2(world[2])


def test_a_band_of_the_wrong_type_is_refused(world):
    optical = world[0].assign(red=world[0]["red"].astype("float64"))
    with pytest.raises(DataError, match="band red is float64 but must be float32 in memory"):
        preprocess_v2(optical, device="cpu")
