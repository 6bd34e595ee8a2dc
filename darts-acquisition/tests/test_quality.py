"""Scene classes as quality: the table of the contract, class by class."""

import numpy as np
import pytest
import xarray as xr

from darts_acquisition import convert_masks
from darts_acquisition.optical.quality import udm2_of_udm, udm2_quality
from darts_utils.errors import DataError


def scene(classes, **bands):
    ds = xr.Dataset({"s2_scl": (("y", "x"), np.uint8([classes]))})
    return ds.assign({name: (("y", "x"), np.float32([values])) for name, values in bands.items()})


def test_every_class_has_the_quality_of_the_contract():
    expected = {0: 0, 1: 0, 2: 2, 3: 1, 4: 2, 5: 2, 6: 2, 7: 2, 8: 1, 9: 1, 10: 2, 11: 1, 12: 1, 200: 1, 255: 1}
    mask = convert_masks(scene(list(expected))).quality_data_mask
    assert mask.values[0].tolist() == list(expected.values())
    assert mask.dtype == np.uint8


def test_no_data_in_any_optical_band_is_invalid():
    ds = convert_masks(scene([4, 4, 4], red=[0.1, np.nan, 0.1], nir=[0.1, 0.1, np.nan]))
    assert ds.quality_data_mask.values[0].tolist() == [2, 0, 0]


def test_the_input_is_left_alone():
    before = scene([4, 5])
    convert_masks(before)
    assert "quality_data_mask" not in before


def test_a_scene_without_classes_is_refused():
    with pytest.raises(DataError) as caught:
        convert_masks(xr.Dataset({"red": ("x", [1.0])}))
    assert str(caught.value) == "the scene has no s2_scl band, only red. Load SCL with it."


def test_classes_of_another_type_are_refused():
    with pytest.raises(DataError, match="s2_scl is float64 but must be uint8"):
        convert_masks(xr.Dataset({"s2_scl": ("x", [1.0])}))


def test_a_pixel_has_one_quality_by_the_older_mask_and_by_the_newer_that_holds_it():
    """Band 8 of a UDM2 is the older mask with its bits: 0 nothing imaged, 1 cloud, 2 and up bands to doubt."""
    udm = np.arange(128, dtype=np.uint8).reshape(8, 16)
    udm2 = np.zeros((8, *udm.shape), dtype=np.uint8)
    udm2[0], udm2[5], udm2[7] = udm == 0, (udm & 2) > 0, udm
    by_udm = udm2_quality(udm2_of_udm(udm))
    np.testing.assert_array_equal(udm2_quality(udm2), by_udm)
    np.testing.assert_array_equal(by_udm.ravel()[:8], [2, 0, 1, 0, 0, 0, 0, 0])
    udm2[5] = 0  # where only the older mask knows of the cloud
    np.testing.assert_array_equal(udm2_quality(udm2), by_udm)
