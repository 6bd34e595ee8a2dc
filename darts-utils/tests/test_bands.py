"""The codecs: order, ranges and rounding are part of every trained checkpoint."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_utils.bands import TRAINING_BANDS, BandCodec, manager
from darts_utils.errors import ConfigError

# band, memory dtype, disk dtype, low, high, scale, offset, fill: copied by hand from the data contract
CONTRACT = [
    ("blue", "float32", "uint16", -0.1, 0.5, 1 / 10000, -0.1, 0),
    ("green", "float32", "uint16", -0.1, 0.5, 1 / 10000, -0.1, 0),
    ("red", "float32", "uint16", -0.1, 0.5, 1 / 10000, -0.1, 0),
    ("nir", "float32", "uint16", -0.1, 0.5, 1 / 10000, -0.1, 0),
    ("ndvi", "float32", "int16", -1, 1, 1 / 10000, -1, -1),
    ("curvature", "float32", "int16", -1, 1, 1 / 10000, -1, -1),
    ("dem", "float32", "int16", -100, 3000, 0.1, -100, -1),
    ("relative_elevation", "float32", "int16", -50, 50, 100 / 30000, -50, -1),
    ("slope", "float32", "int16", 0, 90, 0.01, 0, -1),
    ("aspect", "float32", "int16", 0, 360, 0.1, 0, -1),
    ("hillshade", "float32", "int16", 0, 1, 1 / 10000, 0, -1),
    ("tc_brightness", "uint8", "uint8", 0, 255, None, 0, None),
    ("tc_greenness", "uint8", "uint8", 0, 255, None, 0, None),
    ("tc_wetness", "uint8", "uint8", 0, 255, None, 0, None),
    ("quality_data_mask", "uint8", "uint8", 0, 2, None, 0, None),
    ("s2_scl", "uint8", "uint8", 0, 11, None, 0, None),
    ("planet_udm", "uint8", "uint8", 0, 8, None, 0, None),
    ("arcticdem_data_mask", "uint8", "bool", 0, 1, None, 0, None),
    ("probabilities", "float32", "uint8", 0, 1, 0.01, 0, 255),
    ("probabilities-some_model", "float32", "uint8", 0, 1, 0.01, 0, 255),
    ("binarized_segmentation", "bool", "bool", 0, 1, None, 0, None),
    ("binarized_segmentation-some_model", "bool", "bool", 0, 1, None, 0, None),
    ("cut_segmentation", "bool", "bool", 0, 1, None, 0, None),
    ("features_missing", "bool", "bool", 0, 1, None, 0, None),
    ("extent", "bool", "bool", 0, 1, None, 0, None),
]
PACKED = [row for row in CONTRACT if row[5] is not None]


@pytest.mark.parametrize(("name", "memory", "disk", "low", "high", "scale", "offset", "fill"), CONTRACT)
def test_every_band_has_the_codec_of_the_contract(name, memory, disk, low, high, scale, offset, fill):
    expected = BandCodec(
        memory_dtype=memory, disk_dtype=disk, valid_range=(low, high), scale=scale, offset=offset, fill_value=fill
    )
    assert manager[name] == expected


def test_order_of_bands_is_kept():
    training_order = ["red", "green", "blue", "nir", "ndvi", "relative_elevation", "slope", "aspect", "hillshade"]
    training_order += ["curvature", "tc_brightness", "tc_greenness", "tc_wetness"]
    assert [band for band in manager if band in training_order] == training_order == list(TRAINING_BANDS)


@pytest.mark.parametrize("row", PACKED, ids=lambda row: row[0])
@settings(derandomize=True, max_examples=30)
@given(share=st.floats(0.001, 1))
def test_decoding_undoes_encoding_to_half_a_step(row, share):
    codec = manager[row[0]]
    low, high = codec.valid_range
    value = np.array([low + share * (high - low)], dtype=np.float32)
    back = codec.decode(codec.encode(value))
    assert back.dtype == np.float32
    assert abs(back[0] - value[0]) <= codec.scale * 0.51


@pytest.mark.parametrize("row", PACKED, ids=lambda row: row[0])
def test_nan_becomes_the_fill_value_and_comes_back(row):
    codec = manager[row[0]]
    encoded = codec.encode(np.array([np.nan], dtype=np.float32))
    assert encoded[0] == row[7]
    assert np.isnan(codec.decode(encoded)[0])


@pytest.mark.parametrize("row", PACKED, ids=lambda row: row[0])
def test_valid_values_never_become_no_data(row):
    codec = manager[row[0]]
    low, high = codec.valid_range
    edges = np.array([low, high, low - 100, high + 100], dtype=np.float32)
    back = codec.decode(codec.encode(edges))
    np.testing.assert_allclose(back, [low, high, low, high], atol=codec.scale * 1.01)


def test_encoding_rounds_and_does_not_truncate():
    assert manager["probabilities"].encode(np.array([0.996, 0.004, 0.555], dtype=np.float32)).tolist() == [100, 0, 56]
    assert manager["slope"].encode(np.array([0.019], dtype=np.float32)).tolist() == [2]


def test_models_see_0_to_1_with_nan_as_0():
    red = manager["red"].normalize(np.array([-0.1, 0.2, 0.5, 0.9, -1, np.nan], dtype=np.float32))
    np.testing.assert_allclose(red, [0, 0.5, 1, 1, 0, 0], atol=1e-6)
    assert red.dtype == np.float32
    trend = manager["tc_wetness"].normalize(np.array([0, 51, 255], dtype=np.uint8))
    np.testing.assert_allclose(trend, [0, 0.2, 1], atol=1e-6)


def test_normalising_leaves_its_input_alone():
    values = np.array([0.1, np.nan], dtype=np.float32)
    manager["red"].normalize(values)
    np.testing.assert_array_equal(values, np.array([0.1, np.nan], dtype=np.float32))


def test_unknown_band_is_named_with_the_known_ones():
    with pytest.raises(KeyError, match="no band is called 'rde'; known bands: red, green"):
        manager["rde"]
    with pytest.raises(ConfigError, match="no band is called 'rde'"):
        manager.normalize(xr.DataArray([1.0], name="rde"))


def _tile() -> xr.Dataset:
    rng = np.random.default_rng(3)
    red = rng.uniform(-0.1, 0.5, (4, 7)).astype(np.float32)
    red[1, 2] = np.nan
    trend = rng.integers(0, 255, (4, 7)).astype(np.uint8)
    tile = xr.Dataset(
        {"red": (("y", "x"), red), "tc_wetness": (("y", "x"), trend), "extent": (("y", "x"), trend > 9)},
        coords={"y": np.arange(4.0)[::-1], "x": np.arange(7.0), "spatial_ref": 0},
        attrs={"tile_id": "a"},
    )
    tile.red.attrs["units"] = "Reflectance"
    return tile


def test_a_tile_survives_netcdf(tmp_path):
    tile = _tile()
    manager.to_netcdf(tile, tmp_path / "tile.nc")
    back = manager.open(tmp_path / "tile.nc")
    np.testing.assert_allclose(back.red, tile.red, atol=0.51e-4)
    np.testing.assert_array_equal(back.tc_wetness, tile.tc_wetness)
    np.testing.assert_array_equal(back.extent, tile.extent)
    assert {name: str(back[name].dtype) for name in back.data_vars} == {
        "red": "float32",
        "tc_wetness": "uint8",
        "extent": "bool",
    }
    assert back.attrs["tile_id"] == "a"
    assert back.red.attrs == {"units": "Reflectance"}


def test_other_readers_can_decode_the_file(tmp_path):
    tile = _tile()
    manager.to_netcdf(tile, tmp_path / "tile.nc")
    with xr.open_dataset(tmp_path / "tile.nc") as plain:
        np.testing.assert_allclose(plain.red, tile.red, atol=0.51e-4)


def test_crop_clips_known_bands_only():
    tile = xr.Dataset({"red": ("x", np.float32([-5, 5])), "else": ("x", np.float32([-5, 5]))})
    cropped = manager.crop(tile)
    np.testing.assert_allclose(cropped.red, [-0.1, 0.5])
    np.testing.assert_allclose(cropped["else"], [-5, 5])
