"""Where images come from: one module a source, looked up by name here and nowhere else."""

from typing import TYPE_CHECKING

from darts.pipelines.sources.cdse import CdseSource
from darts.pipelines.sources.gee import GeeSource
from darts.pipelines.sources.scenes import SceneSource

if TYPE_CHECKING:
    from darts.pipelines.sentinel2 import Sentinel2Pipeline

_SCENE_SOURCES: dict[str, type[SceneSource]] = {"cdse": CdseSource, "gee": GeeSource}


def scene_source(pipeline: "Sentinel2Pipeline") -> SceneSource:
    """Return the source of Sentinel-2 scenes that a pipeline names."""
    return _SCENE_SOURCES[pipeline.raw_data_source](pipeline)
