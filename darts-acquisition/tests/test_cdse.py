"""Sentinel-2 scenes from the store: reflectance by baseline or by the asset, masks, attributes."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio

from darts_acquisition import load_cdse_s2_sr_scene
from darts_utils.errors import ConfigError, DataError, MissingDataError
from darts_utils.tile import validate

SCENE_ID = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"


def with_baseline(baseline):
    return SCENE_ID.replace("N0510", f"N{baseline}")


@pytest.mark.parametrize(
    ("baseline", "offset"), [("0208", 0), ("0214", 0), ("0301", 0), ("0400", -0.1), ("0509", -0.1), ("0511", -0.1)]
)
def test_the_baseline_decides_the_offset(store, raw_bands, baseline, offset):
    store.write(with_baseline(baseline), raw_bands, {})
    tile = load_cdse_s2_sr_scene(with_baseline(baseline), store=store.folder, offline=True)
    numbers = raw_bands["B04_10m"].values.astype(float)
    valid = (numbers > 0) & (raw_bands["SCL_20m"].values > 0)
    np.testing.assert_allclose(tile.red.values[valid], (numbers * 1e-4 + offset)[valid], atol=1e-6)


def test_the_scale_of_the_asset_wins_over_the_baseline(store, raw_bands):
    raw_bands["B02_10m"].attrs.update({"raster:scale": 0.0002, "raster:offset": -0.3})
    store.write(with_baseline("0208"), raw_bands, {})
    tile = load_cdse_s2_sr_scene(with_baseline("0208"), store=store.folder, offline=True)
    numbers = raw_bands["B02_10m"].values.astype(float)
    valid = (numbers > 0) & (raw_bands["SCL_20m"].values > 0)
    np.testing.assert_allclose(tile.blue.values[valid], (numbers * 2e-4 - 0.3)[valid], atol=1e-6)
    np.testing.assert_allclose(tile.red.values[valid], (raw_bands["B04_10m"].values * 1e-4)[valid], atol=1e-6)


def test_the_baseline_may_stand_in_the_metadata(store, raw_bands):
    store.write("S2A_29RKH_20200219_0_L2A", raw_bands, {"s2:processing_baseline": "02.14"})
    tile = load_cdse_s2_sr_scene("S2A_29RKH_20200219_0_L2A", store=store.folder, offline=True)
    assert float(tile.red.min()) > 0


def test_an_unknown_baseline_is_not_guessed(store, raw_bands):
    store.write("S2A_29RKH_20200219_0_L2A", raw_bands, {})
    with pytest.raises(DataError, match="the processing baseline of scene S2A_29RKH_20200219_0_L2A is neither in its"):
        load_cdse_s2_sr_scene("S2A_29RKH_20200219_0_L2A", store=store.folder, offline=True)


@pytest.mark.parametrize(
    ("scene_id", "given", "told"),
    [
        (with_baseline("9999"), {}, "N9999"),
        (with_baseline("0000"), {}, "N0000"),
        (with_baseline("9999"), {"s2:processing_baseline": "05.10"}, "N9999"),  # the name of the product counts
        ("S2A_29RKH_20200219_0_L2A", {"processing:version": "99.99"}, "99.99"),
        ("S2A_29RKH_20200219_0_L2A", {"processing:version": None}, "None"),
    ],
)
def test_a_baseline_that_says_nothing_is_refused(store, raw_bands, scene_id, given, told):
    store.write(scene_id, raw_bands, given)
    with pytest.raises(DataError) as caught:
        load_cdse_s2_sr_scene(scene_id, store=store.folder, offline=True)
    assert str(caught.value) == (
        f"the processing baseline of scene {scene_id} is {told}, which does not say whether its values carry an offset."
        " Choose the product of a known baseline (N0204 and later), or stage this one with raster:scale and"
        " raster:offset of its bands."
    )


def test_a_scale_without_an_offset_leaves_that_to_the_baseline(store, raw_bands):
    raw_bands["B04_10m"].attrs["raster:scale"] = 1e-4
    store.write(SCENE_ID, raw_bands, {})
    assert float(load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True).red.min()) < 0
    store.write(with_baseline("9999"), raw_bands, {})
    with pytest.raises(DataError, match="is N9999, which does not say whether"):
        load_cdse_s2_sr_scene(with_baseline("9999"), store=store.folder, offline=True)


def test_a_product_of_an_unknown_baseline_may_tell_its_scale_and_offset(store, raw_bands):
    for band in raw_bands.values():
        band.attrs.update({"raster:scale": 1e-4, "raster:offset": 0.0})
    store.write(with_baseline("9999"), raw_bands, {})
    assert float(load_cdse_s2_sr_scene(with_baseline("9999"), store=store.folder, offline=True).red.min()) > 0


@pytest.mark.parametrize(
    ("key", "value", "shown", "wanted"),
    [
        ("raster:scale", 0, "0", "a number above 0 to 10"),
        ("raster:scale", -1e-4, "-0.0001", "a number above 0 to 10"),
        ("raster:scale", "NaN", "'NaN'", "a number above 0 to 10"),
        ("raster:scale", None, "None", "a number above 0 to 10"),
        ("raster:scale", [1], "[1]", "a number above 0 to 10"),
        ("raster:scale", 1e-300, "1e-300", "a number above 0 to 10"),
        ("raster:offset", "Infinity", "'Infinity'", "a number from -10 to 10"),
        ("raster:offset", "unknown", "'unknown'", "a number from -10 to 10"),
        ("raster:scale", True, "True", "a number above 0 to 10"),
        ("raster:scale", 1e300, "1e+300", "a number above 0 to 10"),
        ("raster:offset", -1e300, "-1e+300", "a number from -10 to 10"),
        ("raster:offset", True, "True", "a number from -10 to 10"),
    ],
)
def test_a_scale_that_is_none_is_refused(store, raw_bands, key, value, shown, wanted):
    raw_bands["B03_10m"].attrs.update({"raster:scale": 1e-4, "raster:offset": 0.0, key: value})
    path = store.write(SCENE_ID, raw_bands, {})
    with pytest.raises(DataError) as caught:
        load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)
    assert str(caught.value) == (
        f"band B03_10m of {path} has the {key} {shown}, but {wanted} is needed. Delete the scene and stage it again."
    )


@pytest.fixture
def dark_water(raw_bands):
    """Water where one band came out as 0, and a pixel that the classification knows though no band saw it."""
    for band in raw_bands.values():
        band.values[band.values == 0] = 1
    raw_bands["SCL_20m"].values[:] = 6
    raw_bands["SCL_20m"].values[0, :3] = 0
    raw_bands["B08_10m"].values[10:20, 5:25] = 0
    raw_bands["B02_10m"].values[12, 7] = 0
    for name in ("B02_10m", "B03_10m", "B04_10m", "B08_10m"):
        raw_bands[name].values[30, 40] = 0
        raw_bands[name].values[0, :3] = 0
    return raw_bands


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("baseline", "scale"), [("0214", None), ("0301", None), ("0510", (1e-4, 0.0))], ids=["0214", "0301", "applied"]
)
def test_zeros_in_some_bands_are_data_without_an_offset(store, dark_water, baseline, scale, lazy):
    for name in dark_water if scale else ():
        dark_water[name].attrs.update(dict(zip(("raster:scale", "raster:offset"), scale, strict=True)))
    store.write(with_baseline(baseline), dark_water, {})
    tile = load_cdse_s2_sr_scene(with_baseline(baseline), store=store.folder, offline=True, lazy=lazy)
    assert (tile.nir.values[10:20, 5:25] == 0).all()
    assert tile.blue.values[12, 7] == 0
    nowhere = [[0, 0], [0, 1], [0, 2], [30, 40]]
    for name in ("blue", "green", "red", "nir"):
        assert np.argwhere(np.isnan(tile[name].values)).tolist() == nowhere
    assert np.argwhere(tile.quality_data_mask.values != 2).tolist() == nowhere
    assert tile.isel(y=slice(8, 22)).nir.values.tolist() == tile.nir.values[8:22].tolist()


def test_a_zero_in_one_band_is_no_data_while_the_offset_is_in_the_numbers(store, dark_water):
    store.write(SCENE_ID, dark_water, {})
    tile = load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)
    assert np.isnan(tile.nir.values[10:20, 5:25]).all()
    assert (tile.quality_data_mask.values[10:20, 5:25] == 0).all()
    assert not np.isnan(tile.red.values[10:20, 5:25]).any()


def test_a_band_alone_is_missing_where_all_staged_ones_are(store, dark_water):
    store.write(with_baseline("0214"), dark_water, {})
    tile = load_cdse_s2_sr_scene(with_baseline("0214"), {"B08_10m": "nir"}, store=store.folder, offline=True)
    assert np.argwhere(np.isnan(tile.nir.values)).tolist() == [[0, 0], [0, 1], [0, 2], [30, 40]]


def test_a_scene_keeps_the_tile_contract(store, raw_bands, geobox):
    attributes = {"view:sun_azimuth": 171.5, "view:sun_elevation": 40.25, "datetime": "2024-07-20T20:09:09Z"}
    store.write(SCENE_ID, raw_bands, attributes)
    tile = validate(load_cdse_s2_sr_scene(SimpleNamespace(id=SCENE_ID), store=store.folder, offline=True))
    assert tile.odc.geobox == geobox
    assert list(tile.data_vars) == ["blue", "green", "red", "nir", "s2_scl", "quality_data_mask"]
    assert tile.attrs == {
        "azimuth": 171.5,
        "elevation": 40.25,
        "tile_id": SCENE_ID,
        "s2_tile_id": SCENE_ID,
        "datetime": "2024-07-20T20:09:09Z",
    }
    assert tile.red.attrs["units"] == "Reflectance"
    assert {"long_name", "data_source"} <= set(tile.red.attrs)


def test_no_data_is_nan_and_invalid(store, raw_bands):
    raw_bands["SCL_20m"].values[20, 20:30] = 0
    store.write(SCENE_ID, raw_bands, {})
    tile = load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)
    for band in ("blue", "green", "red", "nir"):
        assert np.isnan(tile[band].values[:5, :9]).all()
        assert np.isnan(tile[band].values[20, 20:30]).all()
    assert (tile.quality_data_mask.values[:5, :9] == 0).all()
    assert (tile.quality_data_mask.values[20, 20:30] == 0).all()


@pytest.mark.parametrize("given", [{}, {"view:sun_azimuth": None, "view:sun_elevation": "unknown"}])
def test_unknown_sun_angles_are_nan(store, raw_bands, given):
    store.write(SCENE_ID, raw_bands, given)
    tile = load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)
    assert math.isnan(tile.attrs["azimuth"])
    assert math.isnan(tile.attrs["elevation"])


def test_all_bands_or_chosen_ones(store, raw_bands):
    raw_bands["B05_20m"] = raw_bands["B04_10m"].copy()
    store.write(SCENE_ID, raw_bands, {})
    everything = load_cdse_s2_sr_scene(SCENE_ID, "all", store=store.folder, offline=True)
    assert {"blue", "green", "red", "nir", "B05_20m", "s2_scl"} <= set(everything.data_vars)
    chosen = load_cdse_s2_sr_scene(SCENE_ID, {"B05_20m": "rededge"}, store=store.folder, offline=True)
    assert set(chosen.data_vars) == {"rededge", "s2_scl", "quality_data_mask"}


def test_raw_numbers_can_be_looked_at(store, raw_bands, tmp_path):
    store.write(SCENE_ID, raw_bands, {})
    load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True, output_dir_for_debug_geotiff=tmp_path / "debug")
    with rasterio.open(tmp_path / "debug" / f"{SCENE_ID}_B08_10m.tif") as file:
        np.testing.assert_array_equal(file.read(1), raw_bands["B08_10m"].values)


def test_a_missing_scene_or_store_is_an_error(store):
    with pytest.raises(MissingDataError, match=f"scene {SCENE_ID} is not staged in"):
        load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)
    with pytest.raises(ConfigError, match=f"no raw scene store is given for {SCENE_ID}"):
        load_cdse_s2_sr_scene(SCENE_ID, offline=True)
