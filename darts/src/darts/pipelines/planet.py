"""The PlanetScope pipeline."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

from cyclopts import Parameter

from darts.pipelines.base import Pipeline
from darts.pipelines.fetch.downloader import FetchReport
from darts.pipelines.sources.parameters import PlanetParameters
from darts.pipelines.tiles import MosaicResolution, RunReport, Source
from darts_utils.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class PlanetPipeline(PlanetParameters, Pipeline):
    """Maps slumps in PlanetScope orthotiles and scenes.

    Images are read from disk: orthotiles from `{orthotiles_dir}/{tile_id}/{scene_id}/`, scenes from
    `{scenes_dir}/{scene_id}/`. Sentinel-2 scenes laid out in the same way are mapped too.
    """

    resolution_m: ClassVar[MosaicResolution] = 2
    trained_on: ClassVar[str] = "planet"

    @property
    def pipeline_name(self) -> str:
        """Name of the pipeline, which is also the name of its results folder."""
        return "planet"

    def with_paths(self) -> Self:
        """Return a copy with every location filled in."""
        orthotiles = self.paths.planet_orthotiles if self.orthotiles_dir is None else self.orthotiles_dir
        scenes = self.paths.planet_scenes if self.scenes_dir is None else self.scenes_dir
        return replace(super().with_paths(), orthotiles_dir=Path(orthotiles), scenes_dir=Path(scenes))

    def source(self) -> Source:
        """Return where the images come from."""
        from darts.pipelines.sources.planet import PlanetSource

        return PlanetSource(self)

    def prepare_data(self, optical: bool = False, aux: bool = False, force: bool = False) -> FetchReport:
        """Fetch the auxiliary data that a later run needs, so that it can be offline; images are on disk already.

        Args:
            optical: Must not be set: Planet images cannot be fetched.
            aux: Fetch elevation and trends, if the models need them.
            force: Fetch elevation and trends, whatever the models need.

        Raises:
            ConfigError: If images or nothing are to be fetched, or parameters are wrong.
            CredentialsError: If keys are missing or refused.
        """
        if optical:
            raise ConfigError("optical is set, but Planet images cannot be fetched. Put them on disk, and use aux.")
        if not (aux or force):
            raise ConfigError("nothing is to be prepared. Add --aux, or --force for all layers whatever models need.")
        return self._prepare(optical=False, aux=True, all_layers=force)

    @staticmethod
    def cli(*, pipeline: Annotated["PlanetPipeline | None", Parameter(name="*")] = None) -> RunReport:
        """Map slumps in PlanetScope orthotiles and scenes, one after the other.

        Results go to a folder an image: probabilities, masks, polygons, extent, thumbnail.
        """
        return (PlanetPipeline() if pipeline is None else pipeline).run()

    @staticmethod
    def cli_prepare_data(
        *,
        pipeline: Annotated["PlanetPipeline | None", Parameter(name="*")] = None,
        aux: bool = False,
        force: bool = False,
    ) -> FetchReport:
        """Fetch the auxiliary data that a later run needs, so that it can be offline.

        Args:
            pipeline: The run to prepare for.
            aux: Fetch elevation and trends, if the models need them.
            force: Fetch elevation and trends, whatever the models need.
        """
        return (PlanetPipeline() if pipeline is None else pipeline).prepare_data(aux=aux, force=force)


run_planet_sequential = PlanetPipeline.cli
"""The command, under a name that can be imported when it is called."""
