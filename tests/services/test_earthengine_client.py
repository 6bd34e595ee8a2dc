"""The Earth Engine client: made ready once, polite, bounded, and clear about credentials and projects."""

import itertools
import json
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from odc.geo.geobox import GeoBox

from darts.utils.earthengine import init_ee
from darts_acquisition.services import earthengine as service
from darts_acquisition.services import earthengine_pixels
from darts_acquisition.services.earthengine_pixels import fetch_pixels
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service
from darts_utils.errors import ConfigError, CredentialsError, DartsError, MissingDataError, ServiceError

ID = "20230701T194909_20230701T195350_T08WNB"
IMAGE = f"COPERNICUS/S2_SR_HARMONIZED/{ID}"
GRID = GeoBox((200, 260), Affine(10, 0, 499_980, 0, -10, 7_800_000), "EPSG:32608")


@pytest.fixture
def values(earthengine, monkeypatch):
    """The pixels of an image; blocks are small."""
    monkeypatch.setattr(earthengine_pixels, "BLOCK_BYTES", 2 * 70**2)
    monkeypatch.setattr(earthengine_pixels, "_STEP_PX", 64)
    values = np.random.default_rng(3).integers(0, 5, GRID.shape).astype(np.uint16)
    earthengine.add_scene(ID, GRID, {"B2": values, "B3": values + np.uint16(1000)})
    return values


def image(name=IMAGE):
    import ee

    return ee.Image(name)


def polite(**policy):
    given = {"attempts": 3, "first_wait_s": 0.01, "longest_wait_s": 0.02, **policy}
    policy = RetryPolicy(**given)
    return Service(name="Earth Engine", advice="Try later.", limiter=Limiter(connections=3), policy=policy)


def test_the_client_is_made_ready_once(earthengine, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", None)  # with it the client would look up deprecated assets elsewhere
    threads = [threading.Thread(target=init_ee) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    init_ee()
    assert [path.split("?")[0] for _, path in earthengine.requests] == [
        "/$discovery/rest",
        "/$discovery/rest",
        "/v1/projects/demo/algorithms",
    ]
    init_ee("another")
    assert earthengine.requests[-1][1].startswith("/v1/projects/another/algorithms")
    asked = len(earthengine.requests)
    service.ensure_earthengine()
    init_ee("another")
    assert len(earthengine.requests) == asked, "what was chosen before must stay"


def test_pixels_on_the_grid_of_the_image_and_on_others(earthengine, values):
    init_ee()
    got = fetch_pixels(image(), ["B2", "B3"], GRID)
    np.testing.assert_array_equal(got["B2"], values)
    np.testing.assert_array_equal(got["B3"], values + np.uint16(1000))
    beyond = GeoBox((20, 30), GRID.affine * Affine.translation(-10, -10), GRID.crs)
    np.testing.assert_array_equal(
        fetch_pixels(image(), ["B2"], beyond)["B2"], np.pad(values[:10, :20], ((10, 0), (10, 0)))
    )
    coarse = GeoBox((100, 130), GRID.affine * Affine.scale(2) * Affine.translation(-0.1, -0.1), GRID.crs)
    np.testing.assert_array_equal(fetch_pixels(image(), ["B2"], coarse, dtype="uint8")["B2"], values[::2, ::2])


def test_no_more_at_once_than_the_limits_allow(earthengine, values, monkeypatch):
    init_ee()
    earthengine.hold_s = 0.02
    earthengine.clear_log()
    fetch_pixels(image(), ["B2"], GRID)
    assert 1 < earthengine.most_at_once <= earthengine_pixels.AT_ONCE
    monkeypatch.setattr(service, "EARTH_ENGINE", polite())
    earthengine.clear_log()
    fetch_pixels(image(), ["B2"], GRID)
    assert 1 < earthengine.most_at_once <= 3


def test_a_request_of_more_than_the_service_gives_is_refused_by_it(earthengine, monkeypatch):
    """The made-up service has the real one's limit; blocks stay below it."""
    monkeypatch.setattr(earthengine_pixels, "BLOCK_BYTES", 200 << 20)
    empty = np.broadcast_to(np.uint16(0), (5200, 5200))
    grid = GeoBox(empty.shape, GRID.affine, GRID.crs)
    earthengine.add_scene(ID, grid, {"B2": empty})
    init_ee()
    with pytest.raises(ServiceError) as caught:
        fetch_pixels(image(), ["B2"], grid)
    assert str(caught.value) == (
        "Earth Engine: fetching B2 was refused: Total request size (54080000 bytes) must be less than or equal to "
        "50331648 bytes. Try later."
    )


def test_what_takes_long_is_asked_as_often_as_the_service_wishes(earthengine, values, monkeypatch):
    init_ee()
    tries = itertools.count()
    earthengine.fault = lambda method, path: (429, {"Retry-After": "1"}) if next(tries) == 0 else None
    started = time.monotonic()
    fetch_pixels(image(), ["B2"], GRID[:50, :50])
    assert 1 <= time.monotonic() - started < 3
    assert next(tries) == 2


@pytest.mark.parametrize("fault", [429, 500, 503, "cut", "reset"])
def test_retries_do_not_multiply(earthengine, values, monkeypatch, fault):
    init_ee()
    earthengine.clear_log()
    earthengine.fault = lambda method, path: fault
    with pytest.raises(ServiceError) as caught:
        fetch_pixels(image(), ["B2"], GRID[:50, :50])
    assert len(earthengine.requests) == 6
    message = str(caught.value)
    assert message.startswith(
        f"Earth Engine: POST {earthengine.url}/v1/projects/demo/image:computePixels failed 6 times in 0 s (last: "
    )
    assert message.endswith("). Try later.")
    assert "\n" not in message


def test_a_dead_service_ends_with_one_line(earthengine, monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("DARTS_EE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(service, "EARTH_ENGINE", polite())
    with pytest.raises(ServiceError) as caught:
        init_ee()
    message = str(caught.value)
    assert message.startswith(
        f"Earth Engine: GET http://127.0.0.1:{port}/$discovery/rest failed 3 times in 0 s (last: "
    )
    assert message.endswith("(last: no connection: Connection refused). Try later.")
    monkeypatch.setenv("DARTS_EE_URL", earthengine.url)
    init_ee()


def test_a_silent_service_ends_in_bounded_time(earthengine, monkeypatch):
    init_ee()
    monkeypatch.setattr(service, "EARTH_ENGINE", polite(read_timeout_s=0.2))
    earthengine.hold_s = 0.6
    started = time.monotonic()
    with pytest.raises(ServiceError, match=r"failed 3 times in 1 s \(last: no answer in time\)\. Try later\."):
        fetch_pixels(image(), ["B2"], GRID[:50, :50])
    assert time.monotonic() - started < 2


def test_an_asset_that_is_not_there(earthengine):
    init_ee()
    with pytest.raises(MissingDataError) as caught:
        fetch_pixels(image("COPERNICUS/none"), ["B2"], GRID)
    assert str(caught.value) == (
        "Earth Engine: fetching B2: Image.load: Image asset 'COPERNICUS/none' not found (does not exist or caller does "
        "not have access). Check the id, and that your account may read it."
    )


def test_a_function_that_the_service_does_not_know(earthengine, values):
    init_ee()
    logarithm = image().log()
    with pytest.raises(ServiceError, match=r"was refused: Invalid expression: unknown function Image\.log\."):
        fetch_pixels(logarithm, ["B2"], GRID)


def test_a_kind_of_number_that_is_not_offered(earthengine):
    with pytest.raises(ConfigError, match="dtype is int64 but must be one of uint8, uint16, int16, float32"):
        fetch_pixels(None, ["B2"], GRID, dtype="int64")


def account(folder, server, *, project="my-project"):
    """Write the key file of a service account whose tokens come from the made-up service."""
    key = rsa.generate_private_key(65537, 2048)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    file = folder / "account.json"
    content = {"type": "service_account", "client_email": "a@b.c", "token_uri": f"{server.url}/token"}
    file.write_text(json.dumps({**content, "private_key": text, "project_id": project, "private_key_id": "1"}))
    return file


def test_a_service_account(earthengine, values, tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account(tmp_path, earthengine)))
    earthengine.token = "secret-token"
    init_ee()
    np.testing.assert_array_equal(fetch_pixels(image(), ["B2"], GRID)["B2"], values)
    assert earthengine.asked("/token") >= 1
    assert earthengine.asked("/v1/projects/my-project/image:computePixels") == 20


@pytest.mark.parametrize("prepare", ["refused token", "refused request"])
def test_refused_credentials_are_one_line(earthengine, tmp_path, monkeypatch, prepare):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account(tmp_path, earthengine)))
    earthengine.token, earthengine.refused_token = "secret-token", prepare == "refused token"
    if prepare == "refused request":
        earthengine.fault = lambda method, path: None if path == "/token" else 401
    with pytest.raises(CredentialsError) as caught:
        init_ee()
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert message.startswith("Earth Engine: ")
    assert ("Invalid grant: account not found" if prepare == "refused token" else "(401: ") in message
    assert message.endswith(
        "Run `earthengine authenticate`, which stores them in ~/.config/earthengine/credentials, or set "
        "GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account; name the project with --ee-project."
    )
    assert "\n" not in message
    assert "secret" not in message


def test_a_refused_project_is_one_line(earthengine, monkeypatch):
    from earthengine_server import refusal

    said = "Permission denied: project demo is not registered to use Earth Engine."
    monkeypatch.setattr(earthengine, "answer", lambda *args, **kwargs: refusal(403, said))
    with pytest.raises(CredentialsError) as caught:
        init_ee()
    assert "project demo is not registered to use Earth Engine" in str(caught.value)
    assert str(caught.value).endswith(
        "Name a project that is registered for Earth Engine (https://code.earthengine.google.com/register) with "
        "--ee-project, or store it with `earthengine set_project NAME`."
    )


def test_a_service_account_without_a_project(earthengine, tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account(tmp_path, earthengine, project=None)))
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    with pytest.raises(CredentialsError, match=r"^Earth Engine: there is no project to ask for\. Name a project that"):
        init_ee()
    assert earthengine.requests == []


def test_nothing_stored_for_google_is_one_line_without_a_request(earthengine, monkeypatch):
    monkeypatch.delenv("DARTS_EE_URL")
    monkeypatch.setattr(socket, "getaddrinfo", None)
    with pytest.raises(CredentialsError) as caught:
        init_ee()
    assert str(caught.value).startswith("there are no credentials for Earth Engine. Run `earthengine authenticate`")


@pytest.mark.parametrize("content", ["{", '"text"'])
def test_damaged_credentials_are_one_line(earthengine, content):
    file = Path("~/.config/earthengine/credentials").expanduser()
    file.parent.mkdir(parents=True)
    file.write_text(content)
    with pytest.raises(CredentialsError) as caught:
        init_ee()
    assert str(caught.value).startswith(f"the credentials in {file} cannot be read (")
    assert "\n" not in str(caught.value)


def test_a_missing_key_file_is_one_line(earthengine, tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(CredentialsError) as caught:
        init_ee()
    assert str(caught.value).startswith(f"Google's credentials cannot be read (File {tmp_path / 'none.json'} was not")
    assert "\n" not in str(caught.value)


def test_the_address(monkeypatch, earthengine):
    asked = []
    monkeypatch.setattr(service, "_initialize", lambda url, project: asked.append((url, project)))
    init_ee("p")
    monkeypatch.delenv("DARTS_EE_URL")
    init_ee("p")
    init_ee("p", use_highvolume=False)
    monkeypatch.setattr(service, "_chosen", None)
    assert asked == [
        (earthengine.url, "p"),
        ("https://earthengine-highvolume.googleapis.com", "p"),
        ("https://earthengine.googleapis.com", "p"),
    ]


def test_every_error_is_ours(earthengine, values):
    for fault in (400, 401, 403, 404, 409, 418, 503, "garbage", "shape", "cut"):
        earthengine.fault = lambda method, path, fault=fault: fault
        with pytest.raises(DartsError) as caught:
            init_ee(f"project-{fault}")
        assert "\n" not in str(caught.value), fault


def test_every_error_of_pixels_is_ours(earthengine, values):
    init_ee()
    for fault in (400, 401, 403, 404, 409, 418, 503, "garbage", "shape", "cut"):
        earthengine.fault = lambda method, path, fault=fault: fault
        with pytest.raises(DartsError) as caught:
            fetch_pixels(image(), ["B2"], GRID)
        assert "\n" not in str(caught.value), fault
