import re

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from rasterio.warp import transform

from darts_preprocessing import align_dem, align_dem_mask, align_tcvis
from darts_utils.errors import DataError, GridError


def coordinates(grid: GeoBox, crs: str) -> tuple[np.ndarray, np.ndarray]:
    xs, ys = np.meshgrid(grid.coords["x"].values, grid.coords["y"].values)
    there = transform(str(grid.crs), crs, xs.ravel(), ys.ravel())
    return np.reshape(there[0], xs.shape), np.reshape(there[1], xs.shape)


def test_elevation_lands_where_it_belongs(grid, make_arcticdem, hills):
    aligned = align_dem(make_arcticdem(grid), grid)
    np.testing.assert_allclose(aligned, hills(*coordinates(grid, "EPSG:3413")), atol=2e-3)


def test_elevation_lands_where_it_belongs_in_a_wide_scene_too(make_grid, make_arcticdem, hills):
    """GDAL interpolates the transform along each row; over 40 km that bends."""
    wide = make_grid(3, 4000)
    aligned = align_dem(make_arcticdem(wide), wide)
    np.testing.assert_allclose(aligned, hills(*coordinates(wide, "EPSG:3413")), atol=6e-3)


@pytest.mark.parametrize("flip", [False, True])
def test_source_may_run_south_to_north(grid, make_arcticdem, hills, flip):
    cube = make_arcticdem(grid)
    cube = cube.isel(y=slice(None, None, -1)) if flip else cube
    np.testing.assert_allclose(align_dem(cube, grid), hills(*coordinates(grid, "EPSG:3413")), atol=2e-3)


def test_ground_beyond_the_cube_is_unknown(grid, make_arcticdem):
    aligned = align_dem(make_arcticdem(grid, margin_m=0), grid.pad(100))
    assert np.isnan(aligned[0]).all()
    assert np.isfinite(aligned[100:-100, 100:-100]).all()


def test_a_hole_stays_a_hole_and_spoils_no_numbers_around(grid, make_arcticdem, hills):
    cube = make_arcticdem(grid)
    rows, columns = cube["dem"].shape
    cube["dem"][rows // 2 - 5 : rows // 2 + 5, columns // 2 - 5 : columns // 2 + 5] = np.nan
    aligned = align_dem(cube, grid)
    assert 60 < np.isnan(aligned).sum() < 130  # about 100 cells, turned against the grid
    np.testing.assert_allclose(
        aligned, np.where(np.isnan(aligned), np.nan, hills(*coordinates(grid, "EPSG:3413"))), atol=4
    )


def test_data_mask_is_0_or_1_and_0_beyond_the_cube(grid, make_arcticdem):
    cube = make_arcticdem(grid, margin_m=0)
    cube["arcticdem_data_mask"][: cube.sizes["y"] // 2] = 0
    mask = align_dem_mask(cube, grid.pad(100))
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 1}
    assert mask[0].sum() == 0


def test_trends_on_the_same_grid_come_through_unchanged(grid):
    values = np.random.default_rng(0).integers(1, 256, grid.shape, dtype=np.uint8)
    cube = xr.Dataset({"tc_wetness": (("y", "x"), values)}, xr_coords(grid))
    np.testing.assert_array_equal(align_tcvis(cube, grid, ["tc_wetness"])["tc_wetness"], values)


def test_trends_are_rounded_saturated_and_0_where_there_are_none(make_grid):
    coarse, fine = make_grid(20, 20, pixel_m=30), make_grid(60, 60, pixel_m=10)
    values = np.full(coarse.shape, 254, dtype=np.uint8)
    values[:, 10:] = 1  # cubic convolution overshoots on both sides of this edge
    values[:5] = 0
    cube = xr.Dataset({"tc_brightness": (("y", "x"), values)}, xr_coords(coarse))
    result = align_tcvis(cube, fine, ["tc_brightness"])["tc_brightness"]
    assert result.dtype == np.uint8
    assert np.all(result[:15] == 0)
    assert np.all(result[15:, :27] >= 250)
    assert np.all(result[15:, 33:] < 10)
    assert result[15:, 30:33].min() == 0  # undershoot
    assert result.max() == 255


def test_a_pixel_is_without_trends_only_where_all_bands_are_zero(grid):
    values = np.full(grid.shape, 100, dtype=np.uint8)
    zero = values.copy()
    zero[3, 4] = zero[7, 7] = 0
    values[7, 7] = 0
    cube = xr.Dataset({"tc_brightness": (("y", "x"), values), "tc_wetness": (("y", "x"), zero)}, xr_coords(grid))
    result = align_tcvis(cube, grid, ["tc_brightness", "tc_wetness"])
    assert result["tc_brightness"][3, 4] == 100
    assert result["tc_brightness"][7, 7] == result["tc_wetness"][7, 7] == 0


def test_a_missing_band_is_named(grid, make_arcticdem):
    message = "the auxiliary data lacks the band dem; it has datamask, arcticdem_data_mask. Load it again."
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        align_dem(make_arcticdem(grid).drop_vars("dem"), grid)


def test_a_cube_without_georeference_is_refused(grid):
    with pytest.raises(GridError, match="the tile has no georeference"):
        align_dem(xr.Dataset({"dem": (("y", "x"), np.zeros((4, 4), np.float32))}), grid)
