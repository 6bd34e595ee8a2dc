"""Real services on loopback, started once a session and ended by their own process ids."""

import contextlib
import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import boto3
import catalogue_items
import pytest
import storage
from earthengine_server import EarthEngineServer
from moto.server import ThreadedMotoServer

_START_S = 60
TEMPLATE = "empty_catalogue"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until(ready, process, log):
    deadline = time.monotonic() + _START_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{process.args[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def _end(process, how=signal.SIGTERM):
    process.send_signal(how)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)


def _postgres_programs():
    """Folder of the server's programs; the session's tests are skipped where it or PostGIS is missing."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not folders:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql postgresql-15-postgis-3)")
    extensions = Path("/usr/share/postgresql") / folders[-1].parents[1].name / "extension"
    if not (extensions / "postgis.control").exists():
        pytest.skip("PostGIS is not installed (Debian: apt-get install postgresql-15-postgis-3)")
    return folders[-1].parent


def _server_user():
    """User to run the server as, because it refuses to run as root; None for the present one."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("tests run as root but there is no user postgres to run PostgreSQL as")


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server with an empty database; gives the environment to reach it."""
    programs, user = _postgres_programs(), _server_user()
    folder = Path(tempfile.mkdtemp(prefix="darts-postgres-"))
    as_user = {"cwd": folder}
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    data, log, port = folder / "data", folder / "log", free_port()
    init = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(init, check=True, capture_output=True, **as_user)
    options = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "full_page_writes=off"]
    command = [programs / "postgres", "-D", data, "-p", str(port), *(o for x in options for o in ("-c", x))]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, **as_user)
    try:
        ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        _wait_until(lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0, server, log)
        given = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "postgres", "PGPASSWORD": "none"}
        environment = {**os.environ, **given, "PGDATABASE": "postgres"}
        subprocess.run(["psql", "-q", "-c", f"CREATE DATABASE {TEMPLATE}"], env=environment, check=True)
        pypgstac({**environment, "PGDATABASE": TEMPLATE}, "migrate")
        yield environment
    finally:
        _end(server, signal.SIGINT)
        shutil.rmtree(folder, ignore_errors=True)


def pypgstac(environment, *arguments):
    command = [sys.executable, "-W", "ignore", "-m", "pypgstac.pypgstac", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def serve_catalogue(postgres, database, items, folder):
    """Run a STAC catalogue of the engine that the public ones run, over a database of its own; gives its address."""
    environment = {**postgres, "PGDATABASE": database}
    create = f"CREATE DATABASE {database} TEMPLATE {TEMPLATE}"  # much quicker than to make the tables each time
    subprocess.run(["psql", "-q", "-c", create], env=postgres, check=True)
    files = catalogue_items.write(folder, items)
    for kind, file in zip(("collections", "items"), files, strict=True):
        pypgstac(environment, "load", kind, file)
    port, log = free_port(), folder / "log"
    command = [sys.executable, "-W", "ignore", "-m", "uvicorn", "--factory", "stac_fastapi.pgstac.app:create_app"]
    with log.open("wb") as output:
        command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=folder)
    url = f"http://127.0.0.1:{port}"

    def ready():
        try:
            with urllib.request.urlopen(f"{url}/_mgmt/ping", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    try:
        _wait_until(ready, server, log)
        yield url
    finally:
        _end(server)


@pytest.fixture(scope="session")
def serve(postgres):
    """Function that serves items of one's own: database, items, folder; a context manager."""
    return functools.partial(serve_catalogue, postgres)


@pytest.fixture(scope="session")
def catalogue(postgres, tmp_path_factory):
    """A catalogue filled with `catalogue_items`; gives its address."""
    with serve_catalogue(postgres, "made_up", catalogue_items.items(), tmp_path_factory.mktemp("catalogue")) as url:
        yield url


@pytest.fixture(scope="session")
def s3_server():
    """An S3 storage with an empty bucket; gives its port and a function that puts an object into it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **keys)
    client.create_bucket(Bucket=storage.BUCKET)

    def upload(key, body):
        client.put_object(Bucket=storage.BUCKET, Key=key, Body=body)

    yield port, upload
    client.close()
    server.stop()


@pytest.fixture
def aws_keys(tmp_path, monkeypatch):
    """A key pair where a user would put it."""
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = key\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    return credentials


@pytest.fixture
def earthengine(monkeypatch, tmp_path_factory):
    """A made-up Earth Engine that the client of this process asks without credentials, with quick retries."""
    from darts_acquisition.services.retry import Limiter, RetryPolicy, Service

    policy = RetryPolicy(attempts=6, first_wait_s=0.01, longest_wait_s=0.02, read_timeout_s=5, try_timeout_s=5)
    service = Service(name="Earth Engine", advice="Try later.", limiter=Limiter(connections=40), policy=policy)
    for module in ("services.earthengine", "services.earthengine_pixels", "optical.gee.search"):
        monkeypatch.setattr(f"darts_acquisition.{module}.EARTH_ENGINE", service)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    server = EarthEngineServer()
    monkeypatch.setenv("DARTS_EE_URL", server.url)
    yield server
    server.close()
