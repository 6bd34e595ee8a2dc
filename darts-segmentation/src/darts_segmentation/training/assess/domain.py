"""What a model was trained on: the ground, and the statistics of its bands."""

from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
import torch
from shapely import affinity

from darts_segmentation.training.data import LearningData
from darts_segmentation.training.patches.batches import Batch, PatchBatches
from darts_segmentation.training.patches.order import InOrder
from darts_utils.errors import DataError
from darts_utils.rasters.arrays import Array

KINDS = {"planet": ("planet", 3.0), "planet-pingo": ("planet", 3.0), "sentinel2": ("sentinel2", 10.0)}
"""Sensor and pixel size in metres of each kind of training set."""
METRES = "EPSG:3413"
_DIGITS = 2
_SEGMENT_M = 20_000.0
"""Edges are this long at most before they are turned into degrees, in which they are curves."""
_MOST_PATCHES = 512
_AT_ONCE = 16


def domain_of(table: gpd.GeoDataFrame) -> dict[str, Any]:
    """Return the ground of patches as GeoJSON: a hull for each of their regions, longitude and latitude to 2 decimals.

    Args:
        table: Patches with `region` and outlines.

    Returns:
        A MultiPolygon, cut at the antimeridian as RFC 7946 asks.
    """
    projected = table.to_crs(METRES)
    hulls = [
        projected.geometry[table["region"] == name].union_all().convex_hull for name in sorted(set(table["region"]))
    ]
    degrees = gpd.GeoSeries([hull.segmentize(_SEGMENT_M) for hull in hulls], crs=METRES).to_crs("EPSG:4326")
    parts = [part for hull in degrees for part in _cut(hull)]
    rounded = [shapely.set_precision(part, 10**-_DIGITS) for part in parts]
    polygons = [part for one in rounded for part in shapely.get_parts(one) if part.geom_type == "Polygon"]
    rings = [[[[round(x, _DIGITS), round(y, _DIGITS)] for x, y in part.exterior.coords]] for part in polygons]
    return {"type": "MultiPolygon", "coordinates": rings}


def _cut(hull: shapely.Polygon) -> Iterator[shapely.Polygon]:
    """Yield the parts of a polygon on both sides of the antimeridian."""
    corners = np.array(hull.exterior.coords)
    corners[:, 0] = np.rad2deg(np.unwrap(np.deg2rad(corners[:, 0])))
    whole = shapely.make_valid(shapely.Polygon(corners))
    for turn in (-360, 0, 360):
        part = shapely.intersection(affinity.translate(whole, xoff=turn), shapely.box(-180, -90, 180, 90))
        yield from (one for one in shapely.get_parts(part) if one.geom_type == "Polygon" and one.area > 0)


def input_statistics(data: LearningData) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation of each band over training patches, in the model representation.

    Of many patches some are read, evenly spread; pixels without data, 0 in all bands, are left out.

    Raises:
        DataError: If a patch holds values that are not finite.
    """
    chosen = data.split.train[:: max(1, len(data.split.train) // _MOST_PATCHES)]
    batches = PatchBatches(data.patches, data.channels)
    sums, squares, n = np.zeros(len(data.bands)), np.zeros(len(data.bands)), 0
    for start in range(0, len(chosen), _AT_ONCE):
        batch = batches[chosen[start : start + _AT_ONCE]]
        _check_finite(data, batch)
        x: Array = batch["x"].numpy()
        pixels = x.transpose(1, 0, 2, 3)[:, x.any(axis=1)].astype(np.float64)
        sums, squares, n = sums + pixels.sum(axis=1), squares + (pixels**2).sum(axis=1), n + pixels.shape[1]
    mean = sums / max(n, 1)
    deviation = np.sqrt(np.maximum(squares / max(n, 1) - mean**2, 0))
    named = zip(data.bands, mean, deviation, strict=True)
    return {band: {"mean": round(float(m), 6), "std": round(float(s), 6)} for band, m, s in named}


def check_inputs(data: LearningData, batch_size: int) -> None:
    """Do nothing if all patches for training and validation hold numbers only.

    Raises:
        DataError: If one does not; it names the first.
    """
    batches = PatchBatches(data.patches, data.channels)
    for indices in InOrder(np.concatenate([data.split.train, data.split.val]), batch_size):
        _check_finite(data, batches[indices])


def _check_finite(data: LearningData, batch: Batch) -> None:
    bad = ~torch.isfinite(batch["x"]).flatten(1).all(dim=1)
    if bad.any():
        z_idx = int(batch["index"][bad][0])
        patch_id = data.patches.metadata.iloc[z_idx]["patch_id"]
        raise DataError(
            f"patch {patch_id} (z_idx {z_idx}) of the training set {data.patches.folder} holds values that are not"
            " finite. Make the set again with `darts training create-dataset`."
        )


def described_input(data: LearningData) -> dict[str, Any]:
    """Return the sensor, pixel size, patch size and trends of a training set, as a model's card has them."""
    sensor, pixel = KINDS.get(str(data.patches.settings.get("kind")), (None, None))
    table = data.patches.metadata
    years = sorted({int(year) for year in table["tcvis_year"].dropna()}) if "tcvis_year" in table else []
    reads_trends = any(band.startswith("tc_") for band in data.bands)
    return {
        "sensor": [] if sensor is None else [sensor],
        "pixel_size_m": pixel,
        "patch_size": data.patches.patch_shape[1],
        **({"tcvis_year": years} if years and reads_trends else {}),
    }
