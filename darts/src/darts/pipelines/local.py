"""The executor for one machine: loads the next tile and exports the last one while the present one is segmented."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from darts.pipelines.cancellation import Cancellation
from darts.pipelines.stages import LANES, Lane, Stage
from darts.pipelines.tiles import Event, Outcome, StageStarted, StageTime, TileRef, Work, failed, succeeded
from darts_utils.machine.memory import give_back_after
from darts_utils.machine.threads import inherited

logger = logging.getLogger(__name__)

_POLL_S = 0.1
_PEAK_OVER_TILE = 0.5
"""Memory of a tile at its peak to that of its bands as floats, of which most are only made where they are read: 0.4 for
a whole scene of Sentinel-2 with all features, 0.4 to 0.55 from lane to lane for an orthotile of Planet."""

type _Handover = queue.Queue[_Item | None]
"""Tiles from one lane to the next; None is the end."""


@dataclass
class _Item:
    """A tile on its way. There is only one reference to its arrays, here, so that a stage's input can be freed."""

    work: Work
    times: list[StageTime] = field(default_factory=list)


class StoppedError(Exception):
    """The run was closed while a worker waited."""


class _InFlight:
    """Counts the tiles in work and lets no more begin than fit into the memory budget; at most one a lane."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._slots = 1
        self._count = 0
        self._changed = threading.Condition()

    def enter(self, stop: Cancellation) -> None:
        with self._changed:
            while self._count >= self._slots:
                if stop.is_set():
                    raise StoppedError
                self._changed.wait(_POLL_S)
            self._count += 1

    def leave(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def learn(self, tile_bytes: int) -> None:
        """Set the number of slots from the size of a prepared tile; a larger tile later lowers it again."""
        fit = int(self._budget / (_PEAK_OVER_TILE * max(tile_bytes, 1)))
        with self._changed:
            self._slots = max(1, min(len(LANES), fit))
            self._changed.notify_all()


class SequentialExecutor:
    """Brings tiles through the stages in order, with one worker thread a lane.

    Args:
        stages: What is done with a tile, in order; a stage belongs to a lane, and lanes work side by side.
        budget_bytes: Memory that the tiles in work may take together.
        grace_s: How long workers may go on in a long computation after `stop`.
    """

    def __init__(self, stages: Sequence[Stage], *, budget_bytes: int, grace_s: float = 3.0) -> None:
        self._lanes: dict[Lane, list[Stage]] = {lane: [s for s in stages if s.lane == lane] for lane in LANES}
        self._in_flight = _InFlight(budget_bytes)
        self._stop = Cancellation(grace_s)
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._threads: list[threading.Thread] = []

    def run(self, refs: Sequence[TileRef]) -> Iterator[Event]:
        """Yield what happens, stage by stage, and an outcome for each tile; closing early stops the workers."""
        handovers: list[_Handover] = [queue.Queue() for _ in range(len(LANES) - 1)]
        lanes: dict[str, Callable[[], None]] = {
            "darts-prepare": partial(self._feed, refs, handovers[0]),
            "darts-device": partial(self._pass_on, "device", *handovers),
            "darts-finish": partial(self._finish, handovers[1]),
        }
        self._threads = [
            threading.Thread(target=inherited(work), name=name, daemon=True) for name, work in lanes.items()
        ]
        for worker in self._threads:
            worker.start()
        try:
            while (event := self._next_event()) is not None:
                yield event
        finally:
            self.stop()
            for worker in self._threads:
                worker.join(self._stop.left_s)

    def _next_event(self) -> Event | None:
        """Return the next event, or None at the end: that of the work, or of the patience after `stop`."""
        while True:  # with a time-out, because a blocking wait without one would not see Ctrl-C on every platform
            with suppress(queue.Empty):
                return self._events.get(timeout=_POLL_S)
            if self._stop.is_over:
                return None

    def stop(self) -> None:
        """Let no further stage begin; `run` ends after the stages at work, or when the time for that is over."""
        self._stop.ask()

    @property
    def is_busy(self) -> bool:
        """Whether a worker still runs, after the end of `run`, inside a computation that cannot be interrupted."""
        return any(thread.is_alive() for thread in self._threads)

    def _feed(self, refs: Sequence[TileRef], done: _Handover) -> None:
        with suppress(StoppedError):
            for ref in refs:
                self._in_flight.enter(self._stop)
                item = _Item(Work(ref))
                if self._work_on("prepare", item):
                    self._in_flight.learn(item.work.nbytes)
                    done.put(item)
                del item  # a whole scene, which the next lane is to free
        done.put(None)

    def _pass_on(self, lane: Lane, todo: _Handover, done: _Handover) -> None:
        with suppress(StoppedError):
            while (item := todo.get()) is not None:
                if self._work_on(lane, item):
                    done.put(item)
                del item
        done.put(None)

    def _finish(self, todo: _Handover) -> None:
        with suppress(StoppedError):
            while (item := todo.get()) is not None:
                if self._work_on("finish", item):
                    self._end(succeeded(item.work, item.times))
                del item
        self._events.put(None)

    def _work_on(self, lane: Lane, item: _Item) -> bool:
        """Bring a tile through all stages of a lane; return False if one failed: then its outcome is on its way."""
        ref = item.work.ref
        for stage in self._lanes[lane]:
            if self._stop.is_set():
                raise StoppedError
            logger.debug("%s: %s", ref.tile_id, stage.name)
            self._events.put(StageStarted(ref, stage.name))
            start = time.time()
            try:
                item.work = stage.run(item.work)
            except BaseException as error:  # a panic of a library, too: for a dead thread the run would wait for ever
                item.times.append(StageTime(stage.name, start, time.time()))
                logger.debug("%s failed at %s", ref.tile_id, stage.name, exc_info=error)
                self._end(failed(ref, stage.name, error, item.times))
                return False
            item.times.append(StageTime(stage.name, start, time.time()))
            give_back_after(item.work.nbytes)
        return True

    def _end(self, outcome: Outcome) -> None:
        self._in_flight.leave()
        self._events.put(outcome)
