"""Segments against scikit-image's region properties."""

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from rasterio import Affine
from scipy.ndimage import gaussian_filter
from skimage.measure import label, regionprops

from darts_export.vector import segments


@pytest.fixture(params=[1.0, 3.0])
def bands(request) -> tuple[xr.DataArray, xr.DataArray]:
    grid = GeoBox((260, 311), Affine(10, 0, 412_340, 0, -10, 7_774_560), "EPSG:32608")
    noise = gaussian_filter(np.random.default_rng(4).normal(size=grid.shape), request.param)
    probs = ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)
    coords = xr_coords(grid)
    objects = probs > np.percentile(probs, 80)
    return xr.DataArray(objects, coords, ("y", "x")), xr.DataArray(probs, coords, ("y", "x"))


def test_rows_agree_with_regionprops(bands):
    objects, probs = bands
    percent = probs.values.astype(np.float64) * 100
    frame = segments(objects, probs)
    labels = label(objects.values, connectivity=2)
    properties = regionprops(labels, percent, extra_properties=[median])
    assert len(frame) == len(properties) > 20
    # rows are matched by a point inside of each object, so the order of the labels does not matter
    columns, rows = ~objects.odc.geobox.affine * np.stack(
        [frame.representative_point().x, frame.representative_point().y]
    )
    by_label = {region.label: region for region in properties}
    regions = [by_label[labels[int(row), int(column)]] for row, column in zip(rows, columns, strict=True)]
    assert {region.label for region in regions} == set(by_label)
    np.testing.assert_array_equal(frame["npixel"], [region.num_pixels for region in regions])
    np.testing.assert_array_equal(frame["min"], [region.intensity_min for region in regions])
    np.testing.assert_array_equal(frame["max"], [region.intensity_max for region in regions])
    np.testing.assert_array_equal(frame["median"], [region.median for region in regions])
    np.testing.assert_allclose(frame["mean"], [region.intensity_mean for region in regions], rtol=1e-12)
    np.testing.assert_allclose(frame["std"], [region.intensity_std for region in regions], rtol=1e-9, atol=1e-12)


def median(mask: np.ndarray, values: np.ndarray) -> float:
    return float(np.median(values[mask]))


def test_outlines_enclose_the_area_of_their_pixels(bands):
    frame = segments(*bands)
    assert frame.geometry.is_valid.all()
    np.testing.assert_allclose(frame.area, 100 * frame["npixel"])
