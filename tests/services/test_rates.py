"""A service with limits is never asked too much, and its limits are used."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import served_world
from faults import FaultProxy

from darts_acquisition import download_cdse_s2_sr_scene, get_cdse_s2_sr_scene_ids_from_tile_ids
from darts_acquisition.optical.cdse.catalog import CdseScenes

PER_SECOND, CONNECTIONS = 5, 4


class Limits:
    """Refuses, as the real services do, what is too much within any second or at once; every answer takes a while."""

    def __init__(self, proxy, per_second=10_000, latency_s=0.0):
        self.proxy, self.per_second, self.latency_s = proxy, per_second, latency_s
        self.times, self.refused, self.busy_s, self._lock = [], 0, 0.0, threading.Lock()

    def __call__(self, method, path):
        now = time.monotonic()
        with self._lock:
            self.times.append(now)
            recent = sum(moment > now - 1 for moment in self.times)
            if recent > self.per_second or self.proxy.under_way > CONNECTIONS:
                self.refused += 1
                return 429
        time.sleep(self.latency_s)
        with self._lock:
            self.busy_s += time.monotonic() - now
        return None


@pytest.fixture
def limited(monkeypatch, aws_keys):
    """Function that puts limits before a server: setting, port, limits."""
    proxies = []

    def limit(setting, port, **limits):
        proxy = FaultProxy(port)
        proxy.fault = Limits(proxy, **limits)
        proxies.append(proxy)
        monkeypatch.setenv(setting, proxy.url)
        return proxy.fault

    yield limit
    for proxy in proxies:
        proxy.close()


def test_the_catalogue_is_asked_as_often_as_it_allows(catalogue, limited):
    limits = limited("DARTS_CDSE_STAC_URL", urlsplit(catalogue).port, per_second=PER_SECOND)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda year: get_cdse_s2_sr_scene_ids_from_tile_ids(["33UVP"], years=[year]), (2017, 2018, 2019)))
    seconds = limits.times[-1] - limits.times[0]
    assert limits.refused == 0
    assert len(limits.times) == 36
    assert (len(limits.times) - 1) / seconds >= 0.8 * PER_SECOND


def test_the_connections_of_the_storage_are_used(s3_server, limited, serve, tmp_path_factory, tmp_path):
    port, upload = s3_server
    items = [served_world.made_up_scene(number, upload)[0] for number in range(100, 108)]
    with serve("rates", items, tmp_path_factory.mktemp("rates")) as url, ThreadPoolExecutor(2) as pool:
        limited("DARTS_CDSE_STAC_URL", urlsplit(url).port)
        scenes = CdseScenes().describe([item["id"] for item in items])
        limits = limited("DARTS_CDSE_S3_ENDPOINT", port, latency_s=0.8)
        start = time.monotonic()
        list(pool.map(lambda scene: download_cdse_s2_sr_scene(scene, tmp_path), scenes.values()))
        seconds = time.monotonic() - start
    assert limits.refused == 0
    assert limits.busy_s / seconds >= 0.8 * CONNECTIONS
