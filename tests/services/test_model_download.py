"""`darts models get` from a server by https, as sound and as hostile as servers are."""

import hashlib
import json
import socket

import pytest
import trustme
from cog_server import CogServer

from darts.models import download
from darts.models.download import fetch_model
from darts.models.registry import Entry
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service
from darts_utils.errors import ServiceError

MODEL = bytes(range(256)) * 500
SHA256 = hashlib.sha256(MODEL).hexdigest()
LEADS_TO = download.MODELS.leads_to


def quick():
    """Return the service with quick retries; a new one, because a service remembers that it was given up on."""
    policy = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=0.02, read_timeout_s=5, try_timeout_s=5)
    limiter = Limiter(connections=2)
    return Service(name="model download", advice="Try later.", limiter=limiter, leads_to=LEADS_TO, policy=policy)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def server(authority, monkeypatch, tmp_path, tmp_path_factory):
    bundle = tmp_path_factory.mktemp("trust") / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    monkeypatch.setattr(download, "MODELS", quick())
    monkeypatch.chdir(tmp_path)
    one = CogServer(authority)
    one.files["/files/coast.pt"] = MODEL
    yield one
    one.close()


@pytest.fixture
def get(darts):
    """Run the command; give exit status, standard output and standard error."""

    def run(*arguments):
        done = darts("models", "get", *arguments)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def entry(server):
    return Entry(name="coast", url=f"{server.url}/files/coast.pt", sha256=SHA256)


def left(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("kind", ["toml", "json"])
def test_a_model_of_a_registry_comes_with_its_licence_and_only_once(server, get, tmp_path, kind):
    said = {"name": "coast", "url": f"{server.url}/files/coast.pt", "sha256": SHA256.upper(), "licence": "CC-BY-4.0"}
    registry = tmp_path / "models" / f"registry.{kind}"
    registry.parent.mkdir()
    lines = ["[[models]]", *(f"{key} = {json.dumps(value)}" for key, value in said.items())]
    registry.write_text(json.dumps({"models": [said]}) if kind == "json" else "\n".join(lines))
    code, out, err = get("coast")
    file = tmp_path / "models" / "coast.pt"
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"Fetched: {file}", "Licence: CC-BY-4.0", f"Check it:  darts models verify {file}",
    ]  # fmt: skip
    assert file.read_bytes() == MODEL
    assert get("coast")[1].startswith(f"There already: {file}")
    assert len(server.requests) == 1


def test_an_address_needs_a_hash_and_says_that_the_licence_is_not_known(server, get, tmp_path):
    url = f"{server.url}/files/coast.pt"
    code, _, err = get(url, "--log-plain")
    assert (code, server.requests) == (2, [])
    assert err == ("Error: an address needs --sha256, and no --registry. Ask who offers the model for its hash.\n")
    code, out, _ = get(url, "--sha256", SHA256, "--name", "mine")
    assert (code, left(tmp_path / "models")) == (0, ["mine.pt"])
    assert out.splitlines()[1] == "Licence: not stated; ask whoever offers the model"


def test_a_file_of_another_hash_never_appears(server, get, tmp_path):
    server.files["/files/coast.pt"] = MODEL + b"!"
    code, _, err = get(f"{server.url}/files/coast.pt", "--sha256", SHA256, "--log-plain")
    found = hashlib.sha256(MODEL + b"!").hexdigest()
    assert (code, left(tmp_path / "models"), len(server.requests)) == (1, [], 1)
    assert err == (
        f"Error: {server.url}/files/coast.pt is not the file that was asked for: its SHA-256 is {found}, but {SHA256}"
        " was given. Nothing was kept; ask whoever gave you the hash.\n"
    )


def test_another_file_of_the_name_is_only_replaced_if_asked_for(entry, tmp_path):
    (tmp_path / "coast.pt").write_bytes(b"mine")
    with pytest.raises(
        OSError, match=r"coast\.pt is there already, but is not https://localhost:\d+/files/coast\.pt\."
    ):
        fetch_model(entry, tmp_path)
    assert (tmp_path / "coast.pt").read_bytes() == b"mine"
    fetch_model(entry, tmp_path, overwrite=True)
    assert (tmp_path / "coast.pt").read_bytes() == MODEL


def test_what_is_not_there_is_one_line(server, get, tmp_path):
    code, _, err = get(f"{server.url}/files/none.pt", "--sha256", SHA256, "--log-plain")
    assert (code, left(tmp_path / "models")) == (1, [])
    assert err == f"Error: model download: GET {server.url}/files/none.pt was refused: 404 Not Found: no. Try later.\n"


def test_a_cut_answer_is_asked_for_again(server, entry, tmp_path):
    server.files["/moved"] = MODEL
    faults = iter([503, 500])
    server.fault = lambda path, asked: next(faults, None)
    assert fetch_model(entry, tmp_path) == (tmp_path / "coast.pt", True)
    assert len(server.requests) == 3


def test_other_hosts_may_be_led_to_by_https_and_never_by_http(server, entry, authority, tmp_path):
    other = CogServer(authority)
    other.files["/moved/coast.pt"] = MODEL
    goals = iter([f"{other.url}/moved/coast.pt"])
    server.fault = lambda path, asked: next(goals, None)
    try:
        fetch_model(entry, tmp_path / "one")
    finally:
        other.close()
    server.fault = lambda path, asked: "http://localhost:1/coast.pt"
    with pytest.raises(ServiceError) as caught:
        fetch_model(entry, tmp_path / "two")
    assert str(caught.value) == (
        f"model download: {entry.url} leads to http://localhost:1/coast.pt, which is not asked: only https may be."
        " Try later."
    )
    assert (left(tmp_path / "one"), left(tmp_path / "two")) == (["coast.pt"], [])


def test_a_server_that_nobody_vouches_for_is_not_believed(entry, monkeypatch, tmp_path):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(ServiceError, match="certificate verify failed"):
        fetch_model(entry, tmp_path)
    assert left(tmp_path) == []


def test_no_connection_is_one_line(server, get):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"https://localhost:{probe.getsockname()[1]}/coast.pt"
    code, _, err = get(url, "--sha256", SHA256, "--log-plain")
    assert code == 3
    assert err.startswith(f"Error: model download: GET {url} failed 3 times in ")
    assert err.count("\n") == 1
