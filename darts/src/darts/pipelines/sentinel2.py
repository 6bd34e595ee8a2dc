"""The Sentinel-2 pipeline."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

from cyclopts import Parameter

from darts.pipelines.base import Pipeline
from darts.pipelines.fetch.downloader import FetchReport
from darts.pipelines.sources.parameters import SceneParameters
from darts.pipelines.tiles import MosaicResolution, RunReport, Source


@dataclass(frozen=True, kw_only=True)
class Sentinel2Pipeline(SceneParameters, Pipeline):
    """Maps slumps in Sentinel-2 scenes.

    Scenes are selected by one of `scene_ids`, `scene_id_file`, `tile_ids` and `aoi_file`; the last two search the
    catalogue. Without any of them, and offline, they are read from what data preparation wrote to
    `prep_data_scene_id_file`.
    """

    resolution_m: ClassVar[MosaicResolution] = 10
    trained_on: ClassVar[str] = "sentinel2"

    @property
    def pipeline_name(self) -> str:
        """Name of the pipeline, which is also the name of its results folder."""
        return f"sentinel2-{self.raw_data_source}"

    def check(self) -> None:
        """Refuse what no model, no file and no service is needed to see through: days, months, tiles and covers too."""
        super().check()
        self.check_search()

    def with_paths(self) -> Self:
        """Return a copy with every location filled in."""
        store = (
            self.paths.sentinel2_raw_data(self.raw_data_source) if self.raw_data_store is None else self.raw_data_store
        )
        grid = self.paths.sentinel2_grid if self.sentinel2_grid_dir is None else self.sentinel2_grid_dir
        return replace(super().with_paths(), raw_data_store=Path(store), sentinel2_grid_dir=Path(grid))

    def source(self) -> Source:
        """Return where the scenes come from."""
        from darts.pipelines.sources.scenes import SceneSource

        return SceneSource(self)

    @staticmethod
    def cli(*, pipeline: Annotated["Sentinel2Pipeline | None", Parameter(name="*")] = None) -> RunReport:
        """Map slumps in Sentinel-2 scenes, one after the other.

        Results go to a folder a scene: probabilities, masks, polygons, extent, thumbnail.
        """
        return (Sentinel2Pipeline() if pipeline is None else pipeline).run()

    @staticmethod
    def cli_prepare_data(
        *,
        pipeline: Annotated["Sentinel2Pipeline | None", Parameter(name="*")] = None,
        optical: bool = False,
        aux: bool = False,
        force: bool = False,
    ) -> FetchReport:
        """Fetch what a later run needs, so that it can be offline.

        Args:
            pipeline: The run to prepare for.
            optical: Fetch the scenes.
            aux: Fetch elevation and trends, if the models need them.
            force: Fetch everything, whatever the other flags say and the models need.
        """
        return (Sentinel2Pipeline() if pipeline is None else pipeline).prepare_data(optical, aux, force)


run_sentinel2_sequential = Sentinel2Pipeline.cli
"""The command, under a name that can be imported when it is called."""
