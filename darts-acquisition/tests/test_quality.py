"""Scene classes as quality: the table of the contract, class by class."""

import numpy as np
import pytest
import xarray as xr

from darts_acquisition import convert_masks
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
