"""Pipelines: from scenes to mapped slumps; each imported when it is asked for."""

from darts.utils.later import imported_later

_WHERE = {
    "PlanetPipeline": "darts.pipelines.planet",
    "PlanetRayPipeline": "darts.pipelines.ray.pipelines",
    "Sentinel2Pipeline": "darts.pipelines.sentinel2",
    "Sentinel2RayPipeline": "darts.pipelines.ray.pipelines",
}

__all__ = list(_WHERE)

__getattr__ = imported_later(__name__, _WHERE)
