"""The locations that a run would use, for showing them to the user."""

import logging
from dataclasses import dataclass, fields
from typing import Annotated

from cyclopts import Parameter

from darts.pipelines.parameters import PathParameters
from darts.pipelines.sources.parameters import PlanetFolders, Sentinel2Storage
from darts_utils.paths import PathManager

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PipelineV2Paths(PlanetFolders, Sentinel2Storage, PathParameters):
    """All locations of the pipelines, as given or by default."""

    def resolved(self) -> dict[str, object]:
        """Return every location by name, the defaults filled in; nothing is made on disk.

        Those that differ between the pipelines have the name of the pipeline before theirs.
        """
        paths = PathManager(self.default_dirs)
        sentinel2 = f"sentinel2-{self.raw_data_source}"
        defaults: dict[str, object] = {
            "model_files": paths.model_files(),
            "output_data_dir": paths.output_data(sentinel2),
            "arcticdem_dir": paths.arcticdem(10),
            "tcvis_dir": paths.tcvis,
            "orthotiles_dir": paths.planet_orthotiles,
            "scenes_dir": paths.planet_scenes,
            "sentinel2_grid_dir": paths.sentinel2_grid,
            "raw_data_store": paths.sentinel2_raw_data(self.raw_data_source),
            "admin_dir": paths.admin_boundaries,
        }
        given = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        del given["default_dirs"]
        of_planet = {
            "planet output_data_dir": given.get("output_data_dir", paths.output_data("planet")),
            "planet arcticdem_dir": given.get("arcticdem_dir", paths.arcticdem(2)),
        }
        merged: dict[str, object] = {
            **{name: str(path) for name, path in paths.all_paths().items()},
            **defaults,
            **given,
            **of_planet,
        }
        return {**merged, "raw_data_store": None} if self.no_raw_data_store else merged

    def log(self, level: int = logging.DEBUG) -> None:
        """Log every location."""
        for name, value in self.resolved().items():
            logger.log(level, "%s: %s", name, value)


def debug_default_paths(*, paths: Annotated[PipelineV2Paths | None, Parameter(name="*")] = None) -> None:
    """Print the locations that a run would use; nothing is made on disk."""
    from darts.utils.terminal import say

    for name, value in (PipelineV2Paths() if paths is None else paths).resolved().items():
        say(f"{name}: {value}")
