"""What was found of the true slumps, and what was made up."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import rasterio
from rasterio.features import rasterize

from darts_utils.errors import MissingDataError
from darts_utils.files import atomic_file
from darts_utils.rasters.arrays import Array

FOUND_SHARE = 0.3
"""A slump is found if at least this share of its pixels was predicted."""
FALSE_SHARE = 0.1
"""An object is false if less than this share of its pixels lies on true slumps."""
SMALLEST_M2 = 1000.0
"""Smaller slumps count in the pixels but not among the objects."""
_PROBABILITY_NO_DATA = 255


@dataclass(frozen=True, kw_only=True)
class Score:
    """How a prediction compares with the truth, within the ground where it is trusted.

    True slumps that reach beyond that ground are left out of everything: an object that touches its edge is removed by
    the pipeline on purpose.
    """

    pixel_iou: float
    """Intersection over union of the pixels, from 0 to 1; NaN if nothing is there and nothing was predicted."""
    object_recall: float
    """Share of the slumps found, from 0 to 1; NaN if there are none."""
    n_found: int
    """Slumps found."""
    n_missed: int
    """Slumps not found."""
    n_false: int
    """Predicted objects that lie on no slump."""


def write_scores(file: Path, scores: Mapping[str, Any]) -> None:
    """Write scores for those who did not see them said; what is no number is null."""
    said = {name: None if isinstance(one, float) and math.isnan(one) else one for name, one in scores.items()}
    with atomic_file(file) as part:
        part.write_text(json.dumps(said, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def compare_with_truth(results: Path, truth: Path) -> Score:
    """Return how the exported results of a scene compare with its true outlines.

    Args:
        results: Folder of the scene with `binarized.tif`, `probabilities.tif` and `prediction_extent.parquet`.
        truth: GeoPackage with the outlines.

    Raises:
        MissingDataError: If a file is missing.
    """
    results = Path(results)
    for path in (
        results / "binarized.tif",
        results / "probabilities.tif",
        results / "prediction_extent.parquet",
        truth,
    ):
        if not Path(path).exists():
            raise MissingDataError(f"{path} is missing, so there is nothing to compare. Export with the defaults.")
    with rasterio.open(results / "binarized.tif", driver="GTiff") as file:
        predicted, transform, crs = file.read(1) == 1, file.transform, file.crs
    with rasterio.open(results / "probabilities.tif", driver="GTiff") as file:
        known = file.read(1) != _PROBABILITY_NO_DATA
    pixel_m2 = abs(transform.a * transform.e)
    labels = _burned(gpd.read_file(truth).to_crs(crs), predicted.shape, transform)
    extent = (
        _burned(gpd.read_parquet(results / "prediction_extent.parquet").to_crs(crs), predicted.shape, transform) > 0
    )
    return score(predicted, labels, extent & known, pixel_m2)


def _burned(outlines: gpd.GeoDataFrame, shape: tuple[int, ...], transform: object) -> Array:
    """Return 1, 2, ... where a pixel's centre lies in the first, second, ... outline, else 0; (y, x) int32."""
    shapes = [(geometry, index) for index, geometry in enumerate(outlines.geometry, start=1)]
    if not shapes:
        return np.zeros(shape, dtype=np.int32)
    return rasterize(shapes, out_shape=shape, transform=transform, dtype="int32")


def score(predicted: Array, labels: Array, trusted: Array, pixel_m2: float) -> Score:
    """Return how a mask compares with labelled slumps.

    Args:
        predicted: (y, x) bool.
        labels: (y, x) int, 0 where there is no slump, else its number.
        trusted: (y, x) bool, where the prediction counts.
        pixel_m2: Area of a pixel.
    """
    size = np.bincount(labels.ravel())
    inside = np.bincount(labels.ravel(), weights=trusted.ravel())
    hit = np.bincount(labels.ravel(), weights=(predicted & trusted).ravel())
    whole = inside == size
    whole[0] = True
    counted = trusted & whole[labels]
    union = int((counted & (predicted | (labels > 0))).sum())
    common = int((counted & predicted & (labels > 0)).sum())
    objects = whole & (size * pixel_m2 >= SMALLEST_M2)
    objects[0] = False
    found = objects & (hit >= FOUND_SHARE * size)
    n_objects, n_found = int(objects.sum()), int(found.sum())
    return Score(
        pixel_iou=common / union if union else float("nan"),
        object_recall=n_found / n_objects if n_objects else float("nan"),
        n_found=n_found,
        n_missed=n_objects - n_found,
        n_false=_false_objects(predicted & trusted, labels > 0),
    )


def _false_objects(predicted: Array, truth: Array) -> int:
    """Return the number of 8-connected objects that hardly lie on any slump."""
    _, objects = cv2.connectedComponents(predicted.astype(np.uint8), connectivity=8)
    numbers: Array = np.asarray(objects, dtype=np.int64).ravel()
    size = np.bincount(numbers)
    on_truth = np.bincount(numbers, weights=truth.ravel())
    return int((on_truth[1:] < FALSE_SHARE * size[1:]).sum())
