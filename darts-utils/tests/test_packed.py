import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_utils.rasters.packed import Packed

SHAPE = (300, 1100)
"""More than two blocks down and across, the last ones cut."""


@pytest.fixture(scope="module", params=["uint16", "uint8", "float32", "bool"])
def values(request):
    rng = np.random.default_rng(5)
    made = rng.integers(0, 4000, SHAPE).astype(request.param)
    made[:130] = 0
    return made


@pytest.fixture(scope="module")
def packed(values):
    return Packed(values)


@given(data=st.data())
def test_any_window_is_what_it_was(packed, values, data):
    window = tuple(data.draw(st.slices(length)) for length in SHAPE)
    window = tuple(slice(part.start, part.stop, abs(part.step or 1)) for part in window)
    read = packed[window]
    np.testing.assert_array_equal(read, values[window])
    assert read.dtype == values.dtype


def test_what_is_read_is_a_new_array(packed):
    window = slice(0, 200), slice(0, 700)
    packed[window][:] = 1
    assert not packed[window][:130].any()


def test_it_keeps_nothing_of_the_array(values):
    given_values = values.copy()
    packed = Packed(given_values)
    given_values[:] = 1
    np.testing.assert_array_equal(packed[:, :], values)


def test_numbers_of_an_image_take_less_memory():
    y, x = np.mgrid[0:512, 0:512]
    noise = np.random.default_rng(1).normal(0, 30, y.shape)
    numbers = (1500 + 400 * np.sin(x / 90) + 300 * np.cos(y / 70) + noise).astype("uint16")
    assert Packed(numbers).nbytes < 0.75 * numbers.nbytes


def test_it_goes_to_other_processes(packed, values):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(packed))[5:290, 3:1099], values[5:290, 3:1099])
