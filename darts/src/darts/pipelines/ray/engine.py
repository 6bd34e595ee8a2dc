"""The engine of a Ray cluster: its workers told what to do, scenes fetched a few at a time, cubes written by one."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from darts.pipelines.computing.ability import Ability
from darts.pipelines.computing.verdicts import Judge
from darts.pipelines.fetch.connect import ask_at_given_addresses, connect, with_endpoints
from darts.pipelines.fetch.plan import Plan
from darts.pipelines.ray.cluster import connected, has_gpus
from darts.pipelines.ray.executor import FailureHooks, RayExecutor
from darts.pipelines.ray.pipelines import RayMixin
from darts.pipelines.ray.precision import ClusterJudge, ability_of_cluster
from darts.pipelines.ray.semaphore import Semaphores, acquired
from darts.pipelines.ray.workers import Lanes, owner
from darts.pipelines.results.provenance import Making
from darts.pipelines.run import Engine, Resolved, run_pipeline
from darts.pipelines.stages import Stage, is_said, prepare_stages, result_stages, segment_stage
from darts.pipelines.tiles import Executor, RunReport, Source, TileRef, Work, loaded
from darts_acquisition.auxiliary.filling import set_outer_lock
from darts_segmentation.network_memory import bytes_per_px
from darts_utils.files import remove_parts
from darts_utils.machine.cpu import usable_cores
from darts_utils.machine.memory import keep_freed

_DOWNLOADS = 1
"""Scenes that the whole cluster fetches at once: one takes all the connections that an account may open."""


def run_on_cluster(pipeline: RayMixin) -> RunReport:
    """Map all selected tiles on a Ray cluster and return how each ended, see `Pipeline.run`."""
    return run_pipeline(pipeline, partial(_on_cluster, pipeline))


@contextmanager
def _on_cluster(pipeline: RayMixin, run: Resolved) -> Iterator[Engine]:
    """Hold a cluster joined, or started on this machine, from before scenes are searched for."""
    models = run.models_on_disk()
    store_bytes = None if pipeline.max_memory_gb is None else int(pipeline.max_memory_gb * 2**30)
    with connected(pipeline.ray_address, store_bytes=store_bytes):
        on_gpus = _uses_gpus(pipeline)
        models = replace(models, device=f"{'GPUs' if on_gpus else 'CPUs'} of a Ray cluster")
        ability = ability_of_cluster(on_gpus=on_gpus)
        yield Engine(
            models=models,
            ability=ability,
            bytes_per_px=partial(_bytes_per_px, run),
            executor=partial(_executor, pipeline, run),
            judge=partial(judge_of_cluster, pipeline, run, ability),
        )


def _bytes_per_px(run: Resolved) -> float:
    """Return what the networks take for a pixel of a patch, found out here."""
    ensemble = run.ensemble()
    return bytes_per_px(ensemble.members, ensemble.device)


def judge_of_cluster(pipeline: RayMixin, run: Resolved, ability: Ability, plan: Plan | None, making: Making) -> Judge:
    """Return what tries precisions on the cluster."""
    semaphores = None if plan is None else _make_semaphores()
    lanes = lanes_of(pipeline, run, plan, semaphores, making)
    load_models = for_workers(pipeline, run, plan).load_models
    return ClusterJudge(lanes, load_models, ability.faster, on_gpus=_uses_gpus(pipeline))


def _uses_gpus(pipeline: RayMixin) -> bool:
    return pipeline.device != "cpu" and has_gpus()


def _executor(pipeline: RayMixin, run: Resolved, plan: Plan | None, making: Making) -> Executor:
    """Return what brings scenes through the lanes on the cluster."""
    semaphores = None if plan is None else _make_semaphores()
    lanes = lanes_of(pipeline, run, plan, semaphores, making)
    finished = run.finished(lambda: making.recipe)
    hooks = FailureHooks(
        is_whole=lambda ref: not pipeline.overwrite and finished.state(ref).kind == "done",
        clear=partial(_clear, run, lanes.run_id),
        revoke=(lambda _: None) if semaphores is None else semaphores.revoke.remote,
    )
    wanted = [pipeline.device] if isinstance(pipeline.device, int) and pipeline.devices is None else pipeline.devices
    return RayExecutor(lanes, ["segment"], hooks, devices=wanted, use_gpus=pipeline.device != "cpu")


def lanes_of(pipeline: RayMixin, run: Resolved, plan: Plan | None, semaphores: Any, making: Making) -> Lanes:
    """Return what the workers do; none of them is told of a device, for each sees only the one that it has.

    Args:
        pipeline: What says how many CPUs a worker gets.
        run: The run.
        plan: What will be fetched, None if nothing is.
        semaphores: The actor that holds the cluster's semaphores, None if nothing is fetched.
        making: What is said of how the results were made.
    """
    there = for_workers(pipeline, run, plan)
    parameters, source = there.parameters, there.source
    prepare = prepare_stages(parameters, source, run.features, run.model_bands)
    if plan is not None:
        let_in = partial(connect, parameters, source, slim_plan(plan))
        prepare[0] = replace(prepare[0], run=_Fetching(prepare[0].run, source, let_in, semaphores))
    if not parameters.debug_data:
        prepare[-1] = replace(prepare[-1], run=_DropUnusedBands(prepare[-1].run, run.features))
    return Lanes(
        run_id=os.urandom(6).hex(),
        prepare=prepare,
        finish=result_stages(parameters, list(run.models), making, run.results),
        open_device=partial(_device_stages, there, making),
        set_up=partial(set_up, parameters, semaphores),
        num_cpus=pipeline.num_cpus,
    )


def for_workers(pipeline: RayMixin, run: Resolved, plan: Plan | None) -> Resolved:
    """Return a run as workers know it: with the addresses of the driver, the source, and the device that each sees."""
    parameters = run.parameters if plan is None else with_endpoints(run.parameters)
    parameters = replace(parameters, device="cpu" if pipeline.device == "cpu" else None)
    return replace(run, parameters=parameters, source=run.source.fetching([] if plan is None else plan.images))


def _clear(run: Resolved, run_id: str, ref: TileRef) -> None:
    """Delete what a worker left half done of the results of a scene, wherever it ran."""
    folder = run.results / ref.output_folder
    remove_parts(folder.parent, label=run_id, stem=folder.stem)


@dataclass(frozen=True)
class _Fetching:
    """Loads a scene; if it must be fetched, only as many at once in the whole cluster as the service allows.

    The access is had here and not with the process, because workers on devices, and those that finish, fetch nothing.
    """

    load: Callable[[Work], Work]
    source: Source
    connect: Callable[[], None]
    semaphores: Any

    def __call__(self, work: Work) -> Work:
        self.connect()
        if not self.source.to_fetch([work.ref]):
            return self.load(work)
        with acquired(self.semaphores, "download", owner()):
            return self.load(work)


@dataclass(frozen=True)
class _DropUnusedBands:
    """Makes features, and leaves out what neither a model nor an export reads: it would be sent for nothing."""

    make: Callable[[Work], Work]
    features: frozenset[str]

    def __call__(self, work: Work) -> Work:
        made = loaded(self.make(work))
        keep = self.features
        return replace(
            made, tile=made.tile[[name for name in made.tile.data_vars if name in keep or is_said(str(name))]]
        )


def _device_stages(run: Resolved, making: Making) -> list[Stage]:
    """Return the stages of a device, with the models loaded on it."""
    torch.set_num_threads(usable_cores())  # Ray allows one to a worker that reserves no CPUs
    ensemble = run.load_models()
    ensemble.precision = making.precision
    if ensemble.device.type == "cpu":
        keep_freed(making.patch_px)
    return [segment_stage(run.with_patches(making.patch_px), ensemble)]


def set_up(parameters: Any, semaphores: Any) -> None:
    """Make a worker process what the driver's is: the same addresses, one writer a cube."""
    ask_at_given_addresses(parameters, offline=parameters.offline)
    if semaphores is not None:
        set_outer_lock(lambda path: acquired(semaphores, str(path), owner()))


def slim_plan(plan: Plan) -> Plan:
    """Return a plan that only says which services are needed, for it goes to every worker."""
    some = dict(list(plan.images.items())[:1])
    return replace(plan, todo=(), images=some, layers={}, sizes={}, outlined=frozenset())


def _make_semaphores() -> Any:
    """Return the actor that holds the semaphores; it lives on this machine, and as long as the driver."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(Semaphores).options(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here)
    return actor.remote({"download": _DOWNLOADS})
