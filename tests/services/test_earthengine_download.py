"""Scenes from Earth Engine into the raw store: exact, whole or absent, only what is lacking, through faults."""

import datetime
import itertools
import socket

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from darts_acquisition import (
    download_gee_s2_sr_scene,
    get_gee_s2_sr_scene_ids_from_tile_ids,
    load_gee_s2_sr_scene,
)
from darts_acquisition.optical.gee.bands import RESOLUTIONS_M
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_utils.errors import ConfigError, DartsError, MissingDataError, ServiceError
from darts_utils.tile import validate

SCENE_ID = "20230701T194909_20230701T195350_T08WNB"
OLD_ID = "20210701T194909_20210701T195350_T08WNB"
EVE_ID, DAY_ID = "20220124T235959_20220125T000000_T08WNB", "20220125T000000_20220125T000000_T08WNB"
BASELINES = {OLD_ID: "05.00", EVE_ID: "03.01", DAY_ID: "03.01", SCENE_ID: "05.09"}  # the old one processed again
RAW = "COPERNICUS/S2_SR"
OPTICAL = ("B2", "B3", "B4", "B8")
GRID = GeoBox((300, 420), Affine(10, 0, 499_980, 0, -10, 7_800_000), "EPSG:32608")
PROPERTIES = {
    "MGRS_TILE": "08WNB",
    "CLOUDY_PIXEL_PERCENTAGE": 3.5,
    "MEAN_SOLAR_AZIMUTH_ANGLE": 170.5,
    "MEAN_SOLAR_ZENITH_ANGLE": 49.75,
    "system:time_start": 1_688_240_949_024,
}


def made_up(seed, grid=GRID):
    """Return digital numbers of all bands, coarse ones on their own grids, with a wedge and holes of no data."""
    rng = np.random.default_rng(seed)
    bands = {}
    for name, size_m in {**RESOLUTIONS_M, "SCL": 20}.items():
        shape = tuple(length * 10 // size_m for length in grid.shape)
        top, dtype = (12, np.uint8) if name == "SCL" else (65_536, np.uint16)
        bands[name] = rng.integers(0, top, shape).astype(dtype)
        bands[name][: 60 // (size_m // 10), : 90 // (size_m // 10)] = 0
    return bands


def on_10_m(values):
    times = GRID.shape[0] // values.shape[0]
    return np.kron(values, np.ones((times, times), values.dtype))


@pytest.fixture
def numbers(earthengine, monkeypatch):
    """The numbers of the scene by band; blocks are small, so that there are many."""
    monkeypatch.setattr("darts_acquisition.services.earthengine_pixels.BLOCK_BYTES", 8 * 130**2)
    monkeypatch.setattr("darts_acquisition.services.earthengine_pixels._STEP_PX", 64)
    numbers = made_up(1)
    earthengine.add_scene(SCENE_ID, GRID, numbers, PROPERTIES)
    for seed, (scene_id, baseline) in enumerate(BASELINES.items(), 2):
        properties = {**PROPERTIES, "PROCESSING_BASELINE": baseline}
        earthengine.add_scene(scene_id, GRID, made_up(seed), properties, collection=RAW)
    return numbers


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_scene_is_staged_exactly(numbers, earthengine, tmp_path):
    sizes = []
    path = download_gee_s2_sr_scene(SCENE_ID, tmp_path / "store", on_bytes=sizes.append)
    scene = SceneStore(tmp_path / "store", "gee").open(SCENE_ID)
    assert path == scene.path == tmp_path / "store" / f"gee-s2-sr-scene-{SCENE_ID}.zarr"
    assert scene.bands == (*OPTICAL, "SCL")
    assert scene.geobox == GRID
    for band in scene.bands:
        assert scene.read(band).dtype == (np.uint8 if band == "SCL" else np.uint16)
        np.testing.assert_array_equal(scene.read(band).values, on_10_m(numbers[band]))
    assert sum(sizes) == sum(earthengine.pixel_bytes) == 300 * 420 * 8 + 150 * 210
    assert len(sizes) == len(earthengine.pixel_bytes) > 12
    assert max(earthengine.pixel_bytes) <= 8 * 130**2
    assert 1 < earthengine.most_at_once <= 40
    derived = {"azimuth": 170.5, "elevation": 40.25, "datetime": "2023-07-01T19:49:09.024Z"}
    assert {**PROPERTIES, **derived, "collection": "COPERNICUS/S2_SR_HARMONIZED"}.items() <= scene.attributes.items()


def test_all_bands_of_all_resolutions(numbers, tmp_path):
    download_gee_s2_sr_scene(SCENE_ID, tmp_path, "all")
    scene = SceneStore(tmp_path, "gee").open(SCENE_ID)
    assert set(scene.bands) == {*RESOLUTIONS_M, "SCL"}
    for band in scene.bands:
        np.testing.assert_array_equal(scene.read(band).values, on_10_m(numbers[band]))
    tile = load_gee_s2_sr_scene(SCENE_ID, "all", tmp_path)
    assert {"blue", "nir", "B8A", "B12", "s2_scl"} <= set(tile.data_vars)


def test_grids_of_odd_size_lose_nothing(earthengine, tmp_path):
    grid, numbers = GeoBox((301, 421), GRID.affine, GRID.crs), made_up(8, GeoBox((302, 422), GRID.affine, GRID.crs))
    cut = {name: values[:301, :421] if name in OPTICAL else values for name, values in numbers.items()}
    earthengine.add_scene(SCENE_ID, grid, {name: cut[name] for name in (*OPTICAL, "SCL")}, PROPERTIES)
    download_gee_s2_sr_scene(SCENE_ID, tmp_path)
    scene = SceneStore(tmp_path, "gee").open(SCENE_ID)
    assert scene.geobox == grid
    np.testing.assert_array_equal(scene.read("B8").values, cut["B8"])
    np.testing.assert_array_equal(scene.read("SCL").values, np.kron(cut["SCL"], np.ones((2, 2), np.uint8))[:301, :421])


def test_only_what_is_lacking_is_fetched(numbers, earthengine, tmp_path):
    download_gee_s2_sr_scene(SCENE_ID, tmp_path, {"B4": "red"})
    whole = sum(earthengine.pixel_bytes)
    assert whole == 300 * 420 * 2 + 150 * 210
    earthengine.clear_log()
    download_gee_s2_sr_scene(SCENE_ID, tmp_path, {"B4": "red", "B8": "nir", "B11": "swir"})
    assert sum(earthengine.pixel_bytes) == 300 * 420 * 2 + 150 * 210 * 2
    scene = SceneStore(tmp_path, "gee").open(SCENE_ID)
    for band in ("B4", "B8", "B11", "SCL"):
        np.testing.assert_array_equal(scene.read(band).values, on_10_m(numbers[band]))
    earthengine.clear_log()
    download_gee_s2_sr_scene(SCENE_ID, tmp_path, {"B4": "red", "B8": "nir"})
    assert earthengine.requests == []


def test_a_band_of_which_a_chunk_was_lost_is_fetched_again(numbers, earthengine, tmp_path):
    path = download_gee_s2_sr_scene(SCENE_ID, tmp_path)
    (path / "B4" / "c" / "0" / "0").unlink()
    earthengine.clear_log()
    tile = load_gee_s2_sr_scene(SCENE_ID, store=tmp_path)
    assert sum(earthengine.pixel_bytes) == 300 * 420 * 2
    assert (tile.quality_data_mask.values != 0).any()
    np.testing.assert_array_equal(SceneStore(tmp_path, "gee").open(SCENE_ID).read("B4").values, on_10_m(numbers["B4"]))


def test_a_scene_of_a_search_is_not_looked_up_again(numbers, earthengine, tmp_path):
    (scene,) = get_gee_s2_sr_scene_ids_from_tile_ids(["08WNB"]).values()
    earthengine.clear_log()
    download_gee_s2_sr_scene(scene, tmp_path)
    assert earthengine.asked("value:compute") == 0
    assert load_gee_s2_sr_scene(scene, store=tmp_path).attrs["s2_tile_id"] == SCENE_ID


def test_staged_scenes_need_no_network(numbers, tmp_path, no_network):
    with pytest.raises(AssertionError, match="a socket was opened"):
        download_gee_s2_sr_scene(SCENE_ID, tmp_path)
    with pytest.raises(MissingDataError, match="is not staged in"):
        load_gee_s2_sr_scene(SCENE_ID, store=tmp_path, offline=True)
    with pytest.raises(ConfigError, match=f"no raw scene store is given for {SCENE_ID}; offline runs read scenes"):
        load_gee_s2_sr_scene(SCENE_ID, offline=True)


def test_a_staged_scene_is_loaded_without_a_socket(numbers, tmp_path, monkeypatch):
    download_gee_s2_sr_scene(SCENE_ID, tmp_path)
    monkeypatch.setattr(socket.socket, "connect", None)
    monkeypatch.setattr(socket, "getaddrinfo", None)
    monkeypatch.setattr("darts_acquisition.optical.gee.catalog.ensure_earthengine", None)
    offline = load_gee_s2_sr_scene(SCENE_ID, store=tmp_path, offline=True)
    assert offline.identical(load_gee_s2_sr_scene(SCENE_ID, store=tmp_path))


@pytest.mark.parametrize(
    ("scene_id", "collection", "offset"),
    [
        (SCENE_ID, "COPERNICUS/S2_SR_HARMONIZED", 0),
        (SCENE_ID, RAW, -0.1),
        (DAY_ID, RAW, 0),
        (EVE_ID, RAW, 0),
        (OLD_ID, RAW, -0.1),
    ],
)
def test_reflectance_of_both_collections(numbers, earthengine, tmp_path, scene_id, collection, offset):
    tile = load_gee_s2_sr_scene(scene_id, store=tmp_path, collection=collection)
    image = next(i for i in earthengine.collections[collection] if i.id.endswith(scene_id))
    raw = {band.name: band.sample(*_centres(band))[0] for band in image.bands}
    classes = on_10_m(raw["SCL"])
    empty = np.all([raw[band] == 0 for band in OPTICAL], axis=0)
    for band, name in zip(OPTICAL, ("blue", "green", "red", "nir"), strict=True):
        missing = raw[band] == 0 if offset else empty  # without an offset, dark water may be 0 in a band
        expected = np.where(missing | (classes == 0), np.nan, raw[band] * 1e-4 + offset)
        np.testing.assert_allclose(tile[name].values, expected, atol=1e-6, rtol=0)
    np.testing.assert_array_equal(tile.s2_scl.values, classes)
    assert (tile.attrs["azimuth"], tile.attrs["elevation"]) == (170.5, 40.25)
    assert tile.odc.geobox == GRID
    validate(tile)


def _centres(band):
    a, _, c, _, e, f = band.transform
    width, height = band.dimensions
    return (c + a * (np.arange(width) + 0.5))[None, :], (f + e * (np.arange(height) + 0.5))[:, None]


def test_the_collections_do_not_mix_in_a_store(numbers, earthengine, tmp_path):
    path = download_gee_s2_sr_scene(SCENE_ID, tmp_path, {"B4": "red"}, collection=RAW)
    earthengine.clear_log()
    with pytest.raises(ConfigError) as caught:
        download_gee_s2_sr_scene(SCENE_ID, tmp_path)
    assert str(caught.value) == (
        f"the scene {path} is staged from COPERNICUS/S2_SR but is wanted from COPERNICUS/S2_SR_HARMONIZED. "
        "Give another raw_data_store, or delete the scene."
    )
    assert earthengine.requests == []


def test_without_a_store_nothing_stays(numbers, tmp_path):
    tile = load_gee_s2_sr_scene(SCENE_ID, output_dir_for_debug_geotiff=tmp_path / "debug")
    assert tile.sizes == {"y": 300, "x": 420}
    assert {p.name for p in tmp_path.iterdir()} == {"debug"}
    assert len(list((tmp_path / "debug").iterdir())) == 5


def test_what_does_not_exist_is_missing_data(numbers, tmp_path):
    with pytest.raises(MissingDataError) as caught:
        download_gee_s2_sr_scene("20230101T000000_20230101T000000_T08WNB", tmp_path)
    assert str(caught.value) == (
        "Earth Engine: COPERNICUS/S2_SR_HARMONIZED has no scene 20230101T000000_20230101T000000_T08WNB. Check the ids."
    )
    with pytest.raises(ServiceError) as caught:
        download_gee_s2_sr_scene(SCENE_ID, tmp_path, {"B99": "x"})
    assert "Band pattern 'B99' did not match any bands" in str(caught.value)
    assert not list(tmp_path.glob("gee*"))


def one_in_five(kinds):
    """A fault for every fifth request, of one kind after the other."""
    counter, kind = itertools.count(1), itertools.cycle(kinds)
    return lambda method, path: next(kind) if next(counter) % 5 == 0 else None


@pytest.mark.parametrize("seed", range(3))
def test_a_fifth_of_all_requests_may_fail(numbers, earthengine, tmp_path, seed):
    kinds = [429, (429, {"Retry-After": "0"}), 500, 503, "reset", "cut", "garbage", "shape", 408]
    earthengine.fault = one_in_five(kinds[seed:] + kinds[:seed])
    download_gee_s2_sr_scene(SCENE_ID, tmp_path, "all")
    scene = SceneStore(tmp_path, "gee").open(SCENE_ID)
    for band in scene.bands:
        np.testing.assert_array_equal(scene.read(band).values, on_10_m(numbers[band]))


@pytest.mark.parametrize("fault", [503, "cut", "reset", "garbage", "shape", 400, 403])
def test_a_scene_that_fails_half_way_is_no_scene_until_it_is_whole(numbers, earthengine, tmp_path, fault):
    pixels = itertools.count()
    earthengine.fault = lambda method, path: fault if "computePixels" in path and next(pixels) > 5 else None
    with pytest.raises(DartsError) as caught:
        download_gee_s2_sr_scene(SCENE_ID, tmp_path)
    assert str(caught.value).startswith("Earth Engine: ")
    assert "\n" not in str(caught.value)
    earthengine.fault = lambda method, path: None
    assert SceneStore(tmp_path, "gee").scene_ids() == []
    download_gee_s2_sr_scene(SCENE_ID, tmp_path)
    scene = SceneStore(tmp_path, "gee").open(SCENE_ID)
    for band in (*OPTICAL, "SCL"):
        np.testing.assert_array_equal(scene.read(band).values, on_10_m(numbers[band]))
    assert [path.name for path in tmp_path.iterdir()] == [scene.path.name]


def test_a_slow_answer_is_given_up(numbers, earthengine, tmp_path, monkeypatch):
    monkeypatch.setattr("darts_acquisition.services.earthengine_pixels.BLOCK_BYTES", 8 << 20)
    earthengine.fault = lambda method, path: "slow" if "computePixels" in path else None
    from darts_acquisition.services import earthengine as service
    from darts_acquisition.services.retry import Limiter, RetryPolicy, Service

    policy = RetryPolicy(attempts=2, first_wait_s=0.01, try_timeout_s=0.5)
    impatient = Service(name="Earth Engine", advice="Try later.", limiter=Limiter(connections=40), policy=policy)
    monkeypatch.setattr(service, "EARTH_ENGINE", impatient)
    started = datetime.datetime.now()
    with pytest.raises(
        ServiceError, match=r"computePixels failed 2 times in \d s \(last: the answer came too slowly\)"
    ):
        download_gee_s2_sr_scene(SCENE_ID, tmp_path)
    assert (datetime.datetime.now() - started).total_seconds() < 8
