"""Earth Engine without a network: blocks, grids, footprints, scales, and a start-up that stays cheap."""

import subprocess
import sys

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from darts_acquisition import load_gee_s2_sr_scene
from darts_acquisition.optical.gee.catalog import coarser, repeated
from darts_acquisition.optical.gee.search import _footprint
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_acquisition.services import earthengine_pixels
from darts_acquisition.services.earthengine_pixels import MAX_EDGE_PX, MAX_REQUEST_BYTES, blocks, grid_of
from darts_utils.errors import DataError

SCENE_ID = "20230701T194909_20230701T195350_T08WNB"
BANDS = {"B02_10m": "B2", "B03_10m": "B3", "B04_10m": "B4", "B08_10m": "B8", "SCL_20m": "SCL"}


@pytest.fixture
def gee_store(tmp_path, raw_bands):
    """A store with the raw scene under the names of Earth Engine; gives a function that adds metadata."""
    store = SceneStore(tmp_path / "gee-scenes", "gee")

    def write(attributes, scene_id=SCENE_ID):
        store.write(scene_id, {BANDS[name]: band for name, band in raw_bands.items()}, attributes)
        return load_gee_s2_sr_scene(scene_id, store=store.folder, offline=True)

    return write


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 40_000), width=st.integers(1, 40_000), pixel_bytes=st.sampled_from([1, 2, 3, 8, 26]))
def test_blocks_cover_a_grid_once_and_keep_the_limits(height, width, pixel_bytes):
    parts = list(blocks(GeoBox((height, width), Affine.identity(), "EPSG:32608"), pixel_bytes))
    sizes = [(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in parts]
    assert sum(h * w for h, w in sizes) == height * width
    assert max(h * w for h, w in sizes) * pixel_bytes <= MAX_REQUEST_BYTES
    assert max(max(size) for size in sizes) <= MAX_EDGE_PX
    corners = {(rows.start, columns.start) for rows, columns in parts}
    assert len(corners) == len(parts)
    assert all(rows.stop in {height} | {row for row, _ in corners} for rows, _ in parts)


def test_a_whole_scene_takes_less_than_a_hundred_requests():
    parts = list(blocks(GeoBox((10_980, 10_980), Affine.identity(), "EPSG:32608"), 8))
    assert 10 < len(parts) < 100
    assert earthengine_pixels.AT_ONCE * earthengine_pixels.BLOCK_BYTES <= 128 << 20


def test_a_grid_as_earth_engine_takes_it():
    grid = grid_of(GeoBox((20, 30), Affine(10, 0, 500_000, 0, -10, 7_800_000), "EPSG:32608"))
    assert grid == {
        "dimensions": {"width": 30, "height": 20},
        "affineTransform": {
            "scaleX": 10,
            "shearX": 0,
            "translateX": 500_000,
            "shearY": 0,
            "scaleY": -10,
            "translateY": 7_800_000,
        },
        "crsCode": "EPSG:32608",
    }


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), times=st.sampled_from([1, 2, 6]))
def test_coarse_pixels_repeated_are_the_nearest_ones(height, width, times):
    fine = GeoBox((height, width), Affine(10, 0, 500_000, 0, -10, 7_800_000), "EPSG:32608")
    grid = coarser(fine, times)
    values = np.arange(grid.shape[0] * grid.shape[1]).reshape(grid.shape)
    rows, columns = np.mgrid[:height, :width]
    assert grid.affine * (0, 0) == fine.affine * (0, 0)
    np.testing.assert_array_equal(repeated(values, times, fine.shape), values[rows // times, columns // times])


def test_footprints_are_cut_at_the_antimeridian():
    grid = GeoBox((100, 100), Affine(1000, 0, 600_000, 0, -1000, 7_500_000), "EPSG:32660")
    ring = {"type": "LinearRing", "coordinates": [[179, 67], [-179, 67], [-179, 68], [179, 68], [179, 67]]}
    expected = shapely.MultiPolygon([shapely.box(179, 67, 180, 68), shapely.box(-180, 67, -179, 68)])
    assert _footprint(ring, grid).symmetric_difference(expected).area < 1e-9
    polygon = {"type": "Polygon", "coordinates": [ring["coordinates"]], "geodesic": True}
    assert _footprint(polygon, grid).symmetric_difference(expected).area < 1e-9
    both = {"type": "MultiPolygon", "coordinates": [[ring["coordinates"]], [[[0, 1], [1, 1], [1, 2], [0, 1]]]]}
    assert _footprint(both, grid).area == pytest.approx(2.5)
    unknown = _footprint(None, grid)
    assert unknown.geom_type == "MultiPolygon"
    assert unknown.bounds[0] == -180
    assert unknown.bounds[2] == 180


def test_a_scene_of_an_earlier_release(gee_store, raw_bands):
    """It does not know its collection, which is the harmonized one."""
    tile = gee_store({"azimuth": 170.0, "MEAN_SOLAR_ZENITH_ANGLE": 50.5})
    numbers = raw_bands["B04_10m"].values.astype(float)
    valid = (numbers > 0) & (raw_bands["SCL_20m"].values > 0)
    np.testing.assert_allclose(tile.red.values[valid], (numbers * 1e-4)[valid], atol=1e-6)
    assert np.isnan(tile.red.values[~valid]).all()
    assert (tile.attrs["azimuth"], tile.attrs["elevation"]) == (170.0, 39.5)
    assert tile.red.attrs["data_source"] == "Sentinel-2 L2A (Earth Engine)"


def test_unknown_sun_angles_are_nan(gee_store):
    tile = gee_store({})
    assert np.isnan([tile.attrs["azimuth"], tile.attrs["elevation"]]).all()


def test_an_unknown_scale_is_not_guessed(gee_store):
    with pytest.raises(DataError, match=r"how the scene .*\.zarr of COPERNICUS/S2 is scaled is not known; it must be"):
        gee_store({"collection": "COPERNICUS/S2"})


@pytest.mark.parametrize(
    ("day", "given", "offset"),
    [
        ("20200703", {"PROCESSING_BASELINE": "05.00"}, -0.1),  # processed again
        ("20220128", {"PROCESSING_BASELINE": "03.01"}, 0),  # late of the old baseline
        ("20220128", {"PROCESSING_BASELINE": "04.00"}, -0.1),
        ("20200703", {"PROCESSING_BASELINE": "02.14"}, 0),
        ("20200703", {"PROCESSING_BASELINE": 2.14}, 0),
        ("20230703", {"PRODUCT_ID": "S2A_MSIL2A_20230703T103031_N0509_R108_T08WNB_20230703T155959"}, -0.1),
    ],
)
def test_the_baseline_decides_the_offset_of_the_raw_collection(gee_store, raw_bands, day, given, offset):
    tile = gee_store({"collection": "COPERNICUS/S2_SR", **given}, f"{day}T103031_{day}T103026_T08WNB")
    numbers = raw_bands["B04_10m"].values.astype(float)
    valid = (numbers > 0) & (raw_bands["SCL_20m"].values > 0)
    np.testing.assert_allclose(tile.red.values[valid], (numbers * 1e-4 + offset)[valid], atol=1e-6)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "is not in its metadata (PROCESSING_BASELINE), which says"),
        ({"PROCESSING_BASELINE": "99.99"}, "is 99.99, which does not say"),
        ({"PROCESSING_BASELINE": "unknown"}, "is unknown, which does not say"),
        ({"PROCESSING_BASELINE": None}, "is not in its metadata (PROCESSING_BASELINE), which says"),
    ],
)
def test_a_raw_scene_of_an_unknown_baseline_is_refused(gee_store, tmp_path, given, told):
    path = tmp_path / "gee-scenes" / f"gee-s2-sr-scene-{SCENE_ID}.zarr"
    with pytest.raises(DataError) as caught:
        gee_store({"collection": "COPERNICUS/S2_SR", **given})
    assert str(caught.value) == (
        f"the processing baseline of the scene {path} of COPERNICUS/S2_SR"
        f" {told} whether its values carry an offset. Delete it and stage it again, or take it from"
        " COPERNICUS/S2_SR_HARMONIZED, which has none."
    )


def test_a_raw_scene_of_an_unknown_baseline_may_tell_its_offset(gee_store, raw_bands):
    for band in raw_bands.values():
        band.attrs.update({"raster:scale": 1e-4, "raster:offset": -0.1})
    tile = gee_store({"collection": "COPERNICUS/S2_SR", "PROCESSING_BASELINE": "99.99"})
    assert float(tile.red.min()) < 0


def test_zeros_in_dark_water_are_data_in_the_harmonized_collection(gee_store, raw_bands):
    raw_bands["B08_10m"].values[10, 10:20] = 0
    raw_bands["SCL_20m"].values[10, 10:20] = 6
    tile = gee_store({})
    assert (tile.nir.values[10, 10:20] == 0).all()
    assert (tile.quality_data_mask.values[10, 10:20] == 2).all()


def test_importing_the_package_does_not_import_the_client():
    program = "import sys, darts_acquisition; print(sorted({'ee', 'googleapiclient', 'httplib2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
