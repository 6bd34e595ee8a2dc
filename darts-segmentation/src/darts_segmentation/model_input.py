"""What networks see of a tile: a stack of its bands, from 0 to 1, read patch by patch."""

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import xarray as xr

from darts_segmentation.patches import Patch
from darts_utils.bands import manager
from darts_utils.errors import DataError
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import for_each_row_block

OPTICAL_BANDS = frozenset({"blue", "green", "red", "nir"})
"""Without one of these a pixel was not seen at all; a hole in any other band leaves it valid."""

_ROWS = 128
"""Rows of a whole tile that are looked at in one go: they are made of all optical bands, in floats."""


class BandStack:
    """The union of some bands of a tile; nothing is made or copied until a patch is read.

    Args:
        tile: A tile in memory representation, dims (y, x).
        bands: Names of the bands, in the order in which they are read.
    """

    def __init__(self, tile: xr.Dataset, bands: Sequence[str]) -> None:
        self.bands = tuple(bands)
        self.shape: tuple[int, int] = (tile.sizes["y"], tile.sizes["x"])
        self.origin = (_first_pixel(tile, "y"), _first_pixel(tile, "x"))
        self._bands = {name: tile[name].variable for name in bands}
        self._quality = tile["quality_data_mask"].variable if "quality_data_mask" in tile else None

    def read(
        self, patch: Patch, rows: slice, inputs: Array, valid: Mapping[frozenset[str], Array], scratch: Array
    ) -> bool:
        """Read some rows of a patch, and return whether any of their pixels is valid.

        Args:
            patch: The patch.
            rows: Which of its rows.
            inputs: Filled with the model representation, (y, x, band) float32: 0..1, and 0 where a band is NaN or no
                network sees anything.
            valid: For some sets of optical bands, (y, x) bool, filled with True where the quality is above 0 and no
                band of the set is NaN.
            scratch: (band, y, x) float32 to work in, contiguous, at least as many pixels.
        """
        optical = {name: patch.read(self._bands[name], rows) for name in self.bands if name in OPTICAL_BANDS}
        for names, mask in valid.items():
            mask[:] = True if self._quality is None else patch.read(self._quality, rows) != 0
            for name in names:
                mask &= ~np.isnan(optical[name])
        seen = np.logical_or.reduce(list(valid.values()))
        if not seen.any():
            inputs.fill(0)
            return False
        self._interleave(patch, rows, optical, inputs, scratch)
        if not seen.all():
            inputs[~seen] = 0
        return True

    def _interleave(
        self, patch: Patch, rows: slice, optical: Mapping[str, Array], inputs: Array, scratch: Array
    ) -> None:
        """Fill (y, x, band) with the model representation of all bands."""
        height, width, _ = inputs.shape
        bands = [flat[: height * width].reshape(height, width) for flat in scratch.reshape(len(scratch), -1)]
        for name, band in zip(self.bands, bands, strict=True):
            manager[name].normalize(optical[name] if name in optical else patch.read(self._bands[name], rows), band)
        if len(bands) == 1:
            inputs[..., 0] = bands[0]
        else:
            cv2.merge(bands, inputs)

    def blank_invalid(self, values: Array, optical: frozenset[str]) -> int:
        """Set a whole (y, x) array to NaN, in place, wherever the tile is not valid; block by block to save memory.

        Args:
            values: The array.
            optical: The bands without which a pixel is not valid.

        Returns:
            How many valid pixels were NaN before.
        """
        not_finite: list[int] = []

        def blank(rows: slice) -> None:
            missing = np.isnan(values[rows])
            n_missing = np.count_nonzero(missing)
            invalid = np.zeros_like(missing) if self._quality is None else self._quality[rows].values == 0
            for name in optical:
                invalid |= np.isnan(self._bands[name][rows].values)
            values[rows][invalid] = np.nan
            if n_missing:
                not_finite.append(int(np.count_nonzero(missing & ~invalid)))

        for_each_row_block(blank, self.shape[0], _ROWS)
        return sum(not_finite)


def check_bands(tile: xr.Dataset, needs: dict[str, Sequence[str]]) -> None:
    """Check that a tile has the bands that each model needs.

    Raises:
        DataError: If bands are missing; the message names each model and what it lacks.
    """
    lacking = {model: [band for band in bands if band not in tile] for model, bands in needs.items()}
    parts = [f"{', '.join(missing)} for the model {model}" for model, missing in lacking.items() if missing]
    if parts:
        raise DataError(f"the tile lacks {' and '.join(parts)}. Add the bands, or leave out the model.")


def _first_pixel(tile: xr.Dataset, axis: str) -> int:
    """Return where a tile begins on the map, in its pixels from coordinate 0; 0 if it has no coordinates."""
    if axis not in tile.coords or tile.sizes[axis] < 2:
        return 0
    first, second = (float(value) for value in tile[axis].values[:2])
    return math.floor(first / (second - first) + 0.01)  # pixel centres; the last bits of a cut tile's may differ
