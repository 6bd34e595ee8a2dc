"""Training data: made of digitised slumps and image footprints, checked, looked at; imported when it is asked for."""

import importlib
from typing import Any

_WHERE = {
    "PingoTrainingData": "planet",
    "PlanetTrainingData": "planet",
    "Sentinel2TrainingData": "sentinel2",
    "preprocess_planet_train_data": "planet",
    "preprocess_planet_train_data_pingo": "planet",
    "preprocess_s2_train_data": "sentinel2",
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"darts.training.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
