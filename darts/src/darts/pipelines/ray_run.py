"""The pipelines on a Ray cluster: the same stages and the same record, brought through by another executor."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Self

from cyclopts import Parameter

from darts.pipelines.base import Engine, Pipeline
from darts.pipelines.features import anywhere
from darts.pipelines.fingerprint import recipe_of
from darts.pipelines.finished import Finished
from darts.pipelines.parameters import OlderSceneParameters, RayParameters
from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.provenance import Making
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.tiles import Executor, RunReport, Source, TileRef, Work
from darts_utils.errors import ConfigError

if TYPE_CHECKING:
    from darts.pipelines.plan import Plan
    from darts.pipelines.stages import Stage

_DOWNLOADS = 1
"""Scenes that the whole cluster fetches at once: one takes all the connections that an account may open."""


@dataclass(frozen=True, kw_only=True)
class OnRay(RayParameters, Pipeline):
    """Maps on a Ray cluster what its sensor's pipeline maps on one machine."""

    def located(self) -> Self:
        """Return a copy with every location filled in, each the same on all machines."""
        run = super().located()
        return replace(run, **{field.name: anywhere(getattr(run, field.name)) for field in fields(run)})

    @contextmanager
    def _engine(self, source: Source) -> Iterator[Engine]:
        from darts.pipelines.executors.ray_cluster import check_installed, connected, has_gpus

        check_installed()
        models = self._models_on_disk()
        store_bytes = None if self.max_memory_gb is None else int(self.max_memory_gb * 2**30)
        with connected(self.ray_address, store_bytes=store_bytes):
            on_gpus = self.device != "cpu" and has_gpus()
            # what the GPUs of a cluster compute in is not asked of each: all of this decade know it
            precision, device = (
                ("bfloat16", "GPUs of a Ray cluster") if on_gpus else ("float32", "CPUs of a Ray cluster")
            )
            models = replace(models, precision=precision, device=device)
            finished = self._finished(source, lambda: recipe_of(self, models, source.resolution_m))
            yield Engine(models, partial(self._executor, source, finished))

    def _executor(self, source: Source, finished: Finished, plan: "Plan | None", making: Making) -> Executor:
        """Return what brings scenes through the lanes on the cluster."""
        from darts.pipelines.executors.ray import Losses, RayExecutor

        gate = None if plan is None else _make_gate()
        lanes = self._lanes(source, plan, gate, making)
        losses = Losses(
            is_whole=lambda ref: not self.overwrite and finished.state(ref).kind == "done",
            clear=partial(self._clear, lanes.run_id),
            bury=(lambda _: None) if gate is None else gate.bury.remote,
        )
        wanted = [self.device] if isinstance(self.device, int) and self.devices is None else self.devices
        return RayExecutor(lanes, ["segment"], losses, devices=wanted, use_gpus=self.device != "cpu")

    def _lanes(self, source: Source, plan: "Plan | None", gate: Any, making: Making) -> Any:
        """Return what the workers do; none of them is told of a device, for each sees only the one that it has."""
        from darts.pipelines.executors.ray_workers import Lanes
        from darts.pipelines.stages import feature_stages, result_stages

        run = replace(self if plan is None else self.addressed(), device="cpu" if self.device == "cpu" else None)
        features = self.features()
        source = source.fetching([] if plan is None else plan.images)
        prepare = feature_stages(run, source, features, self._model_bands())
        if plan is not None:
            connect = partial(run.connect, source, _small(plan))
            prepare[0] = replace(prepare[0], run=_Fetching(prepare[0].run, source, connect, gate))
        if not self.debug_data:
            prepare[-1] = replace(prepare[-1], run=_OnlyRead(prepare[-1].run, features))
        return Lanes(
            run_id=os.urandom(6).hex(),
            prepare=prepare,
            finish=result_stages(run, list(self._models()), making),
            open_device=partial(_device_stages, run),
            set_up=partial(_set_up, run, gate),
            num_cpus=self.num_cpus,
        )

    def _clear(self, run_id: str, ref: TileRef) -> None:
        """Delete what a worker left half done of the results of a scene, wherever it ran."""
        from darts_utils.files import remove_parts

        assert self.output_data_dir is not None, "resolved() fills it"
        folder = self.output_data_dir / ref.output_folder
        remove_parts(folder.parent, label=run_id, stem=folder.stem)


@dataclass(frozen=True, kw_only=True)
class Sentinel2RayPipeline(OlderSceneParameters, OnRay, Sentinel2Pipeline):
    """Maps slumps in Sentinel-2 scenes on a Ray cluster; scenes are selected as in `Sentinel2Pipeline`."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        for older, name in _NEWER_NAMES.items():
            if getattr(self, older) is not None and getattr(self, name) is not None:
                raise ConfigError(f"{older} is the older name of {name}, and both are given. Give one of them.")

    def located(self) -> Self:
        """Return a copy with every location filled in, under the names of today."""
        given = {older: value for older in _NEWER_NAMES if (value := getattr(self, older)) is not None}
        today: dict[str, Any] = {_NEWER_NAMES[older]: value for older, value in given.items()}
        named = replace(self, **today | dict.fromkeys(given))
        return super(Sentinel2RayPipeline, named).located()

    @staticmethod
    def cli(  # type: ignore[override]  # a command takes the parameters of its own pipeline
        *, pipeline: Annotated["Sentinel2RayPipeline | None", Parameter(name="*")] = None
    ) -> RunReport:
        """Map slumps in Sentinel-2 scenes on a Ray cluster, or on all cores and GPUs of this machine.

        Results go to a folder a scene: probabilities, masks, polygons, extent, thumbnail.
        """
        return (Sentinel2RayPipeline() if pipeline is None else pipeline).run()


_NEWER_NAMES = {"aoi_shapefile": "aoi_file", "input_cache": "raw_data_store"}


@dataclass(frozen=True, kw_only=True)
class PlanetRayPipeline(OnRay, PlanetPipeline):
    """Maps slumps in PlanetScope orthotiles and scenes on a Ray cluster; images are found as by `PlanetPipeline`."""

    @staticmethod
    def cli(  # type: ignore[override]  # a command takes the parameters of its own pipeline
        *, pipeline: Annotated["PlanetRayPipeline | None", Parameter(name="*")] = None
    ) -> RunReport:
        """Map slumps in PlanetScope orthotiles and scenes on a Ray cluster, or on all cores and GPUs of this machine.

        Results go to a folder an image: probabilities, masks, polygons, extent, thumbnail.
        """
        return (PlanetRayPipeline() if pipeline is None else pipeline).run()


run_sentinel2_ray = Sentinel2RayPipeline.cli
run_planet_ray = PlanetRayPipeline.cli
"""The commands, under names that can be imported when they are called."""


@dataclass(frozen=True)
class _Fetching:
    """Loads a scene; if it must be fetched, only as many at once in the whole cluster as the service allows.

    The access is had here and not with the process, because workers on devices, and those that finish, fetch nothing.
    """

    load: Callable[[Work], Work]
    source: Source
    connect: Callable[[], None]
    gate: Any

    def __call__(self, work: Work) -> Work:
        from darts.pipelines.executors.ray_gate import entered
        from darts.pipelines.executors.ray_workers import holder

        self.connect()
        if not self.source.to_fetch([work.ref]):
            return self.load(work)
        with entered(self.gate, "download", holder()):
            return self.load(work)


@dataclass(frozen=True)
class _OnlyRead:
    """Makes features, and leaves out what neither a model nor an export reads: it would be sent for nothing."""

    make: Callable[[Work], Work]
    features: frozenset[str]

    def __call__(self, work: Work) -> Work:
        from darts.pipelines.stages import is_said

        made = self.make(work)
        assert made.tile is not None
        keep = {*self.features, "nir"}
        return replace(
            made, tile=made.tile[[name for name in made.tile.data_vars if name in keep or is_said(str(name))]]
        )


def _device_stages(run: OnRay) -> "list[Stage]":
    """Return the stages of a device, with the models loaded on it."""
    import torch

    from darts.pipelines.stages import segment_stage
    from darts_utils.machine.cpu import usable_cores

    torch.set_num_threads(usable_cores())  # Ray allows one to a worker that reserves no CPUs
    return [segment_stage(run, run._load_models())]


def _set_up(run: OnRay, gate: Any) -> None:
    """Make a worker process what the driver's is: the same addresses, one writer a cube."""
    run.use_endpoints()
    if gate is None:
        return
    from darts.pipelines.executors.ray_gate import entered
    from darts.pipelines.executors.ray_workers import holder
    from darts_acquisition.auxiliary.filling import set_outer_lock

    set_outer_lock(lambda path: entered(gate, str(path), holder()))


def _small(plan: "Plan") -> "Plan":
    """Return a plan that only says which services are needed, for it goes to every worker."""
    some = dict(list(plan.images.items())[:1])
    return replace(plan, todo=(), images=some, layers={}, sizes={}, outlined=frozenset())


def _make_gate() -> Any:
    """Return the actor that lets one into each cube at a time; it lives on this machine, and as long as the driver."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from darts.pipelines.executors.ray_gate import Gate

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(Gate).options(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here)
    return actor.remote({"download": _DOWNLOADS})
