"""The raw store: its layout, whole scenes only, damage noticed."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr
import zarr
from odc.geo.xr import wrap_xr

from darts_acquisition import load_cdse_s2_sr_scene
from darts_acquisition.optical.sentinel2.raw_scene import ALL_CHUNKS
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
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


@pytest.mark.parametrize("axis", ["x", "y"])
def test_coordinates_that_claim_gigabytes_take_no_memory(store, raw_bands, axis):
    description = store.write(SCENE_ID, raw_bands, {}) / axis / "zarr.json"
    description.write_text(json.dumps({**json.loads(description.read_text()), "shape": [10**9]}))
    message = (
        f"the grid of the staged scene {store.path(SCENE_ID)} is unusable (its {axis} coordinates have the shape "
        "(1000000000,), which no scene has). Delete it and stage it again."
    )
    with pytest.raises(DataError) as caught:
        store.open(SCENE_ID).geobox
    assert str(caught.value) == message


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
        f"Stage it with `darts prep-data sentinel2 --optical --raw-data-source cdse --scene-ids {SCENE_ID}`."
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


@pytest.fixture
def staged(store, raw_bands):
    """A scene of several chunks a band, one of them without data; gives its path."""
    for band in raw_bands.values():
        band.values[:20, :30] = 0

    def write(marked=True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("darts_acquisition.optical.sentinel2.scene_store.CHUNK_PX", 20)
            path = store.write(SCENE_ID, raw_bands, {})
        if not marked:  # as earlier releases left it
            for name in raw_bands:
                del zarr.open_group(path, mode="r+")[name].attrs[ALL_CHUNKS]
                (path / name / "c" / "0" / "0").unlink()
        return path

    return write


def test_chunks_without_data_are_written_too(staged, raw_bands):
    path = staged()
    for name in raw_bands:
        assert len([file for file in (path / name / "c").rglob("*") if file.is_file()]) == 2 * 3


def test_a_lost_chunk_is_damage_and_not_no_data(staged, store):
    path = staged()
    (path / "B04_10m" / "c" / "1" / "2").unlink()
    scene = store.open(SCENE_ID)
    assert set(scene.bands) - set(scene.whole_bands) == {"B04_10m"}
    assert store.lacking(SCENE_ID, ["B02_10m", "B04_10m"]) == ["B04_10m"]
    with pytest.raises(DataError) as caught:
        load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)
    assert str(caught.value) == (
        f"band B04_10m of {path} lacks 1 of its 6 chunks. Delete the scene and stage it again."
    )


def test_a_band_of_which_chunks_were_lost_is_put_in_place_again(staged, store, raw_bands):
    path = staged()
    for chunk in ((path / "B04_10m" / "c" / "1" / "2"), (path / "SCL_20m" / "c" / "0" / "0")):
        chunk.unlink()
    store.add_bands(SCENE_ID, {name: raw_bands[name] for name in ("B04_10m", "SCL_20m")})
    scene = store.open(SCENE_ID)
    assert scene.whole_bands == scene.bands
    for name, band in raw_bands.items():
        np.testing.assert_array_equal(scene.read(name).values, band.values)


def test_a_store_of_an_earlier_release_warns_of_chunks_that_are_not_there(staged, store, caplog):
    path = staged(marked=False)
    tile = load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)
    assert np.isnan(tile.red.values[:20, :20]).all()
    assert [record.getMessage() for record in caplog.records] == [
        f"{SCENE_ID}: 17 % of the chunks of {path} are not there. It was staged by an earlier release, which left out"
        " chunks without data; if that is too many for this scene, some were lost: delete it and stage it again."
    ]


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b"\x28\xb5\x2f\xfd"])
def test_a_chunk_of_anything_else_is_damage_in_a_line(staged, store, content):
    path = staged()
    (path / "SCL_20m" / "c" / "0" / "1").write_bytes(content)
    with pytest.raises(
        DataError, match=r"^band SCL_20m of .* is damaged \(.*\)\. Delete the scene and stage it"
    ) as caught:
        load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "int16", "uint8", "int64"])
def test_bands_of_another_type_are_refused(store, raw_bands, dtype):
    raw_bands["B03_10m"] = raw_bands["B03_10m"].astype(dtype)
    path = store.write(SCENE_ID, raw_bands, {})
    with pytest.raises(DataError) as caught:
        load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)
    assert str(caught.value) == (
        f"band B03_10m of {path} is {dtype} but must be uint16. Delete the scene and stage it again."
    )


def test_a_classification_of_another_type_is_refused(store, raw_bands):
    raw_bands["SCL_20m"] = raw_bands["SCL_20m"].astype("uint16")
    store.write(SCENE_ID, raw_bands, {})
    with pytest.raises(DataError, match=r"band SCL_20m of .* is uint16 but must be uint8\. Delete the scene and stage"):
        load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)


def _with_reference(**changes):
    def change(group):
        reference = group["spatial_ref"]
        attributes = {**reference.attrs, **changes}
        reference.attrs.clear()
        reference.attrs.update({key: value for key, value in attributes.items() if value is not None})

    return change


def _with_coordinate(name, function):
    def change(group):
        group[name][:] = function(group[name][:])

    return change


NONSENSE = 'LOCAL_CS["somewhere",UNIT["metre",1]]'
WGS84 = 'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],UNIT["degree",0.0174532925199433]]'


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_with_reference(crs_wkt="nonsense"), r".*"),
        (_with_reference(crs_wkt=NONSENSE), r".*"),
        (_with_reference(crs_wkt=WGS84), r"the grid is in .*, but a projected CRS in metres is needed.*"),
        (_with_reference(GeoTransform="a b c"), r"could not convert string to float: 'a'"),
        (_with_reference(GeoTransform="500000 10 0 7700400 0"), r"not enough values to unpack .*"),
        (_with_reference(GeoTransform="500000 nan 0 7700400 0 -10"), r".*"),
        (_with_reference(GeoTransform="500000 10 0 7700400 0 10"), r"the grid has the transform .*"),
        (_with_reference(GeoTransform="500020 10 0 7700400 0 -10"), r"its x coordinates are not the centres .*"),
        (_with_reference(GeoTransform="500000 10 0 7700400 0 -10.0001"), r".*"),
        (_with_coordinate("x", lambda x: x * np.nan), r"its x coordinates are not the centres of regular pixels"),
        (_with_coordinate("y", lambda y: y[::-1]), r"its y coordinates are not the centres of regular pixels"),
        (_with_coordinate("y", lambda y: y + 7 * (y == y[3])), r"its y coordinates are not the centres .*"),
    ],
)
def test_a_grid_that_is_none_is_refused_in_a_line(store, raw_bands, change, reason):
    path = store.write(SCENE_ID, raw_bands, {})
    change(zarr.open_group(path, mode="r+"))
    message = rf"^the grid of the staged scene {path} is unusable \({reason}\)\. Delete it and stage it again\.$"
    with pytest.raises(DataError, match=message) as caught:
        load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)
    assert "\n" not in str(caught.value)


def test_a_store_without_a_crs_names_what_it_lacks(store, raw_bands):
    path = store.write(SCENE_ID, raw_bands, {})
    _with_reference(crs_wkt=None)(zarr.open_group(path, mode="r+"))
    with pytest.raises(DataError, match=rf"^the staged scene {path} lacks 'crs_wkt'\. Delete it and stage it again\.$"):
        load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)


def test_a_broken_description_of_a_band_is_damage_and_does_not_stop_a_plan(store, raw_bands):
    path = store.write(SCENE_ID, raw_bands, {})
    (path / "B04_10m" / "zarr.json").write_text('{"shape": [')
    assert store.lacking(SCENE_ID, ["B04_10m"]) == ["B04_10m"]
    with pytest.raises(DataError, match=rf"^the staged scene {path} is damaged \(.*\)\. Delete it and stage it again"):
        load_cdse_s2_sr_scene(SCENE_ID, store=store.folder, offline=True)


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
