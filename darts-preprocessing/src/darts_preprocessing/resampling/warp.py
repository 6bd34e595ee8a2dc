"""Rasters brought onto another grid by cubic convolution or nearest neighbour, block by block on all cores.

As in GDAL, PROJ transforms nodes, positions between them are interpolated, and one pass resamples the values. But
missing values cost nothing where there are none, and all bands share positions.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.warp import transform

from darts_preprocessing.blocks import Block, for_each_block
from darts_preprocessing.resampling.kernels import resample_cubic, resample_nearest
from darts_preprocessing.resampling.kernels_device import resample_on_device
from darts_utils.grid import crs_of
from darts_utils.rasters.arrays import Array

if TYPE_CHECKING:
    import torch

TOLERANCE_PX = 0.001
"""Largest error of interpolated positions, in pixels of the source."""

BLOCK_PX = 1024
"""Edge of the blocks that nodes are laid over, from the first pixel of a grid on."""
STEP_PX = 16
"""Distance of the nodes, unless the tolerance asks for less."""
KERNEL_PX = 2
"""Reach of cubic convolution; nearest neighbour has less."""
_SPARE_PX = 2

type IsMissing = Callable[[Array], Array]
"""Returns where a (band, y, x) source has no data, (y, x) bool."""
type Resampling = Literal["cubic", "nearest"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is warped."""

    values: Array
    """(band, y, x)."""
    grid: GeoBox
    is_missing: IsMissing


@dataclass(frozen=True, kw_only=True)
class Warp:
    """What all blocks share."""

    source: Source
    source_crs: CRS
    grid: GeoBox
    crs: CRS
    factors: tuple[float, float]
    """See `resampling_factors`."""
    resampling: Resampling
    fill: float

    @classmethod
    def of(cls, source: Source, grid: GeoBox, resampling: Resampling, fill: float) -> "Warp":
        """Return what the blocks of a grid share."""
        source_crs, crs = gdal_crs(source.grid), gdal_crs(grid)
        factors = resampling_factors(source.grid, source_crs, grid, crs)
        return cls(
            source=source,
            source_crs=source_crs,
            grid=grid,
            crs=crs,
            factors=factors,
            resampling=resampling,
            fill=fill,
        )


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Where the pixels of a block lie in the source, in its pixels from its corner."""

    columns: Array
    """(node, node) float64, beginning with the centre of the first pixel."""
    rows: Array
    step: int
    """Pixels from node to node."""

    def part(self, block: Block) -> "Nodes":
        """Return those of a part that begins at multiples of the step, in pixels of the whole."""
        rows, columns = (
            slice(part.start // self.step, -(-part.stop // self.step) + 1) for part in (block.rows, block.columns)
        )
        return replace(self, columns=self.columns[rows, columns], rows=self.rows[rows, columns])


def warp(
    source: Source,
    out: Sequence[Array] | Array,
    grid: GeoBox,
    resampling: Resampling,
    *,
    fill: float,
    device: "torch.device | None" = None,
) -> Sequence[Array] | Array:
    """Fill (y, x) arrays, one a band, and return them.

    Args:
        source: The raster that is warped.
        out: Arrays that are filled: float32, or uint8, whose values are rounded and saturated.
        grid: The grid of `out`.
        resampling: Kernel that values are weighted with.
        fill: Value of pixels that see no source pixel with data.
        device: Where torch resamples by cubic convolution, block by block; None for compiled code in host memory.
    """
    shared = Warp.of(source, grid, resampling, fill)

    def write(block: Block) -> None:
        nodes = nodes_of(shared, grid[block.rows, block.columns])
        target = np.empty((len(out), *block.shape), dtype=out[0].dtype)
        resample(shared, nodes, target, device)
        for band, values in zip(out, target, strict=True):
            band[block.rows, block.columns] = values

    for_each_block(write, (grid.shape[0], grid.shape[1]), BLOCK_PX)
    return out


def resample(shared: Warp, nodes: Nodes, target: Array, device: "torch.device | None" = None) -> None:
    """Fill (band, y, x) float32 or uint8 with the values at some nodes and between them; see `warp` for the device."""
    rows, columns = source_window(shared, nodes)
    values = shared.source.values[:, rows, columns]
    within = (nodes.columns - columns.start, nodes.rows - rows.start)
    if shared.resampling == "nearest":
        resample_nearest(values, within, nodes.step, shared.fill, target)
        return
    missing = shared.source.is_missing(values)
    holes = missing if missing.any() else None
    if device is not None:
        resample_on_device(
            values,
            holes,
            within,
            step=nodes.step,
            factors=shared.factors,
            fill=shared.fill,
            out=target,
            device=device,
        )
        return
    values = values.astype(np.float64)  # once for a block; each of its values is read sixteen times or more
    resample_cubic(values, holes, within, nodes.step, shared.factors, shared.fill, target)


def source_window(shared: Warp, nodes: Nodes) -> tuple[slice, slice]:
    """Return the rows and columns of the source that are read for some nodes and what is between them."""
    rows, columns = (
        _window(positions, factor, length)
        for positions, factor, length in zip(
            (nodes.rows, nodes.columns), shared.factors[::-1], shared.source.values.shape[1:], strict=True
        )
    )
    return rows, columns


def nodes_of(shared: Warp, grid: GeoBox) -> Nodes:
    """Return nodes so close that positions between them keep the tolerance; at worst each pixel is one."""
    step = STEP_PX
    while True:
        columns, rows = _positions(shared, grid, step)
        # NaN or infinity, where a projection has no place, is not within the tolerance either
        if step == 1 or max(_bend(columns), _bend(rows)) <= TOLERANCE_PX:
            return Nodes(columns=columns, rows=rows, step=step)
        step //= 2


def _positions(shared: Warp, grid: GeoBox, step: int) -> tuple[Array, Array]:
    """Return columns and rows of the source at every `step` pixels of a grid and beyond, (node, node) float64 each."""
    height, width = (0.5 + step * np.arange(math.ceil(length / step) + 2) for length in grid.shape)
    x, y = np.meshgrid(width, height)
    xs, ys = transform(shared.crs, shared.source_crs, *(part.ravel() for part in _apply(grid.affine, x, y)))
    columns, rows = _apply(~shared.source.grid.affine, np.asarray(xs), np.asarray(ys))
    return columns.reshape(x.shape), rows.reshape(x.shape)


def _bend(nodes: Array) -> float:
    """Return by how much values between nodes differ from linear ones at most, by their second differences."""
    with np.errstate(invalid="ignore"):
        return float(sum(np.abs(np.diff(nodes, 2, axis=axis)).max() for axis in (0, 1))) / 8


def _window(positions: Array, factor: float, length: int) -> slice:
    """Return the pixels along an axis of the source that kernels at positions read."""
    if not np.isfinite(positions).all():
        return slice(0, length)
    halo = math.ceil(KERNEL_PX / factor) + _SPARE_PX
    ends = math.floor(positions.min()) - halo, math.ceil(positions.max()) + halo
    start, stop = (min(max(end, 0), length) for end in ends)
    return slice(start, max(start, stop))


def resampling_factors(source_grid: GeoBox, source_crs: CRS, grid: GeoBox, crs: CRS) -> tuple[float, float]:
    """Return how many target pixels there are to a source pixel along x and y of the source, at most 1.

    Below 1 the kernel is widened, so that fine detail is averaged. It is that of the middle of the grid: taken from
    bounding boxes, which turned grids enlarge, terrain would be smoothed more the further a scene lies from the
    central meridian of the DEM.
    """
    height, width = grid.shape
    x, y = np.array([width / 2, width / 2 + 1, width / 2]), np.array([height / 2, height / 2, height / 2 + 1])
    xs, ys = transform(crs, source_crs, *_apply(grid.affine, x, y))
    columns, rows = _apply(~source_grid.affine, np.asarray(xs), np.asarray(ys))
    return _factor(np.hypot(*(columns[1:] - columns[0]))), _factor(np.hypot(*(rows[1:] - rows[0])))


def _factor(source_pixels: float) -> float:
    """Return the factor for a target pixel that spans so many source pixels; the scale of a projection is no change."""
    return 1.0 if source_pixels < 1.1 else float(1 / source_pixels)


def _apply(affine: Affine, x: Array, y: Array) -> tuple[Array, Array]:
    a, b, c, d, e, f = affine[:6]
    return a * x + b * y + c, d * x + e * y + f


def gdal_crs(grid: GeoBox) -> CRS:
    """Return the CRS of a grid as rasterio wants it."""
    return CRS.from_wkt(crs_of(grid).to_wkt())
