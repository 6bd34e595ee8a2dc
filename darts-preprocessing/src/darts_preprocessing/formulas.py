"""Spectral indices by the formulas of spyndex, a catalogue of them: https://github.com/awesome-spectral-indices/spyndex."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import xarray as xr

from darts_preprocessing.blocks import HOST_BLOCK_PX, Block, for_each_block
from darts_utils.bands import INDICES, manager
from darts_utils.errors import ConfigError, DataError
from darts_utils.rasters.arrays import Array

_LETTERS = {"blue": "B", "green": "G", "red": "R", "nir": "N"}
"""What spyndex calls the bands of a tile."""
_SOIL = 0.5
"""L of SAVI, Huete (1988): for cover that is neither sparse nor dense."""


def evi(blue: Array, red: Array, nir: Array) -> Array:
    """Return the enhanced vegetation index, 2.5 (nir - red) / (nir + 6 red - 7.5 blue + 1).

    Args:
        blue: (y, x) float32 surface reflectance, NaN where unknown.
        red: Likewise.
        nir: Likewise, of the near infrared.

    Returns:
        (y, x) float32, dimensionless, clipped to -1..1, which it leaves over snow and cloud; NaN where a band is NaN or
        the divisor 0. Bands are clipped to 0..1 first, as for `ndvi`.
        Method: Huete et al. (1997), doi:10.1016/S0034-4257(96)00112-5.
    """
    return _made("EVI", {"blue": blue, "red": red, "nir": nir}, _range("evi"))


def savi(red: Array, nir: Array) -> Array:
    """Return the soil adjusted vegetation index, 1.5 (nir - red) / (nir + red + 0.5).

    Args:
        red: (y, x) float32 surface reflectance, NaN where unknown.
        nir: Likewise, of the near infrared.

    Returns:
        (y, x) float32 from -1 to 1, dimensionless; NaN where a band is NaN. Bands are clipped to 0..1 first.
        Method: Huete (1988), doi:10.1016/0034-4257(88)90106-X.
    """
    return _made("SAVI", {"red": red, "nir": nir}, _range("savi"), {"L": _SOIL})


def vari(blue: Array, green: Array, red: Array) -> Array:
    """Return the visible atmospherically resistant index, (green - red) / (green + red - blue).

    Args:
        blue: (y, x) float32 surface reflectance, NaN where unknown.
        green: Likewise.
        red: Likewise.

    Returns:
        (y, x) float32, dimensionless, clipped to -1..1, which it leaves over water and shadow; NaN where a band is NaN
        or the divisor 0. Bands are clipped to 0..1 first.
        Method: Gitelson et al. (2002), doi:10.1016/S0034-4257(01)00289-9.
    """
    return _made("VARI", {"blue": blue, "green": green, "red": red}, _range("vari"))


def tgi(blue: Array, green: Array, red: Array) -> Array:
    """Return the triangular greenness index, -0.5 (190 (red - green) - 120 (red - blue)).

    Args:
        blue: (y, x) float32 surface reflectance, NaN where unknown.
        green: Likewise.
        red: Likewise.

    Returns:
        (y, x) float32 in nanometres, the area of a triangle under the spectrum, clipped to -30..30; NaN where a band is
        NaN. Bands are clipped to 0..1 first. Method: Hunt et al. (2013), doi:10.1016/j.jag.2012.07.020.
    """
    return _made("TGI", {"blue": blue, "green": green, "red": red}, _range("tgi"))


def calculate_spyndex(tile: xr.Dataset, index: str) -> xr.DataArray:
    """Return any index of spyndex that is made of blue, green, red and near infrared.

    Args:
        tile: Holds the bands that the index is made of, (y, x) float32 surface reflectance, NaN where unknown.
        index: Its name there, such as `NGRDI`. Constants have the values that spyndex gives them.

    Returns:
        (y, x) float32, named by the index in small letters; NaN where a band is NaN or the formula gives no number.
        Bands are clipped to 0..1 first; what comes out is not. One that DARTS registers itself (`INDICES`) is as there.

    Raises:
        ConfigError: If there is no such index, or it needs other bands.
        DataError: If the tile lacks a band.
    """
    from darts_preprocessing.indices import calculate_index

    if index.lower() in INDICES:
        return calculate_index(tile, index.lower())
    names = [name for name, letter in _LETTERS.items() if letter in _inputs(index)]
    if missing := [name for name in names if name not in tile]:
        raise DataError(f"{index} needs {' and '.join(names)}, but the tile lacks {' and '.join(missing)}. Load them.")
    values = _made(index, {name: tile[name].values for name in names}, (-np.inf, np.inf))
    return xr.DataArray(values, coords=tile[names[0]].coords, dims=("y", "x"), name=index.lower())


def _inputs(index: str) -> list[str]:
    """Return the bands and constants of an index, in the letters of spyndex."""
    import spyndex

    if index not in spyndex.indices:
        raise ConfigError(
            f"spyndex has no index {index!r}. Its names are at https://github.com/awesome-spectral-indices."
        )
    inputs: list[str] = list(spyndex.indices[index].bands)
    strange = [name for name in inputs if name not in {*_LETTERS.values(), *spyndex.constants}]
    if strange or not set(inputs) & {*_LETTERS.values()}:
        raise ConfigError(
            f"{index} is made of {', '.join(inputs)} (in the letters of spyndex), but tiles have {', '.join(_LETTERS)} "
            "alone. Choose another."
        )
    return inputs


def _range(band: str) -> tuple[float, float]:
    return manager[band].valid_range


def _made(
    index: str, bands: Mapping[str, Array], within: tuple[float, float], given: Mapping[str, float] | None = None
) -> Array:
    """Return an index, block by block."""
    import spyndex

    constants = {name: spyndex.constants[name].default for name in _inputs(index) if name in spyndex.constants}
    shape = next(iter(bands.values())).shape
    out = np.empty(shape, dtype=np.float32)
    write = partial(_write, index, bands, {**constants, **(given or {})}, within, out)
    for_each_block(write, (shape[0], shape[1]), HOST_BLOCK_PX)
    return out


def _write(  # noqa: PLR0917  (what a block is made of)
    index: str,
    bands: Mapping[str, Array],
    constants: Mapping[str, float],
    within: tuple[float, float],
    out: Array,
    block: Block,
) -> None:
    import spyndex

    place = (block.rows, block.columns)
    numbers = {_LETTERS[name]: np.clip(band[place], np.float32(0), np.float32(1)) for name, band in bands.items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        found = spyndex.computeIndex(index, {**numbers, **constants})
    out[place] = np.where(np.isfinite(found), np.clip(found, *within), np.nan)
