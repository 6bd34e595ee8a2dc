import numpy as np
import pytest

from darts_utils.rasters.chunked import read_chunks

VALUES = np.arange(70 * 90, dtype="uint16").reshape(70, 90)


class Stored:
    """Something like an array of zarr; remembers what was read."""

    chunks, dtype = (32, 40), VALUES.dtype

    def __init__(self):
        self.read = []

    def __getitem__(self, window):
        self.read.append(window)
        return VALUES[window]


@pytest.fixture
def array():
    return Stored()


@pytest.mark.parametrize("rows", [slice(0, 70), slice(31, 33), slice(5, 6), slice(64, 70)])
@pytest.mark.parametrize("columns", [slice(0, 90), slice(39, 81), slice(80, 80)])
def test_a_window_is_what_is_stored(array, rows, columns):
    np.testing.assert_array_equal(read_chunks(array, rows, columns), VALUES[rows, columns])


def test_no_read_meets_two_chunks(array):
    read_chunks(array, slice(10, 70), slice(0, 90))
    assert len(array.read) == 9
    for rows, columns in array.read:
        assert rows.start // 32 == (rows.stop - 1) // 32
        assert columns.start // 40 == (columns.stop - 1) // 40


def test_a_chunk_that_cannot_be_read_is_an_error(array, monkeypatch):
    def damaged(_, window):
        raise OSError(f"damaged: {window}")

    monkeypatch.setattr(Stored, "__getitem__", damaged)
    with pytest.raises(OSError, match="damaged"):
        read_chunks(array, slice(0, 70), slice(0, 90))
