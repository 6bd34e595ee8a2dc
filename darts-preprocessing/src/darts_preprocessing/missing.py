"""Where models are to judge ground of which they lack a feature."""

from collections.abc import Collection, Mapping
from functools import cache, partial

import numpy as np
import xarray as xr

from darts_preprocessing.align import TCVIS_BANDS
from darts_preprocessing.blocks import ROW_BLOCK_ROWS, Block, for_each_block
from darts_preprocessing.terrain.dem_features import ALL_DEM_BANDS
from darts_preprocessing.terrain.derivatives import DemWindow
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.lazy import lazy_band

NAME = "features_missing"
_LAYERS = {"elevation": ALL_DEM_BANDS, "trends": frozenset(TCVIS_BANDS)}


def missing_features(
    models: Mapping[str, Collection[str]], holes: Mapping[str, Array], shape: tuple[int, int]
) -> dict[str, xr.Variable]:
    """Return masks of the ground where bands that models read are missing.

    Args:
        models: Bands that each model reads, by its name.
        holes: A bit a pixel, (y, ceil(x / 8)) uint8, set where all bands of a layer are missing, by its name:
            `elevation`, `trends`. A layer that is not named is missing nowhere.
        shape: Rows and columns of the tile.

    Returns:
        `features_missing`, (y, x) bool, for any of the models; and, where they do not all read the same layers,
        `features_missing-{model}` for each. They share their memory where they are equal, and take none where nothing
        is missing; else a bit a pixel, which they are unpacked from where they are read.
    """
    reads = {
        name: frozenset(layer for layer, of in _LAYERS.items() if not of.isdisjoint(bands))
        for name, bands in models.items()
    }

    @cache
    def mask(layers: frozenset[str]) -> xr.Variable:
        parts = [holes[layer] for layer in sorted(layers) if layer in holes and holes[layer].any()]
        attributes = {"long_name": "Ground where a band that a model reads is missing"}
        if not parts:
            return xr.Variable(("y", "x"), np.broadcast_to(np.False_, shape), attributes)
        bits = np.bitwise_or.reduce(parts)
        return lazy_band(partial(_unpacked, bits, shape[1]), shape, "bool", attributes)

    masks = {NAME: mask(frozenset().union(*reads.values()))}
    if len(set(reads.values())) > 1:
        masks |= {f"{NAME}-{name}": mask(layers) for name, layers in reads.items()}
    return masks


def _unpacked(bits: Array, width: int, rows: slice, columns: slice) -> Array:
    return np.unpackbits(bits[rows], axis=1, count=width)[:, columns].view(bool)


def elevation_holes(dem: DemWindow) -> Array:
    """Return where elevation is unknown, (y, ceil(x / 8)) uint8, a bit a pixel."""
    holes = np.empty((dem.shape[0], -(-dem.shape[1] // 8)), dtype=np.uint8)

    def fill(block: Block) -> None:
        holes[block.rows] = np.packbits(np.isnan(dem.read(block)), axis=1)

    for_each_block(fill, dem.shape, ROW_BLOCK_ROWS, dem.shape[1])
    return holes
