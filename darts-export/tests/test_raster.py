import numpy as np
import pytest
import rasterio
import rioxarray
from rasterio.io import MemoryFile

from darts_export.raster import raster_bytes
from darts_utils.bands import manager
from darts_utils.rasters.lazy import lazy_band


@pytest.fixture
def opened():
    """Open the bytes of a raster."""
    memory = []

    def open_(data: bytes) -> rasterio.DatasetReader:
        memory.append(MemoryFile(data))
        return memory[-1].open()

    yield open_
    for file in memory:
        file.close()


def test_raster_is_a_tiled_compressed_cloud_optimised_geotiff_with_overviews(make_tile, opened):
    raster = opened(raster_bytes(make_tile(1100, 700), ["red"]))
    assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert raster.profile["tiled"]
    assert raster.block_shapes == [(512, 512)]
    assert raster.compression.value == "LZW"
    assert raster.overviews(1) == [2, 4]


def test_raster_lies_where_the_tile_lies(make_tile, opened):
    tile = make_tile()
    raster = opened(raster_bytes(tile, ["slope"]))
    assert raster.crs.to_epsg() == 32608
    assert raster.transform == tile.odc.geobox.affine
    assert raster.shape == (93, 71)


@pytest.mark.parametrize("name", ["red", "slope", "relative_elevation", "ndvi", "tc_wetness", "quality_data_mask"])
def test_raster_decodes_to_the_band_within_half_a_step(make_tile, opened, name):
    tile = make_tile()
    raster = opened(raster_bytes(tile, [name]))
    codec = manager[name]
    assert raster.dtypes == (codec.disk_dtype,)
    assert raster.nodata == codec.fill_value
    assert raster.descriptions == (name,)
    decoded = raster.read(1, masked=True) * raster.scales[0] + raster.offsets[0]
    np.testing.assert_array_equal(np.ma.getmaskarray(decoded), np.isnan(tile[name].values))
    step = 0 if codec.scale is None else codec.scale
    np.testing.assert_allclose(decoded.filled(np.nan), tile[name], atol=0.51 * step)


@pytest.mark.parametrize("name", ["nir", "slope", "ndvi"])
def test_rioxarray_reads_the_physical_values(make_tile, tmp_path, name):
    tile = make_tile()
    (tmp_path / "band.tif").write_bytes(raster_bytes(tile, [name]))
    with rioxarray.open_rasterio(tmp_path / "band.tif", mask_and_scale=True) as raster:
        assert (raster.rio.crs.to_epsg(), raster.rio.transform()) == (32608, tile.odc.geobox.affine)
        assert raster.rio.encoded_nodata == manager[name].fill_value
        np.testing.assert_allclose(raster[0], tile[name], atol=0.51 * manager[name].scale)


def test_rioxarray_masks_probabilities(make_tile, tmp_path):
    tile = make_tile()
    (tmp_path / "band.tif").write_bytes(raster_bytes(tile, ["probabilities"]))
    with rioxarray.open_rasterio(tmp_path / "band.tif", masked=True) as raster:
        assert np.isnan(tile.probabilities).any()
        np.testing.assert_allclose(raster[0], 100 * tile.probabilities, atol=0.51)


def test_probabilities_are_percent_with_255_for_no_data(make_tile, opened):
    tile = make_tile()
    raster = opened(raster_bytes(tile, ["probabilities"]))
    expected = np.where(np.isnan(tile["probabilities"]), 255, np.rint(np.nan_to_num(tile["probabilities"]) * 100))
    np.testing.assert_array_equal(raster.read(1), expected)
    assert (raster.dtypes, raster.nodata, raster.scales, raster.units) == (("uint8",), 255, (1.0,), ("percent",))


def test_uncertainty_is_percent_like_probabilities(make_tile, opened):
    tile = make_tile()
    tile["uncertainty"] = tile["probabilities"]
    raster, other = (opened(raster_bytes(tile, [name])) for name in ("uncertainty", "probabilities"))
    np.testing.assert_array_equal(raster.read(1), other.read(1))
    assert (raster.dtypes, raster.nodata, raster.scales, raster.units) == (("uint8",), 255, (1.0,), ("percent",))


def test_masks_are_0_and_1(make_tile, opened):
    tile = make_tile()
    raster = opened(raster_bytes(tile, ["binarized_segmentation"]))
    assert (raster.dtypes, raster.nodata) == (("uint8",), None)
    np.testing.assert_array_equal(raster.read(1), tile["binarized_segmentation"])


def test_bands_of_one_file_keep_their_own_scales(make_tile, opened):
    raster = opened(raster_bytes(make_tile(), ["slope", "relative_elevation"]))
    assert raster.descriptions == ("slope", "relative_elevation")
    assert raster.scales == pytest.approx((0.01, 100 / 30_000))
    assert raster.offsets == (0, -50)


def test_colours_are_marked_as_such(make_tile, opened):
    raster = opened(raster_bytes(make_tile(), ["red", "green", "blue", "nir"]))
    assert [colour.name for colour in raster.colorinterp] == ["red", "green", "blue", "undefined"]


def test_overviews_of_masks_hold_only_classes(make_tile, opened):
    tile = make_tile(1100, 700)
    tile["quality_data_mask"] = tile["quality_data_mask"].clip(max=1) * np.uint8(2)
    mask = opened(raster_bytes(tile, ["quality_data_mask"])).read(1, out_shape=(550, 350))
    assert set(np.unique(mask)) == {0, 2}


def test_metadata_become_tags(make_tile, opened):
    tags = opened(raster_bytes(make_tile(), ["ndvi"], {"scene": "ü=1", "models": ["a", "b"], "none": None})).tags()
    assert (tags["scene"], tags["models"], tags["none"]) == ("ü=1", "['a', 'b']", "None")


def test_a_band_without_a_codec_keeps_its_dtype_and_a_stack_becomes_layers(make_tile, opened):
    tile = make_tile()
    tile["depth"] = tile["red"] * 3
    raster = opened(raster_bytes(tile, ["depth"]))
    assert (raster.dtypes[0], np.isnan(raster.nodata)) == ("float32", True)
    np.testing.assert_array_equal(raster.read(1), tile["depth"])
    stack = opened(raster_bytes(tile, ["planet_udm"]))
    np.testing.assert_array_equal(stack.read(), tile["planet_udm"])


def test_a_raster_of_many_row_blocks_holds_the_codes_of_the_whole(make_tile, opened):
    tile = make_tile(1100, 70)
    for name in ("slope", "red"):
        raster = opened(raster_bytes(tile, [name]))
        np.testing.assert_array_equal(raster.read(1), manager[name].encode(tile[name].values))


def test_a_band_that_is_made_where_it_is_read_is_never_whole(make_tile, opened):
    tile, rows_read = make_tile(1100, 70), []
    slope = tile["slope"].values

    def read(rows: slice, columns: slice) -> np.ndarray:
        rows_read.append(rows.stop - rows.start)
        return slope[rows, columns]

    tile["slope"] = lazy_band(read, slope.shape, "float32")
    lazy = opened(raster_bytes(tile, ["slope"])).read(1)
    np.testing.assert_array_equal(lazy, manager["slope"].encode(slope))
    assert max(rows_read) < 1100
    assert sum(rows_read) == 1100


def test_a_tile_of_one_pixel_works(make_tile, opened):
    assert opened(raster_bytes(make_tile(1, 1), ["tc_wetness"])).shape == (1, 1)
