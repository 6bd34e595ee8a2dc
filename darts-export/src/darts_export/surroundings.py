"""How far objects would reach at other thresholds, how sure their cores are, and what lies under and around them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import xarray as xr
from scipy.spatial import KDTree

from darts_utils.objects.core_mean import core_mean
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import for_each_row_block
from darts_utils.rasters.run_length import connected_components, run_length_encode

THRESHOLDS = {"area_m2_t30": 0.30, "area_m2_t45": 0.45, "area_m2_t65": 0.65, "area_m2_t80": 0.80}
"""Columns, and the probability above which they count ground."""
WITHIN_FROM = 0.5
"""Thresholds above this one count the ground of an object alone; those below also what is connected to it."""
BUFFER_PX = 3
_SNOW = 11
"""Class of snow and ice in a Sentinel-2 scene classification."""
_UDM_SNOW = 1
"""Position of the band of snow among those of a Planet UDM2."""
_AT_ONCE = 1_000_000
_REACH = np.arange(-BUFFER_PX, BUFFER_PX + 1)
_DISK = (_REACH[:, None] ** 2 + _REACH**2 <= BUFFER_PX**2).astype(np.uint8)


@dataclass(frozen=True)
class Objects:
    """The pixels of the objects of a tile."""

    pixels: Array
    """(pixel,) int64, where they are in the raveled tile."""
    owners: Array
    """(pixel,) the object that each belongs to, from 0 on."""
    number: int
    width: int
    """Columns of the tile."""

    @cached_property
    def members(self) -> list[Array]:
        """For each object, which of the pixels are its own."""
        return grouped(self.owners, self.number)

    def places(self, which: Array) -> tuple[Array, Array]:
        """Return the rows and the columns of some of the pixels."""
        rows, columns = np.divmod(self.pixels[which], self.width)
        return rows, columns


def grouped(owners: Array, number: int) -> list[Array]:
    """Return for each of so many owners, numbered from 0 on, the positions of what belongs to it."""
    order = np.argsort(owners, kind="stable")
    return np.split(order, np.cumsum(np.bincount(owners, minlength=number))[:-1]) if number else []


def core_probabilities(objects: Objects, values: Array) -> Array:
    """Return how sure the core of each object is, (object,) float64 from 0 to 1; see `darts_utils.objects.core_mean`.

    Args:
        objects: The objects.
        values: (pixel,) float32 from 0 to 1, the probability of each of their pixels.
    """
    return np.array([core_mean(values[pixels]) for pixels in objects.members], dtype=np.float64)


def sizes_above(objects: Objects, probabilities: Array, values: Array, threshold: float) -> Array:
    """Return how many pixels belong to each object at another threshold, (object,) int64.

    Above `WITHIN_FROM` these are pixels of the object; at it and below all that are connected to it, at edges or
    corners, each counted for the nearest of the objects that it is connected to.

    Args:
        objects: The objects.
        probabilities: (y, x) float32 from 0 to 1, NaN outside of the extent.
        values: (pixel,) those of the pixels of the objects.
        threshold: From 0 to 1, which must be exceeded.
    """
    above = np.flatnonzero(values > threshold)
    if threshold > WITHIN_FROM:
        return np.bincount(objects.owners[above], minlength=objects.number)
    stretches = run_length_encode(_exceeding(probabilities, threshold))
    components, n_components = connected_components(stretches, diagonal=True)
    flat = objects.pixels[above] + objects.pixels[above] // objects.width  # rows of stretches are a column longer
    pairs = np.unique(components[stretches.at(flat)] * objects.number + objects.owners[above])
    inside, owners = np.divmod(pairs, max(objects.number, 1))
    n_pixels = np.bincount(components, stretches.lengths, n_components).astype(np.int64)
    is_shared = np.bincount(inside, minlength=n_components) > 1
    alone = ~is_shared[inside]
    sizes = np.zeros(objects.number, dtype=np.int64)
    np.add.at(sizes, owners[alone], n_pixels[inside[alone]])
    number = np.cumsum(is_shared) - 1  # of the components that several objects share
    of_shared = np.flatnonzero(is_shared[components])
    grounds = grouped(number[components[of_shared]], int(is_shared.sum()))
    sharers = grouped(number[inside[~alone]], len(grounds))
    for ground, sharer in zip(grounds, sharers, strict=True):
        sizes += _nearest(objects, owners[~alone][sharer], stretches.pixels(of_shared[ground]))
    return sizes


def _exceeding(probabilities: Array, threshold: float) -> Array:
    """Return where a threshold is exceeded, (y, x) bool."""
    mask = np.empty(probabilities.shape, dtype=bool)

    def compare(rows: slice) -> None:
        np.greater(probabilities[rows], threshold, out=mask[rows])

    for_each_row_block(compare, len(mask))
    return mask


def _nearest(objects: Objects, owners: Array, ground: Array) -> Array:
    """Return how many of some pixels of the raveled tile are nearest to each of some objects."""
    pixels = np.concatenate([objects.members[owner] for owner in owners])
    tree = KDTree(np.column_stack(objects.places(pixels)))
    sizes = np.zeros(objects.number, dtype=np.int64)
    for start in range(0, len(ground), _AT_ONCE):
        _, nearest = tree.query(np.column_stack(np.divmod(ground[start : start + _AT_ONCE], objects.width)))
        sizes += np.bincount(objects.owners[pixels[nearest]], minlength=objects.number)
    return sizes


def ground_shares(objects: Objects, tile: xr.Dataset) -> dict[str, Array]:
    """Return what each object and the ground within `BUFFER_PX` pixels of it consist of.

    Args:
        objects: The objects.
        tile: May have `quality_data_mask` (uint8, 0 without data), `s2_scl` or `planet_udm` (snow), and `green` and
            `nir` (reflectance: water where their normalised difference, McFeeters (1996),
            doi:10.1080/01431169608948714, is above 0).

    Returns:
        (object,) float64 from 0 to 1 each, NaN where the tile does not tell: `nodata_fraction`, `snow_fraction`,
        `water_fraction`.
    """
    shares = {name: np.full(objects.number, np.nan) for name in _SHARES}
    for name, ways in _SHARES.items():
        for bands, tells in ways.items():
            if set(bands) <= set(tile.data_vars) and np.isnan(shares[name]).all():
                shares[name] = _share_where(objects, tile.sizes["y"], [tile[band].variable for band in bands], tells)
    return shares


def _share_where(objects: Objects, height: int, bands: Sequence[xr.Variable], tells: Callable[..., Array]) -> Array:
    """Return the share of each object and its buffer where some bands tell something."""
    shares = np.empty(objects.number)
    for number, pixels in enumerate(objects.members):
        rows, columns, footprint = _with_buffer(*objects.places(pixels), (height, objects.width))
        shares[number] = tells(*(band[..., rows, columns].values for band in bands))[footprint].mean()
    return shares


def _with_buffer(rows: Array, columns: Array, shape: tuple[int, int]) -> tuple[slice, slice, Array]:
    """Return the window of a tile around pixels, as rows and columns, and (y, x) bool: they and their buffer."""
    top, left = max(rows.min() - BUFFER_PX, 0), max(columns.min() - BUFFER_PX, 0)
    bottom, right = min(rows.max() + BUFFER_PX + 1, shape[0]), min(columns.max() + BUFFER_PX + 1, shape[1])
    footprint = np.zeros((bottom - top, right - left), dtype=np.uint8)
    footprint[rows - top, columns - left] = 1
    return slice(top, bottom), slice(left, right), cv2.dilate(footprint, _DISK).view(bool)


_SHARES: Mapping[str, Mapping[tuple[str, ...], Callable[..., Array]]] = {
    "nodata_fraction": {("quality_data_mask",): lambda quality: quality == 0},
    "snow_fraction": {("s2_scl",): lambda scl: scl == _SNOW, ("planet_udm",): lambda udm: udm[_UDM_SNOW] == 1},
    # where their difference is above 0, its normalised form is too
    "water_fraction": {("green", "nir"): lambda green, nir: green > nir},
}
"""Columns, and the bands that tell it of a tile, the first of those that it has."""
