"""What images say at the pixels of a mosaic: the value of the pixel in which the middle of each lies.

So each value is one that a network gave. Where middles lie on the grid of an image is worked out by PROJ for some of
them, and in between by polynomials where these are right to a millionth of a pixel.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio import Affine
from rasterio.io import DatasetReader
from rasterio.windows import Window

from darts_export.cog import GDAL_ERRORS
from darts_utils.crs import transformer
from darts_utils.errors import DataError, one_line
from darts_utils.grid import crs_of
from darts_utils.machine.jit import compiled
from darts_utils.rasters.arrays import Array

NO_DATA, MOST_PERCENT = 255, 100
_NOTHING = -1
_STEP = 64
"""Pixels between those whose places PROJ works out. From both grids of mosaics to UTM, polynomials of degree 3 are
wrong by at most 3e-9 pixel then at 3 and 10 m a pixel, and by 1e-7 at 30 m."""
_SMALLEST_PX = 2 * _STEP
"""Parts of a mosaic of this edge are not divided further."""
_WINDOW_PX = 24 * 2**20
"""Pixels of an image that are read at once, unless parts cannot be divided further."""
_EXACT = 1e-6
"""By how many pixels of an image polynomials may be wrong; where they are, as at a seam, they are not used."""
_ON_EDGE = 1e-7
"""Pixels: a middle that is so near to an edge lies in the pixel beyond it, else rounding would decide for each."""


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Read a raster in the block.

    Raises:
        DataError: If that fails.
    """
    try:
        yield
    except GDAL_ERRORS as error:
        raise DataError(f"{file} cannot be read: {one_line(error)}. Map the image again.") from error


class Percentages(AbstractContextManager["Percentages"]):
    """A raster of whole percent, which is opened when something of it is read.

    Args:
        file: Where it is.
        grid: Its pixels.
    """

    def __init__(self, file: Path, grid: GeoBox) -> None:
        self._file = file
        self._grid = grid
        self._opened: DatasetReader | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._opened is not None:
            self._opened.close()

    def fill(self, target: GeoBox, values: Array) -> bool:
        """Put what this raster has into those pixels of a mosaic that have nothing yet; return whether that is any.

        Args:
            target: The pixels.
            values: (y, x) uint8 in percent, 255 where there is nothing; written to.

        Raises:
            DataError: If the raster cannot be read, or has values that are no percent.
        """
        rows, columns = (np.arange(-1, (length - 1) // _STEP + 3) * _STEP for length in values.shape)
        places = self._places(target, columns[None, :], rows[:, None])
        window = self._window(places[:, 1:-1, 1:-1], _bend(places))
        if window is None:
            return False
        is_smooth = self._is_smooth(target, columns, rows, places)
        if max(values.shape) > _SMALLEST_PX and not (is_smooth and window.width * window.height <= _WINDOW_PX):
            return self._fill_halves(target, values)
        if not is_smooth:
            return self._fill_one_by_one(target, values)
        source = self._read(window)
        if source.min() == NO_DATA:  # as in most of what is under clouds
            return False
        return self._is_any(_pick(source, (window.row_off, window.col_off), places, values))

    def _fill_halves(self, target: GeoBox, values: Array) -> bool:
        axis = int(np.argmax(values.shape))
        middle = values.shape[axis] // 2
        is_any = False
        for half in (slice(None, middle), slice(middle, None)):
            part = (half, slice(None)) if axis == 0 else (slice(None), half)
            is_any |= self.fill(target[part], values[part])
        return is_any

    def _fill_one_by_one(self, target: GeoBox, values: Array) -> bool:
        """Do as `fill` without polynomials, where the way from one map to the other has a seam."""
        height, width = values.shape
        places = self._places(target, np.arange(width)[None, :], np.arange(height)[:, None])
        window = self._window(places, 0.0)
        if window is None:
            return False
        first = np.array([window.col_off, window.row_off])[:, None, None]
        with np.errstate(invalid="ignore"):  # of places off the map, which are none inside
            column, row = (np.floor(places + _ON_EDGE) - first).astype(np.int64)
        wanted = (column >= 0) & (column < window.width) & (row >= 0) & (row < window.height) & (values == NO_DATA)
        found = self._read(window)[row[wanted], column[wanted]].astype(np.int64)
        values[wanted] = found
        return self._is_any(int(np.max(found, where=found != NO_DATA, initial=_NOTHING)))

    def _places(self, target: GeoBox, columns: Array, rows: Array) -> Array:
        """Return where middles of pixels lie on this raster, (column and row, y, x) float64, 0.5 in its first pixel."""
        crs = crs_of(self._grid)
        moved = transformer(str(crs_of(target)), str(crs)).transform(
            *_moved(target.affine, *np.broadcast_arrays(columns + 0.5, rows + 0.5))
        )
        x, y = (np.where(np.isfinite(one), one, np.nan) for one in moved)  # PROJ says infinity of what is off the map
        if crs.geographic:  # longitudes of a raster may go on beyond 180 degrees
            bounds = self._grid.extent.boundingbox
            seam = (bounds.left + bounds.right) / 2 - 180
            x = seam + np.mod(x - seam, 360)
        return np.stack(_moved(~self._grid.affine, x, y))

    def _is_smooth(self, target: GeoBox, columns: Array, rows: Array, places: Array) -> bool:
        """Tell whether polynomials through places are right in the middle between them."""
        half = _STEP // 2
        between = self._places(target, columns[None, 1:-2] + half, rows[1:-2, None] + half)
        with np.errstate(invalid="ignore"):
            return bool((np.abs(_halfway(_halfway(places, 1), 2) - between) < _EXACT).all())

    def _window(self, places: Array, margin: float) -> Window | None:
        """Return the part of this raster under pixels between some places, None if there is none.

        Args:
            places: (column and row, y, x) float64; those that are off the map count for nothing.
            margin: By how many pixels the way between places may lead around them.
        """
        on_map = places[:, np.isfinite(places).all(axis=0)]
        if not on_map.size:
            return None
        low, high = on_map.min(axis=1) - margin - 1, on_map.max(axis=1) + margin + 1
        height, width = self._grid.shape
        left, top = np.clip(np.floor(low), 0, (width, height)).astype(int).tolist()
        right, bottom = np.clip(np.ceil(high), 0, (width, height)).astype(int).tolist()
        return Window(left, top, right - left, bottom - top) if left < right and top < bottom else None

    def _read(self, window: Window) -> Array:
        with reading(self._file):
            if self._opened is None:
                self._opened = rasterio.open(self._file)
            values: Array = self._opened.read(1, window=window)
            return values

    def _is_any(self, largest: int) -> bool:
        """Tell whether there is a value, by the largest of some, and refuse it if it is no percent."""
        if largest > MOST_PERCENT:
            raise DataError(
                f"{self._file} has the value {largest}, where whole percent (0 to {MOST_PERCENT}) or {NO_DATA} for no "
                "data were expected. Give the probabilities as they were exported."
            )
        return largest > _NOTHING


def _moved(affine: Affine, x: Array, y: Array) -> tuple[Array, Array]:
    a, b, c, d, e, f = affine[:6]
    return a * x + b * y + c, d * x + e * y + f


def _bend(places: Array) -> float:
    """Return by how many pixels the way between places may lead around them, infinity if that is not known."""
    bends = [np.diff(places, n=2, axis=axis) for axis in (1, 2)]
    largest = max(float(np.abs(bend).max()) for bend in bends)
    return largest / 4 if np.isfinite(largest) else np.inf


def _halfway(places: Array, axis: int) -> Array:
    """Return what polynomials of degree 3 through four places each say of the middle between the inner two."""
    one, two, three, four = (np.take(places, range(first, places.shape[axis] - 3 + first), axis) for first in range(4))
    middle: Array = (9 * (two + three) - one - four) / 16
    return middle


@compiled()
def _polynomial(one: float, two: float, three: float, four: float) -> tuple[float, float, float, float]:
    """Return the polynomial of degree 3, constant first, through four values at -1, 0, 1 and 2."""
    bent = (one + three) / 2 - two
    cubic = (four - one) / 6 + (two - three) / 2
    return two, (three - one) / 2 - cubic, bent, cubic


@compiled()
def _value(polynomial: tuple[float, float, float, float], at: float) -> float:
    return ((polynomial[3] * at + polynomial[2]) * at + polynomial[1]) * at + polynomial[0]


@compiled()
def _pick(source: Array, first: tuple[int, int], places: Array, values: Array) -> int:
    """Put what a raster has into those pixels of a mosaic that have nothing yet.

    Args:
        source: (y, x) uint8, part of a raster.
        first: Row and column of its first pixel in the raster.
        places: (column and row, y, x) float64: where every `_STEP`-th pixel of the mosaic lies on the raster, one more
            before the first, and two after the last of which pixels are between.
        values: (y, x) uint8, written to.

    Returns:
        The largest of the values that were put, -1 if none was.
    """
    height, width = values.shape
    line = np.empty((2, places.shape[2]))
    largest = _NOTHING
    for row in range(height):
        above = row // _STEP
        _interpolate(places[:, above : above + 4], row / _STEP - above, line)
        for left in range(0, width, _STEP):
            at = left // _STEP
            across = _polynomial(line[0, at], line[0, at + 1], line[0, at + 2], line[0, at + 3])
            down = _polynomial(line[1, at], line[1, at + 1], line[1, at + 2], line[1, at + 3])
            for column in range(left, min(left + _STEP, width)):
                if values[row, column] == NO_DATA:
                    along = (column - left) / _STEP
                    x = int(np.floor(_value(across, along) + _ON_EDGE)) - first[1]
                    y = int(np.floor(_value(down, along) + _ON_EDGE)) - first[0]
                    if 0 <= x < source.shape[1] and 0 <= y < source.shape[0] and source[y, x] != NO_DATA:
                        values[row, column] = source[y, x]
                        largest = max(largest, int(source[y, x]))
    return largest


@compiled()
def _interpolate(places: Array, at: float, line: Array) -> None:
    """Put the places of a row, (column and row, x), between the second and the third of four rows into `line`."""
    for axis in range(line.shape[0]):
        for column in range(line.shape[1]):
            down = places[axis, :, column]
            line[axis, column] = _value(_polynomial(down[0], down[1], down[2], down[3]), at)
