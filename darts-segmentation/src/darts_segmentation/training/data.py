"""Patches of a training set, in batches: the order is that of a seed and an epoch, whoever reads them."""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from darts_segmentation.training.parameters import PatchSetParameters
from darts_segmentation.training.patch_set import SUN_COLUMNS, PatchSet
from darts_segmentation.training.splits.division import SplitParameters
from darts_segmentation.training.splits.folds import Split, make_split
from darts_utils.errors import ConfigError, DataError
from darts_utils.rasters.arrays import Array

logger = logging.getLogger(__name__)

type Batch = dict[str, torch.Tensor]
"""`x` (n, band, y, x) float32 from 0 to 1, `y` (n, y, x) uint8, `sun` (n, 2) float32 azimuth and elevation in degrees,
NaN where unknown, and `index` (n) int64."""

_READERS = min(8, os.cpu_count() or 1)


class PatchBatches(Dataset[Batch]):
    """The patches of a set, a list of them at once.

    Args:
        patches: The set.
        channels: Positions of the bands that are read, None for all.
        kept: (n, band, y, x) and (n, y, x) of all patches if they are in memory.
    """

    def __init__(
        self, patches: PatchSet, channels: Sequence[int] | None, kept: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> None:
        self._patches = patches
        self._channels = None if channels is None else list(channels)
        self._kept = kept
        self._sun = torch.from_numpy(_sun_of(patches))
        self._readers: ThreadPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs; it gets threads of its own."""
        return {**self.__dict__, "_readers": None}

    def __getitem__(self, chosen: Sequence[int] | Array) -> Batch:
        """Return some patches as a batch.

        Raises:
            DataError: If one of them is damaged.
        """
        indices = torch.as_tensor(chosen, dtype=torch.int64)
        x, y = self._read(chosen) if self._kept is None else (self._kept[0][indices], self._kept[1][indices])
        return {"x": x, "y": y, "sun": self._sun[indices], "index": indices}

    def _read(self, chosen: Sequence[int] | Array) -> tuple[torch.Tensor, torch.Tensor]:
        """Return patches from the disk, several read at once: to copy them takes longer than to find them."""
        n_bands, height, width = self._patches.patch_shape
        n_bands = n_bands if self._channels is None else len(self._channels)
        x = torch.empty((len(chosen), n_bands, height, width))
        y = torch.empty((len(chosen), height, width), dtype=torch.uint8)

        def read(place: int) -> None:
            features, labels = self._patches.read(int(chosen[place]))
            x[place] = torch.from_numpy(features if self._channels is None else features[self._channels])
            y[place] = torch.from_numpy(labels)

        if self._readers is None:
            self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="darts-patches")
        list(self._readers.map(read, range(len(chosen))))
        return x, y

    def in_memory(self) -> "PatchBatches":
        """Return the same patches, all of them read.

        Raises:
            ConfigError: If they do not fit into memory.
        """
        n_bands, height, width = self._patches.patch_shape
        needed = len(self._patches) * height * width * (4 * len(self._channels or range(n_bands)) + 1)
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if needed > free:
            raise ConfigError(
                f"in_memory needs {needed / 2**30:.1f} GiB, but {free / 2**30:.1f} GiB are free. Leave it out."
            )
        return PatchBatches(self._patches, self._channels, self._read(range(len(self._patches))))


def _sun_of(patches: PatchSet) -> Array:
    """Return (n, 2) float32 azimuth and elevation; sets of earlier releases do not say them."""
    table = patches.metadata
    if not set(SUN_COLUMNS) <= set(table.columns):
        return np.full((len(table), 2), np.nan, dtype=np.float32)
    sun: Array = table[list(SUN_COLUMNS)].to_numpy(dtype=np.float32, copy=True)
    return sun


class EpochBatches(Sampler[list[int]]):
    """Batches of an epoch: shuffled by seed and epoch alone, so that a run that goes on sees what it would have seen.

    Args:
        indices: Patches to draw from.
        batch_size: Patches of a batch; a smaller rest is left for another epoch.
        seed: With the epoch it decides the order.
        positive: (n) bool, which of the patches have slumps.
        positive_share: Share of them in an epoch, None for their own.
        rank: Number of this process among those that train together.
        n_ranks: How many those are.
    """

    def __init__(
        self,
        indices: Array,
        batch_size: int,
        seed: int,
        *,
        positive: Array | None = None,
        positive_share: float | None = None,
        rank: int = 0,
        n_ranks: int = 1,
    ) -> None:
        self._indices = indices
        self._size = min(batch_size, len(indices))
        self._seed = seed
        self._positive = positive
        self._share = positive_share
        self._rank, self._n_ranks = rank, n_ranks
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches that this process gets."""
        return max(1, len(self._indices) // self._size // self._n_ranks)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the positions of the patches of each batch."""
        rng = np.random.default_rng([self._seed, self._epoch])
        order = rng.permutation(self._balanced(rng))
        batches = [order[start : start + self._size] for start in range(0, len(order), self._size)]
        for number in range(len(self)):
            mine = (number * self._n_ranks + self._rank) % len(batches)  # more processes than batches share them
            yield [int(index) for index in batches[mine]]

    def _balanced(self, rng: np.random.Generator) -> Array:
        """Return as many patches as there are, with the share of slumps that was asked for."""
        if self._share is None or self._positive is None or self._positive.all() or not self._positive.any():
            return self._indices
        n_with = round(self._share * len(self._indices))
        groups = (
            (self._indices[self._positive], n_with),
            (self._indices[~self._positive], len(self._indices) - n_with),
        )
        return np.concatenate([_drawn(rng, group, n) for group, n in groups])


def _drawn(rng: np.random.Generator, group: Array, n: int) -> Array:
    """Return n of a group, each as often as any other or once more."""
    rounds = [rng.permutation(group) for _ in range(-(-n // len(group)))]
    return np.concatenate(rounds)[:n] if rounds else group[:0]


class InOrder(Sampler[list[int]]):
    """Batches in the order of the set, each patch once.

    Args:
        indices: The patches.
        batch_size: Patches of a batch.
        rank: Number of this process among those that work together.
        n_ranks: How many those are.
    """

    def __init__(self, indices: Array, batch_size: int, *, rank: int = 0, n_ranks: int = 1) -> None:
        self._indices = indices[rank::n_ranks]
        self._size = batch_size

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self._indices) // self._size)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the positions of the patches of each batch."""
        for start in range(0, len(self._indices), self._size):
            yield [int(index) for index in self._indices[start : start + self._size]]


@dataclass(frozen=True, kw_only=True)
class LearningData:
    """A training set, split."""

    patches: PatchSet
    bands: tuple[str, ...]
    """Bands that are read, in order."""
    split: Split

    @property
    def channels(self) -> list[int] | None:
        """Positions of the bands in the set, None where they are all of it."""
        own = list(self.patches.bands)
        return None if list(self.bands) == own else [own.index(band) for band in self.bands]


def open_learning_data(
    folder: Path, bands: Sequence[str] | None, split: SplitParameters, *, learns: bool = True
) -> LearningData:
    """Return a training set with its split.

    Args:
        folder: The set.
        bands: Bands to read, None for all of the set.
        split: How it is divided.
        learns: Whether a network is to learn from the training patches.

    Raises:
        ConfigError: If there is no set, it lacks a band, or cannot be split like this.
        DataError: If it is damaged, or there is nothing to learn from it.
    """
    if not PatchSet.is_in(folder):
        raise ConfigError(f"{folder} holds no training set. Make one with `darts training create-dataset`.")
    patches = PatchSet(folder)
    own = patches.bands
    wanted = own if bands is None else tuple(bands)
    lacking = [band for band in wanted if band not in own]
    if lacking or not wanted or len(set(wanted)) < len(wanted):
        raise ConfigError(
            f"bands are {', '.join(wanted) or 'none'}, but the training set in {folder} has {', '.join(own)}. "
            "Name each of those that are wanted once."
        )
    if not len(patches):
        raise DataError(f"the training set in {folder} has no patches. Add labelled images to it.")
    data = LearningData(patches=patches, bands=wanted, split=make_split(patches.metadata, split))
    if learns:
        _check_classes(data)
    return data


def _check_classes(data: LearningData) -> None:
    """Refuse what a network learns nothing from."""
    empty = data.patches.metadata["empty"].to_numpy(dtype=bool)
    if empty[data.split.train].all():
        raise DataError(
            f"none of the {len(data.split.train)} training patches has a slump, so there is nothing to tell apart. "
            "Choose other splits, or add labels."
        )


class DartsDataModule(LightningDataModule):
    """Patches of a training set for Lightning: training, validation and test by its splits.

    Args:
        data: The set and its split.
        parameters: How it is read.
        batch_size: Patches of a batch.
        seed: Decides the order of training.
    """

    def __init__(self, data: LearningData, parameters: PatchSetParameters, *, batch_size: int, seed: int) -> None:
        super().__init__()
        self.data = data
        self._parameters = parameters
        self._batch_size = batch_size
        self._seed = seed
        self._batches: PatchBatches | None = None

    def train_batches(self) -> EpochBatches:
        """Return the order of the training patches."""
        chosen = self.data.split.train
        positive = ~self.data.patches.metadata["empty"].to_numpy(dtype=bool)[chosen]
        rank, n_ranks = self._ranks()
        return EpochBatches(
            chosen,
            self._batch_size,
            self._seed,
            positive=positive,
            positive_share=self._parameters.positive_share,
            rank=rank,
            n_ranks=n_ranks,
        )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the training patches, anew in each epoch."""
        return self._loader(self.train_batches())

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Return the validation patches, nothing if there are none."""
        return self._evaluated(self.data.split.val)

    def test_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Return the test patches, nothing if there are none."""
        return self._evaluated(self.data.split.test)

    def _evaluated(self, chosen: Array) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        rank, n_ranks = self._ranks()
        return self._loader(InOrder(chosen, self._batch_size, rank=rank, n_ranks=n_ranks)) if len(chosen) else []

    def _ranks(self) -> tuple[int, int]:
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)

    def _loader(self, sampler: Sampler[list[int]]) -> DataLoader[Batch]:
        if self._batches is None:
            batches = PatchBatches(self.data.patches, self.data.channels)
            self._batches = batches.in_memory() if self._parameters.in_memory else batches
        workers = self._parameters.num_workers
        return DataLoader(
            self._batches,
            batch_size=None,
            sampler=sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )
