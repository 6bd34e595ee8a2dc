"""Networks on a device: in several kinds of numbers and layouts, and with what feeds them."""

import copy
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.lib import baselines
from benchmarks.lib.checks import assert_close
from benchmarks.lib.inputs import features
from benchmarks.lib.networks import ensemble_of, recorded, trained
from benchmarks.lib.on_device import Device, measured_on
from benchmarks.lib.results import Goal, Result
from benchmarks.lib.runner import Case
from darts_utils.bands import TRAINING_BANDS
from darts_utils.parameters import BFLOAT16, BFLOAT16_DECODER, FLOAT16, FLOAT32, Precision

if TYPE_CHECKING:
    import torch

ENCODERS = ("resnet34", "resnet50", "efficientnet-b4")
PATCHES_PX = (512, 1024)
BATCH = 8
_OVERLAP = 4
"""Neighbours share this part of a patch."""
_FEED_PX = 4096


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to run a network."""

    name: str
    precision: Precision = FLOAT32
    channels_last: bool = True
    tensor_float: bool = False
    """Whether float32 products may round their inputs to 10 bits."""
    compiled: bool = False


PLAIN = Way(name="float32, channels first", channels_last=False)
WAYS = (
    Way(name="float32"),
    Way(name="TF32", tensor_float=True),
    Way(name="bfloat16", precision=Precision("bfloat16")),
    Way(name=str(BFLOAT16), precision=BFLOAT16),
    Way(name=str(BFLOAT16_DECODER), precision=BFLOAT16_DECODER),
    Way(name="float16", precision=FLOAT16),
    Way(name="float16, both ends in float32", precision=Precision("float16", "ends")),
    Way(name="float16, compiled", precision=FLOAT16, compiled=True),
)


def networks(case: Case, device: Device, encoder: str) -> Iterator[Result]:
    """Yield how fast and how near to float32 a network is in each way, and how well it is fed."""
    import torch

    from darts_segmentation.precision import prepare_exact_parts

    plain = trained(encoder, device.name) if device.is_gpu else trained(encoder, "cpu", steps=2, patch=64, batch=2)
    model = copy.deepcopy(plain)
    prepare_exact_parts(model, torch.device(device.name))
    for patch in PATCHES_PX if case.size is None else (case.size,):
        batch = batch_of(patch, device)
        for way in WAYS:
            if not way.compiled:
                yield _forward(case, device, encoder, model, way=way, batch=batch)
            elif device.is_gpu and (encoder, patch) == (ENCODERS[0], PATCHES_PX[-1]):  # it takes a minute
                yield _forward(case, device, encoder, plain, way=way, batch=batch)
        yield _fed(case, device, encoder, model, patch)


def batch_of(patch: int, device: Device) -> "torch.Tensor":
    """Return patches that the network has not seen, on the device."""
    import torch

    bands = baselines.model_input(features(2 * patch), TRAINING_BANDS)
    corners = [(y, x) for y in (0, patch // 3, patch // 2, patch) for x in (0, patch)]
    return torch.from_numpy(np.stack([bands[:, y : y + patch, x : x + patch] for y, x in corners])).to(device.name)


def _forward(case: Case, device: Device, encoder: str, model: Any, *, way: Way, batch: "torch.Tensor") -> Result:
    """Return how one way to run a network compares with plain float32, in time and in what comes out."""
    baseline, ours = _runner(device, model, PLAIN, batch), _runner(device, model, way, batch)
    expected, found = baseline().cpu().numpy(), ours().cpu().numpy()
    apart = np.abs(found - expected)
    flips = float(((found > 0.5) != (expected > 0.5)).mean())
    size = f"{len(batch)} x {batch.shape[-1]}"
    what = f"{encoder}, {size}, {way.name}: dp {np.quantile(apart, 0.999):.2g}, flips {flips:.4%}"
    assert_close(found, expected, tolerance=0.2, share=0.99)
    px = batch[:, 0].numel()
    return measured_on(device, case, what, px=px, ours=ours, baseline_name=PLAIN.name, baseline=baseline)


def _runner(device: Device, model: Any, way: Way, batch: "torch.Tensor") -> Callable[[], "torch.Tensor"]:
    """Return what gives the probabilities of a batch in one way."""
    import torch

    from darts_segmentation.precision import computing_in

    layout = torch.channels_last if way.channels_last else torch.contiguous_format
    compute = torch.compile(model) if way.compiled else model

    def run() -> "torch.Tensor":
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = way.tensor_float
        model.to(memory_format=layout)
        inputs = batch.contiguous(memory_format=layout)
        numbers = nullcontext() if way.tensor_float else computing_in(way.precision, torch.device(device.name))
        with torch.inference_mode(), numbers:
            return torch.sigmoid(compute(inputs).float())

    return run


def _fed(case: Case, device: Device, encoder: str, model: Any, patch: int) -> Result:
    """Return how inference of a tile in host memory compares with the network alone on the same batches."""
    import torch

    from darts_segmentation.precision import computing_in

    ensemble = ensemble_of([model], device.name)
    tile = features(_FEED_PX if case.size is None else 2 * case.size)
    ours = partial(ensemble.segment_tile, tile, patch, patch // _OVERLAP, batch_size=BATCH)
    with recorded(ensemble.members[0].model) as calls:
        ours()
    batches = [inputs for inputs, _ in calls]

    def alone() -> None:
        with torch.inference_mode(), computing_in(ensemble.precision, torch.device(device.name)):
            for inputs in batches:
                model(inputs)

    what = f"{encoder}, {sum(map(len, batches))} patches of {patch} of a tile in host memory"
    return measured_on(
        device,
        case,
        what,
        px=tile.sizes["y"] * tile.sizes["x"],
        ours=ours,
        baseline_name=f"the network alone, {ensemble.precision}",
        baseline=alone,
        goal=Goal(ratio=0.85),
    )
