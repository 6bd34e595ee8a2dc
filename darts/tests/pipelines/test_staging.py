"""Fetching layer by layer: failures alone, dead services given up, quick ends."""

import threading
import time
from pathlib import Path

import pytest

from darts.pipelines.fetch.downloader import Arrived, Downloader, Fetched, FetchReport, Layer
from darts.pipelines.tiles import RunReport, TileRef, failed
from darts_utils.errors import CredentialsError, DataError, ServiceError


def refs(n):
    return [TileRef(tile_id=f"t{i}", output_folder=Path(f"t{i}")) for i in range(n)]


def run(tiles, *layers):
    events = list(Downloader(layers).run(tiles))
    return [event for event in events if isinstance(event, Fetched)], [e for e in events if isinstance(e, Arrived)]


def test_every_layer_of_every_tile_is_fetched_and_its_bytes_are_counted():
    results, arrived = run(refs(5), Layer("images", lambda ref, on_bytes: on_bytes(7)), Layer("tcvis", lambda *_: None))
    assert {(r.ref.tile_id, r.layer, r.status) for r in results} == {
        (f"t{i}", layer, "staged") for i in range(5) for layer in ("images", "tcvis")
    }
    assert sum(event.n_bytes for event in arrived) == 35
    assert {result.n_bytes for result in results if result.layer == "images"} == {7}
    assert FetchReport(tuple(results)).exit_code == 0


def test_tiles_are_fetched_side_by_side():
    both = threading.Barrier(2, timeout=10)
    results, _ = run(refs(2), Layer("images", lambda *_: both.wait()))
    assert {result.status for result in results} == {"staged"}


def test_a_failure_stops_neither_the_other_layers_nor_the_other_tiles():
    def fetch(ref, _):
        if ref.tile_id == "t1":
            raise DataError("broken\nfile")

    results, _ = run(refs(3), Layer("images", fetch), Layer("tcvis", lambda *_: None))
    failed = [result for result in results if result.status == "failed"]
    assert [(result.ref.tile_id, result.layer, result.error) for result in failed] == [("t1", "images", "broken file")]
    assert len(results) == 6
    assert FetchReport(tuple(results)).exit_code == 1


def test_a_dead_service_is_given_up_and_the_other_layers_go_on():
    tries = []

    def fetch(ref, _):
        tries.append(ref)
        raise ServiceError("nobody answers")

    results, _ = run(refs(50), Layer("images", fetch), Layer("tcvis", lambda *_: None))
    assert 3 <= len(tries) <= 4  # the other worker may be in one when the third fails
    rest = [result for result in results if result.status == "not tried"]
    assert len(rest) == 50 - len(tries)
    assert {result.error for result in rest} <= {
        "given up after 3 failures in a row",
        "given up after 4 failures in a row",
    }
    assert sum(result.layer == "tcvis" and result.status == "staged" for result in results) == 50


def test_refused_keys_are_tried_once():
    tries = []

    def fetch(ref, _):
        tries.append(ref)
        raise CredentialsError("the keys are refused")

    results, _ = run(refs(20), Layer("images", fetch))
    assert len(tries) <= 2
    assert {result.error for result in results} == {"the keys are refused"}


def test_a_success_between_failures_keeps_a_service_alive():
    number = iter(range(1000))

    def fetch(_ref, _):
        if next(number) % 3:
            raise ServiceError("a bad moment")

    results, _ = run(refs(30), Layer("images", fetch))
    assert {result.status for result in results} == {"staged", "failed"}


def test_stop_ends_at_once_though_a_download_hangs():
    hanging, release = threading.Event(), threading.Event()

    def fetch(_ref, _):
        hanging.set()
        release.wait(20)

    stager = Downloader([Layer("images", fetch)])

    def stop():
        hanging.wait(10)
        stager.stop()

    threading.Thread(target=stop).start()
    start = time.monotonic()
    assert list(stager.run(refs(3))) == []
    assert time.monotonic() - start < 5
    release.set()
    assert FetchReport((), interrupted=True).exit_code == 130


@pytest.mark.parametrize(
    ("errors", "status"),
    [([], 0), ([ServiceError], 3), ([ServiceError, ServiceError], 3), ([ServiceError, DataError], 1), ([OSError], 1)],
)
def test_the_status_tells_whether_to_try_again_is_enough(errors, status):
    def fetch(ref, _):
        number = int(ref.tile_id.removeprefix("t"))
        if number < len(errors):
            raise errors[number]("no")

    results, _ = run(refs(3), Layer("images", fetch))
    assert FetchReport(tuple(results)).exit_code == status
    outcomes = [failed(ref, "optical", error("no")) for ref, error in zip(refs(3), errors, strict=False)]
    assert RunReport(tuple(outcomes), Path()).exit_code == status
    assert RunReport(tuple(outcomes), Path(), interrupted=True).exit_code == 130


def test_what_was_not_tried_counts_as_the_service_that_is_why():
    def fetch(*_):
        raise ServiceError("no answer")

    results, _ = run(refs(6), Layer("images", fetch))
    assert "not tried" in {result.status for result in results}
    assert FetchReport(tuple(results)).exit_code == 3
