"""Whole scenes on a device, from the raw store to the default exports."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.lib.gpu_networks import BATCH, ENCODERS, batch_of
from benchmarks.lib.measure import gpu_use_reader, sampled
from benchmarks.lib.networks import SLUMPS_ABOVE, ensemble_of, trained
from benchmarks.lib.on_device import Device
from benchmarks.lib.results import NO_GOAL, Goal, Result
from benchmarks.lib.runner import Case
from benchmarks.lib.scene import FULL_PX, SCENE_ID, made_scene, scene_store

if TYPE_CHECKING:
    import torch

    from darts_segmentation import EnsembleV1

N_SCENES = 4
"""Whole scenes that are counted, after one that is not."""


def scenes(case: Case, device: Device) -> Iterator[Result]:
    """Yield a result for scenes in steady state, next to the networks alone."""
    size = FULL_PX if case.size is None else case.size
    folder, scene_ids = _several_scenes(case.folder, size)
    network = trained(ENCODERS[0], device.name) if device.is_gpu else trained(ENCODERS[0], "cpu", 2, patch=64, batch=2)
    ensemble = ensemble_of([_decided_by_a_band(network) for _ in range(2)], device.name)
    found: dict[str, float] = {}
    gib = device.peak_gib(lambda: found.update(_map(folder, device, ensemble, scene_ids)))
    alone, px = _seconds_alone(device, ensemble, size), size**2
    yield Result(
        case=case.name,
        what=f"a scene of {size} among {N_SCENES}, 2 x {ENCODERS[0]}: {60 / found['seconds']:.1f} a minute, "
        f"GPU busy {found['busy']:.0%}, {found['cpu_s']:.0f} s of CPU",
        repeat=1,
        seconds=found["seconds"],
        px=px,
        baseline=f"the networks alone, {ensemble.precision}",
        baseline_seconds=alone,
        baseline_px=px,
        ratio=alone / found["seconds"],
        spread=0,
        gib=gib,
        baseline_gib=0,
        goal=Goal(seconds=4) if size == FULL_PX else NO_GOAL,
    )


def _several_scenes(folder: Path, size: int) -> tuple[Path, list[str]]:
    """Return the folder of a made-up scene and the ids of its copies there."""
    folder = made_scene(folder, size)
    store, scene_ids = scene_store(folder), []
    for number in range(N_SCENES + 1):
        scene_ids.append(SCENE_ID.replace("20240720T200909", f"202407{20 + number}T200909"))
        if not store.path(scene_ids[-1]).exists():
            shutil.copytree(store.path(SCENE_ID), store.path(scene_ids[-1]))
    return folder, scene_ids


def _decided_by_a_band(model: Any) -> Any:
    """Return a network that costs what another one does, and finds as many objects as a busy scene has."""
    import torch

    class Decided(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.whole = model.encoder, model

        def forward(self, inputs: "torch.Tensor") -> "torch.Tensor":
            return 100 * (inputs[:, :1] - SLUMPS_ABOVE) + 1e-3 * self.whole(inputs).tanh()

    return Decided().eval()


def _map(folder: Path, device: Device, ensemble: "EnsembleV1", scene_ids: Sequence[str]) -> dict[str, float]:
    """Return `seconds` a scene in steady state, share of the time that the GPU was `busy`, `cpu_s` a scene."""
    from benchmarks.mapping import run_with, scene_pipeline

    given = {"scene_ids": list(scene_ids), "device": device.name, "batch_size": BATCH, "inventory": False}
    with sampled(gpu_use_reader(), every_s=0.1) as samples:
        before = sum(os.times()[:2])
        report = run_with(ensemble, scene_pipeline(folder, **given))
        cpu_s = (sum(os.times()[:2]) - before) / len(scene_ids)
    assert report.exit_code == 0, report.outcomes
    ends = sorted(outcome.times[-1].end for outcome in report.outcomes)
    for stage in report.outcomes[-1].times:
        print(f"  {stage.stage:12} {stage.seconds:5.1f} s", flush=True)
    used = [use for when, use in samples if ends[0] <= when <= ends[-1]]
    busy = sum(used) / len(used) / 100 if used else float("nan")
    return {"seconds": (ends[-1] - ends[0]) / (len(ends) - 1), "busy": busy, "cpu_s": cpu_s}


def _seconds_alone(device: Device, ensemble: "EnsembleV1", size: int) -> float:
    """Return how long the networks alone take for the patches of a scene that lie on the device."""
    import torch

    from darts.pipelines.sentinel2 import Sentinel2Pipeline
    from darts_segmentation.patches import Patching, patch_grid
    from darts_segmentation.precision import computing_in

    given = Sentinel2Pipeline()
    patch = min(given.patch_px, size // 32 * 32)
    grid = patch_grid((size, size), Patching(patch_size=patch, overlap=patch // 4), 32, (0, 0))
    batch = batch_of(patch, device).contiguous(memory_format=torch.channels_last)
    warm_up, start = 3 if device.is_gpu else 0, time.perf_counter()
    with torch.inference_mode(), computing_in(ensemble.precision, ensemble.device):
        for number in range(warm_up + -(-len(grid) // len(batch))):
            if number == warm_up:
                device.wait()
                start = time.perf_counter()
            for member in ensemble.members:
                member.model(batch)
        device.wait()
    return time.perf_counter() - start
