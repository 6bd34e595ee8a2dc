"""Training data: made of digitised slumps and image footprints, checked, looked at; imported when it is asked for."""

from darts.utils.later import imported_later

_WHERE = {
    "PingoTrainingData": "darts.datasets.build.pipelines",
    "PlanetTrainingData": "darts.datasets.build.pipelines",
    "Sentinel2TrainingData": "darts.datasets.build.pipelines",
    "preprocess_planet_train_data": "darts.datasets.build.pipelines",
    "preprocess_planet_train_data_pingo": "darts.datasets.build.pipelines",
    "preprocess_s2_train_data": "darts.datasets.build.pipelines",
}

__all__ = list(_WHERE)

__getattr__ = imported_later(__name__, _WHERE)
