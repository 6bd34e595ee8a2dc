"""Training data: made of digitised slumps and image footprints, checked, looked at; imported when it is asked for."""

from darts.utils.later import imported_later

_WHERE = {
    "PingoTrainingData": "darts.training.planet",
    "PlanetTrainingData": "darts.training.planet",
    "Sentinel2TrainingData": "darts.training.sentinel2",
    "preprocess_planet_train_data": "darts.training.planet",
    "preprocess_planet_train_data_pingo": "darts.training.planet",
    "preprocess_s2_train_data": "darts.training.sentinel2",
}

__all__ = list(_WHERE)

__getattr__ = imported_later(__name__, _WHERE)
