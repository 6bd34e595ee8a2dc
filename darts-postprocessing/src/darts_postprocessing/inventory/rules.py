"""What an inventory counts, and how: the choices of a user, checked once."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

from darts_postprocessing.inventory.dissolve import MIN_OVERLAP, check_min_overlap
from darts_utils.errors import ConfigError

type Doubt = Literal["cut", "missing", "nodata", "snow", "water"]

MISSING = 0.1
"""Share of missing features above which an object is of low tier at most, and from which `missing` drops it."""
DOUBTS: dict[Doubt, tuple[str, float]] = {
    "cut": ("cut", 0.5),
    "missing": ("features_missing", MISSING),
    "nodata": ("nodata_fraction", 0.5),
    "snow": ("snow_fraction", 0.5),
    "water": ("water_fraction", 0.5),
}
"""What `--drop` may name: the column that tells it, and the value above which an object is left out."""
_SEASON = re.compile(r"(\d\d)-(\d\d)/(\d\d)-(\d\d)")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What an inventory counts.

    Raises:
        ConfigError: If a value is out of its range.
    """

    min_overlap: float = MIN_OVERLAP
    """Objects that share at least this part of the smaller one are one slump; above 0, at most 1."""
    min_looks: int = 0
    """Images that must have seen at least half of a slump in a year, else it is left out of the year; 0 keeps all."""
    min_agreement: float = 0.0
    """Share of these images that must call it a slump; 0 keeps all."""
    season: str | None = None
    """First and last day of the year whose images count, as MM-DD/MM-DD; all if not given."""
    drop: tuple[Doubt, ...] = ()
    """Objects to leave out: cut by a border, features missing, or no data, snow or water around them."""
    mixed: bool = False
    """Allow tiles of different models or thresholds in one inventory."""

    def __post_init__(self) -> None:
        """Check the values."""
        check_min_overlap(self.min_overlap)
        if self.min_looks < 0:
            raise ConfigError(f"min_looks is {self.min_looks} but must be at least 0. Correct it.")
        if not 0 <= self.min_agreement <= 1:
            raise ConfigError(f"min_agreement is {self.min_agreement} but must be from 0 to 1. Correct it.")
        unknown = [name for name in self.drop if name not in DOUBTS]
        if unknown:
            raise ConfigError(f"drop names {', '.join(unknown)}, but there are {', '.join(DOUBTS)}. Correct it.")
        if self.season is not None and not _is_season(self.season):
            raise ConfigError(f"season is {self.season} but must be as in 07-01/09-15. Correct it.")

    def counts_day(self, acquired: str) -> bool:
        """Return whether images of a day (YYYY-MM-DD) count; a season may go over the turn of the year."""
        if self.season is None:
            return True
        first, last = self.season.split("/")
        day = acquired[5:10]
        return first <= day <= last if first <= last else day >= first or day <= last


def _is_season(text: str) -> bool:
    found = _SEASON.fullmatch(text)
    if found is None:
        return False
    try:
        for month, day in (found.groups()[:2], found.groups()[2:]):
            date(2024, int(month), int(day))  # a leap year
    except ValueError:
        return False
    return True
