"""The executor: all tiles, overlap, failures alone, bounded memory, quick and clean ends."""

import functools
import gc
import signal
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from darts.pipelines.interrupts import on_interrupt
from darts.pipelines.local import SequentialExecutor
from darts.pipelines.stages import Stage
from darts.pipelines.tiles import Loaded, Outcome, StageStarted, TileRef
from darts_utils.errors import DataError

GIB = 2**30


def refs(n):
    return [TileRef(tile_id=f"t{i}", output_folder=Path(f"t{i}")) for i in range(n)]


def make_tile(work):
    return Loaded(ref=work.ref, tile=xr.Dataset({"a": ("x", np.zeros(1000, np.float32))}))


def stages(prepare=make_tile, device=lambda work: work, finish=lambda work: work):
    return [Stage("load", "prepare", prepare), Stage("segment", "device", device), Stage("export", "finish", finish)]


def run(executor, tiles):
    return [event for event in executor.run(tiles) if isinstance(event, Outcome)]


def test_every_tile_gets_an_outcome_with_the_time_of_each_stage():
    outcomes = run(SequentialExecutor(stages(), budget_bytes=GIB), refs(5))
    assert [outcome.ref.tile_id for outcome in outcomes] == ["t0", "t1", "t2", "t3", "t4"]
    assert {outcome.status for outcome in outcomes} == {"success"}
    assert [time.stage for time in outcomes[0].times] == ["load", "segment", "export"]
    assert all(time.end >= time.start for outcome in outcomes for time in outcome.times)


def test_nothing_to_do_ends_at_once():
    assert run(SequentialExecutor(stages(), budget_bytes=GIB), []) == []


def test_the_input_of_a_stage_is_freed_before_the_next_stage():
    made, left = [], []

    def make(work):
        gc.collect()  # xarray's objects refer to each other
        left.extend(array() for array in made[:-1])
        values = np.zeros(1000, np.float32)
        made.append(weakref.ref(values))
        return Loaded(ref=work.ref, tile=xr.Dataset({"a": ("x", values)}))

    in_a_row = [Stage(f"{lane} {n}", lane, make) for lane in ("prepare", "device", "finish") for n in range(3)]
    run(SequentialExecutor(in_a_row, budget_bytes=1), refs(1))
    assert len(made) == 9
    assert {None} == set(left)


@pytest.mark.parametrize(("stage", "lane"), [("load", "prepare"), ("segment", "device"), ("export", "finish")])
def test_a_failing_tile_fails_alone_with_stage_and_reason(stage, lane):
    def fail(work):
        if work.ref.tile_id == "t1":
            raise DataError("the file\nis broken")
        return make_tile(work)

    outcomes = run(SequentialExecutor(stages(**{lane: fail}), budget_bytes=GIB), refs(4))
    by_id = {outcome.ref.tile_id: (outcome.status, outcome.error) for outcome in outcomes}
    assert by_id == {
        "t0": ("success", None),
        "t1": ("failed", f"{stage}: the file is broken"),
        "t2": ("success", None),
        "t3": ("success", None),
    }


def test_an_error_without_a_message_is_named_by_its_class():
    def fail(work):
        raise MemoryError

    (outcome,) = run(SequentialExecutor(stages(prepare=fail), budget_bytes=GIB), refs(1))
    assert outcome.error == "load: MemoryError"


def test_the_three_lanes_overlap():
    at_work, most = set(), []

    def slow(name):
        def stage(work):
            at_work.add(name)
            most.append(len(at_work))
            time.sleep(0.05)
            at_work.discard(name)
            return make_tile(work)

        return stage

    run(SequentialExecutor(stages(slow("a"), slow("b"), slow("c")), budget_bytes=GIB), refs(6))
    assert max(most) == 3


@pytest.mark.parametrize(("budget_bytes", "expected"), [(1, 1), (4000, 2), (GIB, 3)])
def test_no_more_tiles_are_in_work_than_the_budget_allows(budget_bytes, expected):
    in_work, most, lock = set(), [], threading.Lock()

    def prepare(work):
        with lock:
            in_work.add(work.ref.tile_id)
            most.append(len(in_work))
        return make_tile(work)

    def finish(work):
        time.sleep(0.05)
        with lock:
            in_work.discard(work.ref.tile_id)
        return work

    run(SequentialExecutor(stages(prepare, finish=finish), budget_bytes=budget_bytes), refs(8))
    # a tile leaves the count a moment after its last stage, so `in_work` never exceeds what the executor counts
    assert max(most) <= expected
    assert expected == 1 or max(most) > 1


def test_closing_early_stops_every_worker():
    started = []

    def prepare(work):
        started.append(work.ref.tile_id)
        time.sleep(0.01)
        return make_tile(work)

    executor = SequentialExecutor(stages(prepare), budget_bytes=GIB)
    events = executor.run(refs(1000))
    assert isinstance(next(events), StageStarted)
    events.close()
    assert not executor.is_busy
    seen = len(started)
    time.sleep(0.1)
    assert len(started) == seen < 1000


def test_closing_does_not_wait_for_a_long_computation():
    release = threading.Event()

    def device(work):
        release.wait(30)
        return work

    executor = SequentialExecutor(stages(device=device), budget_bytes=GIB, grace_s=0.2)
    events = executor.run(refs(3))
    next(event for event in events if event.stage == "segment")
    start = time.monotonic()
    events.close()
    assert time.monotonic() - start < 5
    assert executor.is_busy
    release.set()


def test_stopping_lets_the_stages_at_work_end_and_hands_over_their_outcomes():
    executor = None

    def finish(work):
        executor.stop()
        time.sleep(0.3)
        return work

    executor = SequentialExecutor(stages(finish=finish), budget_bytes=GIB)
    assert [outcome.ref.tile_id for outcome in run(executor, refs(50))] == ["t0"]
    assert not executor.is_busy


def test_the_first_interrupt_stops_and_the_second_one_raises():
    calls = []
    with on_interrupt(lambda: calls.append(1)) as interrupted:
        assert not interrupted.is_set()
        signal.raise_signal(signal.SIGINT)
        assert interrupted.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert calls == [1]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.fixture
def hang_up():
    """Give a function that sets what a hang-up does; afterwards it is as before."""
    before = signal.getsignal(signal.SIGHUP)
    yield functools.partial(signal.signal, signal.SIGHUP)
    signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_closes_ends_a_run_like_ctrl_c_but_not_after_nohup(hang_up):
    hang_up(signal.SIG_DFL)
    calls = []
    with on_interrupt(lambda: calls.append(1)) as interrupted:
        signal.raise_signal(signal.SIGHUP)
    assert interrupted.is_set()
    assert calls == [1]
    hang_up(signal.SIG_IGN)
    with on_interrupt(lambda: calls.append(2)) as interrupted:
        signal.raise_signal(signal.SIGHUP)
    assert not interrupted.is_set()
    assert calls == [1]


def test_a_panic_of_a_compiled_library_fails_a_tile_and_ends_no_run():
    """Those of Rust are no exceptions as Python knows them."""

    class PanicError(BaseException):
        pass

    def panic(work):
        if work.ref.tile_id == "t1":
            raise PanicError("index out of bounds")
        return make_tile(work)

    executor = SequentialExecutor([Stage("load", "prepare", panic)], budget_bytes=10**9)
    ended = {event.ref.tile_id: event for event in executor.run(refs(3)) if isinstance(event, Outcome)}
    assert [ended[f"t{i}"].status for i in range(3)] == ["success", "failed", "success"]
    assert ended["t1"].error == "load: index out of bounds"
