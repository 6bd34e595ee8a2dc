"""Pipelines: from scenes to mapped slumps; each imported when it is asked for."""

import importlib
from typing import Any

_WHERE = {
    "PlanetPipeline": "planet",
    "PlanetRayPipeline": "ray_run",
    "Sentinel2Pipeline": "sentinel2",
    "Sentinel2RayPipeline": "ray_run",
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"darts.pipelines.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
