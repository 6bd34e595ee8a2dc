"""What runs on the machines of a Ray cluster: the lanes of a scene, each in a worker of its own."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, replace
from traceback import format_exc
from typing import TYPE_CHECKING, Any

import ray

from darts.pipelines.stages import Stage
from darts.pipelines.tiles import Loaded, Outcome, Result, StageTime, TileRef, Work, failed, loaded
from darts_utils.files import label_parts
from darts_utils.machine.cpu import limit_cores, usable_cores
from darts_utils.machine.memory import give_back_after

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Lanes:
    """All that workers need to know of a run; sent to each once."""

    run_id: str
    """Letters and digits that no other run has."""
    prepare: Sequence[Stage]
    finish: Sequence[Stage]
    open_device: Callable[[], Sequence[Stage]]
    """Makes the stages of a device, in the worker that has it: a GPU is the only one that it sees."""
    set_up: Callable[[], None]
    """Called once in each worker, before its first stage."""
    num_cpus: int = 1
    """Cores that a worker keeps to which prepares and finishes."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """How a lane of a scene went; small, while its arrays stay where they are."""

    times: tuple[StageTime, ...]
    node: str
    n_bytes: int
    """What its result takes in the object store."""
    failure: Outcome | None = None
    traceback: str = ""
    """Where it failed, for the log of the driver."""
    result: Result | None = None
    """What is on the disk of the scene after its last lane."""
    host: str = ""


@dataclass(frozen=True)
class Added:
    """What a device adds to a tile: all that comes back from it."""

    names: tuple[str, ...]
    """Bands of the tile from then on, in order."""
    bands: "xr.Dataset"
    """Those that were not there before."""

    @classmethod
    def between(cls, before: Loaded, after: Loaded) -> "Added":
        """Return what stages have added and left out; they change no band."""
        names = tuple(map(str, after.tile.data_vars))
        return cls(names, after.tile[[name for name in names if name not in before.tile]])

    def to(self, work: Loaded) -> Loaded:
        """Return the work as it was after the stages."""
        return replace(work, tile=work.tile.assign(self.bands.data_vars)[list(self.names)])


_known: dict[str, tuple[Lanes, Context]] = {}
"""The lanes of the run that this worker works for, and the context that they were set up in."""
_owner = ["nobody"]
"""The try of a scene that this worker is at, as the semaphore knows it."""


def owner() -> str:
    """Return the name of the try of a scene that this worker is at."""
    return _owner[0]


def prepare(lanes: "Sequence[ray.ObjectRef]", ref: TileRef, token: str) -> tuple[Report, Work | None]:
    """Return a scene with all that the models and the exports read of it."""
    known, context = _begin(lanes, token)
    return context.run(_through, known.prepare, Work(ref))


def finish(lanes: "Sequence[ray.ObjectRef]", work: Work, added: Added, token: str) -> Report:
    """Write the results of a scene."""
    known, context = _begin(lanes, token)
    report, after = context.run(_through, known.finish, added.to(loaded(work)))
    return report if after is None else replace(report, result=after.result)


def _begin(references: "Sequence[ray.ObjectRef]", token: str) -> tuple[Lanes, Context]:
    """Make this a worker without a device, at one try of a scene."""
    _hide_gpus()
    lanes, context = set_up_for(references)
    limit_cores(lanes.num_cpus)
    _owner[0] = token
    return lanes, context


class Device:
    """A worker that has a GPU, or the CPUs of a machine, with the models loaded once."""

    def __init__(self, lanes: "Sequence[ray.ObjectRef]", n_here: int) -> None:
        self._references = lanes
        self._n_here = n_here
        self._stages: Sequence[Stage] = ()

    def gpus(self) -> list[str]:
        """Return the numbers of its GPUs on its machine; nothing is loaded yet."""
        return [str(gpu) for gpu in ray.get_runtime_context().get_accelerator_ids().get("GPU", [])]

    def open(self) -> None:
        """Load the models."""
        limit_cores(max(1, usable_cores() // self._n_here))
        if not self.gpus():
            _hide_gpus()
        lanes, _ = set_up_for(self._references)
        self._stages = lanes.open_device()

    def work(self, work: Work, token: str) -> tuple[Report, Added | None]:
        """Return what the networks add to a scene."""
        _owner[0] = token
        report, after = _through(self._stages, work, keep=work)
        return report, after


def set_up_for(references: "Sequence[ray.ObjectRef]") -> tuple[Lanes, Context]:
    """Return the lanes of a run, fetched once: a source may know thousands of scenes; and what they were set up in."""
    key = references[0].hex()
    if key not in _known:
        lanes: Lanes = ray.get(references[0])
        label_parts(lanes.run_id)
        context = copy_context()
        context.run(lanes.set_up)
        _known.clear()
        _known[key] = lanes, context
    return _known[key]


def _through(stages: Sequence[Stage], work: Work, *, keep: Work | None = None) -> tuple[Report, Any]:
    """Bring a tile through stages; return how it went, and the tile, or only what they added to `keep`."""
    times: list[StageTime] = []
    for stage in stages:
        start = time.time()
        try:
            work = stage.run(work)
        except Exception as error:  # noqa: BLE001  (the end of this scene alone; the driver logs it)
            times.append(StageTime(stage.name, start, time.time()))
            failure = failed(work.ref, stage.name, error, times)
            return replace(_report(times), failure=failure, traceback=format_exc()), None
        times.append(StageTime(stage.name, start, time.time()))
        give_back_after(work.nbytes)
    result = work if keep is None else Added.between(loaded(keep), loaded(work))
    return _report(times, n_bytes=_n_bytes(result)), result


def _report(times: Sequence[StageTime], n_bytes: int = 0) -> Report:
    node = ray.get_runtime_context().get_node_id()
    return Report(times=tuple(times), node=node, n_bytes=n_bytes, host=platform.node())


def _n_bytes(value: Any) -> int:
    """Return what the arrays of a value take when it is sent; a tile says much more, for bands made later."""
    from pickle import PickleBuffer

    buffers: list[PickleBuffer] = []
    header = ray.cloudpickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return len(header) + sum(buffer.raw().nbytes for buffer in buffers)


def _hide_gpus() -> None:
    """Keep this worker from the GPUs, which belong to others."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
