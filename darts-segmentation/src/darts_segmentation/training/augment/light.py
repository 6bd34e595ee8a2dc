"""Augmentations of what a sensor sees: light, haze, noise, blur and grey levels of the optical bands.

They change surface reflectance. Spectral indices follow from it. An index stays as it is where one of its bands was at
an end of the model range, because its reflectance is not known there; and everywhere if one of its bands is not in the
batch, or if it is not registered as a normalised difference, because then its formula is not known. Terrain knows no
light.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from darts_segmentation.model_units import picked, to_memory, to_model
from darts_segmentation.training.augment.samples import Draws, Samples


@dataclass(frozen=True, kw_only=True)
class RandomBrightnessContrast:
    """Changes light: gain and offset of all optical bands together, a little of each alone, and the level of trends.

    A gain is another sun or sensor, an offset is haze. Trends of another period lie higher or lower as a whole.
    """

    probability: float = 0.7
    gain: float = 0.2
    """Largest change of the gain of all bands, as a share."""
    band_gain: float = 0.04
    """Largest change of each band's own."""
    offset: float = 0.02
    """Largest offset, in units of reflectance."""
    trend_level: float = 0.03
    """Largest shift of a trend, as a share of its range."""

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the patches in other light."""
        n, bands = len(samples), samples.bands
        gain = 1 + draws.uniform(-self.gain, self.gain, n, 1, 1, 1)
        gain = gain * (1 + draws.uniform(-self.band_gain, self.band_gain, n, len(bands.optical), 1, 1))
        offset = draws.uniform(-self.offset, self.offset, n, 1, 1, 1)
        shift = draws.uniform(-self.trend_level, self.trend_level, n, len(bands.trends), 1, 1)
        if bands.optical:
            write_reflectance(samples, Light(samples).reflectance.mul_(gain).add_(offset))
        if bands.trends:
            trends = picked(bands.trends)
            has_data = samples.has_data(bands.trends)
            samples.x[:, trends] = (samples.x[:, trends] + shift).clamp_(0, 1).mul_(has_data)
        return samples


@dataclass(frozen=True, kw_only=True)
class MultiplicativeNoise:
    """Multiplies the reflectance of each pixel and optical band by a number near 1: speckle of the sensor."""

    probability: float = 0.5
    strongest: float = 0.05
    """Largest standard deviation."""

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the noisy patches."""
        strength = draws.uniform(0, self.strongest, len(samples), 1, 1, 1)
        if samples.bands.optical:
            reflectance = Light(samples).reflectance
            write_reflectance(samples, reflectance.mul_(draws.normal_like(reflectance).mul_(strength).add_(1)))
        return samples


@dataclass(frozen=True, kw_only=True)
class Posterize:
    """Leaves fewer grey levels in the optical bands, as of a sensor with fewer bits or of strong compression."""

    probability: float = 0.3
    fewest_bits: int = 4
    most_bits: int = 7

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the patches with 2^bits levels from 0 to 1."""
        drawn = draws.integers(self.most_bits - self.fewest_bits + 1, len(samples))
        if samples.bands.optical:
            light = Light(samples)
            steps = torch.tensor([2.0 ** (self.fewest_bits + more) - 1 for more in drawn])
            steps = steps.to(samples.x)[:, None, None, None]
            write_reflectance(samples, light.of((samples.x[:, light.channels] * steps).round() / steps))
        return samples


@dataclass(frozen=True, kw_only=True)
class Blur:
    """Blurs the optical bands, as haze, motion or resampling do; labels, terrain and trends stay sharp."""

    probability: float = 0.3
    sharpest_px: float = 0.4
    """Standard deviation of the Gaussian."""
    softest_px: float = 1.5

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the blurred patches: means over pixels with data only, so that no gap darkens what is around it."""
        sigma = draws.uniform(self.sharpest_px, self.softest_px, len(samples))
        if samples.bands.optical:
            light = Light(samples)
            share = light.has_data.to(samples.x)
            total = blurred(torch.cat([samples.x[:, light.channels] * share, share], dim=1), sigma)
            mean = total[:, :-1] / total[:, -1:].clamp_min(torch.finfo(total.dtype).tiny)
            write_reflectance(samples, light.of(mean))
        return samples


class Light:
    """The optical bands of some patches, at least one."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self.channels = picked(samples.bands.optical)
        self._band = samples.bands.names[samples.bands.optical[0]]  # one codec holds for all of them

    @property
    def reflectance(self) -> torch.Tensor:
        """(n, optical band, y, x) surface reflectance."""
        return self.of(self._samples.x[:, self.channels])

    @property
    def has_data(self) -> torch.Tensor:
        """(n, 1, y, x) bool."""
        return self._samples.has_data(self._samples.bands.optical)

    def of(self, model: torch.Tensor) -> torch.Tensor:
        """Return the reflectance of model representation."""
        return to_memory(model, self._band)

    def seen(self, reflectance: torch.Tensor) -> torch.Tensor:
        """Return the model representation of reflectance."""
        return to_model(reflectance, self._band)


def write_reflectance(samples: Samples, reflectance: torch.Tensor) -> None:
    """Set the optical bands, and the indices that follow from them, in place; pixels without data stay 0.

    Args:
        samples: The patches, still with the reflectance that they had.
        reflectance: (n, optical band, y, x), not clipped.
    """
    light, x, bands = Light(samples), samples.x, samples.bands
    has_data = light.has_data
    for channel, (one, other) in bands.made_of_light:
        a, b = (reflectance[:, bands.optical.index(optical)] for optical in (one, other))
        known = _in_range(x[:, one]) & _in_range(x[:, other])
        x[:, channel] = torch.where(known, to_model(_difference(a, b), bands.names[channel]), x[:, channel])
    x[:, light.channels] = light.seen(reflectance).mul_(has_data)


def _in_range(seen: torch.Tensor) -> torch.Tensor:
    """Tell where a band was not clipped; what has no data is 0."""
    return (seen > 0) & (seen < 1)


def _difference(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return (one - other) / (one + other) of reflectance, each clipped to 0..1 first; NaN where both are 0."""
    a, b = one.clamp(0, 1), other.clamp(0, 1)
    return (a - b).div_(a.add_(b))


def blurred(x: torch.Tensor, sigma_px: torch.Tensor) -> torch.Tensor:
    """Return (n, band, y, x) values, each patch convolved with its own Gaussian; beyond the edge lie zeros.

    Args:
        x: The values.
        sigma_px: (n,) standard deviations; the kernel ends at three of the largest.
    """
    n, bands, height, width = x.shape
    radius = max(1, math.ceil(3 * float(sigma_px.max())))
    offsets = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    weights = torch.exp(-0.5 * (offsets / sigma_px.to(x)[:, None]) ** 2)
    weights = (weights / weights.sum(dim=1, keepdim=True)).repeat_interleave(bands, dim=0)[:, None]
    planes = x.reshape(1, n * bands, height, width)
    planes = F.conv2d(planes, weights[..., None], padding=(radius, 0), groups=n * bands)
    planes = F.conv2d(planes, weights[:, :, None], padding=(0, radius), groups=n * bands)
    return planes.reshape(n, bands, height, width)
