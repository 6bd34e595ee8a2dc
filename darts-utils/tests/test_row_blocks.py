import pytest

from darts_utils.rasters.row_blocks import for_each_row_block, row_blocks


def test_blocks_cover_every_row_once():
    assert list(row_blocks(10, 4)) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert list(row_blocks(8, 4)) == [slice(0, 4), slice(4, 8)]
    assert list(row_blocks(0)) == []


def test_a_function_sees_every_block_and_its_error_is_raised():
    seen = []
    for_each_row_block(seen.append, 1000, 300)
    assert sorted((rows.start, rows.stop) for rows in seen) == [(0, 300), (300, 600), (600, 900), (900, 1000)]
    with pytest.raises(ZeroDivisionError):
        for_each_row_block(lambda rows: 1 / (rows.start - 300), 1000, 300)
