"""The cache of preprocessed tiles: a tile is made once, and no damage of a file stops or spoils a run."""

import multiprocessing
import os
import signal

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_utils.errors import ConfigError, OutputError
from darts_utils.tilecache import XarrayCacheManager

GRID = GeoBox.from_bbox((500_000, 7_700_000, 500_190, 7_700_130), "EPSG:32608", resolution=10)


def make_tile(seed=1):
    rng = np.random.default_rng(seed)
    slope = rng.uniform(0, 80, GRID.shape).astype(np.float32)
    slope[3, 4] = np.nan
    bands = {"slope": wrap_xr(slope, GRID), "s2_scl": wrap_xr(rng.integers(0, 11, GRID.shape).astype(np.uint8), GRID)}
    return xr.Dataset(bands, attrs={"tile_id": "a", "azimuth": 170.5})


@pytest.fixture
def cache(tmp_path):
    return XarrayCacheManager(tmp_path / "cache")


@pytest.fixture
def kept(cache, tmp_path):
    """File of a tile that is kept under the name `a`."""
    cache.save_to_cache(make_tile(), "a")
    return tmp_path / "cache" / "a.nc"


def same(tile, other):
    """Tell whether a kept tile is the other one, up to the rounding of its codec."""
    return (
        tile.odc.geobox == other.odc.geobox
        and tile.attrs == other.attrs
        and set(tile.data_vars) == set(other.data_vars)
        and all(np.allclose(tile[name], other[name], atol=0.0051, equal_nan=True) for name in other.data_vars)
        and all(tile[name].dtype == other[name].dtype for name in other.data_vars)
    )


def test_a_tile_is_made_once(cache):
    calls = []

    def create():
        calls.append(1)
        return make_tile()

    assert not cache.exists("a")
    cache.get_or_create("a", create)
    again = cache.get_or_create("a", create)
    assert len(calls) == 1
    assert same(again, make_tile())
    assert cache.exists("a")
    cache.get_or_create("a", create, force=True)
    assert len(calls) == 2


def truncate(file):
    file.write_bytes(file.read_bytes()[:-1000])


def keep_the_first_bytes(file):
    file.write_bytes(file.read_bytes()[:500])


def fill_a_hole_with_zeros(file):
    """What a crashed file system leaves: the right size, but a block that was never written."""
    body = bytearray(file.read_bytes())
    body[len(body) // 2 : len(body) // 2 + 400] = bytes(400)
    file.write_bytes(body)


def flip_a_coordinate(file):
    """Coordinates are neither compressed nor checked by the format: the tile would lie elsewhere without an error."""
    body = file.read_bytes()
    x = make_tile().x.values[5].tobytes()
    assert body.count(x) == 1
    file.write_bytes(body.replace(x, make_tile().x.values[9].tobytes()))


def write_other_variables(file):
    xr.Dataset({"population": ("city", [1, 2])}).to_netcdf(file)


def write_other_dims(file):
    make_tile().rename(x="column", y="row").drop_vars("spatial_ref").to_netcdf(file)


DAMAGES = {
    "truncated": truncate,
    "only its head": keep_the_first_bytes,
    "empty": lambda file: file.write_bytes(b""),
    "one byte": lambda file: file.write_bytes(b"\x89"),
    "random bytes": lambda file: file.write_bytes(np.random.default_rng(0).bytes(40_000)),
    "text": lambda file: file.write_text("<html>404 Not Found</html>"),
    "a hole": fill_a_hole_with_zeros,
    "a wrong coordinate": flip_a_coordinate,
    "other variables": write_other_variables,
    "other dims": write_other_dims,
    "an empty netCDF": lambda file: xr.Dataset().to_netcdf(file),
    "a link to nothing": lambda file: (file.unlink(), file.symlink_to("nowhere")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_one_warning_and_made_anew(cache, kept, caplog, damage):
    DAMAGES[damage](kept)
    assert same(cache.get_or_create("a", make_tile), make_tile())
    warned = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == (0 if damage == "a link to nothing" else 1)
    assert all(m.startswith(f"the cached tile {kept} is damaged (") for m in caplog.messages)
    assert all(m.endswith("); it is made anew") for m in caplog.messages)
    caplog.clear()
    assert same(cache.load_from_cache("a"), make_tile())
    assert caplog.messages == []


def test_no_byte_can_change_unseen(cache, kept):
    whole, rng = kept.read_bytes(), np.random.default_rng(3)
    for position in rng.choice(len(whole), 40, replace=False):
        spoiled = bytearray(whole)
        spoiled[position] ^= 1 << int(rng.integers(8))
        kept.write_bytes(spoiled)
        assert cache.load_from_cache("a") is None, position


def test_other_programs_can_open_the_files(kept):
    with xr.open_dataset(kept) as opened:
        np.testing.assert_allclose(opened.slope, make_tile().slope, atol=0.0051)


def test_a_tile_without_what_is_required_is_made_anew(cache, kept, caplog):
    assert cache.load_from_cache("a", required=["slope", "s2_scl"]) is not None
    assert cache.load_from_cache("a", required=["ndvi", "slope"]) is None
    assert caplog.messages == [f"the cached tile {kept} is damaged (it lacks ndvi); it is made anew"]
    made = cache.get_or_create("a", lambda: make_tile().assign(ndvi=make_tile().slope / 90), required=["ndvi"])
    assert set(made.data_vars) == {"slope", "s2_scl", "ndvi"}
    assert "ndvi" in cache.load_from_cache("a")


NAMES = ("a/b", "../a", "/etc/a", "..", ".a", "a b", "a%2Fb", "a:b*?", "ä\n\0", "\udcff", "A" * 300, "A" * 299 + "B")


def test_any_name_is_a_file_of_its_own(cache, tmp_path):
    for number, name in enumerate(NAMES):
        cache.save_to_cache(make_tile(number), name)
    assert [same(cache.load_from_cache(name), make_tile(n)) for n, name in enumerate(NAMES)] == [True] * len(NAMES)
    files = list((tmp_path / "cache").iterdir())
    assert len(files) == len(NAMES)
    assert all(file.is_file() and not file.name.startswith(".") for file in files)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_a_tile_needs_a_name(cache):
    with pytest.raises(ConfigError) as caught:
        cache.get_or_create("", make_tile)
    assert str(caught.value) == "the identifier of a cached tile is empty. Give it a name."


def never():
    pytest.fail("the tile was made although it cannot be kept")


def test_a_folder_that_cannot_be_made_is_found_out_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError) as caught:
        XarrayCacheManager(tmp_path / "file" / "cache").get_or_create("a", never)
    folder = tmp_path / "file" / "cache"
    assert str(caught.value) == f"cannot make the folder {folder}: Not a directory. Choose another folder."


def test_a_folder_that_cannot_be_written_to_is_found_out_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # tests may run as root, who may write anywhere
    with pytest.raises(OutputError) as caught:
        XarrayCacheManager(tmp_path).get_or_create("a", never)
    assert str(caught.value) == f"the cache folder {tmp_path} cannot be written to. Choose another folder."


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(cache, kept, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError) as caught:
        cache.save_to_cache(make_tile(2), "a")
    assert str(caught.value) == (
        f"cannot write the cached tile {kept}: No space left on device. Free some space, or choose another folder."
    )
    assert list(kept.parent.iterdir()) == [kept]
    assert same(cache.load_from_cache("a"), make_tile())


def test_a_folder_in_place_of_the_file_is_one_clear_error(cache, kept):
    kept.unlink()
    kept.mkdir()
    with pytest.raises(OutputError, match=f"^cannot write the cached tile {kept}: Is a directory. Choose another"):
        cache.get_or_create("a", make_tile)


def write_and_die(folder):
    """Be killed when the file is written but not yet in its place."""
    os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
    XarrayCacheManager(folder).save_to_cache(make_tile(), "a")


def write_and_read(folder, seed, good):
    cache = XarrayCacheManager(folder)
    for _ in range(15):
        cache.save_to_cache(make_tile(seed), "a")
        tile = cache.load_from_cache("a")
        good.put(tile is not None and any(same(tile, make_tile(other)) for other in (1, 2)))


def test_a_kill_while_writing_leaves_no_tile_and_no_litter_for_long(cache, tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=write_and_die, args=(tmp_path / "cache",))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert not cache.exists("a")
    assert len(list((tmp_path / "cache").iterdir())) == 1
    cache.get_or_create("a", make_tile)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["a.nc"]


def test_two_processes_may_write_and_read_the_same_tile(tmp_path):
    context = multiprocessing.get_context("spawn")
    good = context.Queue()
    processes = [context.Process(target=write_and_read, args=(tmp_path, seed, good)) for seed in (1, 2)]
    for process in processes:
        process.start()
    answers = [good.get(timeout=60) for _ in range(30)]
    for process in processes:
        process.join(60)
    assert answers == [True] * 30
    assert [path.name for path in tmp_path.iterdir()] == ["a.nc"]


def test_without_a_folder_nothing_is_kept():
    cache = XarrayCacheManager(None)
    cache.save_to_cache(make_tile(), "a")
    assert not cache.exists("a")
    assert cache.get_or_create("a", make_tile).slope.size == make_tile().slope.size
