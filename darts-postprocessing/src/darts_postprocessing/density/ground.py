"""The ground of one cell in a year, kilometre by kilometre: what of it was seen, and what is expected on it."""

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from rasterio.enums import MergeAlg
from rasterio.features import rasterize
from rasterio.transform import from_origin

from darts_postprocessing.inventory.cells import CELL_M, corner_of
from darts_postprocessing.inventory.parts import Part
from darts_postprocessing.inventory.work import Place, looks_within, sums_beside
from darts_utils.rasters.arrays import Array

KM_M = 1000.0
"""Edge of the cells that tiles are summed over."""
_PIXEL_M = 25.0
"""Edge of the pixels in which looks are counted: borders of clouds are no sharper."""
_KM = int(CELL_M / KM_M)
_PIXELS = int(KM_M / _PIXEL_M)


def ground_of(place: Place, looks: Sequence[Part]) -> pd.DataFrame:
    """Return the ground of a cell that was seen in a year, one row a square kilometre of which a part was.

    Args:
        place: The cell, with the year.
        looks: Parts with the looks that may reach into it.

    Returns:
        `x y` int32, column and row of the kilometre (coordinates in EPSG:6931 by 1000 m, rounded down); float64:
        `observed_m2`, ground that at least one look saw, `looks_m2`, the sum over all looks, and `expected_m2`, slump
        area: the mean probability over the looks, each weighted by what it saw there, times `observed_m2`; NaN where no
        look tells its calibrated probabilities.
    """
    left, bottom = corner_of(place.cell)
    counts = _looks_of(looks_within(looks, (left, bottom, left + CELL_M, bottom + CELL_M)), left, bottom)
    by_km = counts.reshape(_KM, _PIXELS, _KM, _PIXELS)[::-1]  # rows of the plane rise to the north
    observed = np.count_nonzero(by_km, axis=(1, 3)) * _PIXEL_M**2
    looked = by_km.sum(axis=(1, 3), dtype=np.int64) * _PIXEL_M**2
    share = _mean_probability([sums_beside(part) for part in looks], int(left // KM_M), int(bottom // KM_M))
    at_y, at_x = np.nonzero(observed)
    return pd.DataFrame(
        {
            "x": (at_x + left // KM_M).astype(np.int32),
            "y": (at_y + bottom // KM_M).astype(np.int32),
            "observed_m2": observed[at_y, at_x],
            "looks_m2": looked[at_y, at_x],
            "expected_m2": (share * observed)[at_y, at_x],
        }
    )


def _looks_of(looks: gpd.GeoDataFrame, left: float, bottom: float) -> Array:
    """Return by how many looks each pixel of a cell was seen, (y, x) uint16, north up."""
    size = _KM * _PIXELS
    counts = np.zeros((size, size), dtype=np.uint16)
    shapes = shapely.clip_by_rect(looks.geometry.to_numpy(), left, bottom, left + CELL_M, bottom + CELL_M)
    shapes = shapes[~shapely.is_empty(shapes)]
    if len(shapes):
        grid = from_origin(left, bottom + CELL_M, _PIXEL_M, _PIXEL_M)
        rasterize(shapes, out=counts, transform=grid, default_value=1, merge_alg=MergeAlg.add)
    return counts


def _mean_probability(sums: Sequence[Part], first_x: int, first_y: int) -> Array:
    """Return the mean probability of each kilometre over the looks that tell it, (y, x) float64, NaN without any."""
    totals = np.zeros((2, _KM, _KM))
    for part in sums:
        table = part.read_plain()
        x, y = table["x"].to_numpy() - first_x, table["y"].to_numpy() - first_y
        inside = (x >= 0) & (x < _KM) & (y >= 0) & (y < _KM)
        for total, name in zip(totals, ("observed_m2", "expected_m2"), strict=True):
            np.add.at(total, (y[inside], x[inside]), table[name].to_numpy()[inside])
    return np.divide(totals[1], totals[0], out=np.full((_KM, _KM), np.nan), where=totals[0] > 0)
