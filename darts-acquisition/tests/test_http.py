"""Texts over HTTP from a server that misbehaves."""

import contextlib
import gzip
import io
import itertools
import socket
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from darts_acquisition.services.archives import check_zip
from darts_acquisition.services.connections import ServiceSession
from darts_acquisition.services.earthengine_http import PoliteHttp
from darts_acquisition.services.http import RefusedError, fetch_file, fetch_text, in_words
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service, TransientError
from darts_utils.errors import DataError, ServiceError


@pytest.fixture
def service():
    policy = RetryPolicy(
        attempts=3, first_wait_s=0.01, longest_wait_s=0.02, connect_timeout_s=1, read_timeout_s=0.2, try_timeout_s=0.5
    )
    return Service(name="Sample service", advice="Try later.", limiter=Limiter(connections=2), policy=policy)


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        server = self.server
        with server.lock:
            server.requests.append((self.command, self.path))
            server.begins.append(time.monotonic())
            server.now += 1
            server.most = max(server.most, server.now)
            step = server.script.pop(0) if server.script else "ok"
        time.sleep(server.delay_s)
        with server.lock:
            server.now -= 1
        getattr(self, f"_{step}")() if isinstance(step, str) else self._status(*step)

    do_GET = do_POST = answer

    def _status(self, code, headers=None, text="said so"):
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def _ok(self):
        self._status(200, text="grüße")

    def _reset_in_body(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"half")
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def _silent(self):
        self.server.over.wait(2)

    def _drip(self):
        self.send_response(200)
        self.send_header("Content-Length", "100000000")
        self.end_headers()
        try:
            while not self.server.over.wait(0.02):
                self.wfile.write(b"x" * 70_000)
        except OSError:
            pass

    def _slowly(self, data):
        try:
            for byte in data:
                self.wfile.write(bytes([byte]))
                if self.server.over.wait(0.05):
                    return
        except OSError:
            pass

    def _drip_status(self):
        self._slowly(b"HTTP/1.1 200 " + b"O" * 1000)

    def _drip_headers(self):
        self._slowly(b"HTTP/1.1 200 OK\r\n" + b"X-Header: 1\r\n" * 100)

    def _drip_bytes(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        self._slowly(b"x" * 1000)

    def _bomb(self):
        body = gzip.compress(bytes(3_000_000), 1)
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests, server.script, server.begins, server.over = [], [], [], threading.Event()
        server.now, server.most, server.delay_s, server.lock = 0, 0, 0, threading.Lock()
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "fault", [(408,), (429,), (429, {"Retry-After": "0"}), (500,), (503,), "reset_in_body", "silent", "drip"]
)
def test_faults_that_pass_are_tried_again(server, service, fault):
    server.script[:] = [fault, fault]
    assert fetch_text(service, f"{server.url}/a", params={"b": 1}) == "grüße"
    assert server.requests == [("GET", "/a?b=1")] * 3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ((503,), "503 Service Unavailable"),
        ("silent", "no answer in time"),
        ("drip", "the answer came too slowly"),
    ],
)
def test_faults_that_stay_end_with_their_reason(server, service, fault, reason):
    server.script[:] = [fault] * 3
    with pytest.raises(ServiceError) as caught:
        fetch_text(service, f"{server.url}/a", method="POST", body={})
    start = f"Sample service: POST {server.url}/a failed 3 times in "
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(f" s (last: {reason}). Try later.")


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_not_repeated(server, service, status):
    server.script[:] = [(status,)]
    with pytest.raises(ServiceError) as caught:
        fetch_text(service, f"{server.url}/a")
    assert f"GET {server.url}/a was refused: {status} " in str(caught.value)
    assert str(caught.value).endswith(": said so. Try later.")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "_HttpsConnection(host='a.org', port=443): Failed to establish a new connection: [Errno 111] "
            "Connection refused",
            "Connection refused",
        ),
        (
            "_HttpsConnection(host='a.org', port=443): Failed to resolve 'a.org' "
            "([Errno -2] Name or service not known)",
            "there is no host a.org, or no network",
        ),
        (
            "<urllib3.connection.HTTPSConnection object at 0x7f2b>: Failed to establish a new connection: [Errno 101] "
            "Network is unreachable",
            "Network is unreachable",
        ),
        (
            "('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
            "Remote end closed connection without response",
        ),
        (
            "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))",
            "Connection reset by peer",
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1000)",
            "certificate verify failed: self-signed certificate",
        ),
        ("IncompleteRead: 3 of 9 bytes", "IncompleteRead: 3 of 9 bytes"),
    ],
)
def test_what_libraries_say_of_connections_is_put_into_words(said, words):
    assert in_words(said) == words


def test_nobody_there(service):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ServiceError) as caught:
        fetch_text(service, f"http://127.0.0.1:{port}/")
    assert str(caught.value).startswith(
        f"Sample service: GET http://127.0.0.1:{port}/ failed 3 times in 0 s (last: no "
    )
    assert "Connection refused" in str(caught.value)


def test_the_limits_of_the_catalogue_are_never_exceeded_but_used(server):
    """The server counts over any second and any moment; at least 80 % of what it allows must be reached."""
    server.delay_s = 0.3
    service = Service(name="Sample service", advice="", limiter=Limiter(connections=4, per_second=5))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: fetch_text(service, f"{server.url}/{n}"), range(16)))
    begins = sorted(server.begins)
    assert all(later - first > 1 for first, later in itertools.pairwise(begins[::5]))
    assert server.most <= 4
    assert 15 / (begins[-1] - begins[0]) >= 0.8 * 5


def test_an_address_that_is_none(service):
    with pytest.raises(ServiceError, match=r"Sample service: GET ftp://a/ cannot be asked \(.*\)\. Try later\."):
        fetch_text(service, "ftp://a/")


def test_a_file_is_written_whole(server, service, tmp_path):
    counts = []
    fetch_file(service, f"{server.url}/a", tmp_path / "deep" / "file", counts.append)
    assert (tmp_path / "deep" / "file").read_text() == "grüße"
    assert sum(counts) == len("grüße".encode())
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]


@pytest.mark.parametrize("fault", [(429, {"Retry-After": "0"}), (503,), "reset_in_body", "silent", "drip"])
def test_a_file_is_fetched_again_after_a_fault(server, service, tmp_path, fault):
    server.script[:] = [fault, fault]
    counts = []
    fetch_file(service, f"{server.url}/a", tmp_path / "file", counts.append)
    assert (tmp_path / "file").read_text() == "grüße"
    assert sum(counts) == len("grüße".encode())


def test_a_file_that_cannot_be_had_leaves_nothing(server, service, tmp_path):
    server.script[:] = ["reset_in_body"] * 3
    with pytest.raises(ServiceError, match=r"GET \S+/a failed 3 times"):
        fetch_file(service, f"{server.url}/a", tmp_path / "file")
    server.script[:] = [(404,)]
    with pytest.raises(RefusedError, match="was refused: 404 ") as caught:
        fetch_file(service, f"{server.url}/a", tmp_path / "file")
    assert caught.value.status == 404
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_fails_its_check_is_fetched_again(server, service, tmp_path):
    seen = []

    def check(path):
        seen.append(path.read_text())
        if len(seen) < 3:
            raise TransientError("it is damaged")

    fetch_file(service, f"{server.url}/a", tmp_path / "file", check=check)
    assert seen == ["grüße"] * 3
    assert len(server.requests) == 3


def test_an_answer_leads_to_its_own_host_or_a_known_one_only(server, service, tmp_path):
    elsewhere = f"http://localhost:{server.server_port}/b"
    server.script[:] = [(302, {"Location": "/b"})]
    assert fetch_text(service, f"{server.url}/a") == "grüße"
    for target in (elsewhere, "http://127.0.0.1:1/b", "ftp://127.0.0.1/b", "file:///etc/passwd"):
        server.requests.clear()
        server.script[:] = [(302, {"Location": target})]
        with pytest.raises(ServiceError) as caught:
            fetch_file(service, f"{server.url}/a", tmp_path / "file")
        assert str(caught.value) == (
            f"Sample service: {server.url}/a leads to {target}, which is not asked: only 127.0.0.1 may be. Try later."
        )
        assert server.requests == [("GET", "/a")]
    known = Service(name="Sample service", advice="Try later.", limiter=service.limiter, leads_to=("localhost",))
    server.script[:] = [(302, {"Location": elsewhere})]
    assert fetch_text(known, f"{server.url}/a") == "grüße"


@pytest.mark.parametrize(
    ("url", "target", "may"),
    [
        ("https://a.org/x", "https://files.b.org/x", True),
        ("https://a.org/x", "https://a.org:444/x", False),
        ("https://a.org/x", "https://notb.org/x", False),
        ("https://a.org/x", "http://a.org/x", False),
        ("https://a.org/x", "http://b.org/x", False),
        ("http://a.org/x", "https://a.org/x", True),
    ],
)
def test_where_an_answer_may_lead(service, url, target, may):
    session = ServiceSession(replace(service, leads_to=("b.org",)))
    response = requests.Response()
    response.raw = io.BytesIO()
    response.status_code, response.url, response.headers["Location"] = 302, url, target
    if may:
        assert session.get_redirect_target(response) == target
    else:
        with pytest.raises(ServiceError, match=r"which is not asked: only a\.org, b\.org may be"):
            session.get_redirect_target(response)


def fetch_by_client(service, url):
    with contextlib.closing(PoliteHttp(lambda: service)) as client:
        client.request(url)


@pytest.mark.parametrize("step", ["drip_headers", "drip_bytes", "drip_status"])
@pytest.mark.parametrize("fetch", [fetch_text, fetch_by_client])
def test_an_answer_that_drips_byte_by_byte_is_cut(server, service, step, fetch):
    service = replace(service, policy=replace(service.policy, attempts=1))
    server.script[:] = [step]
    start = time.monotonic()
    with pytest.raises(ServiceError) as caught:
        fetch(service, f"{server.url}/a")
    assert str(caught.value).startswith(f"Sample service: GET {server.url}/a failed once in ")
    assert str(caught.value).endswith("(last: the answer came too slowly). Try later.")
    assert time.monotonic() - start < 3


@pytest.mark.parametrize("fetch", [fetch_text, fetch_by_client])
def test_an_answer_that_is_too_large_once_unpacked_is_not_taken(server, service, monkeypatch, fetch):
    monkeypatch.setattr("darts_acquisition.services.http.MOST_TEXT_BYTES", 1_000_000)
    monkeypatch.setattr("darts_acquisition.services.earthengine_http.MOST_TEXT_BYTES", 1_000_000)
    server.script[:] = ["bomb"]
    with pytest.raises(ServiceError) as caught:
        fetch(service, f"{server.url}/a")
    assert str(caught.value) == (f"Sample service: the answer from {server.url}/a is larger than 1 MB. Try later.")
    assert len(server.requests) == 1


def test_a_file_that_is_too_large_is_not_kept(server, service, monkeypatch, tmp_path):
    monkeypatch.setattr("darts_acquisition.services.http.MOST_FILE_BYTES", 5)
    with pytest.raises(ServiceError, match=r"the answer from \S+/a is larger than 5e-06 MB\. Try later\."):
        fetch_file(service, f"{server.url}/a", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_is_too_large_once_unpacked_is_not_unpacked(monkeypatch, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(3_000_000))
    monkeypatch.setattr("darts_acquisition.services.archives._MOST_BYTES", 2_000_000)
    with pytest.raises(DataError) as caught:
        check_zip(tmp_path / "a.zip")
    assert str(caught.value) == (
        "what arrived as a.zip has 3 MB unpacked, and at most 2 MB are taken. Check the address that it comes from."
    )
