"""The devices of a Ray cluster: a worker for each GPU that is to be used, or one a machine where there are none."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import ray
from ray.exceptions import ActorDiedError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from darts.pipelines.ray.cluster import Machine
from darts.pipelines.ray.workers import Device
from darts_utils.errors import ConfigError, DartsError

logger = logging.getLogger(__name__)

_DEVICE: Any = ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)(Device)

_MOST_DEATHS = 3
"""Workers of a machine that may die before they are ready, such as for want of memory that another process just has."""

type Phase = Literal["coming", "opening", "open", "unwanted"]


class DeviceError(DartsError):
    """No machine can do what a device does."""


@dataclass(eq=False)
class _Actor:
    name: str
    node: str
    n_here: int
    """Devices of its machine, all of which have a worker."""
    handle: Any
    phase: Phase
    answer: Any
    """What it was last asked, a reference."""
    gpus: Sequence[str] = ()


class Devices:
    """Keeps a worker on each device, also when machines come and go.

    Args:
        lanes: Reference to the `Lanes` of the run, in a list.
        wanted: Numbers of the GPUs to use on each machine, None for all.
        use_gpus: Whether to use GPUs where there are some.
    """

    def __init__(self, lanes: "Sequence[ray.ObjectRef]", wanted: Sequence[int] | None, *, use_gpus: bool) -> None:
        self._lanes = lanes
        self._wanted = None if wanted is None else {str(number) for number in wanted}
        self._use_gpus = use_gpus
        self._actors: dict[str, _Actor] = {}
        self._broken: set[str] = set()
        """Machines on which a worker could not be made ready, such as for want of a package."""
        self._deaths: Counter[str] = Counter()
        """Workers of each machine that died before they were ready."""
        self._found: dict[str, set[str]] = {}
        """The wanted GPUs of each machine, once they are known."""
        self._count = 0
        self.has_gpus = False
        """Whether the devices are GPUs."""
        self.failure: DartsError | None = None
        """Why the last one did not come up."""

    @property
    def handles(self) -> dict[str, tuple[str, Any]]:
        """Machine and actor of each device that is ready, by the name of the device."""
        return {actor.name: (actor.node, actor.handle) for actor in self._actors.values() if actor.phase == "open"}

    @property
    def is_hopeless(self) -> bool:
        """Whether there is no device, and none is coming."""
        return not any(actor.phase != "unwanted" for actor in self._actors.values())

    def refresh(self, machines: Sequence[Machine]) -> None:
        """Start workers on devices that have none, and forget those of machines that are gone."""
        alive = {machine.node_id for machine in machines}
        for actor in [actor for actor in self._actors.values() if actor.node not in alive]:
            self.remove(actor.name)
        self.has_gpus = self._use_gpus and any(machine.gpus for machine in machines)
        for machine in machines:
            if machine.node_id not in self._broken:
                self._fill(machine, machine.gpus if self.has_gpus else int(machine.cpus >= 1))

    def _fill(self, machine: Machine, n_devices: int) -> None:
        """Start workers on the devices of a machine that have none, unless all of those that are wanted have one."""
        here = self._on(machine.node_id)
        found = self._found.get(machine.node_id)
        if found is None or not found <= {gpu for actor in here for gpu in actor.gpus}:
            for _ in range(n_devices - len(here)):
                self._start(machine.node_id, n_devices)

    def _start(self, node: str, n_here: int) -> None:
        self._count += 1
        name = f"device-{self._count}"
        handle: Any = _DEVICE.options(
            num_gpus=int(self.has_gpus), scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        ).remote(self._lanes, n_here)
        self._actors[name] = _Actor(name, node, n_here, handle, "coming", handle.gpus.remote())

    def poll(self) -> None:
        """Take note of the workers that have answered: keep those on wanted GPUs, and let them load the models."""
        for actor in list(self._actors.values()):
            if actor.phase in ("coming", "opening") and ray.wait([actor.answer], timeout=0)[0]:
                self._step(actor)

    def _step(self, actor: _Actor) -> None:
        try:
            answer = ray.get(actor.answer)
        except RayError as error:
            self._failed(actor, error)
            return
        if actor.phase == "opening":
            actor.phase = "open"
            return
        actor.gpus = answer
        if self._wanted is None or self._wanted & set(actor.gpus):
            actor.phase, actor.answer = "opening", actor.handle.open.remote()
        else:
            actor.phase = "unwanted"
        if self._wanted is not None:
            self._settle(actor.node, self._wanted)

    def _failed(self, actor: _Actor, error: RayError) -> None:
        """Try again on a machine whose worker died, and leave one alone that cannot have a worker."""
        logger.warning("a device of machine %s could not be made ready: %s", actor.node[:8], _last_line(error))
        self.remove(actor.name)
        self._deaths[actor.node] += 1
        if isinstance(error, ActorDiedError) and self._deaths[actor.node] < _MOST_DEATHS:
            self._start(actor.node, actor.n_here)
        else:
            self._broken.add(actor.node)
            cause = getattr(error, "cause", None)
            self.failure = cause if isinstance(cause, DartsError) else _failure(error, self._deaths[actor.node])

    def _settle(self, node: str, wanted: set[str]) -> None:
        """Give GPUs back that are not wanted, once all on their machine are known: Ray does not let one choose."""
        here = self._on(node)
        if any(actor.phase == "coming" for actor in here):
            return
        self._found[node] = {gpu for actor in here for gpu in actor.gpus} & wanted
        for actor in here:
            if actor.phase == "unwanted":
                self.remove(actor.name)
        if self.is_hopeless:
            there = ", ".join(sorted(gpu for actor in here for gpu in actor.gpus))
            self.failure = ConfigError(
                f"devices is {', '.join(sorted(wanted))}, but the GPUs of the cluster are {there}. Name some of them."
            )

    def _on(self, node: str) -> list[_Actor]:
        return [actor for actor in self._actors.values() if actor.node == node]

    def remove(self, name: str) -> None:
        """Forget a worker, and end it."""
        actor = self._actors.pop(name, None)
        if actor is not None:
            ray.kill(actor.handle)

    def close(self) -> None:
        """End all workers."""
        for name in list(self._actors):
            self.remove(name)


def _failure(error: RayError, deaths: int) -> "DeviceError":
    """Return what to tell when nothing but Ray has said why."""
    if isinstance(error, ActorDiedError):
        why = f"their workers died ({deaths} on the last machine), as they do for want of memory"
    else:
        why = _last_line(error)
    return DeviceError(
        f"the models could not be loaded on any machine of the cluster: {why}. Mend that, and start again."
    )


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
