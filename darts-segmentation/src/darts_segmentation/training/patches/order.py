"""In which order patches of a set come, in batches: that of a seed and an epoch, whoever reads them."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from darts_utils.rasters.arrays import Array


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
