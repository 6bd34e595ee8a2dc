"""What is made of the elevation around a tile, whole or window by window."""

import threading
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from darts_preprocessing.blocks import Block, whole
from darts_preprocessing.terrain.derivatives import TERRAIN_BANDS, DemWindow
from darts_preprocessing.terrain.tpi import position_index
from darts_utils.bands import manager
from darts_utils.machine.devices import DeviceSpec
from darts_utils.rasters.arrays import Array

DEM_BANDS = frozenset({"dem", "arcticdem_data_mask", "relative_elevation", *TERRAIN_BANDS})
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
    """Surroundings for relative elevation, (2 R + 1, 2 R + 1) bool; None if that is not wanted."""
    bands: frozenset[str]
    """Which bands are wanted."""
    device: DeviceSpec = None
    _last: threading.local = field(default_factory=threading.local, init=False, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the tile."""
        return self.dem_window.shape

    def whole(self) -> dict[str, Array]:
        """Return all bands wanted, (y, x)."""
        return self._make(self.bands, whole(self.shape))

    def read(self, band: str, rows: slice, columns: slice) -> Array:
        """Return a window of a band."""
        window = Block(rows=rows, columns=columns)
        if window.shape[0] * window.shape[1] > _SHARED_PX:
            return self._make({band}, window)[band]
        if getattr(self._last, "window", None) != window:
            self._last.window, self._last.bands = window, self._make(self.bands, window)
        made: dict[str, Array] = self._last.bands
        return made[band]

    def _make(self, bands: Collection[str], window: Block) -> dict[str, Array]:
        dem_window, halo = self.dem_window, self.dem_window.halo
        made = dem_window.terrain(bands, window, self.device)
        if self.kernel is not None and "relative_elevation" in bands:
            around = window.read(dem_window.dem, halo, halo)
            made["relative_elevation"] = position_index(around, self.kernel, halo, self.device)
        if "arcticdem_data_mask" in bands:
            made["arcticdem_data_mask"] = np.isfinite(window.read(dem_window.dem, halo, 0)).view(np.uint8)
            if self.measured is not None:
                made["arcticdem_data_mask"] &= window.read(self.measured, halo, 0)
        if "dem" in bands:
            made["dem"] = np.clip(window.read(dem_window.dem, halo, 0), *manager["dem"].valid_range, dtype=np.float32)
        return made

    def __getstate__(self) -> dict[str, object]:
        """Leave the remembered windows behind when this is sent to another process."""
        return {name: value for name, value in self.__dict__.items() if name != "_last"}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Begin without remembered windows."""
        self.__dict__.update(state, _last=threading.local())
