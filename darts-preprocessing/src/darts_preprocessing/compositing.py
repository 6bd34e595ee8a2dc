"""Cloud-free composites: one value a pixel and band from all clear looks of a season."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from darts_utils.machine.jit import compiled
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import for_each_row_block

type Method = Literal["median", "medoid", "max-ndvi"]

NO_DATA = -32768
"""Of int16 numbers, of which 0 and those below are data."""
_NOTHING = np.int16(NO_DATA)


@dataclass(frozen=True, kw_only=True)
class Composite:
    """What is left of all looks."""

    values: Array
    """(band, y, x) int16, -32768 where nothing was seen."""
    observations: Array
    """(y, x) uint16, number of clear looks."""
    look: Array
    """(y, x) int16, which look a pixel is of: that of the middle in time for medians; -1 where nothing was seen."""


def composite(looks: Array, method: Method) -> Composite:
    """Return a composite of looks.

    - `median`: the median of each band; of an even number the mean of the middle two, rounded half to even.
    - `medoid`: all bands of the look that is nearest to all others, by the sum of distances between spectra.
      Method: Flood (2013), doi:10.3390/rs5126481.
    - `max-ndvi`: all bands of the look with the highest (nir - red) / (nir + red), each at least 0; without light it
      comes last. Method: Holben (1986), doi:10.1080/01431168608948945.

    Of looks that are equally good the first counts.

    Args:
        looks: (look, band, y, x) int16 in the order of time, bands blue, green, red, near infrared; a pixel is seen in
            all bands or in none, where it is -32768.
        method: How.
    """
    _, n_bands, height, width = looks.shape
    made = Composite(
        values=np.empty((n_bands, height, width), dtype=np.int16),
        observations=np.empty((height, width), dtype=np.uint16),
        look=np.empty((height, width), dtype=np.int16),
    )
    write = {"median": _write_medians, "medoid": _write_medoids, "max-ndvi": _write_greenest}[method]

    def fill(rows: slice) -> None:
        write(looks[:, :, rows], made.values[:, rows], made.observations[rows], made.look[rows])

    for_each_row_block(fill, height)
    return made


@compiled()
def _clear(looks: Array, row: int, column: int, clear: Array) -> int:
    """Write the numbers of looks that saw a pixel; return how many did."""
    n_clear = 0
    for look in range(looks.shape[0]):
        if looks[look, 0, row, column] != _NOTHING:
            clear[n_clear] = look
            n_clear += 1
    return n_clear


@compiled()
def _write_look(looks: Array, look: int, row: int, column: int, values: Array) -> None:
    for band in range(values.shape[0]):
        values[band, row, column] = looks[look, band, row, column] if look >= 0 else _NOTHING


@compiled()
def _write_medians(looks: Array, values: Array, observations: Array, chosen: Array) -> None:
    clear = np.empty(looks.shape[0], dtype=np.int64)
    numbers = np.empty(looks.shape[0], dtype=np.int16)
    for row in range(values.shape[1]):
        for column in range(values.shape[2]):
            n_clear = _clear(looks, row, column, clear)
            observations[row, column] = n_clear
            chosen[row, column] = clear[(n_clear - 1) // 2] if n_clear else -1
            for band in range(values.shape[0]):
                for place in range(n_clear):
                    numbers[place] = looks[clear[place], band, row, column]
                values[band, row, column] = _middle(numbers, n_clear)


@compiled()
def _middle(numbers: Array, n_numbers: int) -> int:
    """Return the median of the first numbers, which are sorted on the way."""
    if n_numbers == 0:
        return NO_DATA
    for place in range(1, n_numbers):
        number, before = numbers[place], place
        while before > 0 and numbers[before - 1] > number:
            numbers[before] = numbers[before - 1]
            before -= 1
        numbers[before] = number
    low, high = int(numbers[(n_numbers - 1) // 2]), int(numbers[n_numbers // 2])
    return int(np.rint((low + high) / 2))


@compiled()
def _write_medoids(looks: Array, values: Array, observations: Array, chosen: Array) -> None:
    clear = np.empty(looks.shape[0], dtype=np.int64)
    for row in range(values.shape[1]):
        for column in range(values.shape[2]):
            n_clear = _clear(looks, row, column, clear)
            best, least = -1, np.inf
            for one in range(n_clear):
                total = 0.0
                for other in range(n_clear):
                    total += _distance(looks, clear[one], clear[other], row, column)
                if total < least:
                    best, least = clear[one], total
            observations[row, column], chosen[row, column] = n_clear, best
            _write_look(looks, best, row, column, values)


@compiled()
def _distance(looks: Array, one: int, other: int, row: int, column: int) -> float:
    squares = 0.0
    for band in range(looks.shape[1]):
        squares += (float(looks[one, band, row, column]) - float(looks[other, band, row, column])) ** 2
    return float(np.sqrt(squares))


@compiled()
def _write_greenest(looks: Array, values: Array, observations: Array, chosen: Array) -> None:
    clear = np.empty(looks.shape[0], dtype=np.int64)
    for row in range(values.shape[1]):
        for column in range(values.shape[2]):
            n_clear = _clear(looks, row, column, clear)
            best, most = -1, -np.inf
            for place in range(n_clear):
                red = max(float(looks[clear[place], 2, row, column]), 0.0)
                nir = max(float(looks[clear[place], 3, row, column]), 0.0)
                green = (nir - red) / (nir + red) if nir + red > 0 else -2.0
                if green > most:
                    best, most = clear[place], green
            observations[row, column], chosen[row, column] = n_clear, best
            _write_look(looks, best, row, column, values)
