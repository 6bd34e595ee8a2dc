"""Online runs on a Ray cluster: what sequential ones give, each thing fetched once, whatever dies meanwhile.

Workers see the keys, which each machine of a cluster has, but no address: that is in the driver's environment alone.
File locks do nothing in them, as on file systems of several machines that know none. `DARTS_TEST_CLUSTER=1` adds the
slow ones, in which something dies or fails.
"""

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import served_world
import xarray as xr
from arcticdem_tree import Tree
from compared_runs import (
    CUBES,
    assert_same_cubes,
    assert_same_results,
    assert_same_scenes,
    bands_asked,
    pixels_asked,
    results_of,
)
from faults import FaultProxy
from odc.geo.geobox import GeoBox

from darts.demo.world.make import make_world
from darts.demo.world.write import install_models
from darts.pipelines.stages import Stage
from darts.pipelines.tiles import Loaded, Outcome, TileRef

ray = pytest.importorskip("ray", reason="Ray is an extra")
slow = pytest.mark.skipif("DARTS_TEST_CLUSTER" not in os.environ, reason="slow: DARTS_TEST_CLUSTER=1 runs it")
WORLD_PX, SCENE_PX = 368, 256
SCENES = [f"S2B_MSIL2A_202407{day}T200909_N0510_R128_T08WNB_202407{day}T234418" for day in (20, 21, 22)]
FIRST_PX = dict(zip(SCENES, (0, 96, 112), strict=True))
"""Where scenes begin in the world. The first is prepared alone (its size tells how many fit), the others together."""
QUICK = ("--patch-size", "256", "--overlap", "64", "--device", "cpu", "--log-plain")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Keys and no other access in the environment of this process, for machines that join a cluster later."""
    home = tmp_path_factory.mktemp("home")
    (home / "credentials").write_text("[default]\naws_access_key_id = key\naws_secret_access_key = secret\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("NO_GCE_CHECK", "true")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials"))
        patch.setenv("AWS_CONFIG_FILE", str(home / "none"))
        yield home / "credentials"


@pytest.fixture(scope="module")
def cluster(keys):
    """A cluster with room for three workers, although its machine may be smaller; its environment knows no service."""
    from darts.pipelines.ray import cluster as ray_cluster

    assert not [name for name in os.environ if name.startswith("DARTS_") and name.endswith(("_URL", "_ENDPOINT"))]
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import it
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(ray_cluster, "usable_cores", lambda: 6)
        with ray_cluster.connected(None, store_bytes=200 * 2**20):
            yield


@pytest.fixture(scope="module")
def world():
    return make_world(2001, WORLD_PX)


@pytest.fixture(scope="module")
def services(world, s3_server, serve, tmp_path_factory):
    """Three scenes of one ground that overlap, and its elevation: ports of catalogue, storage and elevation."""
    items = [scene_of(world, scene_id, first, s3_server[1]) for scene_id, first in FIRST_PX.items()]
    tree = Tree(resolutions=())
    served_world.serve_elevation(world, tree, tmp_path_factory.mktemp("elevation"))
    with serve("overlapping", items, tmp_path_factory.mktemp("worlds")) as url:
        yield {"catalogue": urlsplit(url).port, "storage": s3_server[0], "elevation": tree.port}
    tree.close()


def scene_of(world, scene_id, first, upload):
    """Serve a part of a world as a scene; return its catalogue item."""
    whole, part = world.place, slice(first, first + SCENE_PX)
    geobox: GeoBox = whole.geobox[part, part]
    halves = slice(first // 2, (first + SCENE_PX) // 2)
    bands = {
        name: values[halves, halves] if name == "SCL_20m" else values[part, part]
        for name, values in served_world.numbers(world).items()
    }
    sun = {"view:sun_azimuth": whole.sun_azimuth, "view:sun_elevation": whole.sun_elevation}
    day = f"2024-07-{scene_id[17:19]}T20:09:09.024Z"
    properties = {"datetime": day, "grid:code": "MGRS-08WNB", "processing:version": "05.10", **sun}
    return served_world.serve_scene(scene_id, geobox, bands, properties, upload)


@pytest.fixture(scope="module")
def trends(world, tmp_path_factory):
    return served_world.trends_of([world], tmp_path_factory.mktemp("trends"))


@pytest.fixture
def online(keys, services, trends, earthengine, monkeypatch, tmp_path):
    """What counts the requests to each service; their addresses are in the environment, of this process alone."""
    small_chunks(monkeypatch)
    proxies = {name: FaultProxy(port) for name, port in services.items()}
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", proxies["catalogue"].url)
    monkeypatch.setenv("DARTS_CDSE_S3_ENDPOINT", proxies["storage"].url)
    monkeypatch.setenv("DARTS_ARCTICDEM_STAC_URL", f"{proxies['elevation'].url}/stac")
    monkeypatch.setenv("DARTS_ARCTICDEM_INDEX_URL", f"{proxies['elevation'].url}/index.zip")
    earthengine.set_trends(trends)
    install_models(tmp_path / "models")
    (tmp_path / "models/demo_without_tcvis.safetensors").unlink()
    yield proxies | {"earthengine": earthengine}
    for proxy in proxies.values():
        proxy.close()


def small_chunks(patches):
    for accessor, _, size in CUBES.values():
        patches.setattr(accessor, "chunk_size", size)


def set_up_worker(folder, change, *given):
    """Set up a worker as the product does, and let it log what it fetches; a worker serves several tests."""
    from darts.pipelines.ray import engine, workers
    from darts_acquisition.auxiliary import filling

    if hasattr(workers, "patches_of_tests"):
        workers.patches_of_tests.undo()
    workers.patches_of_tests = patches = pytest.MonkeyPatch()
    small_chunks(patches)
    patches.setattr(filling, "exclusive_lock", lambda _: contextlib.nullcontext())
    log_fetches(folder, patches)
    change(folder, patches)
    engine.set_up(*given)


def log_fetches(folder, patches):
    """Leave a line for each chunk that a worker finds lacking, and for each that it fetches."""
    from darts_acquisition.auxiliary import arcticdem, filling, tcvis_download

    def logged(path, accessor, chunks, fetch, on_bytes=None):
        def logged_fetch(geobox):
            note(folder, f"fetched-{path.stem}", " ".join(map(str, geobox.boundingbox)))
            return fetch(geobox)

        note(folder, f"lacking-{path.stem}", *(" ".join(map(str, chunk.geobox.boundingbox)) for chunk in chunks))
        filling.fill(path, accessor, chunks, logged_fetch, on_bytes)

    for module in (arcticdem, tcvis_download):
        patches.setattr(module, "fill", logged)


def note(folder, name, *lines):
    """Add lines to a file in one go."""
    with (folder / name).open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


def meet(folder, place):
    """Wait in a worker for the one that is at the other of the last two scenes, so that both want the same at once."""
    from darts.pipelines.ray.workers import owner

    if owner().startswith(SCENES[0]):
        return
    note(folder, f"met-{Path(place).stem}", owner().split("#")[0])
    give_up = time.monotonic() + 20
    while len(lines_of(folder / f"met-{Path(place).stem}")) < 2 and time.monotonic() < give_up:
        time.sleep(0.02)


def lines_of(path):
    return set(path.read_text().splitlines())


def met_everywhere(folder, patches):
    """Let workers want a scene of the storage at once, and each of the cubes."""
    from darts.pipelines.sources.scenes import SceneSource
    from darts_acquisition.auxiliary import arcticdem, filling, tcvis_download

    to_fetch, fill = SceneSource.to_fetch, arcticdem.fill
    patches.setattr(SceneSource, "to_fetch", lambda *given: (meet(folder, "download"), to_fetch(*given))[1])
    for module in (arcticdem, tcvis_download):
        patches.setattr(module, "fill", lambda path, *given: (meet(folder, path), fill(path, *given)))
    open_to_write = filling._open_to_write

    def slow(*given):
        cube = open_to_write(*given)
        time.sleep(0.5)  # so that the other comes while this one holds the cube
        return cube

    patches.setattr(filling, "_open_to_write", slow)


def unchanged(_folder, _patches):
    """Change nothing more in a worker."""


def selection(given):
    """Return arguments that select scenes, given as such or as ids."""
    return given if given[0].startswith("--") else ("--scene-ids", *given)


@pytest.fixture
def on_ray(cluster, darts, monkeypatch, tmp_path):
    """Run the command for scenes on the cluster, its workers changed as told; give the finished process."""
    from darts.pipelines.ray import engine

    log = tmp_path / "log"

    def run(*given, change=unchanged):
        log.mkdir()
        with monkeypatch.context() as patch:
            patch.setattr(engine, "set_up", partial(set_up_worker, log, change))
            return darts("inference", "sentinel2-ray", *selection(given), *QUICK)

    return run


@pytest.fixture(scope="module")
def runs():
    """Sequential runs of this module, so that none is made twice."""
    return {}


@pytest.fixture
def plain(runs, darts, online, tmp_path, tmp_path_factory):
    """Run the sequential command; give the finished process, a folder with all that it made, and what it asked."""

    def run(*given, case="well"):
        if (case, given) not in runs:
            done = darts("inference", "sentinel2-sequential", *selection(given), *QUICK)
            made = tmp_path_factory.mktemp("plain")
            for name in ("input", "aux", "output"):
                if (tmp_path / name).exists():
                    (tmp_path / name).rename(made / name)
            asked = {name: list(server.requests) for name, server in online.items()}
            runs[case, given] = done, made, asked
        for server in online.values():
            server.requests.clear()
        return runs[case, given]

    return run


def assert_each_fetched_once(log):
    """No chunk was fetched twice, although two workers wanted the same ones at once."""
    for name in CUBES:
        lacking, fetched = ((log / f"{kind}-{name}").read_text().splitlines() for kind in ("lacking", "fetched"))
        assert sorted(set(lacking)) == sorted(fetched)
        assert len(lacking) > len(fetched)
        assert lines_of(log / f"met-{name}") == set(SCENES[1:])


def test_scenes_that_share_ground_are_as_from_a_sequential_run_and_each_thing_is_fetched_once(
    online, plain, on_ray, world, tmp_path
):
    expected, made, asked = plain(*SCENES)
    assert expected.returncode == 0, expected.stdout + expected.stderr
    online["storage"].fault = lambda method, _: "slow" if method == "GET" else None
    done = on_ray(*SCENES, change=met_everywhere)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_results(made, tmp_path, SCENES)
    assert_same_scenes(made, tmp_path, SCENES)
    assert_same_cubes(made, tmp_path, world)
    assert_each_fetched_once(tmp_path / "log")
    bands = bands_asked(online["storage"].requests)
    assert sorted(bands) == sorted(bands_asked(asked["storage"]))
    assert len(bands) == len(set(bands)) == 15
    assert len(list(itertools.groupby(scene_id for scene_id, _ in bands))) == 3, "two scenes were fetched at once"
    assert lines_of(tmp_path / "log/met-download") == set(SCENES[1:])
    assert pixels_asked(online["earthengine"].requests) == pixels_asked(asked["earthengine"]) > 0
    assert online["elevation"].requests.count(("GET", "/index.zip")) == 1


def die_once_in_places(folder, patches):
    """Let workers that want the same die while they hold it: a scene half fetched, a cube with one chunk of many."""
    from darts_acquisition.auxiliary import filling
    from darts_acquisition.optical.cdse.catalog import CdseScenes

    met_everywhere(folder, patches)
    fetch, write = CdseScenes.fetch, filling._write

    def fetch_or_die(catalog, item, name, *given):
        if name == "SCL_20m" and item.id != SCENES[0]:
            die_once(folder, "download")
        return fetch(catalog, item, name, *given)

    def write_or_die(cube, path, *given):
        write(cube, path, *given)
        met = folder / f"met-{path.stem}"
        if path.stem == "arcticdem_10m" and met.exists() and len(lines_of(met)) == 2:
            die_once(folder, path.stem)

    patches.setattr(CdseScenes, "fetch", fetch_or_die)
    patches.setattr(filling, "_write", write_or_die)


def die_once(folder, place):
    try:
        (folder / f"died-{place}").touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


@slow
@pytest.mark.timeout(150)  # a place that stays taken would stop the run for ever
def test_workers_that_die_while_they_hold_a_place_leave_it_to_others_and_nothing_half_done(
    online, plain, on_ray, world, tmp_path
):
    _, made, _ = plain(*SCENES)
    done = on_ray(*SCENES, change=die_once_in_places)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in (tmp_path / "log").glob("died-*")) == ["died-arcticdem_10m", "died-download"]
    assert_same_results(made, tmp_path, SCENES)
    assert_same_scenes(made, tmp_path, SCENES)
    assert_same_cubes(made, tmp_path, world)


@slow
def test_scenes_that_a_service_fails_for_fail_with_the_same_reasons_and_the_others_are_done(
    online, plain, on_ray, tmp_path
):
    refused = b"<Error><Code>InvalidAccessKeyId</Code><Message>Forbidden</Message></Error>"
    gone = b"<Error><Code>NoSuchKey</Code><Message>Not found</Message></Error>"

    def refuse(_method, path, _headers):
        if f"{SCENES[1]}.SAFE/SCL" in path:
            return 403, refused
        return (404, gone) if f"{SCENES[2]}.SAFE/B04" in path else None

    online["storage"].refuse = refuse
    expected, made, _ = plain(*SCENES, case="refused")
    done = on_ray(*SCENES)
    assert done.returncode == expected.returncode == 1
    table = results_of(made).set_index("tile_id")
    assert list(table.status) == ["success", "failed", "failed"]
    assert "the keys of the AWS profile default are refused" in table.error[SCENES[1]]
    assert "B04_10m.jp2. The scene may have been processed again" in table.error[SCENES[2]]
    assert_same_results(made, tmp_path, SCENES[:1])


def test_missing_keys_end_the_run_as_a_sequential_one_before_any_work(
    online, keys, plain, on_ray, monkeypatch, tmp_path
):
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    expected, *_ = plain(SCENES[0], case="no keys")
    done = on_ray(SCENES[0])
    assert (done.returncode, done.stderr) == (expected.returncode, expected.stderr)
    assert done.returncode == 2
    assert "there is no AWS profile default for the Copernicus storage" in done.stderr
    assert online["storage"].requests == online["elevation"].requests == []
    assert not list((tmp_path / "log").iterdir()), "a worker has begun"


def without_keys(_folder, patches):
    patches.setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")


@slow
def test_a_machine_without_keys_fails_its_scenes_with_what_to_do(online, on_ray, tmp_path):
    assert on_ray(SCENES[0], change=without_keys).returncode == 1
    reason = "optical: there is no AWS profile default for the Copernicus storage (known: none). Register at "
    assert results_of(tmp_path).error[0].startswith(reason)


def test_a_gate_that_is_gone_fails_a_scene_with_what_to_do_and_keeps_nobody_in(cluster):
    from darts.pipelines.ray.engine import _make_semaphores
    from darts.pipelines.ray.semaphore import SemaphoreError, acquired

    semaphores = _make_semaphores()
    with acquired(semaphores, "download", "one"):
        ray.kill(semaphores)
    message = (
        "whether download is free cannot be asked any more, because a process of this run on the driver's machine "
        "has died. Start the run again; it goes on with what is not there."
    )
    with pytest.raises(SemaphoreError, match=f"^{re.escape(message)}$"), acquired(semaphores, "download", "two"):
        pytest.fail("nobody can say that it is free")


def stay(semaphores, work):
    """Enter a place, and leave it without a word, as if that had been lost on the way."""
    from darts.pipelines.ray.workers import owner

    ray.get(semaphores.acquire.remote("cube", owner()))
    return Loaded(ref=work.ref, tile=xr.Dataset({"a": ("x", np.arange(9))}))


@pytest.mark.timeout(60)
def test_a_place_is_free_at_the_latest_when_the_scene_has_ended(cluster):
    from darts.pipelines.ray.engine import _make_semaphores
    from darts.pipelines.ray.executor import FailureHooks, RayExecutor
    from darts.pipelines.ray.workers import Lanes

    semaphores = _make_semaphores()
    lanes = Lanes(
        run_id="abc",
        prepare=[Stage("load", "prepare", partial(stay, semaphores))],
        finish=[Stage("export", "finish", lambda work: work)],
        open_device=lambda: [Stage("segment", "device", lambda work: work)],
        set_up=lambda: None,
    )
    refs = [TileRef(tile_id=name, output_folder=Path(name)) for name in ("t1", "t2")]
    events = list(RayExecutor(lanes, ["segment"], FailureHooks(revoke=semaphores.revoke.remote)).run(refs))
    assert [event.status for event in events if isinstance(event, Outcome)] == ["success", "success"]


DRIVER = """
import sys
from pathlib import Path
import ray
sys.path[:0] = {tests!r}
import test_ray_online as t
ray.cloudpickle.register_pickle_by_value(t)
from darts.pipelines.ray.cluster import connected
from darts.pipelines.ray.engine import _make_semaphores
with connected({address!r}):
    ray.get(ray.remote(t.hold_for_ever).remote(_make_semaphores(), Path({mark!r})))
"""


def hold_for_ever(semaphores, mark):
    from darts.pipelines.ray.semaphore import acquired
    from darts_utils.files import atomic_file, exclusive_lock

    with acquired(semaphores, "cube", "one"), exclusive_lock(mark.with_name("lock")):
        with atomic_file(mark) as part:
            part.write_text(str(os.getpid()))
        time.sleep(600)


@slow
def test_a_worker_that_holds_a_place_ends_with_its_driver(cluster, tmp_path):
    from darts_utils.files import exclusive_lock

    address, mark = ray.get_runtime_context().gcs_address, tmp_path / "pid"
    here = Path(__file__).parent
    script = DRIVER.format(tests=[str(here), str(here.parent)], address=address, mark=str(mark))
    driver = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script], stderr=subprocess.PIPE, text=True)
    while not mark.exists():
        assert driver.poll() is None, driver.stderr.read()
        time.sleep(0.05)
    driver.kill()
    driver.communicate()
    begin = time.monotonic()
    with exclusive_lock(tmp_path / "lock", timeout_s=20):
        print(f"free after {time.monotonic() - begin:.1f} s")
    while Path(f"/proc/{mark.read_text()}").exists():
        assert time.monotonic() - begin < 20
        time.sleep(0.05)


@slow
def test_scenes_of_earth_engine_are_found_and_fetched_as_in_a_sequential_run(online, plain, on_ray, world, tmp_path):
    scene_id = served_world.add_to_earth_engine(world, online["earthengine"])
    tile = world.place.grid_code.removeprefix("MGRS-")
    search = ("--tile-ids", tile, "--start-date", "2024-07-01", "--end-date", "2024-08-31")
    select = ("--raw-data-source", "gee", *search)
    expected, made, asked = plain(*select, case="gee")
    assert expected.returncode == 0, expected.stdout + expected.stderr
    done = on_ray(*select)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_results(made, tmp_path, [scene_id], results="sentinel2-gee")
    assert pixels_asked(online["earthengine"].requests) == pixels_asked(asked["earthengine"]) > 0
    assert online["storage"].requests == []
