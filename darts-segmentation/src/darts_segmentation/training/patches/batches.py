"""Patches of a training set in batches, read while the device works on those before.

To read a patch is to copy memory: threads do that as well as processes, without copying it once more from process to
process. What is to go to a GPU is read into pinned memory, which is used again: new memory costs more than the copying.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import batched

import numpy as np
import psutil
import torch
from torch.utils.data import Sampler

from darts_segmentation.training.labels import IGNORED
from darts_segmentation.training.patch_set import SUN_COLUMNS, PatchSet
from darts_utils.errors import ConfigError, DataError
from darts_utils.rasters.arrays import Array

type Batch = dict[str, torch.Tensor]
"""`x` (n, band, y, x) float32 from 0 to 1, `y` (n, y, x) uint8, `sun` (n, 2) float32 azimuth and elevation in degrees,
NaN where unknown, and `index` (n) int64."""

CPU = torch.device("cpu")
_READERS = min(8, os.cpu_count() or 1)
_READ_AT_ONCE = 64
_SHARE_OF_DEVICE = 0.5
"""A set that is to be in memory may take this part of what is free on a GPU; the rest is for the training itself."""


class PatchBatches:
    """The patches of a set, a list of them at once.

    Args:
        patches: The set.
        channels: Positions of the bands that are read, None for all.
        device: Where batches go; for a GPU they are read into pinned memory.
        kept: (n, band, y, x) and (n, y, x) of all patches if they are in memory, there or here.
    """

    def __init__(
        self,
        patches: PatchSet,
        channels: Sequence[int] | None,
        device: torch.device = CPU,
        kept: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> None:
        self.device = device
        self._patches = patches
        self._channels = None if channels is None else list(channels)
        self._kept = kept
        self._sun = torch.from_numpy(_sun_of(patches))
        self._readers: ThreadPoolExecutor | None = None

    def __getitem__(self, chosen: Sequence[int] | Array) -> Batch:
        """Return some patches as a batch.

        Raises:
            DataError: If one of them is damaged.
        """
        indices = torch.as_tensor(chosen, dtype=torch.int64)
        if self._kept is not None and self._kept[0].device != CPU:
            there = indices.to(self._kept[0].device)
            x, y = self._kept[0][there], self._kept[1][there]
        else:
            x, y = self._read(chosen)
        return {"x": x, "y": y, "sun": self._sun[indices], "index": indices}

    def _read(self, chosen: Sequence[int] | Array) -> tuple[torch.Tensor, torch.Tensor]:
        """Return patches from the disk or from memory, several copied at once."""
        _, height, width = self._patches.patch_shape
        pinned = self.device.type == "cuda"
        x = torch.empty((len(chosen), self._n_bands, height, width), pin_memory=pinned)
        y = torch.empty((len(chosen), height, width), dtype=torch.uint8, pin_memory=pinned)
        to_x, to_y = x.numpy(), y.numpy()

        def read(place: int) -> None:
            self._read_one(int(chosen[place]), to_x[place], to_y[place])

        if self._readers is None:
            self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="darts-patches")
        list(self._readers.map(read, range(len(chosen))))
        self._check_labels(to_y, chosen)
        return x, y

    def _check_labels(self, y: Array, chosen: Sequence[int] | Array) -> None:
        """Refuse labels that mean nothing, such as the 255 of a raster without data: they would be learned from."""
        wrong = np.flatnonzero(y.max(axis=(1, 2), initial=0) > IGNORED)
        if len(wrong):
            patch, label = int(chosen[wrong[0]]), int(y[wrong[0]].max())
            raise DataError(
                f"patch {patch} in {self._patches.folder} has the label {label}, but labels are 0, 1 and {IGNORED} "
                "(ignored). Make the data anew; `darts training validate-dataset` finds all such patches."
            )

    def _read_one(self, index: int, x: Array, y: Array) -> None:
        if self._kept is not None:
            x[...], y[...] = self._kept[0][index].numpy(), self._kept[1][index].numpy()
        elif self._channels is None:
            self._patches.read_into(index, x, y)
        else:
            features, y[...] = self._patches.read(index)
            x[...] = features[self._channels]

    @property
    def _n_bands(self) -> int:
        return self._patches.patch_shape[0] if self._channels is None else len(self._channels)

    def in_memory(self) -> "PatchBatches":
        """Return the same patches, all of them read: on the GPU that they go to, if half of its free memory is enough.

        Raises:
            ConfigError: If they do not fit into memory.
        """
        n, (_, height, width) = len(self._patches), self._patches.patch_shape
        where = room_for(n * height * width * (4 * self._n_bands + 1), self.device)
        x = torch.empty((n, self._n_bands, height, width), device=where)
        y = torch.empty((n, height, width), dtype=torch.uint8, device=where)
        for chosen in batched(range(n), _READ_AT_ONCE):
            part = slice(chosen[0], chosen[-1] + 1)
            x[part], y[part] = self._read(chosen)
        return PatchBatches(self._patches, self._channels, self.device, (x, y))


def room_for(needed: int, device: torch.device) -> torch.device:
    """Return where so many bytes fit.

    Raises:
        ConfigError: If they fit nowhere.
    """
    if device.type == "cuda" and needed <= torch.cuda.mem_get_info(device)[0] * _SHARE_OF_DEVICE:
        return device
    free = psutil.virtual_memory().available
    if needed > free:
        raise ConfigError(
            f"in_memory needs {needed / 2**30:.1f} GiB, but {free / 2**30:.1f} GiB are free. Leave it out."
        )
    return CPU


def _sun_of(patches: PatchSet) -> Array:
    """Return (n, 2) float32 azimuth and elevation; sets of earlier releases do not say them."""
    table = patches.metadata
    if not set(SUN_COLUMNS) <= set(table.columns):
        return np.full((len(table), 2), np.nan, dtype=np.float32)
    sun: Array = table[list(SUN_COLUMNS)].to_numpy(dtype=np.float32, copy=True)
    return sun


class BatchLoader:
    """Batches in the order of a sampler, each read before it is asked for.

    Args:
        batches: The patches.
        sampler: Positions of the patches of each batch; Lightning tells it the epoch.
        n_workers: Threads that each get a batch ready; with 0 one does while the device works on the batch before.
    """

    batch_sampler = None
    """Lightning asks loaders that have a sampler for it."""

    def __init__(self, batches: PatchBatches, sampler: Sampler[list[int]], n_workers: int) -> None:
        self.sampler = sampler
        self._batches = batches
        self._n_ahead = max(1, n_workers)

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.sampler)  # type: ignore[arg-type]  # torch leaves it to each sampler to have a length

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches.

        Raises:
            DataError: If a patch is damaged.
        """
        device = self._batches.device
        coming: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(self._n_ahead, "darts-batches", _work_for, (device,)) as workers:
            for chosen in self.sampler:
                coming.append(workers.submit(self._batches.__getitem__, chosen))
                if len(coming) > self._n_ahead:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()


def _work_for(device: torch.device) -> None:
    """Let a thread pin memory for this GPU, which would otherwise do so for the first one."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
