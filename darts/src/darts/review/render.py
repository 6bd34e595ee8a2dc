"""Ground as pictures: true colour, vegetation, near infrared, and light on the terrain."""

import numpy as np
from matplotlib import colormaps

from darts_export.pictures.thumbnail import brightened, brightness_range, jpeg_bytes
from darts_preprocessing.indices import ndvi
from darts_utils.rasters.arrays import Array

KINDS = ("colour", "ndvi", "nir", "terrain")
_NO_DATA = (46, 49, 55)
_NDVI_RANGE = -0.2, 0.9
_NDVI_COLOURS = "BrBG"
_SHOWN_AS = {"colour": (0, 1, 2), "nir": (3, 0, 1)}
"""Places of red, green, blue and near infrared in the ground that a picture shows as red, green and blue."""


def picture_of(kind: str, ground: Array, sample: Array) -> bytes:
    """Return a picture of some ground as JPEG.

    Args:
        kind: `colour`, `ndvi` or `nir`.
        ground: (red green blue nir, row, column) float32 reflectance, NaN = no data.
        sample: The same of more ground around it, whose range the colours are stretched to.
    """
    red, _, _, nir = ground
    if kind == "ndvi":
        low, high = _NDVI_RANGE
        shown = np.clip((ndvi(red, nir) - low) / (high - low), 0, 1)
        return _jpeg(colormaps[_NDVI_COLOURS](shown, bytes=True)[..., :3], np.isfinite(shown))
    bands = list(_SHOWN_AS[kind])
    pixels = np.moveaxis(ground[bands], 0, -1)
    around = np.moveaxis(sample[bands], 0, -1)
    around = around[np.isfinite(around).all(axis=-1)]
    known = np.isfinite(pixels).all(axis=-1)
    return _jpeg(brightened(np.nan_to_num(pixels), *brightness_range(around)), known)


def shade_picture(shade: Array) -> bytes:
    """Return light on the terrain, (row, column) float 0 to 1, NaN = unknown, as a grey picture."""
    grey = np.rint(255 * np.clip(shade, 0, 1))
    return _jpeg(np.repeat(grey[..., None], 3, axis=-1), np.isfinite(shade))


def _jpeg(picture: Array, known: Array) -> bytes:
    whole = np.where(known[..., None], np.nan_to_num(picture), np.array(_NO_DATA))
    return jpeg_bytes(np.ascontiguousarray(whole, dtype=np.uint8))
