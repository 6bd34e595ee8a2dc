"""What becomes a polygon, and how its outline is drawn: the choices of a user, checked once."""

import math
from dataclasses import dataclass

from darts_utils.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Outlining:
    """How objects are found, and their outlines drawn.

    Raises:
        ConfigError: If a value is out of its range.
    """

    threshold: float
    """From 0 to 1; pixels strictly above it are candidates."""
    min_area_m2: float
    """Smaller objects go, in square metres on the ground; 0 keeps all."""
    close_holes_m2: float
    """Smaller holes are closed, in square metres on the ground; 0 closes none."""
    simplify_m: float
    """About how far an outline may be moved to have fewer corners, in metres; 0 leaves the edges of pixels."""

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold is {self.threshold} but must be from 0 to 1. Set it to e.g. 0.5.")
        for name in ("min_area_m2", "close_holes_m2", "simplify_m"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} is {value} but must be a number of at least 0. Correct it.")

    @property
    def threshold_percent(self) -> float:
        """The threshold in percent, without the digits that 100 x 0.29 gets wrong in binary."""
        return round(100 * self.threshold, 9)

    def __str__(self) -> str:
        """Return all values in one line."""
        sizes = f"min_area_m2 {self.min_area_m2:g}, close_holes_m2 {self.close_holes_m2:g}"
        return f"threshold {self.threshold:g}, {sizes}, simplify_m {self.simplify_m:g}"
