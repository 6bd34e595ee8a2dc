"""How fast is training beside the bare step? `uv run python -m benchmarks.training_steps`.

A U-Net learns for some steps from a patch set on disk, by the data module, the loop and the checks of `darts training
train-smp`. Beside it stands the bare step: forward, loss, backward and optimiser on one batch that lies on the device
already. On a GPU it takes by default 200 steps of 16 x 13 x 512 x 512 with a ResNet-34; on a CPU small ones.
"""

import argparse
import logging
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
import torch
import xarray as xr
from lightning.pytorch.callbacks import Callback
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from benchmarks.lib.measure import gpu_use_reader, sampled
from darts_segmentation.training import TrainDatasetBuilder
from darts_segmentation.training.data import DartsDataModule, open_learning_data
from darts_segmentation.training.loop.fit import Fitting, make_trainer
from darts_segmentation.training.loop.history import History, Silent
from darts_segmentation.training.loop.module import TrainedNetwork
from darts_segmentation.training.loop.networks import architecture_of, new_network
from darts_segmentation.training.loop.runs import RunFolder
from darts_segmentation.training.parameters import RunParameters
from darts_utils.bands import TRAINING_BANDS, manager

KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("from disk, no workers", {"num_workers": 0}),
    ("from disk, 2 workers", {"num_workers": 2}),
    ("from disk, 8 workers", {"num_workers": 8}),
    ("in memory, no workers", {"num_workers": 0, "in_memory": True}),
    ("in memory, no workers, the usual augmentations", {"num_workers": 0, "in_memory": True, "augment": None}),
)
"""What is measured: name, and what is given to the training. The bare step never augments."""
_WARM_UP = 5
"""Steps before the clock starts: libraries choose their ways in the first ones."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is trained."""

    encoder: str
    size: int
    batch: int
    steps: int
    batches: int
    """Batches of an epoch."""
    device: torch.device


class Clock(Callback):
    """Notes when steps end, and stops after enough of them."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self.first = self.last = 0.0

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Count a step."""
        self._done += 1
        if self._done == _WARM_UP:
            self.first = _now(trainer.lightning_module.device)
        if self._done == _WARM_UP + self._steps:
            self.last = _now(trainer.lightning_module.device)
            trainer.should_stop = True
            trainer.limit_train_batches = 0


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic()


def make_set(folder: Path, work: Work) -> None:
    """Write a patch set of noise, half of it with a slump."""
    side = work.size * 2
    builder = TrainDatasetBuilder(
        folder,
        work.size,
        0,
        TRAINING_BANDS,
        exclude_nopositive=False,
        exclude_nan=False,
        settings={"kind": "sentinel2"},
    )
    rng = np.random.default_rng(1)
    for number in range(-(-work.batches * work.batch // 4)):
        left = 400_000 + number * side * 10
        box = (left, 7_700_000, left + side * 10, 7_700_000 + side * 10)
        geobox = GeoBox.from_bbox(box, "EPSG:32608", resolution=10)
        layers = {}
        for band in TRAINING_BANDS:
            low, high = manager[band].valid_range
            values = rng.uniform(low, high, geobox.shape).astype(manager[band].memory_dtype)
            layers[band] = (("y", "x"), values)
        tile = xr.Dataset(layers, coords=xr_coords(geobox))
        slump = gpd.GeoSeries([shapely.Point(left + side * 4, 7_700_000 + side * 4).buffer(side)], crs="EPSG:32608")
        builder.add_tile(tile, slump, f"region {number}", f"image-{number}")
    builder.finalize()


def of_darts(folder: Path, work: Work, **given: Any) -> float:
    """Return the seconds of a step of `train-smp`."""
    parameters = _parameters(folder, work, **given)
    data = open_learning_data(folder, None, parameters)
    learner = _learner(work, parameters)
    with tempfile.TemporaryDirectory() as temporary:
        run = RunFolder(Path(temporary), "run")
        history = History(run.metrics, every=parameters.log_every_n_steps, view=Silent())
        module = DartsDataModule(data, parameters, batch_size=parameters.batch_size, seed=1)
        trainer = make_trainer(Fitting(learner, module, run, parameters, history))
        clock = Clock(work.steps)
        vars(trainer)["callbacks"] = [clock]  # what is kept after an epoch is not a step
        trainer.fit(learner, datamodule=module)
    return (clock.last - clock.first) / work.steps


def bare(work: Work) -> float:
    """Return the seconds of a step on a batch that lies on the device."""
    learner = _learner(work, _parameters(Path(), work)).to(work.device).train()
    optimizer = torch.optim.AdamW(learner.model.parameters(), lr=1e-3)
    shape = (work.batch, len(TRAINING_BANDS), work.size, work.size)
    x = torch.rand(shape, device=work.device).contiguous(memory_format=torch.channels_last)
    y = torch.zeros((work.batch, work.size, work.size), dtype=torch.uint8, device=work.device)
    y[:, : work.size // 4, : work.size // 4] = 1
    start = 0.0
    for step in range(_WARM_UP + work.steps):
        if step == _WARM_UP:
            start = _now(work.device)
        with torch.autocast(work.device.type, dtype=torch.bfloat16, enabled=work.device.type == "cuda"):
            loss = learner.loss(learner(x), y)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(learner.model.parameters(), 1.0)
        optimizer.step()
    return (_now(work.device) - start) / work.steps


def _parameters(folder: Path, work: Work, **given: Any) -> RunParameters:
    usual: dict[str, Any] = {
        "train_data_dir": folder,
        "model_encoder": work.encoder,
        "augment": [],
        "batch_size": work.batch,
        "data_split_method": "none",
        "fold_method": "none",
        "max_epochs": 10_000,
        "accelerator": "gpu" if work.device.type == "cuda" else "cpu",
    }
    return RunParameters(**{**usual, **given})


def _learner(work: Work, given: RunParameters) -> TrainedNetwork:
    torch.manual_seed(1)
    architecture = architecture_of(given, len(TRAINING_BANDS))
    return TrainedNetwork(
        new_network(given, architecture, work.size),
        architecture=architecture,
        bands=TRAINING_BANDS,
        parameters=given,
        seed=1,
        epochs=given.max_epochs,
    )


def main() -> None:
    """Measure and print a table."""
    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--encoder", default="resnet34")
    parser.add_argument("--size", type=int, default=512 if on_gpu else 128)
    parser.add_argument("--batch", type=int, default=16 if on_gpu else 8)
    parser.add_argument("--steps", type=int, default=200 if on_gpu else 20)
    parser.add_argument("--rounds", type=int, default=3, help="both sides in turn, of which the median counts")
    parser.add_argument("--batches", type=int, default=12 if on_gpu else 3, help="an epoch of the patch set")
    given = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    device = torch.device("cuda" if on_gpu else "cpu")
    work = Work(
        encoder=given.encoder,
        size=given.size,
        batch=given.batch,
        steps=given.steps,
        batches=given.batches,
        device=device,
    )
    name = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    print(f"{name}: U-Net on {work.encoder}, {work.batch} x {len(TRAINING_BANDS)} x {work.size} x {work.size}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "set"
        make_set(folder, work)
        for label, kind in KINDS:
            if kind["num_workers"] > (os.cpu_count() or 1):
                continue
            print(f"{label}: {_compared(folder, work, kind, given.rounds)}", flush=True)


def _compared(folder: Path, work: Work, kind: dict[str, Any], rounds: int) -> str:
    """Return in words how fast one way to train is beside the bare step."""
    on_gpu = work.device.type == "cuda"
    read: Callable[[], float] = gpu_use_reader() if on_gpu else lambda: float("nan")
    baselines, times, uses, peaks = [], [], [], []
    for _ in range(rounds):
        baselines.append(bare(work))
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        with sampled(read, every_s=0.1) as samples:
            times.append(of_darts(folder, work, **kind))
        measured = [use for _, use in samples[len(samples) // 5 :]]  # the first of them are of its start
        uses.append(statistics.mean(measured) if measured else float("nan"))
        peaks.append(torch.cuda.max_memory_allocated() / 2**30 if on_gpu else float("nan"))
    baseline, ours = statistics.median(baselines), statistics.median(times)
    words = (
        f"{1 / ours:.2f} steps/s, {work.batch / ours:.1f} samples/s; bare {1 / baseline:.2f} steps/s; "
        f"{baseline / ours:.1%} of the bare step; process at most "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"
    )
    if on_gpu:
        words += f"; device busy {statistics.median(uses):.0f} %, at most {max(peaks):.2f} GiB"
    return words


if __name__ == "__main__":
    main()
