"""Features and labels of sample worlds, out of the very stages of inference."""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from rasterio.features import rasterize

from darts.demo.fields import Array
from darts.demo.world import World, make_world
from darts.demo.write import WrittenWorld, write_world
from darts_acquisition import load_arcticdem, load_cdse_s2_sr_scene, load_tcvis
from darts_preprocessing import preprocess_v2
from darts_utils.bands import manager
from darts_utils.tile import geobox_of

logger = logging.getLogger(__name__)

BANDS = (
    "red", "green", "blue", "nir", "ndvi", "relative_elevation", "slope", "aspect", "hillshade", "curvature",
    "tc_brightness", "tc_greenness", "tc_wetness",
)  # fmt: skip
"""The bands of training data in the order of the contract."""
_DEM_MARGIN_PX = 16
"""The radius of the position index and a little for resampling, in pixels of 10 m."""


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


def make_sample(seed: int, size: int) -> Sample:
    """Return the sample of a seed; its world is written to disk and read back as a user's data would be."""
    world = make_world(seed, size)
    with tempfile.TemporaryDirectory() as folder:
        tile = load_features(write_world(world, Path(folder)))
    valid = tile["quality_data_mask"].values != 0
    layers = [manager[band].normalize(tile[band].values) * valid for band in BANDS]
    return Sample(features=np.stack(layers).astype(np.float16), labels=burned_truth(world), valid=valid)


def burned_truth(world: World) -> Array:
    """Return (y, x) uint8, 1 where a pixel's centre lies inside a true outline."""
    geobox = world.place.geobox
    shapes = [(geometry, 1) for geometry in world.truth.geometry]
    if not shapes:
        return np.zeros(geobox.shape, dtype=np.uint8)
    return rasterize(shapes, out_shape=tuple(geobox.shape), transform=geobox.affine, dtype="uint8")


def load_samples(seeds: Sequence[int], size: int, folder: Path) -> list[Sample]:
    """Return the samples of some seeds; those that lie in a folder are read, the others made and kept there."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for seed in seeds:
        path = folder / f"sample-{seed}-{size}.npz"
        if not path.exists():
            logger.info("making the world of seed %d", seed)
            np.savez(path, **vars(make_sample(seed, size)))
        with np.load(path) as kept:
            samples.append(Sample(features=kept["features"], labels=kept["labels"], valid=kept["valid"]))
    return samples
