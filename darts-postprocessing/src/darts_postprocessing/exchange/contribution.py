"""What ARTS asks of who contributes, declared once for Python and the command line."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from darts_utils.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """Who made an inventory, of what, and when; needed for ARTS alone."""

    region_name: str | None = None
    """Name of the region, for ARTS."""
    creator_lab: str | None = None
    """Who made the inventory, and where, for ARTS."""
    base_map_source: str | None = None
    """Sensor of the images, such as Sentinel-2, for ARTS."""
    base_map_resolution: float | None = None
    """Pixel size of the images in metres, for ARTS."""
    contribution_date: str | None = None
    """Day of the contribution, YYYY-MM-DD, for ARTS; today if not given."""
    label_type: str = "Polygon"
    """What the outlines are, for ARTS."""
    train_class: Literal["Positive", "Negative"] = "Positive"
    """Negative for ground that is no slump, for ARTS."""

    def values(self) -> dict[str, str | float]:
        """Return them by their names in ARTS.

        Raises:
            ConfigError: If one is not given: nobody can guess what others will publish.
        """
        needed = {
            "RegionName": self.region_name,
            "CreatorLab": self.creator_lab,
            "BaseMapSource": self.base_map_source,
            "BaseMapResolution": self.base_map_resolution,
        }
        given = {name: value for name, value in needed.items() if value is not None}
        if len(given) < len(needed):
            flags = {"RegionName": "--region-name", "CreatorLab": "--creator-lab",
                     "BaseMapSource": "--base-map-source", "BaseMapResolution": "--base-map-resolution"}  # fmt: skip
            lacking = [flags[name] for name in needed if name not in given]
            raise ConfigError(f"ARTS asks for who made what of which images. Give {', '.join(lacking)} too.")
        today = datetime.now(UTC).date().isoformat()
        day = today if self.contribution_date is None else self.contribution_date
        return {**given, "TrainClass": self.train_class, "LabelType": self.label_type, "ContributionDate": day}
