"""Features and labels of sample worlds, out of the very stages of inference."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from darts.demo.world.make import World, make_world
from darts.demo.world.planet import WrittenPlanetWorld, write_planet_world
from darts.demo.world.write import WrittenWorld, write_world
from darts_acquisition import load_arcticdem, load_cdse_s2_sr_scene, load_planet_tile, load_tcvis
from darts_preprocessing import preprocess_v2
from darts_utils.bands import TRAINING_BANDS, manager
from darts_utils.rasters.arrays import Array
from darts_utils.tile import geobox_of

logger = logging.getLogger(__name__)

BANDS = TRAINING_BANDS
_DEM_MARGIN_PX = 16
"""The radius of the position index and a little for resampling, in pixels of 10 m."""
_FINE_DEM_MARGIN_PX = 5 * _DEM_MARGIN_PX
"""The same in pixels of 2 m."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One world to learn from."""

    features: Array
    """(band, y, x) float16, the model representation in the order of `BANDS`, 0 on invalid pixels."""
    labels: Array
    """(y, x) uint8, 1 inside a slump."""
    valid: Array
    """(y, x) bool."""


def load_features(written: WrittenWorld) -> xr.Dataset:
    """Return the preprocessed tile of a written world with all `BANDS`, in memory representation."""
    tile = load_cdse_s2_sr_scene(written.scene_id, store=written.store, offline=True)
    geobox = geobox_of(tile)
    arcticdem = load_arcticdem(geobox, written.aux_dir, 10, buffer=_DEM_MARGIN_PX, offline=True)
    tcvis = load_tcvis(geobox, written.aux_dir, offline=True)
    return preprocess_v2(tile, arcticdem, tcvis, device="cpu")


def load_planet_features(written: WrittenPlanetWorld, image: Path) -> xr.Dataset:
    """Return the preprocessed orthotile or scene of a written world with all `BANDS`, in memory representation."""
    tile = load_planet_tile(image)
    geobox = geobox_of(tile)
    arcticdem = load_arcticdem(geobox, written.aux_dir, 2, buffer=_FINE_DEM_MARGIN_PX, offline=True)
    tcvis = load_tcvis(geobox, written.aux_dir, offline=True)
    return preprocess_v2(tile, arcticdem, tcvis, device="cpu")


def make_sample(seed: int, size: int) -> Sample:
    """Return the sample of a seed; its world is written to disk and read back as a user's data would be."""
    world = make_world(seed, size)
    with tempfile.TemporaryDirectory() as folder:
        tile = load_features(write_world(world, Path(folder)))
    return _sample(world, tile)


def make_planet_sample(seed: int, size: int) -> Sample:
    """Return the sample of a seed as Planet data: its orthotile is written to disk and read back."""
    world = make_world(seed, size)
    with tempfile.TemporaryDirectory() as folder:
        written = write_planet_world(world, Path(folder))
        tile = load_planet_features(written, written.orthotile)
    return _sample(world, tile)


def _sample(world: World, tile: xr.Dataset) -> Sample:
    valid = tile["quality_data_mask"].values != 0
    layers = [manager[band].normalize(tile[band].values) * valid for band in BANDS]
    labels = burned_truth(world, geobox_of(tile))
    return Sample(features=np.stack(layers).astype(np.float16), labels=labels, valid=valid)


def burned_truth(world: World, grid: GeoBox | None = None) -> Array:
    """Return (y, x) uint8, 1 where a pixel's centre lies inside a true outline, on the world's grid or another one."""
    geobox = world.place.geobox if grid is None else grid
    shapes = [(geometry, 1) for geometry in world.truth.geometry]
    if not shapes:
        return np.zeros(geobox.shape, dtype=np.uint8)
    return rasterize(shapes, out_shape=tuple(geobox.shape), transform=geobox.affine, dtype="uint8")


def load_samples(
    seeds: Sequence[int], size: int, folder: Path, make: Callable[[int, int], Sample] = make_sample
) -> list[Sample]:
    """Return the samples of some seeds; those that lie in a folder are read, the others made and kept there."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for seed in seeds:
        path = folder / f"sample-{seed}-{size}.npz"
        if not path.exists():
            logger.info("making the world of seed %d", seed)
            np.savez(path, **vars(make(seed, size)))
        with np.load(path) as kept:
            samples.append(Sample(features=kept["features"], labels=kept["labels"], valid=kept["valid"]))
    return samples
