"""Made-up bands of any size, for steps that are measured without a scene on disk."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from benchmarks.lib.scene import SCENE_ID, heights, noise, repeated, scene_grid
from darts_utils.bands import TRAINING_BANDS, manager

_SUN = {"azimuth": 178.0, "elevation": 35.0}


def elevation(size: int, pixel_m: float = 10) -> xr.DataArray:
    """Return mountains with a few holes, (y, x) float32 metres, NaN where unknown."""
    left, top = scene_grid(1).affine * (0, 0)
    grid = GeoBox((size, size), Affine(pixel_m, 0, left, 0, -pixel_m, top), scene_grid(1).crs)
    layers = heights(size)
    dem = repeated(np.where(layers["datamask"], layers["dem"], np.float32(np.nan)), size)
    dem[size // 3 : size // 3 + 9, size // 2 : size // 2 + 14] = np.nan
    return wrap_xr(dem, grid)


def probabilities(size: int) -> xr.DataArray:
    """Return what networks make of a busy scene, (y, x) float32: some 20,000 objects in a full one.

    Among them are some of just 32 and of 31 pixels, between which the smallest that is kept lies, and one that reaches
    into the swath's edge.
    """
    surface = noise(41, 16, size) + 0.1 * noise(42, 3, size)
    corner = surface[-22:-2, -12:-2]
    corner[:] = 0
    corner[2:6, 1:9] = corner[12:16, 1:9] = 3
    corner[12, 1] = 0
    probs = repeated((1 / (1 + np.exp(4 * (1.8 - surface)))).astype(np.float32), size)
    probs[size // 8 : size // 8 + 3, : size // 4] = 1
    return wrap_xr(probs, scene_grid(size))


def quality(size: int) -> xr.DataArray:
    """Return (y, x) uint8: 0 in a swath's edge along one side, 1 in some clouds, 2 elsewhere."""
    mask = repeated(np.where(noise(8, 300, size) > 1.5, 1, 2).astype(np.uint8), size)
    mask[np.add.outer(np.arange(size) * 0.2, np.arange(size)) < 0.12 * size] = 0
    return wrap_xr(mask, scene_grid(size), nodata=None)


def features(size: int, names: Sequence[str] = TRAINING_BANDS) -> xr.Dataset:
    """Return bands, (y, x) in memory representation over a part of their range, and a mask of only good pixels.

    Each is smooth noise, whatever its name says.
    """
    bands = {}
    for index, name in enumerate(names):
        low, high = manager[name].valid_range
        layer = low + (high - low) * np.clip(0.5 + 0.15 * noise(60 + index, 25, size), 0, 1)
        bands[name] = wrap_xr(repeated(layer.astype(manager[name].memory_dtype), size), scene_grid(size), nodata=None)
    bands["quality_data_mask"] = wrap_xr(np.full((size, size), 2, np.uint8), scene_grid(size), nodata=None)
    return xr.Dataset(bands, attrs=_SUN)


def prepared_tile(size: int) -> xr.Dataset:
    """Return a tile as `prepare_export` gives it, with the bands of the default exports and of a thumbnail."""
    from darts_postprocessing import prepare_export

    colours = {name: _reflectance(index, size) for index, name in enumerate(("red", "green", "blue"))}
    tile = xr.Dataset({**colours, "probabilities": probabilities(size), "quality_data_mask": quality(size)})
    return prepare_export(tile.assign_attrs(s2_tile_id=SCENE_ID, **_SUN), quality_level=1)


def _reflectance(seed: int, size: int) -> xr.DataArray:
    layer = 0.09 + 0.02 * noise(70, 25, size) + 0.01 * noise(71 + seed, 3, size)
    values = repeated(layer.astype(np.float32), size)
    values[quality(size).values == 0] = np.nan
    return wrap_xr(values, scene_grid(size))
