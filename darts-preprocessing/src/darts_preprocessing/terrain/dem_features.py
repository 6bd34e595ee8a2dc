"""What is made of the elevation around a tile, whole or window by window."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from darts_preprocessing.blocks import Block, whole
from darts_preprocessing.terrain.derivatives import TERRAIN_BANDS, DemWindow
from darts_preprocessing.terrain.ruggedness import (
    NORMALS_REACH_PX,
    dissection,
    ruggedness_index,
    vector_ruggedness,
)
from darts_preprocessing.terrain.tpi import position_index
from darts_utils.bands import RUGGEDNESS_BANDS, manager
from darts_utils.machine.devices import DeviceSpec
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.lazy import Remembered

DEM_BANDS = frozenset({"dem", "arcticdem_data_mask", "relative_elevation", *TERRAIN_BANDS})
"""What is made of elevation unless bands are named."""
ALL_DEM_BANDS = DEM_BANDS.union(RUGGEDNESS_BANDS)
WIDE_BANDS = frozenset({"relative_elevation", "dissection_index"})
"""What reaches as far as the outer radius."""
STENCIL_PX = 2
"""Reach of the terrain bands, with one pixel to spare."""

_SHARED_PX = 2**22
"""Windows up to this size have all their bands made in one go and remembered; larger ones only the band asked for."""


@dataclass(kw_only=True)
class DemFeatures:
    """Bands made of one DEM.

    A patch is read band by band, while its bands are made together: each thread remembers its last window.
    """

    dem_window: DemWindow
    """The DEM on the tile's grid, padded by its halo."""
    measured: Array | None
    """(y, x) uint8, 1 = the nearest cell was measured, on the padded grid; None where that is unknown."""
    kernel: Array | None
    """Surroundings for bands that look far, (2 R + 1, 2 R + 1) bool; None if none of them is wanted."""
    bands: frozenset[str]
    """Which bands are wanted."""
    device: DeviceSpec = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the tile."""
        return self.dem_window.shape

    def packed(self) -> "DemFeatures":
        """Return the same of a DEM that is kept compressed until windows are read."""
        return replace(self, dem_window=self.dem_window.packed())

    def whole(self) -> dict[str, Array]:
        """Return all bands wanted, (y, x)."""
        return self._make(self.bands, whole(self.shape))

    def read(self, band: str, rows: slice, columns: slice) -> Array:
        """Return a window of a band."""
        window = Block(rows=rows, columns=columns)
        if window.shape[0] * window.shape[1] > _SHARED_PX:
            return self._make({band}, window)[band]
        return self._shared(rows, columns)[band]

    @cached_property
    def _shared(self) -> Remembered[dict[str, Array]]:
        return Remembered(self._of_window)

    def _of_window(self, rows: slice, columns: slice) -> dict[str, Array]:
        return self._make(self.bands, Block(rows=rows, columns=columns))

    def _make(self, bands: Collection[str], window: Block) -> dict[str, Array]:
        dem_window, halo = self.dem_window, self.dem_window.halo
        made = dem_window.terrain(bands, window, self.device)
        if self.kernel is not None and "relative_elevation" in bands:
            around = dem_window.read(window, halo)
            made["relative_elevation"] = position_index(around, self.kernel, halo, self.device)
        made |= self._ruggedness(bands, window)
        if "arcticdem_data_mask" in bands:
            made["arcticdem_data_mask"] = np.isfinite(dem_window.read(window)).view(np.uint8)
            if self.measured is not None:
                made["arcticdem_data_mask"] &= window.read(self.measured, halo, 0)
        if "dem" in bands:
            made["dem"] = np.clip(dem_window.read(window), *manager["dem"].valid_range, dtype=np.float32)
        return made

    def _ruggedness(self, bands: Collection[str], window: Block) -> dict[str, Array]:
        dem_window, halo, made = self.dem_window, self.dem_window.halo, {}
        if "terrain_ruggedness_index" in bands:
            made["terrain_ruggedness_index"] = ruggedness_index(dem_window.read(window, 1), 1)
        if "vector_ruggedness_measure" in bands:
            around = dem_window.read(window, NORMALS_REACH_PX)
            made["vector_ruggedness_measure"] = vector_ruggedness(around, dem_window.pixel_m, NORMALS_REACH_PX)
        if self.kernel is not None and "dissection_index" in bands:
            made["dissection_index"] = dissection(dem_window.read(window, halo), self.kernel.shape[0] // 2, halo)
        return made
