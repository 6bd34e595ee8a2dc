"""What a review is told on the command line: where data lies, and which slumps are asked about."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from darts.pipelines.sources.registry import SCENE_CATALOGS
from darts_utils.paths import settle_paths

type Plan = Literal["all", "sample", "changed"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which slumps are asked about, and in which order."""

    plan: Plan | None = None
    """Which slumps are asked about: all; sample draws 60 of each tier, spread over sizes and longitudes; changed those
    that are active, stabilised, new, merged or split. All if not given."""
    year: int | None = None
    """Ask about slumps as they are in this year; as in the last one that they were seen in if not given."""
    seed: int | None = None
    """Of the sample and the order; 42 if not given."""


@dataclass(frozen=True, kw_only=True)
class DataPlaces:
    """Where a run read its images and elevation; what is None is not known."""

    raw_data_source: Literal[tuple(SCENE_CATALOGS)] | None = None  # type: ignore[valid-type]  # the registry's names
    """Catalogue that staged scenes came from."""
    raw_data_store: Path | None = None
    """Folder of staged Sentinel-2 scenes."""
    arcticdem_dir: Path | None = None
    """Cube of elevation, for terrain shade."""
    orthotiles_dir: Path | None = None
    """Folder of PlanetScope orthotiles."""
    scenes_dir: Path | None = None
    """Folder of PlanetScope scenes."""

    def __post_init__(self) -> None:
        """Resolve what users write into paths."""
        settle_paths(self)

    def or_else(self, others: "DataPlaces") -> "DataPlaces":
        """Return these places, and others where these are not known."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        return replace(others, **known)
