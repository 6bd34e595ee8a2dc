"""An earlier path of the sequential pipelines, which scripts of users import."""

from darts.pipelines.paths import PipelineV2Paths
from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.sentinel2 import Sentinel2Pipeline

__all__ = ["PipelineV2Paths", "PlanetPipeline", "Sentinel2Pipeline"]
