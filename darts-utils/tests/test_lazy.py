"""Bands that are made where they are read."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr

from darts_utils.rasters.lazy import Remembered, lazy_band

VALUES = np.arange(7 * 9, dtype=np.float32).reshape(7, 9)


class Recorder:
    """Reads windows of an array and remembers which."""

    def __init__(self):
        self.windows = []

    def __call__(self, rows, columns):
        self.windows.append((rows.start, rows.stop, columns.start, columns.stop))
        return VALUES[rows, columns]


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def band(recorder):
    return lazy_band(recorder, VALUES.shape, "float32", {"units": "m"})


@pytest.fixture
def stepped():
    return lazy_band(lambda rows, columns: VALUES[rows, columns], VALUES.shape, "float32", takes_steps=True)


KEYS = [
    (slice(None), slice(None)),
    (slice(2, 5), slice(1, 9)),
    (slice(-3, None), slice(None, -2)),
    (slice(6, 1, -1), slice(None, None, 2)),
    (slice(None, None, -2), slice(None, None, -3)),
    (3, slice(2, 4)),
    (-1, -1),
    (slice(4, 4), slice(None)),
    (slice(None), slice(20, 30)),
    (np.array([0, 3, 3]), slice(None)),
    (np.array([5, 1]), np.array([0, 8, 2])),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_any_index_gives_what_an_array_gives(band, stepped, key):
    expected = xr.Variable(("y", "x"), VALUES)[key]
    xr.testing.assert_equal(band[key].load(), expected)
    xr.testing.assert_equal(stepped[key].load(), expected)


def test_only_the_window_is_made(band, recorder):
    window = band[2:5][:, 3:4]
    assert recorder.windows == []
    assert window.shape == (3, 1)
    assert window.values.shape == (3, 1)
    assert recorder.windows == [(2, 5, 3, 4)]


def test_it_stays_lazy_in_a_dataset_and_is_made_once_when_loaded(band, recorder):
    dataset = xr.Dataset({"height": band}).assign(other=("y", np.zeros(7)))
    part = dataset[["height"]].isel(x=slice(0, 2))
    assert recorder.windows == []
    assert part.height.attrs == {"units": "m"}
    assert part.height.dtype == np.float32
    loaded = part.load()
    np.testing.assert_array_equal(loaded.height.values, VALUES[:, :2])
    assert len(recorder.windows) == 1


def test_it_can_be_sent_to_another_process(band):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(band))[1:3].values, VALUES[1:3])


def test_a_window_that_is_read_twice_in_a_row_is_made_once(recorder):
    remembered = Remembered(recorder)
    one, other = (slice(0, 3), slice(0, 4)), (slice(1, 3), slice(0, 4))
    for window in (one, one, other, one):
        np.testing.assert_array_equal(remembered(*window), VALUES[window])
    assert recorder.windows == [(0, 3, 0, 4), (1, 3, 0, 4), (0, 3, 0, 4)]


def test_threads_do_not_share_what_they_remember(recorder):
    remembered = Remembered(recorder)
    window = slice(0, 3), slice(0, 4)
    remembered(*window)
    with ThreadPoolExecutor(1) as other:
        other.submit(remembered, *window).result()
    assert len(recorder.windows) == 2


def test_what_is_remembered_cannot_be_changed_by_who_reads_it(recorder):
    made = Remembered(lambda rows, columns: VALUES[rows, columns].copy())(slice(0, 3), slice(0, 4))
    with pytest.raises(ValueError, match="read-only"):
        made[:] = 0


def test_large_windows_are_not_remembered():
    made = []
    remembered = Remembered(lambda rows, columns: made.append(1) or np.zeros(1))
    for _ in range(2):
        remembered(slice(0, 2000), slice(0, 1000))
    assert len(made) == 2
