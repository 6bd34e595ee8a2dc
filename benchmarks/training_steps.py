"""How fast is training beside the bare step? `uv run python -m benchmarks.training_steps`.

A U-Net learns for some steps from a patch set on disk, by the data module, the loop and the checks of `darts training
train-smp`. Beside it stands the bare step: forward, loss, backward and optimiser on one batch that lies on the device
already. On a GPU it takes by default 200 steps of 16 x 13 x 512 x 512 with a ResNet-34; on a CPU small ones.
"""

import argparse
import logging
import resource
import statistics
import tempfile
import time
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

from darts_segmentation.training import TrainDatasetBuilder
from darts_segmentation.training.data import DartsDataModule, open_learning_data
from darts_segmentation.training.loop.fit import Fitting, make_trainer
from darts_segmentation.training.loop.history import History, Silent
from darts_segmentation.training.loop.module import TrainedNetwork
from darts_segmentation.training.loop.networks import architecture_of, new_network
from darts_segmentation.training.loop.runs import RunFolder
from darts_segmentation.training.parameters import RunParameters
from darts_utils.bands import TRAINING_BANDS, manager

KINDS = (("from disk, no workers", 0, False), ("from disk, 2 workers", 2, False), ("in memory, no workers", 0, True))
"""What is measured: name, workers, and whether patches are in memory."""
_WARM_UP = 5
"""Steps before the clock starts: libraries choose their ways in the first ones."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is trained."""

    encoder: str
    size: int
    batch: int
    steps: int
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
    """Write a patch set of three batches of noise, half of it with a slump."""
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
    for number in range(-(-3 * work.batch // 4)):
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


def of_darts(folder: Path, work: Work, *, workers: int, in_memory: bool) -> float:
    """Return the seconds of a step of `train-smp`, augmentations left out on both sides."""
    given = _parameters(folder, work, workers=workers, in_memory=in_memory)
    data = open_learning_data(folder, None, given)
    learner = _learner(work, given)
    with tempfile.TemporaryDirectory() as temporary:
        run = RunFolder(Path(temporary), "run")
        history = History(run.metrics, every=given.log_every_n_steps, view=Silent())
        module = DartsDataModule(data, given, batch_size=given.batch_size, seed=1)
        trainer = make_trainer(Fitting(learner, module, run, given, history))
        clock = Clock(work.steps)
        vars(trainer)["callbacks"] = [clock]  # what is kept after an epoch is not a step
        trainer.fit(learner, datamodule=module)
    return (clock.last - clock.first) / work.steps


def bare(work: Work) -> float:
    """Return the seconds of a step on a batch that lies on the device."""
    learner = _learner(work, _parameters(Path(), work, workers=0, in_memory=False)).to(work.device).train()
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


def _parameters(folder: Path, work: Work, *, workers: int, in_memory: bool) -> RunParameters:
    return RunParameters(
        train_data_dir=folder,
        model_encoder=work.encoder,
        augment=[],
        batch_size=work.batch,
        num_workers=workers,
        in_memory=in_memory,
        data_split_method="none",
        fold_method="none",
        max_epochs=10_000,
        accelerator="gpu" if work.device.type == "cuda" else "cpu",
    )


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
    given = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    device = torch.device("cuda" if on_gpu else "cpu")
    work = Work(encoder=given.encoder, size=given.size, batch=given.batch, steps=given.steps, device=device)
    name = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    print(f"{name}: U-Net on {work.encoder}, {work.batch} x {len(TRAINING_BANDS)} x {work.size} x {work.size}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "set"
        make_set(folder, work)
        for label, workers, in_memory in KINDS:
            rounds = [
                (bare(work), of_darts(folder, work, workers=workers, in_memory=in_memory)) for _ in range(given.rounds)
            ]
            baseline, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
            rates = f"{1 / ours:.2f} steps/s, {work.batch / ours:.1f} samples/s"
            print(f"{label}: {rates}; bare {1 / baseline:.2f} steps/s; {baseline / ours:.1%} of the bare step")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"peak memory: {peak:.2f} GiB"
        + (f", device {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB" if on_gpu else "")
    )


if __name__ == "__main__":
    main()
