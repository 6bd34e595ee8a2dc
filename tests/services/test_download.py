"""Scenes from an S3 storage into the raw store: whole or absent, only what is lacking, through faults."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import storage
from faults import FaultProxy
from signatures import Signatures

from darts_acquisition import download_cdse_s2_sr_scene, load_cdse_s2_sr_scene
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service
from darts_utils.errors import CredentialsError, DataError, MissingDataError, ServiceError

SCENE_ID = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"
OLD_ID = "S2A_MSIL2A_20180720T200909_N0208_R128_T08WNB_20180720T234417"
OPTICAL = ("B02_10m", "B03_10m", "B04_10m", "B08_10m")


@pytest.fixture(scope="session")
def s3(s3_server, tmp_path_factory):
    """An S3 server with two scenes; gives its port, and each scene's item and numbers."""
    port, upload = s3_server
    folder = tmp_path_factory.mktemp("jpeg2000")
    scenes = {SCENE_ID: storage.scene(SCENE_ID, folder, upload)}
    scenes[OLD_ID] = storage.scene(OLD_ID, folder, upload, scale=False)
    return port, scenes


@pytest.fixture
def proxy(s3, aws_keys, monkeypatch):
    """A fault proxy before the server, the settings that lead to it, and quick retries."""
    proxy = FaultProxy(s3[0])
    monkeypatch.setenv("DARTS_CDSE_S3_ENDPOINT", proxy.url)
    policy = RetryPolicy(attempts=5, first_wait_s=0.01, longest_wait_s=0.02, read_timeout_s=5)
    service = Service(name="Copernicus storage", advice="Try later.", limiter=Limiter(connections=4), policy=policy)
    monkeypatch.setattr("darts_acquisition.services.rasters.s3.STORAGE", service)
    yield proxy
    proxy.close()


@pytest.fixture
def item(s3):
    return s3[1][SCENE_ID][0].clone()


@pytest.fixture
def numbers(s3):
    return s3[1][SCENE_ID][1]


def on_10_m(values):
    return np.kron(values, np.ones((2, 2), values.dtype))


def test_a_scene_is_staged_as_the_source_gave_it(proxy, item, numbers, tmp_path):
    path = download_cdse_s2_sr_scene(item, tmp_path / "store")
    scene = SceneStore(tmp_path / "store", "cdse").open(SCENE_ID)
    assert path == scene.path
    assert scene.bands == (*OPTICAL, "SCL_20m")
    assert scene.geobox.crs.epsg == 32608
    assert scene.geobox.affine == storage.TRANSFORM
    for band in OPTICAL:
        np.testing.assert_array_equal(scene.read(band).values, numbers[band])
        assert scene.band_attributes(band)["raster:scale"] == 0.0002
        assert scene.band_attributes(band)["raster:offset"] == -0.3
    np.testing.assert_array_equal(scene.read("SCL_20m").values, on_10_m(numbers["SCL_20m"]))
    assert scene.read("SCL_20m").dtype == np.uint8
    assert scene.attributes == item.properties
    assert [part.name for part in (tmp_path / "store").iterdir()] == [path.name]


def test_a_complete_scene_fetches_nothing(proxy, item, tmp_path):
    download_cdse_s2_sr_scene(item, tmp_path)
    proxy.requests.clear()
    download_cdse_s2_sr_scene(item, tmp_path)
    download_cdse_s2_sr_scene(SCENE_ID, tmp_path, {"B04_10m": "red"}, aws_profile_name="not there")
    assert proxy.requests == []


@pytest.mark.parametrize("lacking", ["B08_10m", "SCL_20m"])
def test_a_lacking_band_is_fetched_alone(proxy, item, numbers, tmp_path, lacking):
    store = SceneStore(tmp_path, "cdse")
    download_cdse_s2_sr_scene(item, tmp_path)
    whole = {band: store.open(SCENE_ID).read(band) for band in store.open(SCENE_ID).bands if band != lacking}
    store.write(SCENE_ID, whole, item.properties)
    proxy.requests.clear()
    download_cdse_s2_sr_scene(item, tmp_path)
    assert proxy.fetched() == [f"{lacking}.jp2"]
    expected = on_10_m(numbers[lacking]) if lacking == "SCL_20m" else numbers[lacking]
    np.testing.assert_array_equal(store.open(SCENE_ID).read(lacking).values, expected)
    assert [part.name for part in tmp_path.iterdir() if part.name.startswith(".")] == []


def test_all_bands_of_reflectance(proxy, item, numbers, tmp_path):
    download_cdse_s2_sr_scene(item, tmp_path, "all")
    scene = SceneStore(tmp_path, "cdse").open(SCENE_ID)
    assert set(scene.bands) == set(storage.BANDS)
    np.testing.assert_array_equal(scene.read("B05_20m").values, on_10_m(numbers["B05_20m"]))


@pytest.mark.parametrize(("scene_id", "scale", "offset"), [(SCENE_ID, 2e-4, -0.3), (OLD_ID, 1e-4, 0)])
@pytest.mark.parametrize("with_store", [True, False])
def test_loading_online_fetches_what_is_missing(proxy, s3, tmp_path, scene_id, scale, offset, with_store):
    item, numbers = s3[1][scene_id]
    tile = load_cdse_s2_sr_scene(item, store=tmp_path / "store" if with_store else None)
    valid = (numbers["B04_10m"] > 0) & (on_10_m(numbers["SCL_20m"]) > 0)
    np.testing.assert_allclose(tile.red.values[valid], (numbers["B04_10m"] * scale + offset)[valid], atol=1e-6)
    assert np.isnan(tile.red.values[~valid]).all()
    assert tile.attrs["elevation"] == 40.25
    if with_store:
        proxy.requests.clear()
        load_cdse_s2_sr_scene(scene_id, store=tmp_path / "store", offline=True)
        load_cdse_s2_sr_scene(scene_id, store=tmp_path / "store")
        assert proxy.requests == []


@pytest.mark.parametrize("fault", [503, 429, 500, "cut", "corrupt"])
def test_every_third_answer_is_a_fault(proxy, item, numbers, tmp_path, fault):
    lock, count = threading.Lock(), itertools.count(1)

    def spoil(method, path):
        with lock:
            return fault if next(count) % 3 == 0 else None

    proxy.fault = spoil
    download_cdse_s2_sr_scene(item, tmp_path)
    scene = SceneStore(tmp_path, "cdse").open(SCENE_ID)
    for band in OPTICAL:
        np.testing.assert_array_equal(scene.read(band).values, numbers[band])
    np.testing.assert_array_equal(scene.read("SCL_20m").values, on_10_m(numbers["SCL_20m"]))


def test_many_scenes_at_once_through_a_storm_of_faults(proxy, item, numbers, tmp_path):
    proxy.spoil(0.2, seed=2, kinds=[503, 429, "cut", "corrupt"])
    items = [item.clone() for _ in range(16)]
    for number, one in enumerate(items):
        one.id = SCENE_ID.replace("234418", f"2344{number:02d}")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: download_cdse_s2_sr_scene(one, tmp_path / "store"), items))
    store = SceneStore(tmp_path / "store", "cdse")
    assert store.scene_ids() == [one.id for one in items]
    for one, band in itertools.product(items, OPTICAL):
        np.testing.assert_array_equal(store.open(one.id).read(band).values, numbers[band])


@pytest.mark.parametrize("fault", [503, "cut", "corrupt"])
def test_a_storage_that_stays_ill_ends_in_one_line_and_leaves_nothing(proxy, item, tmp_path, fault):
    proxy.fault = lambda method, path: fault if "B08" in path else None
    with pytest.raises(ServiceError) as caught:
        download_cdse_s2_sr_scene(item, tmp_path / "store")
    href = item.assets["B08_10m"].href
    assert str(caught.value).startswith(f"Copernicus storage: reading {href} failed 5 times in ")
    assert str(caught.value).endswith("). Try later.")
    assert "\n" not in str(caught.value)
    assert SCENE_ID not in SceneStore(tmp_path / "store", "cdse")


def test_a_file_that_is_larger_than_any_image_is_not_taken(proxy, item, tmp_path, monkeypatch):
    monkeypatch.setattr("darts_acquisition.services.rasters.s3.MOST_FILE_BYTES", 100)
    with pytest.raises(ServiceError, match=r"^Copernicus storage: the answer from s3://\S+ is larger than 0\.0001 MB"):
        download_cdse_s2_sr_scene(item, tmp_path / "store")


def test_a_storage_that_leads_elsewhere_is_not_followed(proxy, item, tmp_path):
    elsewhere = f"http://localhost:{proxy.server.server_port}/elsewhere"
    proxy.fault = lambda method, path: (307, {"Location": elsewhere})
    with pytest.raises(ServiceError, match=rf"leads to {elsewhere}, which is not asked: only 127\.0\.0\.1 may be"):
        download_cdse_s2_sr_scene(item, tmp_path / "store")
    assert not any("elsewhere" in path for _, path in proxy.requests)


def test_refused_keys_are_said_at_once(proxy, item, tmp_path):
    proxy.fault = lambda method, path: 403
    with pytest.raises(CredentialsError) as caught:
        download_cdse_s2_sr_scene(item, tmp_path)
    assert str(caught.value).startswith(
        "Copernicus storage: the keys of the AWS profile default are refused (403 Forbidden); they may have expired. "
    )
    assert len(proxy.requests) <= 4 * 5  # each file is tried once, four at a time


def test_every_request_is_signed(proxy, item, numbers, tmp_path):
    proxy.refuse = Signatures()
    path = download_cdse_s2_sr_scene(item, tmp_path / "store")
    assert path.is_dir()
    assert proxy.refuse.checked == len(proxy.requests) >= 5


@pytest.mark.parametrize(
    ("signatures", "said"),
    [
        (Signatures(secret="another"), "403 The signature does not match."),
        (Signatures(tokens=("fresh",)), "400 The provided token has expired."),
    ],
)
def test_wrong_and_expired_keys_are_said_at_once(proxy, aws_keys, item, tmp_path, signatures, said):
    aws_keys.write_text(aws_keys.read_text() + "aws_session_token = stale\n")
    if signatures.tokens == (None,):
        signatures.tokens = ("stale",)
    proxy.refuse = signatures
    with pytest.raises(CredentialsError) as caught:
        download_cdse_s2_sr_scene(item, tmp_path / "store")
    assert f"the keys of the AWS profile default are refused ({said}); they may have expired." in str(caught.value)
    assert len(proxy.requests) <= 4 * 5


def test_missing_keys_are_said_before_anything_is_asked(proxy, item, tmp_path):
    with pytest.raises(CredentialsError, match="there is no AWS profile cdse for the Copernicus storage"):
        download_cdse_s2_sr_scene(item, tmp_path, aws_profile_name="cdse")
    assert proxy.requests == []


def test_an_object_that_is_gone_is_named(proxy, item, tmp_path):
    item.assets["B03_10m"].href = f"s3://{storage.BUCKET}/gone.jp2"
    with pytest.raises(MissingDataError) as caught:
        download_cdse_s2_sr_scene(item, tmp_path)
    assert str(caught.value) == (
        "Copernicus storage: there is no s3://eodata/gone.jp2. "
        "The scene may have been processed again under a new id: search for it."
    )


def test_a_band_that_the_scene_has_not(proxy, item, tmp_path):
    with pytest.raises(MissingDataError) as caught:
        download_cdse_s2_sr_scene(item, tmp_path, {"B99_10m": "x"})
    known = ", ".join(sorted(storage.BANDS))
    assert str(caught.value) == f"scene {SCENE_ID} has no band B99_10m (it has: {known}). Correct bands_mapping."


def test_a_band_on_another_grid_is_not_added(proxy, item, tmp_path):
    download_cdse_s2_sr_scene(item, tmp_path, {"B02_10m": "blue"})
    store = SceneStore(tmp_path, "cdse")
    shifted = store.open(SCENE_ID).read("B02_10m").isel(x=slice(1, None))
    with pytest.raises(DataError) as caught:
        store.add_bands(SCENE_ID, {"B04_10m": shifted})
    assert str(caught.value) == (
        f"band B04_10m of scene {SCENE_ID} lies on another grid than what is staged in {store.path(SCENE_ID)}. "
        "Delete the scene and stage it again."
    )
