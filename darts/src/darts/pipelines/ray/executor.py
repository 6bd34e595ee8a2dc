"""The executor for many machines: the lanes of each scene run in workers of a Ray cluster, of which some may die."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError, RayTaskError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from darts.pipelines.cancellation import Cancellation
from darts.pipelines.ray import workers
from darts.pipelines.ray.cluster import Machine, check_room, machines
from darts.pipelines.ray.devices import Devices
from darts.pipelines.ray.schedule import MOST_TRIES, Node, Scene, Schedule, Step
from darts.pipelines.ray.workers import Lanes, Report
from darts.pipelines.stages import Lane
from darts.pipelines.tiles import Event, Outcome, Result, StageStarted, TileRef, failed
from darts_utils.errors import ConfigError, DartsError

logger = logging.getLogger(__name__)

_POLL_S = 0.1
_REFRESH_S = 1.0
_STORE_SHARE = 0.6
"""Of an object store: at four fifths Ray begins to move objects to the disk, and the arrays of a step come at once."""
_CPU_SHARE = 0.5
"""Of the CPUs of a machine whose networks run on them: what is left to them is less than they could use."""

# without retries of Ray's own: another try begins with the first lane, and is the driver's to decide
_PREPARE: Any = ray.remote(max_retries=0, num_returns=2)(workers.prepare)
_FINISH: Any = ray.remote(max_retries=0)(workers.finish)


class LostError(DartsError):
    """What a scene had made was lost as often as it may be."""


@dataclass(frozen=True, kw_only=True)
class FailureHooks:
    """What the driver does when a worker is gone."""

    is_whole: Callable[[TileRef], bool] = lambda _: False
    """Whether this run has written all results of a scene, although its worker could not say so."""
    clear: Callable[[TileRef], None] = lambda _: None
    """Removes what a worker of this run left half done of a scene."""
    revoke: Callable[[str], None] = lambda _: None
    """Frees what a try of a scene held."""


@dataclass(frozen=True)
class _Running:
    """A step in a worker."""

    step: Step
    answer: Any
    """Reference to its report."""
    payload: Any
    """Reference to what it makes, None for the last lane."""


class RayExecutor:
    """Brings tiles through the lanes on a cluster that this process is the driver of.

    Args:
        lanes: What is done with a tile.
        device_stages: Names of the stages of the device lane, which the workers make themselves.
        hooks: What is done when a worker is gone.
        devices: Numbers of the GPUs to use on each machine, None for all.
        use_gpus: Whether to use GPUs where there are some.
        grace_s: How long workers may go on after `stop`.
    """

    def __init__(
        self,
        lanes: Lanes,
        device_stages: Sequence[str],
        hooks: FailureHooks | None = None,
        *,
        devices: Sequence[int] | None = None,
        use_gpus: bool = True,
        grace_s: float = 3.0,
    ) -> None:
        self._lanes = lanes
        self._first_stage: dict[Lane, str] = {"device": device_stages[0]}
        self._first_stage |= {"prepare": lanes.prepare[0].name, "finish": lanes.finish[0].name}
        self._hooks = FailureHooks() if hooks is None else hooks
        self._wanted, self._use_gpus = devices, use_gpus
        self._grace_s = grace_s
        self._stop = Cancellation(grace_s)
        self._running: dict[Any, _Running] = {}
        self._refreshed = 0.0
        self._lost_devices: set[str] = set()
        self._not_counted: set[str] = set()
        """Tries of scenes that waited on a device when it was lost."""

    def stop(self) -> None:
        """Let no further lane begin; `run` ends after those at work, or when the time for that is over."""
        self._stop.ask()

    @property
    def is_busy(self) -> bool:
        """Whether a worker still runs."""
        return bool(self._running)

    def run(self, refs: Sequence[TileRef]) -> Iterator[Event]:
        """Yield what happens, lane by lane, and an outcome for each tile; closing early ends the workers.

        Raises:
            ConfigError: If the cluster has no machine for a worker, or none of the GPUs asked for.
            DartsError: If no device of the cluster can load the models.
        """
        if not refs:
            return
        self._schedule = Schedule(refs)
        self._reference = ray.put(self._lanes)
        self._devices = Devices([self._reference], self._wanted, use_gpus=self._use_gpus)
        self._check_cluster()
        try:
            while not self._schedule.is_over and not self._is_broken_off():
                yield from self._refresh()
                if not self._stop.is_set():
                    yield from self._begin()
                yield from self._collect()
        finally:
            self._end_workers()

    def _is_broken_off(self) -> bool:
        return self._stop.is_set() and (not self._running or self._stop.is_over)

    def _check_cluster(self) -> None:
        there = machines()
        check_room(there, self._lanes.num_cpus)
        if self._wanted is not None and not any(machine.gpus for machine in there):
            raise ConfigError(
                f"devices is {', '.join(map(str, self._wanted))}, but the cluster has no GPU. Leave it out."
            )

    def _refresh(self) -> Iterator[Event]:
        """Take note of machines and devices that have come or gone."""
        is_due = time.monotonic() - self._refreshed > _REFRESH_S
        if is_due:
            self._refreshed = time.monotonic()
            there = machines()
            self._devices.refresh(there)
            for scene in self._schedule.set_nodes([self._node(machine) for machine in there]):
                yield from self._lost(scene, "the machine that held its arrays is gone", not_counted=True)
        self._devices.poll()
        self._schedule.set_devices({name: node for name, (node, _) in self._devices.handles.items()})
        if is_due and self._devices.is_hopeless and not self._stop.is_set():
            raise self._devices.failure or ConfigError("the cluster has no machine with a CPU or a GPU to use.")

    def _node(self, machine: Machine) -> Node:
        """Return what a machine can take; where its CPUs are the device, they have little left for other workers."""
        cpus = machine.cpus if self._devices.has_gpus else max(self._lanes.num_cpus, machine.cpus * _CPU_SHARE)
        slots = int(min(cpus, machine.cpus) // self._lanes.num_cpus)
        return Node(machine.node_id, slots, int(machine.store_bytes * _STORE_SHARE))

    def _begin(self) -> Iterator[Event]:
        """Begin what can begin."""
        for step in self._schedule.steps():
            answer, payload = self._submit(step)
            self._running[answer] = _Running(step, answer, payload)
            yield StageStarted(step.scene.ref, self._first_stage[step.lane])

    def _submit(self, step: Step) -> tuple[Any, Any]:
        """Send a step to a worker; return the references to its report and to what it makes."""
        scene = step.scene
        if step.lane == "device":
            assert step.device is not None
            _, actor = self._devices.handles[step.device]
            answer, payload = actor.work.options(num_returns=2).remote(scene.payloads[0], scene.token)
            return answer, payload
        options = {
            "num_cpus": self._lanes.num_cpus,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(step.node, soft=True),
        }
        if step.lane == "prepare":
            answer, payload = _PREPARE.options(**options).remote([self._reference], scene.ref, scene.token)
            return answer, payload
        return _FINISH.options(**options).remote([self._reference], *scene.payloads, scene.token), None

    def _collect(self) -> Iterator[Event]:
        """Take note of what has ended, waiting a moment if nothing has."""
        answers = list(self._running)
        if not answers:
            time.sleep(_POLL_S)
            return
        ended, _ = ray.wait(answers, num_returns=1, timeout=_POLL_S, fetch_local=False)
        if ended:
            ended, _ = ray.wait(answers, num_returns=len(answers), timeout=0, fetch_local=False)
        for answer in ended:
            running = self._running[answer]
            try:
                report = ray.get(answer)
            except RayTaskError as error:  # raised outside of any stage, such as by a machine that lacks a package
                if isinstance(error, ray.exceptions.ObjectLostError):
                    yield from self._lost_in(running, error)
                else:
                    del self._running[answer]
                    yield self._end(running.step.scene, failed(running.step.scene.ref, running.step.lane, error.cause))
            except RayError as error:
                yield from self._lost_in(running, error)
            else:
                del self._running[answer]
                yield from self._ended(running, report)

    def _ended(self, running: _Running, report: Report) -> Iterator[Event]:
        """Take note of a lane that a worker could bring to its end."""
        scene, lane = running.step.scene, running.step.lane
        if report.failure is not None:
            logger.debug("%s failed at %s\n%s", scene.ref.tile_id, report.times[-1].stage, report.traceback)
            times = (*scene.times, *report.failure.times)
            yield self._end(scene, replace(report.failure, times=times))
            return
        scene.times += report.times
        self._schedule.learn(lane, report.n_bytes, sum(spent.seconds for spent in report.times))
        if lane == "finish":
            yield self._end(scene, _success(scene, report))
            return
        scene.payloads.append(running.payload)
        self._schedule.ready(scene, node=report.node if lane == "prepare" else None)

    def _end(self, scene: Scene, outcome: Outcome) -> Outcome:
        self._hooks.revoke(scene.token)  # it holds nothing, unless its word that it left was lost on the way
        self._schedule.end(scene)
        return outcome

    def _lost_in(self, running: _Running, error: RayError) -> Iterator[Event]:
        """Take note of a step whose worker, or whose input, is gone."""
        scene, device = running.step.scene, running.step.device
        if device is not None and isinstance(error, ActorDiedError | ActorUnavailableError):
            self._device_lost(device)
        self._running.pop(running.answer)
        if running.step.lane == "finish" and self._hooks.is_whole(scene.ref):
            yield self._end(scene, _success(scene))
            return
        yield from self._lost(scene, _reason(error), not_counted=scene.token in self._not_counted)

    def _device_lost(self, device: str) -> None:
        """Forget a device; what had not begun there is not counted, whatever is heard of first."""
        if device not in self._lost_devices:
            self._lost_devices.add(device)
            self._not_counted.update(scene.token for scene in self._schedule.waiting_on(device))
            self._devices.remove(device)
            self._refreshed = 0.0

    def _lost(self, scene: Scene, reason: str, *, not_counted: bool = False) -> Iterator[Event]:
        """Begin a scene again, if it may."""
        self._hooks.revoke(scene.token)
        self._hooks.clear(scene.ref)
        lane = scene.lane
        if self._schedule.lose(scene, not_counted=not_counted):
            logger.warning("%s begins again, try %d of %d: %s", scene.ref.tile_id, scene.losses + 1, MOST_TRIES, reason)
        else:
            why = LostError(f"given up after {MOST_TRIES} tries; the last one ended because {reason}")
            yield failed(scene.ref, lane, why)

    def _end_workers(self) -> None:
        """End all that is still at work, so that nothing appears after the run."""
        for running in self._running.values():
            with suppress(RayError, ValueError):
                if running.step.lane != "device":
                    ray.cancel(running.answer, force=True)
        self._devices.close()
        left = [answer for answer, running in self._running.items() if running.step.lane != "device"]
        if left:
            ray.wait(left, num_returns=len(left), timeout=self._grace_s, fetch_local=False)
        for running in self._running.values():
            self._hooks.revoke(running.step.scene.token)
            self._hooks.clear(running.step.scene.ref)
        self._running.clear()
        del self._reference


def _success(scene: Scene, report: Report | None = None) -> Outcome:
    """Return the outcome of a scene whose results are whole; of one whose last words were lost, less is known."""
    if report is None:
        return Outcome(ref=scene.ref, status="success", times=tuple(scene.times), host=None)
    result = report.result or Result()
    return Outcome(ref=scene.ref, status="success", times=tuple(scene.times), host=report.host, result=result)


def _reason(error: RayError) -> str:
    """Return in a few words what was lost."""
    if isinstance(error, TaskCancelledError):
        return "its worker was stopped"
    if isinstance(error, ActorDiedError | ActorUnavailableError):
        return "the worker on its device died"
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return "its worker needed more memory than its machine has"
    if isinstance(error, ray.exceptions.ObjectLostError):
        return "its arrays were lost with their machine"
    return "its worker or its machine died"
