"""Where the content of one array lies relative to another on the same grid, by masked phase correlation."""

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np

from darts_utils.rasters.arrays import Array

_MOST_WINDOWS = 400
"""More windows make it slower, not better."""
_SMALLEST_SHARE = 0.25
"""Share of a window that must be valid for it to count."""
_FINE_DETAIL_PX = 5.0
"""What is broader than this is taken away: haze and shading differ between images, and jump at the edge of a mask."""
_EDGE_PX = 2.0
"""Over this length weights fall to zero towards masked pixels, so that the mask's own outline is no content."""
_TRUSTED_POWER = 0.01
"""Frequencies with less than this share of the strongest one's power are not raised to it: they are leakage."""
_LEAST_CONTENT = 1e-5
"""Detail weaker than this share of the largest value is what rounding left of a flat image."""
_STEPS_PER_PIXEL = 100
_PEAK_RADIUS_PX = 4
"""A second peak nearer than this belongs to the first."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """The best agreement of two arrays."""

    x: float
    """By how many pixels content of the first lies right of the same content in the second."""
    y: float
    """The same downwards."""
    prominence: float
    """How far the peak stands out, 0 (as high as the next one) to 1 (nothing beside it)."""


def find_peak(moving: Array, reference: Array, valid: Array, window: int) -> Peak | None:
    """Return by how much the content of `moving` lies beside that of `reference`, or None if nothing can be compared.

    Windows over the whole array are correlated and their cross-power spectra averaged before the peak is looked for,
    each frequency normalised by the power of both: frequencies on which the windows do not agree count little. With one
    window that is phase correlation (Kuglin and Hines 1975), with more of them the coherence (Knapp and Carter 1976,
    doi:10.1109/TASSP.1976.1162830). The peak is refined by an upsampled Fourier transform around it (Guizar-Sicairos et
    al. 2008, doi:10.1364/OL.33.000156).

    Args:
        moving: (y, x) float32, in any unit; gain and offset may differ from those of `reference`.
        reference: (y, x) float32 of the same shape.
        valid: (y, x) bool, where both may be compared; elsewhere values may be NaN.
        window: Edge of the windows in pixels.
    """
    from skimage.registration import phase_cross_correlation  # here, because it takes a second that few commands need

    spectrum = _coherence(moving, reference, valid, window)
    if spectrum is None:
        return None
    shift, _, _ = phase_cross_correlation(
        spectrum, np.ones_like(spectrum), space="fourier", upsample_factor=_STEPS_PER_PIXEL, normalization=None
    )
    return Peak(x=float(shift[1]), y=float(shift[0]), prominence=_prominence(np.fft.ifft2(spectrum).real))


def _coherence(moving: Array, reference: Array, valid: Array, window: int) -> Array | None:
    """Return the averaged and normalised cross-power spectrum, (window, window) complex, None without any content."""
    margins = [max(window - length, 0) for length in valid.shape]
    valid_before, valid = valid, np.pad(valid, [(0, margin) for margin in margins])
    weights = _soft(valid)
    images = [_detail(np.pad(image, [(0, m) for m in margins]), valid) * weights for image in (moving, reference)]
    least = [_LEAST_CONTENT * float(np.abs(image[valid_before]).max(initial=0)) for image in (moving, reference)]
    taper = _taper(window)
    cross = np.zeros((window, window), dtype=np.complex128)
    powers = np.zeros((2, window, window))
    for place in _places(valid, window):
        first, second = (_spectrum(images[i][place], weights[place], taper, least[i]) for i in (0, 1))
        if first is not None and second is not None:
            cross += first * second.conj()
            powers += np.abs([first, second]) ** 2
    if not powers.any():
        return None
    norm = np.sqrt(powers[0] * powers[1])
    return cross / np.maximum(norm, _TRUSTED_POWER * norm.max()) * _lowpass(window)


def _soft(valid: Array) -> Array:
    """Return weights from 0 at masked pixels to 1 away from them, float32; the array's own border counts as masked."""
    inner = cv2.copyMakeBorder(valid.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distance = cv2.distanceTransform(inner, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    weights: Array = np.clip((distance - 1) / (2 * _EDGE_PX), 0, 1).astype(np.float32)
    return weights


def _detail(image: Array, valid: Array) -> Array:
    """Return an image without what is broad, 0 where it is masked."""
    known = valid.astype(np.float32)
    filled = np.where(valid, image, 0).astype(np.float32)
    broad = _blurred(filled) / np.maximum(_blurred(known), 1e-6)
    detail: Array = np.where(valid, filled - broad, 0)
    return detail


def _blurred(image: Array) -> Array:
    return cv2.GaussianBlur(image, (0, 0), _FINE_DETAIL_PX, borderType=cv2.BORDER_CONSTANT)


def _places(valid: Array, window: int) -> list[tuple[slice, slice]]:
    """Return windows that overlap by half and hold enough valid pixels, at most so many, evenly spread."""
    starts = [_starts(length, window) for length in valid.shape]
    places = [(slice(y, y + window), slice(x, x + window)) for y, x in product(*starts)]
    places = [place for place in places if valid[place].mean() >= _SMALLEST_SHARE]
    keep = np.unique(np.linspace(0, len(places) - 1, min(len(places), _MOST_WINDOWS)).round().astype(int))
    return [places[index] for index in keep]


def _starts(length: int, window: int) -> list[int]:
    """Return where windows begin: half a window apart or less, the first and the last at the borders."""
    number = int(np.ceil((length - window) / (window / 2))) + 1
    return [int(start) for start in np.linspace(0, length - window, number)]


def _spectrum(image: Array, weights: Array, taper: Array, least: float) -> Array | None:
    """Return the spectrum of a window of zero mean and unit power, None if it has no content."""
    centred = (image - weights * (image.sum() / max(weights.sum(), 1e-6))) * taper
    power = float(np.sqrt(np.mean(centred**2)))
    return np.fft.fft2(centred / power) if power > least else None


def _taper(window: int) -> Array:
    line = np.hanning(window).astype(np.float32)
    return np.outer(line, line)


def _lowpass(window: int) -> Array:
    """Return weights of the frequencies: the finest are mostly noise and aliasing."""
    cycles = np.fft.fftfreq(window)
    radius = np.hypot(cycles[:, None], cycles[None, :])
    weights: Array = np.where(radius < 0.5, np.cos(np.pi * radius) ** 2, 0)
    return weights


def _prominence(surface: Array) -> float:
    """Return how far the highest peak of a periodic surface stands out from the next one, 0..1."""
    size = surface.shape[0]
    peak = np.unravel_index(np.argmax(surface), surface.shape)
    middle = size // 2
    centred = np.roll(surface, (middle - peak[0], middle - peak[1]), axis=(0, 1))
    top = float(centred[middle, middle])
    reach = slice(middle - _PEAK_RADIUS_PX, middle + _PEAK_RADIUS_PX + 1)
    centred[reach, reach] = -np.inf
    return float(np.clip(1 - centred.max() / top, 0, 1)) if top > 0 else 0.0


def agreement(moving: Array, reference: Array, valid: Array) -> float:
    """Return the correlation coefficient of the detail of two arrays where both are valid, -1..1; 0 without any."""
    weights = _soft(valid)
    first, second = (_detail(image, valid) * weights for image in (moving, reference))
    norm = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / norm) if norm > 0 else 0.0
