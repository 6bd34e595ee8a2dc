"""Where images come from: one module a source, looked up by name here and nowhere else."""

from darts.pipelines.parameters import SceneParameters
from darts.pipelines.sources.cdse import CdseSource
from darts.pipelines.sources.gee import GeeSource
from darts.pipelines.sources.scenes import SceneSource

_SCENE_SOURCES: dict[str, type[SceneSource]] = {"cdse": CdseSource, "gee": GeeSource}


def scene_source(parameters: SceneParameters) -> SceneSource:
    """Return the source of Sentinel-2 scenes that the parameters name."""
    return _SCENE_SOURCES[parameters.raw_data_source](parameters)
