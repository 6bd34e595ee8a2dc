"""What is made of the elevation around a tile, whole or window by window."""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from odc.geo.geobox import GeoBox

from darts_preprocessing.blocks import Array
from darts_preprocessing.terrain import TERRAIN_BANDS, Sun, terrain_arrays
from darts_preprocessing.tpi import position_index
from darts_utils.bands import manager
from darts_utils.devices import DeviceSpec

DEM_BANDS = frozenset({"dem", "arcticdem_data_mask", "relative_elevation", *TERRAIN_BANDS})
STENCIL_PX = 2
"""Reach of the terrain bands, with one pixel to spare."""

_SHARED_PX = 2**22
"""Windows up to this size have all their bands made in one go and remembered; larger ones only the band asked for."""

type _Window = tuple[slice, slice]


@dataclass(kw_only=True)
class DemFeatures:
    """Bands made of one DEM.

    A patch is read band by band, while its bands are made together: the last window is remembered.
    """

    dem: Array
    """(y, x) float32 in metres, NaN where unknown, on the padded grid."""
    measured: Array | None
    """(y, x) uint8, 1 = the nearest cell was measured; None where that is unknown."""
    grid: GeoBox
    """The padded grid."""
    padding: int
    """Pixels along each edge of the grid that are only read."""
    kernel: Array | None
    """Surroundings for relative elevation, (2 R + 1, 2 R + 1) bool; None if that is not wanted."""
    sun: Sun
    bands: frozenset[str]
    """Which bands are wanted."""
    device: DeviceSpec = None
    _last: tuple[_Window, dict[str, Array]] | None = field(default=None, init=False, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the tile."""
        height, width = self.dem.shape
        return height - 2 * self.padding, width - 2 * self.padding

    def whole(self) -> dict[str, Array]:
        """Return all bands wanted, (y, x)."""
        height, width = self.shape
        return self._make(self.bands, (slice(0, height), slice(0, width)))

    def read(self, band: str, rows: slice, columns: slice) -> Array:
        """Return a window of a band."""
        window = (rows, columns)
        if (rows.stop - rows.start) * (columns.stop - columns.start) > _SHARED_PX:
            return self._make({band}, window)[band]
        last = self._last  # one look, because another thread may put another window there
        if last is None or last[0] != window:
            last = self._last = (window, self._make(self.bands, window))
        return last[1][band]

    def _make(self, bands: Collection[str], window: _Window) -> dict[str, Array]:
        rows, columns = (slice(part.start, part.stop + 2 * self.padding) for part in window)
        dem = self.dem[rows, columns]
        made = terrain_arrays(dem, self.grid[rows, columns], bands, self.sun, self.padding, self.device)
        if self.kernel is not None and "relative_elevation" in bands:
            made["relative_elevation"] = position_index(dem, self.kernel, self.padding, self.device)
        inner = dem[self._inner(dem)]
        if "arcticdem_data_mask" in bands:
            made["arcticdem_data_mask"] = np.isfinite(inner).view(np.uint8)
            if self.measured is not None:
                made["arcticdem_data_mask"] &= self.measured[rows, columns][self._inner(dem)]
        if "dem" in bands:
            made["dem"] = np.clip(inner, *manager["dem"].valid_range, dtype=np.float32)
        return made

    def _inner(self, padded: Array) -> _Window:
        height, width = padded.shape
        return slice(self.padding, height - self.padding), slice(self.padding, width - self.padding)

    def __getstate__(self) -> dict[str, object]:
        """Leave the remembered window behind when this is sent to another process."""
        return self.__dict__ | {"_last": None}
