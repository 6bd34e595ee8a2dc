"""Does the memory of training stay flat over epochs? `uv run python -m benchmarks.training_memory`.

A small U-Net learns from a patch set as `darts training train-smp` does, augmentations, validations, checkpoints and
pictures with it. What the process and its children hold is read after every epoch (from `/proc`: Linux only).
"""

import argparse
import logging
import os
import statistics
import tempfile
from pathlib import Path

import torch

from benchmarks.training_steps import Work, make_set
from darts_segmentation.training.loop.history import EpochSummary, Silent
from darts_segmentation.training.parameters import RunParameters
from darts_segmentation.training.train import train
from darts_utils.paths import DefaultPaths, PathManager


class Memory(Silent):
    """Notes what the process and its children hold after each epoch, in MiB."""

    def __init__(self) -> None:
        self.after: list[float] = []

    def epoch(self, summary: EpochSummary) -> None:
        """Note it."""
        self.after.append(_held_mib())
        if summary.epoch % 5 == 0:
            print(f"epoch {summary.epoch + 1}: {self.after[-1]:.0f} MiB", flush=True)


def _held_mib() -> float:
    pid = os.getpid()
    children = (Path(f"/proc/{pid}/task") / str(pid) / "children").read_text().split()
    pages = sum(int((Path("/proc") / one / "statm").read_text().split()[1]) for one in (str(pid), *children))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Train, and print what an epoch adds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--in-memory", action="store_true")
    given = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    work = Work(encoder="tu-mobilenetv2_050", size=128, batch=8, steps=0, batches=3, device=torch.device("cpu"))
    memory = Memory()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_set(folder / "set", work)
        parameters = RunParameters(
            name="memory",
            train_data_dir=folder / "set",
            model_encoder=work.encoder,
            max_epochs=given.epochs,
            num_workers=given.workers,
            in_memory=given.in_memory,
            check_val_every_n_epoch=1,
            plot_every_n_val_epochs=5,
            early_stopping_patience=0,
            accelerator="cpu",
        )
        train(parameters, PathManager(DefaultPaths(fast_dir=folder, large_dir=folder)), view=memory)
    later = memory.after[len(memory.after) // 4 :]  # pools and compiled things have their size by then
    slope = statistics.linear_regression(range(len(later)), later).slope
    print(
        f"over the last {len(later)} epochs: {slope:+.2f} MiB an epoch, from {min(later):.0f} to {max(later):.0f} MiB"
    )


if __name__ == "__main__":
    main()
