"""Fetched bands on the scene's grid, with the scale that the catalogue gives."""

import numpy as np
import pystac
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling, reproject

from darts_acquisition import download_cdse_s2_sr_scene
from darts_acquisition.optical.cdse.catalog import scale_attributes
from darts_acquisition.optical.sentinel2.stac_scenes import on_10_m_grid
from darts_acquisition.services.rasters.files import Raster
from darts_utils.errors import DataError


def raster(size_m, shape=(8, 11), dtype=np.uint8):
    numbers = np.arange(1, shape[0] * shape[1] + 1).reshape(shape).astype(dtype)
    transform = Affine(size_m, 0, 499_980, 0, -size_m, 7_800_000)
    return Raster(values=numbers, geobox=GeoBox(shape, transform, "EPSG:32608"))


@pytest.mark.parametrize("size_m", [10, 20, 60])
def test_coarser_pixels_are_repeated_as_gdals_nearest_neighbour_does(size_m):
    given = raster(size_m)
    band = on_10_m_grid(given, "s3://a")
    assert band.dtype == np.uint8
    assert band.odc.geobox.resolution.x == 10
    assert band.odc.geobox.boundingbox == given.geobox.boundingbox
    expected = np.zeros(band.shape, np.uint8)
    reproject(
        given.values,
        expected,
        src_transform=given.geobox.affine,
        dst_transform=band.odc.geobox.affine,
        src_crs="EPSG:32608",
        dst_crs="EPSG:32608",
        resampling=Resampling.nearest,
    )
    np.testing.assert_array_equal(band.values, expected)


@pytest.mark.parametrize("size_m", [5, 15, 10.5])
def test_pixels_that_do_not_fit_are_refused(size_m):
    with pytest.raises(DataError) as caught:
        on_10_m_grid(raster(size_m), "s3://a")
    assert str(caught.value) == (
        "the pixels of s3://a do not fit a 10 m grid "
        f"({float(size_m)}, 0.0, 499980.0, 0.0, {-float(size_m)}, 7800000.0). Choose another scene."
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"raster:scale": 2e-4, "raster:offset": -0.2}, {"raster:scale": 2e-4, "raster:offset": -0.2}),
        ({"raster:scale": 2e-4}, {"raster:scale": 2e-4}),
        (
            {"bands": [{"raster:scale": 3e-4, "raster:offset": 0.1}]},
            {"raster:scale": 3e-4, "raster:offset": 0.1},
        ),
        (
            {"raster:bands": [{"nodata": 0, "scale": 1e-4, "offset": -0.1}]},
            {"raster:scale": 1e-4, "raster:offset": -0.1},
        ),
        ({"raster:bands": [{"scale": 1e-4}]}, {"raster:scale": 1e-4}),
        ({"gsd": 10, "raster:bands": [{"nodata": 0}], "bands": []}, {}),
    ],
)
def test_the_scale_stands_in_several_places(fields, expected):
    assert scale_attributes(pystac.Asset("s3://a", extra_fields=fields)) == expected


def test_a_staged_scene_needs_neither_keys_nor_network(store, raw_bands, scene_id, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", "http://127.0.0.1:9")
    path = store.write(scene_id, raw_bands, {})
    assert download_cdse_s2_sr_scene(scene_id, store.folder) == path
