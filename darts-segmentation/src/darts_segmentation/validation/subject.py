"""What is checked: engines that make probabilities, and ground for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol, Self

import numpy as np
import xarray as xr

from darts_segmentation.ensemble import EnsembleV1
from darts_segmentation.inference import predict
from darts_segmentation.model_input import OPTICAL_BANDS, BandStack
from darts_segmentation.network import Member
from darts_segmentation.patches import PatchGrid, Patching, patch_grid
from darts_utils.parameters import FLOAT32, PRECISIONS, Precision, Tta
from darts_utils.rasters.arrays import Array

_VALID_WEIGHT = 1e-3
"""Of a pixel of valid ground, beside one that is a slump for sure."""


class Engine(Protocol):
    """Makes probabilities of a tile."""

    def __call__(self, tile: xr.Dataset, patching: Patching, *, tta: Tta = "none") -> Array:
        """Return (y, x) float32 from 0 to 1, NaN where the tile is not valid."""
        ...


@dataclass(frozen=True, kw_only=True)
class OneModel:
    """One network of an engine, by itself."""

    engine: Engine
    bands: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An engine, and a tile to try it on."""

    engine: Engine
    tile: xr.Dataset
    """In memory, not lazy: the bands of the engine, and `quality_data_mask`."""
    patching: Patching
    bands: tuple[str, ...]
    """What the engine reads."""
    multiple: int = 1
    """Pixels of which a patch's edge must be a multiple."""
    tta: Tta = "none"
    """How many views of a patch the engine is asked to see."""
    precision: Precision = FLOAT32
    """What its networks compute in."""
    models: tuple[OneModel, ...] = ()
    """Its networks one by one."""
    temperature: float = 1.0
    """What the logit of their mean is divided by."""
    in_precision: Mapping[Precision, Engine] = field(default_factory=dict)
    """The same engine with its networks in other numbers."""

    def probabilities(self, tile: xr.Dataset | None = None, *, batch_size: int | None = None) -> Array:
        """Return the probabilities of a tile, of the subject's own if none is given."""
        patching = self.patching if batch_size is None else replace(self.patching, batch_size=batch_size)
        return self.engine(self.tile if tile is None else tile, patching, tta=self.tta)

    @cached_property
    def base(self) -> Array:
        """Probabilities of the tile, made once for all checks that only look at them."""
        return self.probabilities()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.tile.sizes["y"], self.tile.sizes["x"]

    @cached_property
    def valid(self) -> Array:
        """Where the engine has something to say, (y, x) bool."""
        valid: Array = self.tile["quality_data_mask"].values != 0
        for band in OPTICAL_BANDS & set(self.bands):
            valid = valid & ~np.isnan(self.tile[band].values)
        return valid

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of the first pixel on the map."""
        return BandStack(self.tile, ()).origin

    def grid(self, top: int = 0, left: int = 0) -> PatchGrid:
        """Return the patches of the tile without some of its first rows and columns."""
        (height, width), (row, column) = self.shape, self.origin
        return patch_grid((height - top, width - left), self.patching, self.multiple, (row + top, column + left))

    def corner(self, edge_px: int) -> tuple[int, int]:
        """Return row and column of the square with most slumps, and of those with most valid ground."""
        weight = np.nan_to_num(self.base.astype(np.float64)) + _VALID_WEIGHT * self.valid
        sums = np.pad(weight, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
        height, width = (min(edge_px, length) for length in self.shape)
        step = max(1, edge_px // 4)
        places = [
            (sums[top + height, left + width] - sums[top, left + width] - sums[top + height, left] + sums[top, left],
             -top, -left)
            for top in range(0, self.shape[0] - height + 1, step)
            for left in range(0, self.shape[1] - width + 1, step)
        ]  # fmt: skip
        _, top, left = max(places)
        return -top, -left

    def part(self, edge_px: int) -> Self:
        """Return the same with a square of the tile only, where there are slumps; all of it if that is smaller."""
        top, left = self.corner(edge_px)
        return replace(self, tile=self.tile.isel(y=slice(top, top + edge_px), x=slice(left, left + edge_px)))


def subject_of(ensemble: EnsembleV1, tile: xr.Dataset, patching: Patching, tta: Tta = "none") -> Subject:
    """Return models as they are used by runs, and a tile, as something to check.

    Args:
        ensemble: The models.
        tile: A preprocessed tile; of it only what the models read is kept, and loaded.
        patching: How it is cut.
        tta: How many views of a patch they see.
    """
    bands = tuple(dict.fromkeys(band for member in ensemble.members for band in member.bands))
    temperature = 1.0 if ensemble.card is None else ensemble.card.temperature

    def engine_of(members: tuple[Member, ...], precision: Precision) -> Engine:
        def engine(tile: xr.Dataset, patching: Patching, *, tta: Tta = "none") -> Array:
            found = predict(
                tile, members, patching, ensemble.device, tta=tta, temperature=temperature, precision=precision
            )
            return found.mean

        return engine

    def engine(tile: xr.Dataset, patching: Patching, *, tta: Tta = "none") -> Array:
        found: Array = ensemble.segment_tile(
            tile, patching.patch_size, patching.overlap, patching.batch_size, patching.reflection, tta=tta
        )["probabilities"].values
        return found

    return Subject(
        engine=engine,
        tile=tile[[*bands, "quality_data_mask"]].load(),
        patching=patching,
        bands=bands,
        multiple=int(np.lcm.reduce([member.multiple for member in ensemble.members])),
        tta=tta,
        precision=ensemble.precision,
        models=tuple(
            OneModel(engine=engine_of((member,), ensemble.precision), bands=member.bands) for member in ensemble.members
        ),
        temperature=temperature,
        in_precision={precision: engine_of(ensemble.members, precision) for precision in PRECISIONS},
    )
