"""Random fields that are made once and used for many images."""

import dataclasses
from dataclasses import dataclass

from darts.demo.world.fields import Noise
from darts_utils.rasters.arrays import Array


@dataclass(frozen=True)
class KeptNoise(Noise):
    """Random numbers whose fields stay in memory, each with a name of its own."""

    kept: dict[str, Array] = dataclasses.field(default_factory=dict, compare=False)

    def field(self, name: str, longest_px: float, shortest_px: float = 2.0, exponent: float = 1.5) -> Array:
        """Return a smooth random field, see `Noise.field`."""
        if name not in self.kept:
            self.kept[name] = super().field(name, longest_px, shortest_px, exponent)
            self.kept[name].setflags(write=False)
        return self.kept[name]
