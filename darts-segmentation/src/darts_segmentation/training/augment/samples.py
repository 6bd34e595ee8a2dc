"""What an augmentation works on: some patches of a batch, which band lies where, and where chance comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import torch

from darts_segmentation.model_input import OPTICAL_BANDS
from darts_segmentation.model_units import picked
from darts_utils.bands import INDICES, RUGGEDNESS_BANDS

TERRAIN_BANDS = frozenset({
    "dem", "relative_elevation", "slope", "aspect", "hillshade", "curvature", *RUGGEDNESS_BANDS,
})  # fmt: skip
"""Bands that are made of elevation: no light changes them, and they are missing together."""
TREND_PREFIX = "tc_"
_LARGEST_SEED = 2**62


@dataclass(frozen=True, kw_only=True)
class Bands:
    """The names of the bands of a batch, and the channels of each kind."""

    names: tuple[str, ...]
    optical: tuple[int, ...]
    """Of `blue`, `green`, `red`, `nir`."""
    indices: tuple[int, ...]
    """Of spectral indices."""
    terrain: tuple[int, ...]
    trends: tuple[int, ...]

    @classmethod
    def of(cls, names: Sequence[str]) -> Self:
        """Return the channels of bands with these names, in their order."""
        numbered = tuple(enumerate(names))
        return cls(
            names=tuple(names),
            optical=tuple(channel for channel, name in numbered if name in OPTICAL_BANDS),
            indices=tuple(channel for channel, name in numbered if name in INDICES),
            terrain=tuple(channel for channel, name in numbered if name in TERRAIN_BANDS),
            trends=tuple(channel for channel, name in numbered if name.startswith(TREND_PREFIX)),
        )

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Channels that have data, or have none, together; any other band is a group of its own."""
        known = (self.optical + self.indices, self.terrain, self.trends)
        others = [(channel,) for channel in range(len(self.names)) if not any(channel in group for group in known)]
        return (*(group for group in known if group), *others)

    def channel(self, name: str) -> int | None:
        """Return the channel of a band, None if there is none."""
        return self.names.index(name) if name in self.names else None

    @property
    def made_of_light(self) -> tuple[tuple[int, tuple[int, int]], ...]:
        """The channels of indices that are (a - b) / (a + b), and those of a and b, where they are there."""
        differences = [(channel, INDICES[self.names[channel]].difference) for channel in self.indices]
        return tuple(
            (channel, (self.names.index(pair[0]), self.names.index(pair[1])))
            for channel, pair in differences
            if pair is not None and set(pair) <= set(self.names)
        )


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Some patches; an augmentation gets them as its own and may change them in place."""

    x: torch.Tensor
    """(n, band, y, x) float32 model representation, 0..1; 0 in all bands of a kind where it has no data."""
    y: torch.Tensor
    """(n, y, x) uint8: 0 background, 1 slump, 2 ignored."""
    sun: torch.Tensor
    """(n, 2) degrees: azimuth clockwise from true north, elevation above the horizon; NaN where unknown."""
    bands: Bands

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.x)

    def has_data(self, channels: Sequence[int]) -> torch.Tensor:
        """Return (n, 1, y, x) bool, True where at least one of some bands, none below 0, is not 0."""
        return self.x[:, picked(channels)].amax(dim=1, keepdim=True) > 0


class Draws:
    """Random numbers, all from one generator on the CPU, so that a device changes nothing but rounding.

    Args:
        generator: On the CPU.
        device: Where the numbers are needed.
    """

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self._generator = generator
        self._device = device

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Return float32 numbers from `low` up to `high`, on the device."""
        return self.uniform_on_host(low, high, *shape).to(self._device)

    def uniform_on_host(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Return float32 numbers from `low` up to `high`, on the CPU: for indices, which rounding must not change."""
        return low + (high - low) * torch.rand(shape, generator=self._generator)

    def integers(self, behind: int, n: int) -> list[int]:
        """Return n whole numbers from 0 up to but not including `behind`."""
        drawn: list[int] = torch.randint(behind, (n,), generator=self._generator).tolist()
        return drawn

    def normal_like(self, values: torch.Tensor) -> torch.Tensor:
        """Return a standard normal number for each value, made on the device: a batch has too many to move them."""
        seed = int(torch.randint(_LARGEST_SEED, (1,), generator=self._generator))
        there = torch.Generator(self._device).manual_seed(seed)
        return torch.randn(values.shape, generator=there, device=self._device, dtype=values.dtype)


class Augmentation(Protocol):
    """A change of patches that leaves true what their labels say."""

    @property
    def probability(self) -> float:
        """The share of patches that are changed."""
        ...

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the patches, each changed in its own way; `x` within 0..1, shapes and dtypes as they were."""
        ...
