"""Statistics of objects from how many pixels of each percent they have, exact for whole percents."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from darts_export.repolygonize.scan import LEVELS, Counts
from darts_utils.objects.core_mean import CORE_PERCENTILE
from darts_utils.rasters.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Histograms:
    """Entries by object and rising percent; every object has at least one."""

    objects: Array
    """(entry,) int64, the object, from 0 on."""
    percents: Array
    """(entry,) float64, from 0 to 100."""
    numbers: Array
    """(entry,) int64, its pixels of that percent."""
    n_objects: int

    @classmethod
    def of(cls, counts: Counts, owners: Array, n_objects: int) -> "Histograms":
        """Return the histograms of whole objects from those of their parts.

        Args:
            counts: Of the parts.
            owners: (entry,) the object that each belongs to, from 0 on.
            n_objects: How many objects there are.
        """
        keys, index = np.unique(owners.astype(np.int64) * LEVELS + counts.percents, return_inverse=True)
        numbers = np.zeros(len(keys), dtype=np.int64)
        np.add.at(numbers, index, counts.numbers)
        return cls(objects=keys // LEVELS, percents=(keys % LEVELS) * 1.0, numbers=numbers, n_objects=n_objects)

    @cached_property
    def sizes(self) -> Array:
        """(object,) number of pixels, int64."""
        return self._sum(self.numbers).astype(np.int64)

    def statistics(self) -> dict[str, Array]:
        """Return `min`, `max`, `mean`, `median` and `std` (of all pixels) of each object, float64 in percent."""
        first = np.searchsorted(self.objects, np.arange(self.n_objects))
        after = np.searchsorted(self.objects, np.arange(self.n_objects), side="right")
        mean = self._sum(self.numbers * self.percents) / self.sizes
        variance = self._sum(self.numbers * (self.percents - mean[self.objects]) ** 2) / self.sizes
        return {
            "min": self.percents[first],
            "max": self.percents[after - 1],
            "mean": mean,
            "median": (self._ranked((self.sizes - 1) // 2) + self._ranked(self.sizes // 2)) / 2,
            "std": np.sqrt(variance),
        }

    def core_probabilities(self) -> Array:
        """Return how sure the core of each object is, (object,) float64 from 0 to 1; see `core_mean`."""
        place = CORE_PERCENTILE / 100 * (self.sizes - 1)
        lower = np.floor(place).astype(np.int64)
        low, high = self._ranked(lower), self._ranked(np.minimum(lower + 1, self.sizes - 1))
        is_core = self.percents > (low + (place - lower) * (high - low))[self.objects]
        n_core = self._sum(self.numbers * is_core)
        total = self._sum(self.numbers * self.percents * is_core)
        highest = self._ranked(self.sizes - 1)
        return np.where(n_core > 0, total / np.maximum(n_core, 1), highest) / 100

    def sizes_above(self, percent: float) -> Array:
        """Return how many pixels of each object are above a percent, (object,) int64."""
        return self._sum(self.numbers * (self.percents > percent)).astype(np.int64)

    def _sum(self, values: Array) -> Array:
        return np.bincount(self.objects, values, self.n_objects)

    def _ranked(self, ranks: Array) -> Array:
        """Return the percent of the pixel of each object that has so many lower or equal ones before it."""
        before = np.cumsum(self.sizes) - self.sizes
        return self.percents[np.searchsorted(np.cumsum(self.numbers), before + ranks, side="right")]
