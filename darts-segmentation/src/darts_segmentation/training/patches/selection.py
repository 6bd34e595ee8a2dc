"""Which patches of a tile are worth learning from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from darts_segmentation.patches import patch_starts
from darts_segmentation.training.labels import IGNORED, SLUMP
from darts_utils.rasters.arrays import Array

LEAST_LABELLED = 0.1
"""Share of a patch that must be labelled, as background or slump."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a patch lies in a tile."""

    row: int
    """Number of the patch from the top."""
    column: int
    """Number of the patch from the left."""
    y: int
    """First row of pixels."""
    x: int
    """First column of pixels."""
    size: int
    """Edge in pixels."""

    def read(self, band: Array) -> Array:
        """Return the (y, x) pixels of a band under the patch; fewer than its size where the tile is smaller."""
        return band[self.y : self.y + self.size, self.x : self.x + self.size]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What became of the patches of a tile."""

    patches: int = 0
    """Taken."""
    few_labelled: int = 0
    """Left out because less than a tenth is labelled."""
    no_positive: int = 0
    """Left out because there is no slump in them."""
    with_nan: int = 0
    """Left out because a band has no data somewhere."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{name: value + getattr(other, name) for name, value in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How tiles are cut, and what is left out."""

    patch_size: int
    overlap: int
    exclude_nopositive: bool
    exclude_nan: bool

    def places(self, shape: tuple[int, int]) -> Iterator[Place]:
        """Yield the patches that cover a (y, x) shape, row by row."""
        rows, columns = (patch_starts(length, self.patch_size, self.overlap) for length in shape)
        for row, y in enumerate(rows):
            for column, x in enumerate(columns):
                yield Place(row=row, column=column, y=int(y), x=int(x), size=self.patch_size)

    def select(self, bands: Mapping[str, Array], labels: Array) -> tuple[list[Place], Counts]:
        """Return the patches to take, row by row, and how many were left out for which reason.

        Args:
            bands: (y, x) each, in memory representation.
            labels: (y, x) uint8.
        """
        height, width = labels.shape
        taken: list[Place] = []
        counts = Counts()
        for place in self.places((height, width)):
            reason = self._reason_against(place, bands, labels)
            counts += Counts(**{reason or "patches": 1})
            if reason is None:
                taken.append(place)
        return taken, counts

    def _reason_against(self, place: Place, bands: Mapping[str, Array], labels: Array) -> str | None:
        patch = place.read(labels)
        if np.count_nonzero(patch != IGNORED) < LEAST_LABELLED * place.size**2:
            return "few_labelled"
        if self.exclude_nopositive and not (patch == SLUMP).any():
            return "no_positive"
        if self.exclude_nan and any(_has_nan(place.read(band)) for band in bands.values()):
            return "with_nan"
        return None


def _has_nan(values: Array) -> bool:
    return values.dtype.kind == "f" and bool(np.isnan(values).any())
