"""A training set, split, and as Lightning asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning import LightningDataModule
from torch.utils.data import Sampler

from darts_segmentation.training.parameters import PatchSetParameters
from darts_segmentation.training.patch_set import PatchSet
from darts_segmentation.training.patches.batches import CPU, BatchLoader, PatchBatches
from darts_segmentation.training.patches.order import EpochBatches, InOrder
from darts_segmentation.training.splits.division import SplitParameters
from darts_segmentation.training.splits.folds import Split, make_split
from darts_utils.errors import ConfigError, DataError
from darts_utils.rasters.arrays import Array


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
    _check_rows(patches)
    if not len(patches):
        raise DataError(f"the training set in {folder} has no patches. Add labelled images to it.")
    data = LearningData(patches=patches, bands=wanted, split=make_split(patches.metadata, split))
    if learns:
        _check_classes(data)
    return data


def _check_rows(patches: PatchSet) -> None:
    """Refuse metadata whose rows are not the patches."""
    if patches.metadata["z_idx"].to_list() != list(range(patches.n_arrays)):
        raise DataError(
            f"the rows of metadata.parquet in {patches.folder} are not its {patches.n_arrays} patches, each once, so "
            "nobody knows which patch is of which region. Make the data anew."
        )


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

    def train_dataloader(self) -> BatchLoader:
        """Return the training patches, anew in each epoch."""
        return self._loader(self.train_batches())

    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """Return the validation patches, nothing if there are none."""
        return self._evaluated(self.data.split.val)

    def test_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """Return the test patches, nothing if there are none."""
        return self._evaluated(self.data.split.test)

    def _evaluated(self, chosen: Array) -> BatchLoader | list[BatchLoader]:
        rank, n_ranks = self._ranks()
        return self._loader(InOrder(chosen, self._batch_size, rank=rank, n_ranks=n_ranks)) if len(chosen) else []

    def _ranks(self) -> tuple[int, int]:
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)

    def _loader(self, sampler: Sampler[list[int]]) -> BatchLoader:
        if self._batches is None:
            device = CPU if self.trainer is None else self.trainer.strategy.root_device
            batches = PatchBatches(self.data.patches, self.data.channels, device)
            self._batches = batches.in_memory() if self._parameters.in_memory else batches
        return BatchLoader(self._batches, sampler, self._parameters.num_workers)
