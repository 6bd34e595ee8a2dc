"""Which step of which scene begins next, and where: the plan of a cluster, which knows no cluster and no arrays."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from darts.pipelines.stages import LANES, Lane
from darts.pipelines.tiles import StageTime, TileRef

MOST_TRIES = 3
"""How often a scene begins before it counts as failed: once, and twice again after a loss."""
_QUEUE = 2
"""Scenes that a device has at once: one at work, and one whose arrays are fetched meanwhile."""
_AHEAD = 2
"""Prepared scenes that wait for a device, at most, beside those that balance a slow preparation."""
_RESULT_SHARE = 0.5
"""What the result of a device adds to a prepared scene, until one was seen."""

type State = Literal["waiting", "at work", "ready", "ended"]


@dataclass(frozen=True)
class Node:
    """A machine of the cluster."""

    node_id: str
    slots: int
    """Workers for preparing and finishing that it has room for."""
    store_bytes: int
    """What scenes may take of its object store."""


@dataclass(eq=False)
class Scene:
    """A scene on its way. Whether it waits, is at work or is ready for its next lane is known here and nowhere else."""

    ref: TileRef
    begun: int = 0
    """How often it was begun."""
    losses: int = 0
    """How often what it had made was lost by its own step, or may have been."""
    lane: Lane = "prepare"
    state: State = "waiting"
    node: str | None = None
    """Where its prepared arrays are, or are being made."""
    device: str | None = None
    times: list[StageTime] = field(default_factory=list)
    payloads: list[Any] = field(default_factory=list)
    """What the lanes before have made, for the next ones."""

    @property
    def token(self) -> str:
        """Name of this try, unlike that of any other."""
        return f"{self.ref.tile_id}#{self.begun}"


@dataclass(frozen=True)
class Step:
    """A lane of a scene that is to begin now."""

    scene: Scene
    lane: Lane
    node: str
    device: str | None = None


class _Mean:
    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, value: float) -> None:
        self._sum, self._count = self._sum + value, self._count + 1

    @property
    def value(self) -> float | None:
        return self._sum / self._count if self._count else None


class Schedule:
    """Decides what begins where: finishing first, then devices, then as much preparation as they need.

    Arrays stay on the machine that made them where a device is there. No more scenes are on a machine than its store
    can hold, as far as known from the scenes before; until one is known, one.

    Args:
        refs: All scenes.
    """

    def __init__(self, refs: Sequence[TileRef]) -> None:
        self._waiting = [Scene(ref) for ref in reversed(refs)]
        self._in_flight: list[Scene] = []
        self._nodes: dict[str, Node] = {}
        self._devices: dict[str, str] = {}
        self._scene_bytes = 0
        self._result_bytes: int | None = None
        self._seconds: dict[Lane, _Mean] = {lane: _Mean() for lane in LANES}

    @property
    def is_over(self) -> bool:
        """Whether every scene has ended."""
        return not (self._waiting or self._in_flight)

    @property
    def n_in_flight(self) -> int:
        """Number of scenes that have begun and not ended."""
        return len(self._in_flight)

    def set_nodes(self, nodes: Sequence[Node]) -> list[Scene]:
        """Take note of the machines that are there; return the scenes whose arrays are gone with one."""
        self._nodes = {node.node_id: node for node in nodes}
        return [scene for scene in self._in_flight if scene.state == "ready" and scene.node not in self._nodes]

    def set_devices(self, devices: Mapping[str, str]) -> None:
        """Take note of the devices that are there, with their machines."""
        self._devices = dict(devices)

    def learn(self, lane: Lane, n_bytes: int, seconds: float) -> None:
        """Take note of what a lane has made and how long it took."""
        self._seconds[lane].add(seconds)
        if lane == "prepare":
            self._scene_bytes = max(self._scene_bytes, n_bytes)
        elif lane == "device":
            self._result_bytes = max(self._result_bytes or 0, n_bytes)

    def steps(self) -> Iterator[Step]:
        """Yield what is to begin now; each counts as at work from then on."""
        while (step := self._finish() or self._segment() or self._prepare()) is not None:
            step.scene.lane, step.scene.state, step.scene.device = step.lane, "at work", step.device
            if step.lane == "prepare":
                step.scene.node = step.node
                step.scene.begun += 1
            yield step

    def ready(self, scene: Scene, *, node: str | None = None) -> None:
        """Take note that a lane of a scene has ended well, before the last one; its machine may be another."""
        scene.state, scene.device = "ready", None
        scene.node = scene.node if node is None else node

    def end(self, scene: Scene) -> None:
        """Take note that a scene has ended, well or not."""
        scene.state = "ended"
        scene.payloads.clear()
        self._in_flight.remove(scene)

    def lose(self, scene: Scene, *, not_counted: bool = False) -> bool:
        """Take note that what a scene had made is lost; return whether it begins again, which is at once.

        Args:
            scene: The scene.
            not_counted: Whether none of its steps was at work where the loss was; then it does not count.
        """
        self.end(scene)
        scene.losses += not not_counted
        scene.times.clear()
        scene.lane, scene.node, scene.device = "prepare", None, None
        if scene.losses >= MOST_TRIES:
            return False
        scene.state = "waiting"
        self._waiting.append(scene)
        return True

    def waiting_on(self, device: str) -> list[Scene]:
        """Return the scenes on a device that have not begun there, because one that came before is still at work."""
        return [scene for scene in self._in("device", "at work") if scene.device == device][1:]

    def _in(self, lane: Lane, state: State) -> list[Scene]:
        return [scene for scene in self._in_flight if (scene.lane, scene.state) == (lane, state)]

    def _finish(self) -> Step | None:
        for scene in self._in("device", "ready"):
            assert scene.node is not None, "it is prepared"
            if self._free_slots(scene.node) > 0:
                return Step(scene, "finish", scene.node)
        return None

    def _segment(self) -> Step | None:
        """Return a prepared scene for a device of its own machine, or for an idle one elsewhere."""
        prepared = self._in("prepare", "ready")
        load = dict.fromkeys(self._devices, 0)
        for scene in self._in("device", "at work"):
            if scene.device in load:
                load[scene.device] += 1
        for device in sorted(load, key=load.__getitem__):
            here = [scene for scene in prepared if scene.node == self._devices[device]]
            if load[device] < _QUEUE and here:
                return self._to_device(here[0], device)
            if load[device] == 0 and prepared:
                return self._to_device(prepared[0], device)
        return None

    def _to_device(self, scene: Scene, device: str) -> Step:
        self._in_flight.remove(scene)  # to the end: the order in flight is that in the queue of a device
        self._in_flight.append(scene)
        return Step(scene, "device", self._devices[device], device)

    def _prepare(self) -> Step | None:
        if not self._waiting or not self._devices or self._n_ahead() >= self._most_ahead():
            return None
        nodes = [node for node in self._nodes if self._free_slots(node) > 0 and self._has_room(node)]
        if not nodes:
            return None
        scene = self._waiting.pop()
        self._in_flight.append(scene)
        return Step(scene, "prepare", max(nodes, key=self._attraction))

    def _attraction(self, node: str) -> tuple[float, int]:
        """Return how well a machine suits: one with few scenes for its devices, then one with room."""
        here = sum(scene.node == node and scene.lane != "finish" for scene in self._in_flight)
        n_devices = sum(place == node for place in self._devices.values())
        return (n_devices / (1 + here), self._free_slots(node))

    def _n_ahead(self) -> int:
        return sum(scene.lane == "prepare" for scene in self._in_flight)

    def _most_ahead(self) -> int:
        """Return how many scenes may be in preparation or prepared, so that the devices do not wait."""
        prepare, device = self._seconds["prepare"].value, self._seconds["device"].value
        in_balance = 1.0 if prepare is None or device is None else prepare / max(device, 1e-3)
        return len(self._devices) * (_AHEAD + math.ceil(min(in_balance, 1e6)))

    def _free_slots(self, node: str) -> int:
        at_work = sum(
            scene.state == "at work" and scene.lane != "device" and scene.node == node for scene in self._in_flight
        )
        return self._nodes[node].slots - at_work if node in self._nodes else 0

    def _has_room(self, node: str) -> bool:
        """Return whether one more scene fits into the store of a machine; those on its devices count, too."""
        here = sum(node in (scene.node, self._devices.get(scene.device or "")) for scene in self._in_flight)
        return here < self._room(self._nodes[node])

    def _room(self, node: Node) -> int:
        if self._scene_bytes == 0:
            return 1
        result = self._scene_bytes * _RESULT_SHARE if self._result_bytes is None else self._result_bytes
        return max(1, int(node.store_bytes / (self._scene_bytes + result)))
