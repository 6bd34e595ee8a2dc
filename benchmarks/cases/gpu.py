"""What does a GPU bring: networks by precision and layout, how well they are fed, terrain, and whole scenes?

`uv run python -m benchmarks gpu`, ten minutes on a machine with 16 cores; without a GPU it says so and ends.
The networks are trained for a few steps first, because untrained ones decide nothing: `dp` is the difference of a
probability from plain float32 at 99.9 % of the pixels, `flips` the share of the pixels that change sides of 0.5. The
column GiB is memory of the device. The whole scenes need some 12 GiB of a memory-backed folder (`--folder /dev/shm/x`).
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.lib import baselines
from benchmarks.lib.checks import assert_close
from benchmarks.lib.inputs import elevation, features
from benchmarks.lib.measure import compared, gpu_use_reader, sampled
from benchmarks.lib.networks import SLUMPS_ABOVE, ensemble_of, recorded, trained
from benchmarks.lib.results import NO_GOAL, Goal, Result
from benchmarks.lib.runner import Case, result_of, run_case
from benchmarks.lib.scene import FULL_PX, SCENE_ID, made_scene, scene_store
from darts_utils.bands import TRAINING_BANDS

if TYPE_CHECKING:
    import torch

    from darts_segmentation import EnsembleV1

ENCODERS = ("resnet34", "resnet50", "efficientnet-b4")
PATCHES_PX = (512, 1024)
_BATCH = 8
_OVERLAP = 4
"""Neighbours share this part of a patch."""
_FEED_PX = 4096
_TERRAIN = ("slope", "aspect", "hillshade", "curvature")
_TPI_RADIUS_M = 100
N_SCENES = 4
"""Whole scenes that are counted, after one that is not."""
_GIB = 2**30


def results(case: Case) -> Iterator[Result]:
    """Yield a result for each network, for the terrain and for whole scenes; none without a GPU."""
    import torch

    if not torch.cuda.is_available():
        print("nothing was measured: torch finds no GPU here")
        return
    print(f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}, {os.cpu_count()} cores", flush=True)
    yield from _networks(case)
    yield from _terrain(case)
    yield from _scenes(case)


# Networks


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to run a network."""

    name: str
    dtype: str = "float32"
    channels_last: bool = True
    tensor_float: bool = False
    """Whether float32 products may round their inputs to 10 bits."""
    ends_in_float32: bool = False
    """Whether the first convolution and the head stay in float32."""
    compiled: bool = False


PLAIN = Way(name="float32, channels first", channels_last=False)
WAYS = (
    Way(name="float32"),
    Way(name="TF32", tensor_float=True),
    Way(name="bfloat16", dtype="bfloat16"),
    Way(name="bfloat16, both ends in float32", dtype="bfloat16", ends_in_float32=True),
    Way(name="float16", dtype="float16"),
    Way(name="float16, both ends in float32", dtype="float16", ends_in_float32=True),
    Way(name="bfloat16, compiled", dtype="bfloat16", compiled=True),
)


def _networks(case: Case) -> Iterator[Result]:
    for encoder in ENCODERS:
        model = trained(encoder, "cuda")
        for patch in PATCHES_PX:
            batch = _batch(patch)
            for way in WAYS:
                if not way.compiled or (encoder, patch) == (ENCODERS[0], PATCHES_PX[-1]):  # compiling takes a minute
                    yield _forward(case, encoder, model, way, batch)
            yield _fed(case, encoder, model, patch)


def _batch(patch: int) -> "torch.Tensor":
    """Return patches that the network has not seen, on the device."""
    import torch

    bands = baselines.model_input(features(2 * patch), TRAINING_BANDS)
    corners = [(y, x) for y in (0, patch // 3, patch // 2, patch) for x in (0, patch)]
    return torch.from_numpy(np.stack([bands[:, y : y + patch, x : x + patch] for y, x in corners])).cuda()


def _forward(case: Case, encoder: str, model: Any, way: Way, batch: "torch.Tensor") -> Result:
    """Return how one way to run a network compares with plain float32, in time and in what comes out."""
    baseline, ours = _runner(model, PLAIN, batch), _runner(model, way, batch)
    expected, found = baseline().cpu().numpy(), ours().cpu().numpy()
    apart = np.abs(found - expected)
    flips = float(((found > 0.5) != (expected > 0.5)).mean())
    size = f"{len(batch)} x {batch.shape[-1]}"
    what = f"{encoder}, {size}, {way.name}: dp {np.quantile(apart, 0.999):.2g}, flips {flips:.4%}"
    assert_close(found, expected, tolerance=0.2, share=0.99)
    return _measured(case, what, px=batch[:, 0].numel(), ours=ours, baseline_name=PLAIN.name, baseline=baseline)


def _runner(model: Any, way: Way, batch: "torch.Tensor") -> Callable[[], "torch.Tensor"]:
    """Return what gives the probabilities of a batch in one way, complete when it returns."""
    import torch

    layout = torch.channels_last if way.channels_last else torch.contiguous_format
    compute = torch.compile(model) if way.compiled else model

    def run() -> "torch.Tensor":
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = way.tensor_float
        model.to(memory_format=layout)
        inputs = batch.contiguous(memory_format=layout)
        half = torch.autocast("cuda", dtype=getattr(torch, way.dtype), enabled=way.dtype != "float32")
        with torch.inference_mode(), half, _ends(model, in_float32=way.ends_in_float32):
            found = torch.sigmoid(compute(inputs).float())
        torch.cuda.synchronize()
        return found

    return run


@contextmanager
def _ends(model: Any, *, in_float32: bool) -> Iterator[None]:
    """Keep the first convolution and the head of a network in float32."""
    import torch

    if not in_float32:
        yield
        return
    first = next(module for module in model.encoder.modules() if isinstance(module, torch.nn.Conv2d))
    ends = {module: module.forward for module in (first, model.segmentation_head)}

    def exactly(forward: Callable[..., Any], values: "torch.Tensor") -> Any:
        with torch.autocast("cuda", enabled=False):
            return forward(values.float())

    for module, forward in ends.items():
        module.forward = partial(exactly, forward)  # type: ignore[method-assign]  # torch calls what the attribute holds
    try:
        yield
    finally:
        for module, forward in ends.items():
            module.forward = forward  # type: ignore[method-assign]  # likewise


def _fed(case: Case, encoder: str, model: Any, patch: int) -> Result:
    """Return how inference of a tile in host memory compares with the network alone on the same batches."""
    import torch

    ensemble = ensemble_of([model], "cuda")
    tile = features(_FEED_PX)
    ours = partial(ensemble.segment_tile, tile, patch, patch // _OVERLAP, batch_size=_BATCH)
    with recorded(ensemble.members[0].model) as calls:
        ours()
    batches = [inputs for inputs, _ in calls]

    def alone() -> None:
        with torch.inference_mode(), torch.autocast("cuda", dtype=torch.float16):
            for inputs in batches:
                model(inputs)
        torch.cuda.synchronize()

    what = f"{encoder}, {sum(map(len, batches))} patches of {patch} of a tile in host memory"
    return _measured(
        case,
        what,
        px=_FEED_PX**2,
        ours=ours,
        baseline_name="the network alone, float16",
        baseline=alone,
        goal=Goal(ratio=0.85),
    )


# Terrain


def _terrain(case: Case) -> Iterator[Result]:
    """Yield results for terrain and relative elevation on the device, next to all cores of the host."""
    from darts_preprocessing import derive_terrain, topographic_position_index

    dem = elevation(FULL_PX if case.size is None else case.size)
    terrain, index = partial(derive_terrain, dem, _TERRAIN), partial(topographic_position_index, dem, _TPI_RADIUS_M)
    for what, make, tolerance in (
        ("slope, aspect, hillshade, curvature", terrain, 0.02),
        (f"TPI, {_TPI_RADIUS_M} m at 10 m a pixel", lambda **on: index(**on).to_dataset(name="index"), 0.01),
    ):
        ours, baseline = partial(make, device="cuda"), partial(make, device="cpu")
        _agree(ours(), baseline(), tolerance)
        yield _measured(
            case,
            f"{what}, from and to host memory",
            px=dem.size,
            ours=ours,
            baseline_name="ours on all cores",
            baseline=baseline,
        )


def _agree(ours: Any, plain: Any, tolerance: float) -> None:
    for name in plain:
        apart = ours[name].values - plain[name].values
        apart = (apart + 180) % 360 - 180 if name == "aspect" else apart
        assert_close(apart, np.zeros_like(apart), tolerance=tolerance, share=0.999)


# Whole scenes


def _scenes(case: Case) -> Iterator[Result]:
    """Yield a result for scenes from the raw store to the default exports, next to the networks alone."""
    size = FULL_PX if case.size is None else case.size
    folder, scene_ids = _several_scenes(case.folder, size)
    ensemble = ensemble_of([_decided_by_a_band(trained(ENCODERS[0], "cuda")) for _ in range(2)], "cuda")
    seconds, busy, cpu_s, device_gib = _map(folder, ensemble, scene_ids)
    alone = _seconds_alone(ensemble, size)
    px = size**2
    what = (
        f"a scene of {size} among {N_SCENES}, 2 x {ENCODERS[0]}: {60 / seconds:.1f} a minute, "
        f"GPU busy {busy:.0%}, {cpu_s:.0f} s of CPU"
    )
    yield Result(
        case=case.name,
        what=what,
        repeat=1,
        seconds=seconds,
        px=px,
        baseline="the networks alone, float16",
        baseline_seconds=alone,
        baseline_px=px,
        ratio=alone / seconds,
        spread=0,
        gib=device_gib,
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

    return Decided().cuda().eval()


def _map(folder: Path, ensemble: "EnsembleV1", scene_ids: Sequence[str]) -> tuple[float, float, float, float]:
    """Return seconds a scene in steady state, share of the time that the GPU was busy, CPU seconds a scene, GiB."""
    import torch

    from benchmarks.mapping import run_with, scene_pipeline

    torch.cuda.reset_peak_memory_stats()
    with sampled(gpu_use_reader(), every_s=0.1) as samples:
        before = sum(os.times()[:2])
        given = {"scene_ids": list(scene_ids), "device": "cuda", "batch_size": _BATCH}
        report = run_with(ensemble, scene_pipeline(folder, **given))
        cpu_s = (sum(os.times()[:2]) - before) / len(scene_ids)
    assert report.exit_code == 0, report.outcomes
    ends = sorted(outcome.times[-1].end for outcome in report.outcomes)
    for stage in report.outcomes[-1].times:
        print(f"  {stage.stage:12} {stage.seconds:5.1f} s", flush=True)
    used = [use for when, use in samples if ends[0] <= when <= ends[-1]]
    busy = sum(used) / len(used) / 100 if used else float("nan")
    return (ends[-1] - ends[0]) / (len(ends) - 1), busy, cpu_s, torch.cuda.max_memory_allocated() / _GIB


def _seconds_alone(ensemble: "EnsembleV1", size: int) -> float:
    """Return how long the networks alone take for the patches of a scene that lie on the device."""
    import torch

    from darts.pipelines.sentinel2 import Sentinel2Pipeline
    from darts_segmentation.patches import Patching, patch_grid

    given = Sentinel2Pipeline()
    grid = patch_grid((size, size), Patching(patch_size=given.patch_px, overlap=given.overlap), 32, (0, 0))
    batch = _batch(given.patch_px).contiguous(memory_format=torch.channels_last)
    start = 0.0
    with torch.inference_mode(), torch.autocast("cuda", dtype=torch.float16):
        for number in range(3 + -(-len(grid) // len(batch))):
            if number == 3:
                torch.cuda.synchronize()
                start = time.perf_counter()
            for member in ensemble.members:
                member.model(batch)
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _measured(
    case: Case,
    what: str,
    *,
    px: int,
    ours: Callable[[], object],
    baseline_name: str,
    baseline: Callable[[], object],
    goal: Goal = NO_GOAL,
) -> Result:
    """Return how ours and a baseline compare, both warmed up; memory is that of the device."""
    import torch

    peaks = []
    for run in (ours, baseline):
        run()
        torch.cuda.reset_peak_memory_stats()
        run()
        peaks.append(torch.cuda.max_memory_allocated() / _GIB)
    timings = compared(case.repeat, ours=ours, baseline=baseline)
    found = result_of(case, what, timings["ours"], timings["baseline"], px=(px, px), baseline=baseline_name, goal=goal)
    return replace(found, gib=peaks[0], baseline_gib=peaks[1])


if __name__ == "__main__":
    run_case("gpu", __doc__)
