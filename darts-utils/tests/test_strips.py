from darts_utils.strips import row_strips


def test_strips_cover_every_row_once():
    assert list(row_strips(10, 4)) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert list(row_strips(8, 4)) == [slice(0, 4), slice(4, 8)]
    assert list(row_strips(0)) == []
