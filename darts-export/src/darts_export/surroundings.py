"""How far objects would reach at other thresholds, how sure their cores are, and what lies under and around them."""

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

    rows: Array
    """(pixel,) int64."""
    columns: Array
    """(pixel,) int64."""
    owners: Array
    """(pixel,) the object that each belongs to, from 0 on."""
    number: int

    @cached_property
    def members(self) -> list[Array]:
        """For each object, which of the pixels are its own."""
        order = np.argsort(self.owners, kind="stable")
        sizes = np.bincount(self.owners, minlength=self.number)
        return np.split(order, np.cumsum(sizes)[:-1]) if self.number else []


def core_probabilities(objects: Objects, probabilities: Array) -> Array:
    """Return how sure the core of each object is, (object,) float64 from 0 to 1; see `darts_utils.objects.core_mean`.

    Args:
        objects: The objects.
        probabilities: (y, x) float32 from 0 to 1, known wherever an object is.
    """
    values = probabilities[objects.rows, objects.columns]
    return np.array([core_mean(values[pixels]) for pixels in objects.members], dtype=np.float64)


def sizes_above(objects: Objects, probabilities: Array, threshold: float) -> Array:
    """Return how many pixels belong to each object at another threshold, (object,) int64.

    Above `WITHIN_FROM` these are pixels of the object; at it and below all that are connected to it, at edges or
    corners, each counted for the nearest of the objects that it is connected to.

    Args:
        objects: The objects.
        probabilities: (y, x) float32 from 0 to 1, NaN outside of the extent.
        threshold: From 0 to 1, which must be exceeded.
    """
    above = probabilities[objects.rows, objects.columns] > threshold
    if threshold > WITHIN_FROM:
        return np.bincount(objects.owners[above], minlength=objects.number)
    stretches = run_length_encode(_exceeding(probabilities, threshold))
    components, n_components = connected_components(stretches, diagonal=True)
    places = objects.rows[above] * stretches.stride + objects.columns[above]
    inside, owners = np.unique(np.stack([components[stretches.at(places)], objects.owners[above]]), axis=1)
    n_pixels = np.bincount(components, stretches.lengths, n_components).astype(np.int64)
    alone = np.bincount(inside, minlength=n_components)[inside] == 1
    sizes = np.zeros(objects.number, dtype=np.int64)
    np.add.at(sizes, owners[alone], n_pixels[inside[alone]])
    for component in np.unique(inside[~alone]):
        ground = stretches.pixels(np.flatnonzero(components == component))
        sizes += _nearest(objects, owners[inside == component], np.divmod(ground, stretches.stride - 1))
    return sizes


def _exceeding(probabilities: Array, threshold: float) -> Array:
    """Return where a threshold is exceeded, (y, x) bool."""
    mask = np.empty(probabilities.shape, dtype=bool)

    def compare(rows: slice) -> None:
        np.greater(probabilities[rows], threshold, out=mask[rows])

    for_each_row_block(compare, len(mask))
    return mask


def _nearest(objects: Objects, owners: Array, places: tuple[Array, Array]) -> Array:
    """Return how many of some places, given by rows and columns, are nearest to each of some objects."""
    pixels = np.concatenate([objects.members[owner] for owner in owners])
    tree = KDTree(np.column_stack([objects.rows[pixels], objects.columns[pixels]]))
    sizes = np.zeros(objects.number, dtype=np.int64)
    for start in range(0, len(places[0]), _AT_ONCE):
        _, nearest = tree.query(np.column_stack([axis[start : start + _AT_ONCE] for axis in places]))
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
    masks = {"nodata_fraction": _no_data, "snow_fraction": _snow, "water_fraction": _water}
    shares = {name: np.full(objects.number, np.nan) for name in masks}
    for number, pixels in enumerate(objects.members):
        rows, columns, footprint = _with_buffer(objects.rows[pixels], objects.columns[pixels], tile)
        part = tile.isel(y=rows, x=columns)
        for name, mask_of in masks.items():
            mask = mask_of(part)
            if mask is not None:
                shares[name][number] = mask[footprint].mean()
    return shares


def _with_buffer(rows: Array, columns: Array, tile: xr.Dataset) -> tuple[slice, slice, Array]:
    """Return the window of a tile around pixels, as rows and columns, and (y, x) bool: they and their buffer."""
    top, left = max(rows.min() - BUFFER_PX, 0), max(columns.min() - BUFFER_PX, 0)
    bottom = min(rows.max() + BUFFER_PX + 1, tile.sizes["y"])
    right = min(columns.max() + BUFFER_PX + 1, tile.sizes["x"])
    footprint = np.zeros((bottom - top, right - left), dtype=np.uint8)
    footprint[rows - top, columns - left] = 1
    return slice(top, bottom), slice(left, right), cv2.dilate(footprint, _DISK).view(bool)


def _no_data(part: xr.Dataset) -> Array | None:
    return part["quality_data_mask"].values == 0 if "quality_data_mask" in part else None


def _snow(part: xr.Dataset) -> Array | None:
    if "s2_scl" in part:
        return part["s2_scl"].values == _SNOW
    return part["planet_udm"].values[_UDM_SNOW] == 1 if "planet_udm" in part else None


def _water(part: xr.Dataset) -> Array | None:
    if not {"green", "nir"} <= set(part.data_vars):
        return None
    return part["green"].values > part["nir"].values  # where the difference is above 0, its normalised form is too
