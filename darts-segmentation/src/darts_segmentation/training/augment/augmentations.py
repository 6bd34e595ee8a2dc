"""Augmentations of training patches, by name, on whole batches.

Each patch of a batch is changed in its own way. What networks see stays what an image could show: directions turn with
the picture, light changes the optical bands together and never the terrain, and a pixel without data stays without.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import torch

from darts_segmentation.training.augment.geometry import D4, HorizontalFlip, RandomRotate90, Scale, VerticalFlip
from darts_segmentation.training.augment.holes import DropLayer
from darts_segmentation.training.augment.light import Blur, MultiplicativeNoise, Posterize, RandomBrightnessContrast
from darts_segmentation.training.augment.samples import Augmentation, Bands, Draws, Samples
from darts_utils.errors import ConfigError, did_you_mean

AUGMENTATIONS: Mapping[str, Augmentation] = MappingProxyType(
    {
        "HorizontalFlip": HorizontalFlip(),
        "VerticalFlip": VerticalFlip(),
        "RandomRotate90": RandomRotate90(),
        "D4": D4(),
        "Scale": Scale(),
        "RandomBrightnessContrast": RandomBrightnessContrast(),
        "Blur": Blur(),
        "MultiplicativeNoise": MultiplicativeNoise(),
        "Posterize": Posterize(),
        "DropLayer": DropLayer(),
    }
)
"""In the order in which they are applied: as in an image, from the ground over the light to the sensor and its gaps."""


class Augmenter:
    """Changes batches of patches by some augmentations, in the order of `AUGMENTATIONS`.

    Args:
        names: Names of augmentations, in any order; one that stands there twice is applied once.
        bands: Names of the bands of a batch, in the order of its channels.

    Raises:
        ConfigError: If there is no augmentation of a name.
    """

    def __init__(self, names: Sequence[str], bands: Sequence[str]) -> None:
        for name in names:
            check_augmentation(name)
        self.names = tuple(name for name in AUGMENTATIONS if name in names)
        self._bands = Bands.of(bands)

    @torch.no_grad()
    def __call__(
        self, x: torch.Tensor, y: torch.Tensor, sun: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a batch whose patches were changed, each in its own way; what is given stays as it is.

        Args:
            x: (n, band, y, x) float32 model representation, 0..1.
            y: (n, y, x) uint8: 0 background, 1 slump, 2 ignored.
            sun: (n, 2) degrees: azimuth clockwise from true north, elevation above the horizon; NaN where unknown.
            generator: On the CPU; decides everything. Equal states give equal patches.

        Returns:
            As `x` and `y`, on their device and laid out in memory as they were.
        """
        samples = Samples(x=x.clone(), y=y.clone(), sun=sun.to(x.device), bands=self._bands)
        draws = Draws(generator, x.device)
        for name in self.names:
            _change_some(samples, AUGMENTATIONS[name], draws)
        return samples.x, samples.y


def check_augmentation(name: str) -> None:
    """Refuse what is no augmentation.

    Raises:
        ConfigError: If there is none of this name.
    """
    if name not in AUGMENTATIONS:
        hint = did_you_mean(name, AUGMENTATIONS)
        raise ConfigError(f"{name!r} is no augmentation; there are {', '.join(AUGMENTATIONS)}.{hint}")


def _change_some(samples: Samples, augmentation: Augmentation, draws: Draws) -> None:
    """Change the patches that chance picks, in place."""
    picked = draws.uniform_on_host(0, 1, len(samples)) < augmentation.probability
    chosen = picked.nonzero()[:, 0].to(samples.x.device)
    if not len(chosen):
        return
    part = samples
    if len(chosen) < len(samples):
        part = replace(samples, x=samples.x[chosen], y=samples.y[chosen], sun=samples.sun[chosen])
    changed = augmentation.apply(part, draws)
    if changed.x is not samples.x:
        samples.x[chosen], samples.y[chosen] = changed.x, changed.y
