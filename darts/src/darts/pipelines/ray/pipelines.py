"""The parameters of the pipelines on a Ray cluster: the same stages and record, brought through by another engine."""

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Self

from cyclopts import Parameter

from darts.pipelines.base import Pipeline
from darts.pipelines.config import absolute
from darts.pipelines.parameters import RayParameters
from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.sources.parameters import OlderSceneParameters
from darts.pipelines.tiles import RunReport
from darts_utils.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class RayMixin(RayParameters, Pipeline):
    """Maps on a Ray cluster what its sensor's pipeline maps on one machine."""

    def with_paths(self) -> Self:
        """Return a copy with every location filled in, each the same on all machines."""
        run = super().with_paths()
        return replace(run, **{field.name: absolute(getattr(run, field.name)) for field in fields(run)})

    def to_config(self) -> dict[str, Any]:
        """Return the parameters as a config file holds them; by `ray`, `darts map` does the same."""
        return {"darts": {**super().to_config()["darts"], "ray": True}}

    def run(self) -> RunReport:
        """Map all selected tiles on the cluster and return how each ended, see `Pipeline.run`."""
        from darts.pipelines.ray.cluster import check_installed

        self.check()
        if self.has_plan_only:
            return self.plan_without_model()
        chosen = self.with_models()
        check_installed()
        from darts.pipelines.ray.engine import run_on_cluster

        return run_on_cluster(chosen)


@dataclass(frozen=True, kw_only=True)
class Sentinel2RayPipeline(OlderSceneParameters, RayMixin, Sentinel2Pipeline):
    """Maps slumps in Sentinel-2 scenes on a Ray cluster; scenes are selected as in `Sentinel2Pipeline`."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        for older, name in _NEWER_NAMES.items():
            if getattr(self, older) is not None and getattr(self, name) is not None:
                raise ConfigError(f"{older} is the older name of {name}, and both are given. Give one of them.")

    def with_paths(self) -> Self:
        """Return a copy with every location filled in, under the names of today."""
        given = {older: value for older in _NEWER_NAMES if (value := getattr(self, older)) is not None}
        today: dict[str, Any] = {_NEWER_NAMES[older]: value for older, value in given.items()}
        named = replace(self, **today | dict.fromkeys(given))
        return super(Sentinel2RayPipeline, named).with_paths()

    @staticmethod
    def cli(  # type: ignore[override]  # a command takes the parameters of its own pipeline
        *, pipeline: Annotated["Sentinel2RayPipeline | None", Parameter(name="*")] = None
    ) -> RunReport:
        """Map slumps in Sentinel-2 scenes on a Ray cluster, or on all cores and GPUs of this machine.

        Results go to a folder a scene: probabilities, masks, polygons, extent, thumbnail.
        """
        return (Sentinel2RayPipeline() if pipeline is None else pipeline).run()


_NEWER_NAMES = {"aoi_shapefile": "aoi_file", "input_cache": "raw_data_store"}


@dataclass(frozen=True, kw_only=True)
class PlanetRayPipeline(RayMixin, PlanetPipeline):
    """Maps slumps in PlanetScope orthotiles and scenes on a Ray cluster; images are found as by `PlanetPipeline`."""

    @staticmethod
    def cli(  # type: ignore[override]  # a command takes the parameters of its own pipeline
        *, pipeline: Annotated["PlanetRayPipeline | None", Parameter(name="*")] = None
    ) -> RunReport:
        """Map slumps in PlanetScope orthotiles and scenes on a Ray cluster, or on all cores and GPUs of this machine.

        Results go to a folder an image: probabilities, masks, polygons, extent, thumbnail.
        """
        return (PlanetRayPipeline() if pipeline is None else pipeline).run()


run_sentinel2_ray = Sentinel2RayPipeline.cli
run_planet_ray = PlanetRayPipeline.cli
"""The commands, under names that can be imported when they are called."""
