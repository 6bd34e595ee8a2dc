"""The cache of preprocessed tiles."""

import numpy as np
import xarray as xr

from darts_utils.tilecache import XarrayCacheManager


def make_tile():
    return xr.Dataset({"slope": (("y", "x"), np.float32([[1, 2, np.nan]]))})


def test_a_tile_is_made_once(tmp_path):
    cache = XarrayCacheManager(tmp_path)
    calls = []

    def create():
        calls.append(1)
        return make_tile()

    first = cache.get_or_create("a", create)
    again = cache.get_or_create("a", create)
    assert len(calls) == 1
    np.testing.assert_allclose(again.slope, first.slope, atol=0.01)
    assert cache.exists("a")
    cache.get_or_create("a", create, force=True)
    assert len(calls) == 2


def test_a_damaged_file_is_made_anew(tmp_path):
    cache = XarrayCacheManager(tmp_path)
    cache.save_to_cache(make_tile(), "a")
    file = tmp_path / "a.nc"
    file.write_bytes(file.read_bytes()[:500])
    assert cache.load_from_cache("a") is None
    np.testing.assert_allclose(cache.get_or_create("a", make_tile).slope, make_tile().slope, atol=0.01)
    assert cache.load_from_cache("a") is not None


def test_without_a_folder_nothing_is_kept():
    cache = XarrayCacheManager(None)
    cache.save_to_cache(make_tile(), "a")
    assert not cache.exists("a")
    assert cache.get_or_create("a", make_tile).slope.size == 3
