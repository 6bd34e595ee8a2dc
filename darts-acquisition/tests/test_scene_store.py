"""The raw store: its layout, whole scenes only, damage noticed."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr
import zarr
from odc.geo.xr import wrap_xr

from darts_acquisition.optical.scene_store import SceneStore
from darts_utils.errors import DataError, MissingDataError, OutputError

SCENE_ID = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"


def test_layout_is_that_of_the_contract(store, raw_bands):
    path = store.write(SCENE_ID, raw_bands, {"view:sun_azimuth": 170.5, "grid:code": "MGRS-08WNB"})
    assert path.name == f"cdse-s2-sr-scene-{SCENE_ID}.zarr"
    group = zarr.open_group(path, mode="r")
    assert {name for name, _ in group.arrays()} == {*raw_bands, "x", "y", "spatial_ref"}
    assert group["B02_10m"].dtype == np.uint16
    assert group["B02_10m"].fill_value == 0
    assert group["SCL_20m"].dtype == np.uint8
    assert "zstd" in str(group["B02_10m"].compressors).lower()
    assert group.attrs["view:sun_azimuth"] == 170.5


def test_what_was_written_is_read(store, raw_bands, geobox):
    store.write(SCENE_ID, raw_bands, {"a": [1, 2]})
    scene = store.open(SCENE_ID)
    assert scene.geobox == geobox
    assert scene.attributes["a"] == [1, 2]
    for name, band in raw_bands.items():
        np.testing.assert_array_equal(scene.read(name).values, band.values)
    assert store.scene_ids() == [SCENE_ID]


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_stores_of_earlier_releases_open_unchanged(store, raw_bands, geobox, zarr_format, consolidated):
    chunks = {name: {"chunks": (25, 25)} for name in raw_bands}
    xr.Dataset(raw_bands).drop_attrs().assign_coords(spatial_ref=raw_bands["SCL_20m"].spatial_ref).to_zarr(
        store.path(SCENE_ID), zarr_format=zarr_format, consolidated=consolidated, encoding=chunks
    )
    before = sorted(store.path(SCENE_ID).rglob("*"))
    scene = store.open(SCENE_ID)
    assert scene.geobox == geobox
    np.testing.assert_array_equal(scene.read("B08_10m").values, raw_bands["B08_10m"].values)
    assert sorted(store.path(SCENE_ID).rglob("*")) == before


def test_a_grid_without_gdal_transform_is_taken_from_the_coordinates(store, raw_bands, geobox):
    path = store.write(SCENE_ID, raw_bands, {})
    reference = zarr.open_group(path, mode="r+")["spatial_ref"]
    attributes = dict(reference.attrs)
    del attributes["GeoTransform"]
    reference.attrs.clear()
    reference.attrs.update(attributes)
    assert store.open(SCENE_ID).geobox == geobox


def test_writing_again_replaces_the_scene(store, raw_bands):
    store.write(SCENE_ID, raw_bands, {"try": 1})
    del raw_bands["B08_10m"]
    store.write(SCENE_ID, raw_bands, {"try": 2})
    assert store.open(SCENE_ID).attributes["try"] == 2
    assert "B08_10m" not in store.open(SCENE_ID).bands


def test_a_scene_that_failed_half_way_is_not_there(store, raw_bands, monkeypatch):
    original = xr.Dataset.to_zarr

    def fail_after(self, part, **options):
        original(self[["B02_10m"]], part, **{**options, "encoding": {}})
        raise OSError("disk full")

    monkeypatch.setattr(xr.Dataset, "to_zarr", fail_after)
    with pytest.raises(OSError, match="disk full"):
        store.write(SCENE_ID, raw_bands, {})
    assert list(store.folder.iterdir()) == []
    assert store.scene_ids() == []


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_band_is_added_to_stores_of_any_format(store, raw_bands, zarr_format):
    new = raw_bands.pop("B08_10m")
    new.attrs.update({"raster:scale": 2e-4, "raster:offset": -0.1})
    old = xr.Dataset(raw_bands, attrs={"kept": 1})
    old.to_zarr(store.path(SCENE_ID), zarr_format=zarr_format, consolidated=False)
    assert store.add_bands(SCENE_ID, {"B08_10m": new}) == store.path(SCENE_ID)
    scene = store.open(SCENE_ID)
    np.testing.assert_array_equal(scene.read("B08_10m").values, new.values)
    np.testing.assert_array_equal(scene.read("B04_10m").values, raw_bands["B04_10m"].values)
    assert scene.band_attributes("B08_10m")["raster:scale"] == 2e-4
    assert scene.attributes == {"kept": 1}
    assert [path.name for path in store.folder.iterdir()] == [store.path(SCENE_ID).name]
    opened = xr.open_zarr(store.path(SCENE_ID), consolidated=False, mask_and_scale=False)
    np.testing.assert_array_equal(opened.B08_10m.values, new.values)


def test_a_band_that_failed_half_way_is_not_there(store, raw_bands, monkeypatch):
    new = raw_bands.pop("B08_10m")
    store.write(SCENE_ID, raw_bands, {})
    original = xr.Dataset.to_zarr

    def fail_after(self, part, **options):
        original(self, part, **options)
        raise OSError("disk full")

    monkeypatch.setattr(xr.Dataset, "to_zarr", fail_after)
    with pytest.raises(OSError, match="disk full"):
        store.add_bands(SCENE_ID, {"B08_10m": new})
    assert set(store.open(SCENE_ID).bands) == set(raw_bands)
    assert [path.name for path in store.folder.iterdir()] == [store.path(SCENE_ID).name]


def test_a_band_that_is_there_is_kept(store, raw_bands):
    store.write(SCENE_ID, raw_bands, {})
    store.add_bands(SCENE_ID, {"B08_10m": raw_bands["B08_10m"] + np.uint16(1)})
    np.testing.assert_array_equal(store.open(SCENE_ID).read("B08_10m").values, raw_bands["B08_10m"].values)


def test_a_missing_scene_is_named_with_the_call_that_fetches_it(store):
    with pytest.raises(MissingDataError) as caught:
        store.open(SCENE_ID)
    assert str(caught.value) == (
        f"scene {SCENE_ID} is not staged in {store.folder}. "
        f"Stage it with `darts prep-data sentinel2 --optical --scene-ids {SCENE_ID}`."
    )


def test_a_missing_band_is_named(store, raw_bands):
    del raw_bands["B08_10m"]
    path = store.write(SCENE_ID, raw_bands, {})
    with pytest.raises(MissingDataError) as caught:
        store.open(SCENE_ID).read("B08_10m")
    assert str(caught.value) == (
        f"scene {SCENE_ID} has no band B08_10m in {path} (staged: B02_10m, B03_10m, B04_10m, SCL_20m). "
        "Stage it with `darts prep-data sentinel2 --optical`."
    )


def test_a_corrupt_chunk_is_an_error_that_names_the_band(store, raw_bands):
    path = store.write(SCENE_ID, raw_bands, {})
    chunk = path / "B04_10m" / "c" / "0" / "0"
    damaged = bytearray(chunk.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    chunk.write_bytes(bytes(damaged))
    with pytest.raises(DataError, match=r"band B04_10m of .*\.zarr is damaged \(.*\)\. Delete the scene and stage it"):
        store.open(SCENE_ID).read("B04_10m")


def test_a_truncated_chunk_is_an_error(store, raw_bands):
    path = store.write(SCENE_ID, raw_bands, {})
    chunk = path / "B04_10m" / "c" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:100])
    with pytest.raises(DataError, match=r"band B04_10m of .* is damaged"):
        store.open(SCENE_ID).read("B04_10m")


def test_a_folder_that_is_no_store_is_an_error(tmp_path):
    store = SceneStore(tmp_path, "cdse")
    store.path("a").mkdir()
    with pytest.raises(DataError, match=r"cannot be opened .* Delete it and stage it again"):
        store.open("a").read("B02_10m")


def as_left_by_a_killed_process(store, raw_bands, names):
    """Stage some bands and leave them as a process that no longer runs would."""
    with pytest.raises(KeyboardInterrupt):
        stage_all({**{name: raw_bands[name] for name in names}, "end": None}, store)
    (part,) = store.folder.glob(".*")
    part.rename(part.with_name(part.name.replace("-left-", f"-{dead_process_id()}-")))


def stage_all(bands, store):
    with store.stage(SCENE_ID, {}) as partial:
        for name, band in bands.items():
            if band is None:
                raise KeyboardInterrupt
            partial.add(name, band)


def dead_process_id():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_what_a_failed_try_had_brought_is_taken_over_by_the_next(store, raw_bands):
    first, *rest = raw_bands
    with pytest.raises(KeyboardInterrupt):
        stage_all({first: raw_bands[first], "end": None}, store)
    with store.stage(SCENE_ID, {}) as partial:
        assert partial.bands == (first,)
        for name in rest:
            partial.add(name, raw_bands[name])
    assert store.open(SCENE_ID).bands == tuple(sorted(raw_bands))


def test_a_scene_is_staged_band_by_band_and_appears_whole(store, raw_bands, geobox):
    with store.stage(SCENE_ID, {"view:sun_azimuth": 170.5}) as partial:
        for name, band in raw_bands.items():
            partial.add(name, band)
            assert SCENE_ID not in store
            assert store.scene_ids() == []
    scene = store.open(SCENE_ID)
    assert scene.bands == tuple(sorted(raw_bands))
    assert scene.geobox == geobox
    assert scene.attributes == {"view:sun_azimuth": 170.5}
    for name, band in raw_bands.items():
        np.testing.assert_array_equal(scene.read(name).values, band.values)
    assert [path.name for path in store.folder.iterdir()] == [store.path(SCENE_ID).name]


def test_bands_may_be_added_from_many_threads(store, raw_bands):
    with store.stage(SCENE_ID, {}) as partial, ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda name: partial.add(name, raw_bands[name]), raw_bands))
    assert store.open(SCENE_ID).bands == tuple(sorted(raw_bands))


def test_what_a_killed_process_had_staged_is_taken_over(store, raw_bands):
    first, *rest = raw_bands
    as_left_by_a_killed_process(store, raw_bands, [first])
    half = next(store.folder.glob(".*"))
    (half.with_name(half.name.replace(".zarr", ".band-B03_10m.zarr"))).mkdir()
    assert SCENE_ID not in store
    with store.stage(SCENE_ID, {}) as partial:
        assert partial.bands == (first,)
        for name in rest:
            partial.add(name, raw_bands[name])
    assert store.open(SCENE_ID).bands == tuple(sorted(raw_bands))
    assert [path.name for path in store.folder.iterdir()] == [store.path(SCENE_ID).name]


def test_a_scene_that_another_process_stages_is_left_alone(store, raw_bands):
    with store.stage(SCENE_ID, {}) as partial:
        partial.add("B02_10m", raw_bands["B02_10m"])
        with store.stage(SCENE_ID, {}) as other:
            assert other.bands == ()
            other.add("SCL_20m", raw_bands["SCL_20m"])
        assert partial.bands == ("B02_10m",)
    assert store.open(SCENE_ID).bands == ("B02_10m",)


def test_a_band_on_another_grid_is_refused(store, raw_bands, make_grid):
    elsewhere = wrap_xr(raw_bands["B03_10m"].values, make_grid(left=600_000))
    with pytest.raises(DataError, match=r"band B03_10m of scene .* lies on another grid"):
        stage_all({"B02_10m": raw_bands["B02_10m"], "B03_10m": elsewhere}, store)
    assert SCENE_ID not in store


@pytest.mark.parametrize("scene_id", ["../victim", "/abs", "", "..", "a\x00b", "x" * 300, "a\\b", None])
def test_no_scene_is_written_read_or_looked_for_outside_of_the_store(tmp_path, scene_id):
    store = SceneStore(tmp_path / "store", "cdse")
    for use in (store.path, store.__contains__, store.open, lambda name: store.write(name, {}, {})):
        with pytest.raises(DataError, match=r"cannot name a staged scene: it "):
            use(scene_id)
    with pytest.raises(DataError, match=r"cannot name a staged scene: it "), store.stage(scene_id, {}):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_a_user_in_the_place_of_a_scene_is_refused_before_it_is_fetched(tmp_path):
    store = SceneStore(tmp_path, "cdse")
    store.path("S2A").write_text("mine")
    with pytest.raises(OutputError, match=r"S2A\.zarr is a file, where a folder is to be made"), store.stage("S2A", {}):
        raise AssertionError("nothing may be fetched")
    assert store.path("S2A").read_text() == "mine"
