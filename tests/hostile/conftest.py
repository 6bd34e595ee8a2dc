"""What all trials share: a sound world, what runs over it make, and this process without waits and network."""

import os
from functools import cache
from pathlib import Path

import pytest

from hostile import catalogue, worlds
from hostile.judge import judge
from hostile.running import Trap, only_loopback, run


@pytest.fixture(scope="session")
def sound_world(tmp_path_factory, make_scene, make_planet_scene):
    """The folder that trials copy."""
    folder = tmp_path_factory.mktemp("sound")
    worlds.make_sound(folder, make_scene, make_planet_scene)
    return folder


@pytest.fixture(scope="session")
def trap():
    trap = Trap()
    yield trap
    trap.close()


@pytest.fixture(scope="session")
def made_up_catalogue():
    server = catalogue.Catalogue()
    yield server
    server.close()


@pytest.fixture(scope="session")
def sound(sound_world):
    """What is made of each image of the sound world, by id; its results stay in the sound world."""
    from darts.cli import app

    before = Path.cwd()
    os.chdir(sound_world / "work")
    try:
        for kind in worlds.RESULTS:
            assert app.meta(worlds.command(kind), result_action="return_value", exit_on_error=False) == 0
    finally:
        os.chdir(before)
    folder = sound_world / "work" / "output"
    made = {
        image_id: worlds.products(folder / results / image_id)
        for kind, results in worlds.RESULTS.items()
        for image_id in worlds.ids_of(kind)
    }
    assert not any(worlds.is_empty(maps) for maps in made.values())
    assert all(maps["objects"]["features"] for maps in made.values())
    return made


@pytest.fixture(autouse=True, scope="module")
def _networks_are_built_once():
    """Read each checkpoint once, for loading the sound one takes half of a trial; a spoiled one has other bytes.

    No longer than a module: tests of other folders follow in the same process.
    """
    from darts_segmentation import ensemble

    load = ensemble.load_member
    once = cache(lambda name, path, _written, device: load(name, path, device))

    def load_member(name, path, device):
        return once(name, path, path.read_bytes(), device) if path.is_file() else load(name, path, device)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble, "load_member", load_member)
        yield


@pytest.fixture
def quiet_process(monkeypatch, trap):
    """No waits between tries, no network but loopback."""
    monkeypatch.setattr("darts_acquisition.services.retry._wait_s", lambda *_: 0.0)
    monkeypatch.setattr("darts_acquisition.services.retry.Limiter._wait", lambda _: None)
    only_loopback(monkeypatch, trap.asked)
    for name, value in trap.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def world_for(sound_world, sound, made_up_catalogue, tmp_path, monkeypatch):
    """Give a world of a kind, in which the process then stands."""

    def make(kind):
        world = worlds.copy_of(sound_world, tmp_path, kind)
        world.catalogue = made_up_catalogue.reset()
        monkeypatch.chdir(world.work)
        monkeypatch.setenv("HOME", str(world.folder / "home"))
        return world

    return make


class _Anything:
    """Stands for a collection of Earth Engine, of which a trial knows what it lists."""

    def __getattr__(self, name):
        return lambda *_, **__: self


@pytest.fixture
def earth_engine(monkeypatch):
    """Give a function that lets Earth Engine answer with a world's listing."""

    def answer_for(world):
        search = "darts_acquisition.optical.gee.search"
        monkeypatch.setattr(f"{search}.ensure_earthengine", lambda: None)
        monkeypatch.setattr("darts_acquisition.optical.gee.catalog.init_earthengine", lambda *_, **__: None)
        monkeypatch.setattr(f"{search}._collection", lambda _: _Anything())
        for name in ("_between", "_with_tiles", "_at_most"):
            monkeypatch.setattr(f"{search}.{name}", lambda wanted, *_: wanted)
        monkeypatch.setattr(f"{search}._value", lambda *_: world.listing)

    return answer_for


@pytest.fixture
def attempt(world_for, sound, darts, trap, earth_engine, monkeypatch):
    """Give a function that runs a trial; it fails with what the judge says."""

    def run_and_judge(trial):
        world = world_for(trial.mutation.kind)
        right = trial.mutation.spoil(world, trial.random())
        earth_engine(world)
        for name, value in world.environment.items():
            monkeypatch.setenv(name, value)
        outcome = run(world, darts, trap, by_command=trial.by_command)
        faults = judge(world, right, outcome, sound)
        said = [f"$ darts {' '.join(map(str, world.words))}", outcome.stdout, outcome.stderr]
        assert not faults, "\n".join([*faults, *said])

    return run_and_judge
