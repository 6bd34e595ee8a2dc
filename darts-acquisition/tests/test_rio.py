"""Tiles work with rioxarray as they are: georeference and no data survive a raster."""

import subprocess
import sys

import numpy as np
import pytest
import rasterio
import rioxarray
import xarray as xr

from darts_acquisition import load_arcticdem, load_cdse_s2_sr_scene, load_tcvis

SCENE_ID = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"


@pytest.fixture
def scene(store, raw_bands):
    store.write(SCENE_ID, raw_bands, {})
    return load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)


def test_whoever_loads_a_tile_need_not_import_rioxarray():
    script = "import darts_acquisition, xarray as xr; xr.Dataset().rio; xr.DataArray(0).rio"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_band_is_the_same_after_a_raster(scene, geobox, tmp_path):
    assert np.isnan(scene.red.values).any()
    scene.red.rio.to_raster(tmp_path / "red.tif")
    with rasterio.open(tmp_path / "red.tif") as raster:
        assert (raster.crs.to_epsg(), raster.transform) == (geobox.crs.epsg, geobox.affine)
        assert np.isnan(raster.nodata)
    back = rioxarray.open_rasterio(tmp_path / "red.tif", masked=True)
    np.testing.assert_array_equal(back[0], scene.red)
    assert (back.rio.crs.to_epsg(), back.rio.transform()) == (geobox.crs.epsg, geobox.affine)
    np.testing.assert_array_equal(back.x, scene.x)
    np.testing.assert_array_equal(back.y, scene.y)
    assert np.isnan(back.rio.nodata)


def test_a_lazy_tile_is_written_like_another(store, scene, tmp_path):
    lazy = load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True, lazy=True)
    lazy.nir.rio.to_raster(tmp_path / "lazy.tif")
    scene.nir.rio.to_raster(tmp_path / "nir.tif")
    assert (tmp_path / "lazy.tif").read_bytes() == (tmp_path / "nir.tif").read_bytes()


def test_a_mask_is_the_same_after_a_raster(scene, tmp_path):
    scene.quality_data_mask.rio.to_raster(tmp_path / "quality.tif")
    back = rioxarray.open_rasterio(tmp_path / "quality.tif")[0]
    assert (back.dtype, back.rio.nodata) == (np.uint8, None)  # 0 says invalid, which is an answer
    np.testing.assert_array_equal(back, scene.quality_data_mask)


def test_a_tile_can_be_clipped_and_warped(scene, geobox):
    left, _, _, top = geobox.boundingbox
    assert scene.rio.clip_box(left, top - 100, left + 200, top).rio.shape == (10, 20)
    warped = scene[["red", "s2_scl"]].rio.reproject("EPSG:3413")
    assert warped.rio.crs.to_epsg() == 3413
    missing = np.isnan(warped.red.values)
    assert missing.any()
    assert set(warped.red.values[~missing]) <= set(scene.red.values[~np.isnan(scene.red)])  # nearest: no new value


def test_elevation_and_trends_say_where_they_lie_and_what_no_data_is(geobox, dem_cube, tcvis_cube, tmp_path):
    elevation, trends = load_arcticdem(geobox, dem_cube, 10), load_tcvis(geobox, tcvis_cube)
    for data, epsg, name in ((elevation, 3413, "dem"), (trends, 4326, "tc_wetness")):
        assert data.rio.crs.to_epsg() == epsg
        assert data.rio.transform() == data.odc.geobox.affine
        data[name].rio.to_raster(tmp_path / f"{name}.tif")
        back = rioxarray.open_rasterio(tmp_path / f"{name}.tif")[0]
        np.testing.assert_array_equal(back, data[name])
        xr.testing.assert_allclose(back.drop_vars(["band", "spatial_ref"]), data[name].drop_vars("spatial_ref"), 1e-12)
    assert np.isnan(elevation.dem.rio.nodata)
    assert trends.tc_wetness.rio.nodata == 0
