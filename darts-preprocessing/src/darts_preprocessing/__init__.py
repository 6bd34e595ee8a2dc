"""Features for slump mapping: indices, terrain and trends on the grid of the optical bands."""

from darts_preprocessing.align import TCVIS_BANDS, align_dem, align_dem_mask, align_tcvis
from darts_preprocessing.features import (
    calculate_aspect,
    calculate_curvature,
    calculate_dissection_index,
    calculate_hillshade,
    calculate_slope,
    calculate_terrain_ruggedness_index,
    calculate_topographic_position_index,
    calculate_vector_ruggedness_measure,
)
from darts_preprocessing.formulas import calculate_spyndex
from darts_preprocessing.indices import calculate_ndvi
from darts_preprocessing.preprocess import align_arcticdem, preprocess_v2
from darts_preprocessing.registration import Shift, align_offset
from darts_preprocessing.terrain.dem_features import DEM_BANDS
from darts_preprocessing.terrain.derivatives import Sun, aspect, curvature, derive_terrain, hillshade, slope
from darts_preprocessing.terrain.tpi import topographic_position_index

__all__ = [
    "DEM_BANDS",
    "TCVIS_BANDS",
    "Shift",
    "Sun",
    "align_arcticdem",
    "align_dem",
    "align_dem_mask",
    "align_offset",
    "align_tcvis",
    "aspect",
    "calculate_aspect",
    "calculate_curvature",
    "calculate_dissection_index",
    "calculate_hillshade",
    "calculate_ndvi",
    "calculate_slope",
    "calculate_spyndex",
    "calculate_terrain_ruggedness_index",
    "calculate_topographic_position_index",
    "calculate_vector_ruggedness_measure",
    "curvature",
    "derive_terrain",
    "hillshade",
    "preprocess_v2",
    "slope",
    "topographic_position_index",
]
