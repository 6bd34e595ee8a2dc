"""How much ground of a tile is expected to be slump, cell by cell: what densities over a year are made of."""

import math
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr

from darts_export.vector import seen_rows
from darts_utils.crs import EQUAL_AREA, transformer
from darts_utils.machine.jit import compiled
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import row_blocks
from darts_utils.tile import geobox_of

CELL_M = 1000.0
"""Edge of a cell, on the plane of EPSG:6931."""
_STEP = 128
"""Pixels between those whose places are worked out; in between they lie on straight lines to a millimetre."""


def density_table(tile: xr.Dataset) -> pd.DataFrame:
    """Return sums over the ground of a tile that was really seen, by cells of 1 km.

    Args:
        tile: A tile from `prepare_export`, with `extent`, `probabilities` and, if known, `quality_data_mask`, in any
            CRS.

    Returns:
        A row for each cell in which a pixel was seen, by its middle: `x` and `y` int32, column and row of the cell
        (coordinates in EPSG:6931 by 1000 m, rounded down); `observed_m2` float64, area of those pixels; `expected_m2`
        float64, the sum of their areas times their probabilities, without a threshold. The plane is equal-area: areas
        are those on the ellipsoid.
    """
    grid = geobox_of(tile)
    corners = _corners(grid)
    first = np.floor(corners.min(axis=(1, 2))).astype(np.int32)
    corners -= first[:, None, None]
    n_columns, n_rows = np.floor(corners.max(axis=(1, 2))).astype(np.int64) + 1
    sums = np.zeros((2, n_rows, n_columns))
    probabilities, seen = tile["probabilities"].values, seen_rows(tile)
    for number, rows in enumerate(row_blocks(grid.shape[0], _STEP)):
        _add_strip(probabilities[rows], seen(rows), corners[:, number : number + 2], sums)
    at_y, at_x = np.nonzero(sums[0])
    observed, expected = sums[:, at_y, at_x] * CELL_M**2
    places = {"x": first[0] + at_x.astype(np.int32), "y": first[1] + at_y.astype(np.int32)}
    return pd.DataFrame({**places, "observed_m2": observed, "expected_m2": expected})


def density_bytes(table: pd.DataFrame, metadata: Mapping[str, Any] | None = None) -> bytes:
    """Return the sums as Parquet, zstd, with metadata as text."""
    plain = pa.Table.from_pandas(table, preserve_index=False)
    told = {key: str(value) for key, value in (metadata or {}).items()}
    buffer = BytesIO()
    pq.write_table(plain.replace_schema_metadata(told), buffer, compression="zstd")
    return buffer.getvalue()


def _corners(grid: Any) -> Array:
    """Return where every `_STEP`-th corner of pixels lies, (xy, row, column) float64 in cells, past the tile's end."""
    rows, columns = (np.arange(0, _STEP * math.ceil(size / _STEP) + 1, _STEP) for size in grid.shape)
    column, row = np.meshgrid(columns, rows)
    a, b, c, d, e, f = grid.affine[:6]
    moved = transformer(str(grid.crs), EQUAL_AREA).transform(a * column + b * row + c, d * column + e * row + f)
    return np.stack(moved) / CELL_M


@compiled()
def _add_strip(probabilities: Array, seen: Array, corners: Array, sums: Array) -> None:
    """Add the pixels of `_STEP` rows to the cells in which their middles lie.

    Args:
        probabilities: (y, x) float32, of no meaning where nothing was seen.
        seen: (y, x) bool.
        corners: (xy, 2, block) float64, columns and rows of cells at the corners of blocks of `_STEP` pixels.
        sums: (2, cell row, cell column) float64 in areas of a cell: what was seen and what is expected, is added to.
    """
    height, width = seen.shape
    for row in range(height):
        below = (row + 0.5) / _STEP
        edge = corners[:, 0] * (1 - below) + corners[:, 1] * below
        for block in range(edge.shape[1] - 1):
            left, (x, y) = block * _STEP, edge[:, block]
            x_step, y_step = (edge[:, block + 1] - edge[:, block]) / _STEP
            down = (corners[:, 1, block : block + 2] - corners[:, 0, block : block + 2]).sum(axis=1) / (2 * _STEP)
            area = abs(x_step * down[1] - y_step * down[0])
            for column in range(left, min(left + _STEP, width)):
                if seen[row, column]:
                    along = column - left + 0.5
                    cell_x, cell_y = int(x + along * x_step), int(y + along * y_step)
                    sums[0, cell_y, cell_x] += area
                    sums[1, cell_y, cell_x] += area * probabilities[row, column]
