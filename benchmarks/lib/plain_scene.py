"""A whole scene by the plain steps, from the raw store to exported files: one after the other, all of it in memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from benchmarks.lib import baselines
from benchmarks.lib.scene import CLASSES, COLOURS, SCENE_ID, scene_grid, scene_store
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts_acquisition import load_arcticdem, load_tcvis
from darts_preprocessing import TCVIS_BANDS
from darts_utils.bands import TRAINING_BANDS

PARAMETERS = Sentinel2Pipeline()
"""The defaults of a run."""
_PIXEL_M: Literal[10] = 10
_TERRAIN = ("slope", "aspect", "hillshade", "curvature")
_DEM_MARGIN_PX = 16


def map_plainly(folder: Path, size: int, out: Path, models: Sequence[Any]) -> None:
    """Map the scene of a folder with all features and the default exports.

    Elevation and trends are read by our own functions, which no plain library knows how to.

    Args:
        folder: Where `make_scene` wrote.
        size: Pixels of the scene along an edge.
        out: Folder for the files; it is made.
        models: Networks that see all bands of training data.
    """
    grid = scene_grid(size)
    tile = baselines.read_scene(scene_store(folder).path(SCENE_ID), COLOURS, CLASSES)
    tile["ndvi"] = (("y", "x"), baselines.ndvi(tile["red"].values, tile["nir"].values))
    sun = tile.attrs["view:sun_azimuth"], tile.attrs["view:sun_elevation"]
    layers = {**_terrain(folder / "aux", grid, sun), **_trends(folder / "aux", grid)}
    tile = tile.assign({name: (("y", "x"), values) for name, values in layers.items()})
    probabilities = _probabilities(tile, models)
    extent = _extent(tile["quality_data_mask"].values)
    objects = baselines.objects_inside(
        probabilities > PARAMETERS.binarization_threshold, extent, PARAMETERS.min_object_size
    )
    probabilities[~extent] = np.nan
    _export(tile, probabilities=probabilities, objects=objects, extent=extent, grid=grid, out=out)


def _terrain(aux: Path, grid: GeoBox, sun: tuple[float, float]) -> dict[str, np.ndarray]:
    """Return the terrain of a grid, derived on a larger one that keeps its edges away."""
    radius = PARAMETERS.tpi_outer_radius // _PIXEL_M
    source, padded = load_arcticdem(grid, aux, _PIXEL_M, buffer=_DEM_MARGIN_PX, offline=True), grid.pad(radius)
    heights = baselines.warped(source["dem"].values[None], source.odc.geobox, padded, np.nan)[0]
    dem = xr.DataArray(heights, {name: (name, padded.coords[name].values) for name in ("y", "x")}, ("y", "x"))
    made = {band: baselines.terrain(dem, band, sun).values for band in _TERRAIN}
    made["relative_elevation"] = baselines.relative_elevation(heights, radius)
    return {name: values[radius:-radius, radius:-radius] for name, values in made.items()}


def _trends(aux: Path, grid: GeoBox) -> dict[str, np.ndarray]:
    source = load_tcvis(grid, aux, offline=True)
    stack = np.stack([source[name].values for name in TCVIS_BANDS])
    return dict(zip(TCVIS_BANDS, baselines.warped(stack, source.odc.geobox, grid, 0), strict=True))


def _probabilities(tile: xr.Dataset, models: Sequence[Any]) -> np.ndarray:
    """Return probabilities of the whole tile, NaN where it was not seen."""
    patch = min(PARAMETERS.patch_px, tile.sizes["y"])
    overlap = min(PARAMETERS.overlap, patch // 4)
    seen = tile["quality_data_mask"].values != 0
    bands = baselines.model_input(tile, TRAINING_BANDS)
    probabilities = baselines.segmented(bands, models, patch, overlap, PARAMETERS.batch_size)
    probabilities[~seen] = np.nan
    return probabilities


def _extent(quality: np.ndarray) -> np.ndarray:
    """Return where predictions are trusted."""
    radius = PARAMETERS.mask_erosion_size
    inside = np.zeros(quality.shape, dtype=bool)
    inside[radius:-radius, radius:-radius] = True
    assert isinstance(PARAMETERS.quality_level, int)
    return baselines.eroded(quality >= PARAMETERS.quality_level, radius) & inside


def _export(
    tile: xr.Dataset, *, probabilities: np.ndarray, objects: np.ndarray, extent: np.ndarray, grid: GeoBox, out: Path
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    baselines.write_raster(probabilities, grid, out / "probabilities.tif")
    baselines.write_raster(objects, grid, out / "binarized.tif")
    baselines.write_table(baselines.object_rows(objects, probabilities, grid), out / "prediction_segments")
    baselines.write_table(baselines.outlines(extent, grid), out / "prediction_extent")
    baselines.write_thumbnail(tile, out / "thumbnail.jpg")
