"""Seeded random fields, and the few curves from which the sample world is shaped."""

import zlib
from dataclasses import dataclass

import cv2
import numpy as np

from darts_utils.rasters.arrays import Array

PIXEL_M = 10.0
"""Edge length of a pixel of the sample world; lengths ending in `_px` are in this unit."""


@dataclass(frozen=True)
class Noise:
    """Random numbers of one world; each use has a name, so that adding one leaves the others as they were."""

    seed: int
    shape: tuple[int, int]

    def rng(self, name: str) -> np.random.Generator:
        """Return the random generator of this name."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def field(self, name: str, longest_px: float, shortest_px: float = 2.0, exponent: float = 1.5) -> Array:
        """Return a smooth random field, (y, x) float32, mean 0 and standard deviation 1.

        Args:
            name: Name of its random numbers.
            longest_px: Wavelength above which nothing is left.
            shortest_px: Wavelength below which nothing is left; coarse fields are made on a coarse grid.
            exponent: How fast the amplitude falls towards short wavelengths; higher is smoother.
        """
        step = max(1, int(shortest_px // 8))
        coarse = tuple(int(np.ceil(length / step)) + 4 for length in self.shape)
        values = _spectral(self.rng(name), coarse, longest_px / step, shortest_px / step, exponent)
        if step > 1:
            values = enlarged(values, step)
        values = values[: self.shape[0], : self.shape[1]]
        return np.ascontiguousarray((values - values.mean()) / values.std())


def _spectral(
    rng: np.random.Generator, shape: tuple[int, ...], longest: float, shortest: float, exponent: float
) -> Array:
    """Return white noise filtered to a power law between two wavelengths, (y, x) float32."""
    height, width = (cv2.getOptimalDFTSize(length) for length in shape)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width), dtype=np.float32))
    ky, kx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    k = np.sqrt(ky**2 + kx**2).astype(np.float32)
    k[0, 0] = np.inf
    gain = k ** np.float32(-exponent) * np.exp(-((k * shortest) ** 4)) * (1 - np.exp(-((k * longest) ** 4)))
    gain[0, 0] = 0
    return np.fft.irfft2(spectrum * gain.astype(np.float32), s=(height, width)).astype(np.float32)


def enlarged(values: Array, step: int) -> Array:
    """Return a coarse field on a grid `step` times as fine, without a trace of the coarse grid in its slopes."""
    height, width = values.shape
    fine = cv2.resize(values, (width * step, height * step), interpolation=cv2.INTER_CUBIC)
    return blurred(fine, 0.6 * step)


def smoothstep(values: Array) -> Array:
    """Return 0 below 0, 1 above 1, and the smooth cubic between."""
    t = np.clip(values, 0, 1)
    return t * t * (3 - 2 * t)


def mix(first: Array, second: Array, share: Array) -> Array:
    """Return `first` where the share is 0, `second` where it is 1, and blends between."""
    return first + (second - first) * share


def blurred(values: Array, sigma_px: float) -> Array:
    """Return values after a Gaussian blur."""
    return cv2.GaussianBlur(np.ascontiguousarray(values, dtype=np.float32), (0, 0), sigma_px)


def distance_px(mask: Array) -> Array:
    """Return how far each pixel is from the nearest True one, float32 in pixels; far beyond the grid if none is."""
    if not mask.any():
        return np.full(mask.shape, 4.0 * max(mask.shape), dtype=np.float32)
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def gradient(values: Array) -> tuple[Array, Array]:
    """Return the change per pixel towards the south (rows) and the east (columns), float32."""
    south = cv2.Sobel(values, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    east = cv2.Sobel(values, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    return south, east
