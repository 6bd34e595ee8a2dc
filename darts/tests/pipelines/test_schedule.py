"""What begins next on a cluster, and where: devices are kept busy, stores are not overfilled, the lost begins again."""

from pathlib import Path

import pytest

from darts.pipelines.ray.schedule import MOST_TRIES, Node, Schedule
from darts.pipelines.tiles import TileRef

MIB = 2**20


def make(n, *nodes, devices=()):
    schedule = Schedule([TileRef(tile_id=f"t{i}", output_folder=Path(f"t{i}")) for i in range(n)])
    schedule.set_nodes([Node(name, slots, store) for name, slots, store in nodes])
    schedule.set_devices({f"d{number}": node for number, node in enumerate(devices)})
    return schedule


def begun(schedule):
    return [(step.lane, step.scene.ref.tile_id, step.device or step.node) for step in schedule.steps()]


def begin(schedule):
    return list(schedule.steps())


def prepared(schedule, n_bytes=MIB, seconds=1.0):
    """Bring all that is being prepared to its end."""
    steps = [step for step in schedule.steps() if step.lane == "prepare"]
    for step in steps:
        schedule.learn("prepare", n_bytes, seconds)
        schedule.ready(step.scene, node=step.node)
    return steps


def test_nothing_begins_before_there_is_a_device():
    schedule = make(3, ("a", 2, 100 * MIB))
    assert begun(schedule) == []


def test_one_scene_a_machine_begins_until_its_size_is_known_and_then_as_many_as_fit():
    schedule = make(20, ("a", 8, 6 * MIB), ("b", 8, 6 * MIB), devices=["a", "b"])
    first = begin(schedule)
    assert sorted((step.lane, step.node) for step in first) == [("prepare", "a"), ("prepare", "b")]
    for step in first:
        schedule.learn("prepare", MIB, 1.0)
        schedule.ready(step.scene, node=step.node)
    begin(schedule)
    assert schedule.n_in_flight == 8  # 6 MiB hold four scenes of 1 MiB with results of half as much
    assert begun(schedule) == []


def test_finishing_comes_before_devices_and_devices_before_preparation():
    schedule = make(5, ("a", 1, 100 * MIB), devices=["a"])
    (first,) = prepared(schedule)
    (segment, prepare) = begin(schedule)
    assert [segment.lane, prepare.lane] == ["device", "prepare"]
    schedule.ready(prepare.scene, node="a")
    schedule.learn("device", MIB, 1.0)
    schedule.ready(first.scene)
    assert begun(schedule) == [("finish", "t0", "a"), ("device", "t1", "d0")]  # the only slot is taken for finishing


def test_finishing_waits_for_a_free_worker():
    schedule = make(5, ("a", 1, 100 * MIB), devices=["a"])
    prepared(schedule)
    segment, prepare = begin(schedule)
    schedule.learn("device", MIB, 1.0)
    schedule.ready(segment.scene)
    assert begun(schedule) == []
    schedule.ready(prepare.scene, node="a")
    assert begun(schedule)[0] == ("finish", "t0", "a")


def test_a_device_has_its_next_scene_at_hand_and_no_more():
    schedule = make(9, ("a", 4, 100 * MIB), devices=["a"])
    prepared(schedule)
    prepared(schedule)
    on_device = [scene for scene in schedule._in_flight if scene.lane == "device"]
    on_device += [step.scene for step in schedule.steps() if step.lane == "device"]
    assert len(on_device) == 2
    assert schedule.n_in_flight > 2


def test_arrays_stay_on_their_machine_unless_a_device_elsewhere_is_idle():
    schedule = make(4, ("a", 4, 100 * MIB), ("cpus", 4, 100 * MIB), devices=["a"])
    steps = prepared(schedule)
    assert {step.node for step in steps} == {"a", "cpus"}
    device_steps = [step for step in schedule.steps() if step.lane == "device"]
    assert [step.scene.node for step in device_steps] == ["a"]
    schedule.end(device_steps[0].scene)
    assert [step.scene.node for step in schedule.steps() if step.lane == "device"] == ["cpus"]


def test_no_more_is_prepared_than_the_devices_need():
    schedule = make(50, ("a", 32, 10_000 * MIB), devices=["a"])
    prepared(schedule)
    schedule.learn("device", MIB, 1.0)
    begin(schedule)
    ahead = schedule.n_in_flight - 1  # one is at the device
    assert ahead == 3
    slow = make(50, ("a", 32, 10_000 * MIB), devices=["a"])
    prepared(slow, seconds=10.0)
    slow.learn("device", MIB, 1.0)
    begin(slow)
    assert slow.n_in_flight - 1 == 12  # preparing takes ten times as long, so ten at once keep a device busy


def test_what_is_lost_begins_again_first_and_is_given_up_after_three_losses():
    schedule = make(3, ("a", 1, 100 * MIB), devices=["a"])
    tokens = set()
    for number in range(MOST_TRIES):
        (step,) = begin(schedule)
        assert step.scene.ref.tile_id == "t0"
        tokens.add(step.scene.token)
        assert schedule.lose(step.scene) == (number < MOST_TRIES - 1)
    assert len(tokens) == MOST_TRIES
    assert begun(schedule) == [("prepare", "t1", "a")]
    assert not schedule.is_over


def test_a_scene_that_waited_behind_another_on_a_dead_device_is_not_blamed():
    schedule = make(3, ("a", 2, 100 * MIB), devices=["a"])
    prepared(schedule)
    prepared(schedule)
    at_device = [scene for scene in schedule._in_flight if scene.device == "d0"]
    assert len(at_device) == 1
    second = next(step.scene for step in schedule.steps() if step.lane == "device")
    assert schedule.waiting_on("d0") == [second]
    for _ in range(MOST_TRIES):
        assert schedule.lose(second, not_counted=True)
        (again,) = [scene for scene in schedule._waiting if scene is second]
        schedule._waiting.remove(again)
        schedule._in_flight.append(again)
    assert second.losses == 0


def test_prepared_scenes_of_a_machine_that_is_gone_are_told():
    schedule = make(4, ("a", 4, 100 * MIB), ("b", 4, 100 * MIB), devices=["a"])
    steps = prepared(schedule)
    gone = schedule.set_nodes([Node("a", 4, 100 * MIB)])
    assert [scene.ref.tile_id for scene in gone] == [step.scene.ref.tile_id for step in steps if step.node == "b"]
    assert all(schedule.lose(scene, not_counted=True) for scene in gone)
    assert all(step.node == "a" for step in schedule.steps())


@pytest.mark.parametrize("n_scenes", [1, 7])
@pytest.mark.parametrize("n_nodes", [1, 3])
def test_every_scene_ends_once_whatever_the_shape_of_the_cluster(n_scenes, n_nodes):
    nodes = [(f"n{i}", 2, 3 * MIB) for i in range(n_nodes)]
    schedule = make(n_scenes, *nodes, devices=["n0", "n0"])
    ended, at_work = [], begin(schedule)
    while at_work:
        step = at_work.pop(0)
        schedule.learn(step.lane, MIB, 1.0)
        if step.lane == "finish":
            schedule.end(step.scene)
            ended.append(step.scene.ref.tile_id)
        else:
            schedule.ready(step.scene, node=step.node if step.lane == "prepare" else None)
        at_work += begin(schedule)
    assert sorted(ended) == sorted(f"t{i}" for i in range(n_scenes))
    assert schedule.is_over
