"""How long training will take on a CPU: told before hours are spent, and not after."""

import time
from copy import deepcopy

import torch

from darts_segmentation.training.data import LearningData
from darts_segmentation.training.loop.module import TrainedNetwork
from darts_segmentation.training.parameters import RunParameters
from darts_segmentation.training.patches.batches import PatchBatches

SMALL_ENCODER = "tu-mobilenetv2_050"
_LONG_HOURS = 1.0


def expected_duration(learner: TrainedNetwork, data: LearningData, given: RunParameters, n_batches: int) -> str:
    """Return a line with the hours that all epochs would take, from one step on a copy of the network.

    Args:
        learner: The network; it stays as it is, and so does the state of chance.
        data: What it learns from.
        given: How it learns.
        n_batches: Steps in an epoch.
    """
    patches = data.split.train[: given.batch_size]
    batch = PatchBatches(data.patches, data.channels)[patches]
    with torch.random.fork_rng(devices=[]):
        copy = deepcopy(learner)
        copy.train()
        _step(copy, batch["x"], batch["y"])  # makes what is made once for batches of this shape
        start = time.monotonic()
        _step(copy, batch["x"], batch["y"])
        step_s = time.monotonic() - start
    n_validated = len(data.split.val) / given.check_val_every_n_epoch / 3  # a validation costs a third of a step
    hours = step_s * (n_batches + n_validated / max(len(patches), 1)) * given.max_epochs / 3600
    epochs = "1 epoch takes" if given.max_epochs == 1 else f"{given.max_epochs} epochs take"
    line = f"On this CPU {epochs} about {_duration(hours)}"
    if hours > _LONG_HOURS and given.model_encoder != SMALL_ENCODER:
        line += f"; --model-encoder {SMALL_ENCODER} is many times as fast, fewer --max-epochs shorten it too"
    return f"{line}."


def _step(learner: TrainedNetwork, x: torch.Tensor, y: torch.Tensor) -> None:
    torch.autograd.backward(learner.loss(learner(x), y))


def _duration(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} hours"
    minutes = max(1, round(hours * 60))
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
