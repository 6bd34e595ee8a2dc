import math
import re

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from darts.demo.compare import compare_with_truth, score
from darts_utils.errors import MissingDataError

SHAPE = (60, 80)
EVERYWHERE = np.ones(SHAPE, dtype=bool)


def labels_of(*boxes):
    labels = np.zeros(SHAPE, dtype=np.int32)
    for number, (rows, columns) in enumerate(boxes, start=1):
        labels[slice(*rows), slice(*columns)] = number
    return labels


def mask_of(*boxes):
    return labels_of(*boxes) > 0


A, B, SMALL = ((5, 15), (5, 15)), ((30, 40), (20, 30)), ((50, 53), (50, 53))


def test_a_perfect_prediction_has_full_marks():
    result = score(mask_of(A, B), labels_of(A, B), EVERYWHERE, 100)
    assert (result.pixel_iou, result.object_recall) == (1, 1)
    assert (result.n_found, result.n_missed, result.n_false) == (2, 0, 0)


def test_half_a_slump_is_found_a_tenth_is_not():
    result = score(mask_of(((5, 10), (5, 15)), ((30, 31), (20, 30))), labels_of(A, B), EVERYWHERE, 100)
    assert (result.n_found, result.n_missed, result.n_false) == (1, 1, 0)
    assert result.pixel_iou == pytest.approx(60 / 200)
    assert result.object_recall == 0.5


def test_small_slumps_count_in_the_pixels_only():
    result = score(mask_of(A), labels_of(A, SMALL), EVERYWHERE, 100)
    assert (result.n_found, result.n_missed) == (1, 0)
    assert result.pixel_iou == pytest.approx(100 / 109)


def test_an_object_beside_all_slumps_is_false():
    result = score(mask_of(A, B), labels_of(A), EVERYWHERE, 100)
    assert result.n_false == 1
    assert result.pixel_iou == 0.5


def test_a_slump_that_reaches_out_of_the_trusted_ground_is_left_out():
    trusted = EVERYWHERE.copy()
    trusted[:, :8] = False
    result = score(mask_of(B), labels_of(A, B), trusted, 100)
    assert (result.pixel_iou, result.object_recall) == (1, 1)
    assert (result.n_found, result.n_missed, result.n_false) == (1, 0, 0)


def test_nothing_to_find_gives_no_number():
    result = score(mask_of(), labels_of(), EVERYWHERE, 100)
    assert math.isnan(result.pixel_iou)
    assert math.isnan(result.object_recall)


@pytest.fixture
def exported(tmp_path):
    """Results of a run as the pipeline exports them, and outlines in another CRS."""
    transform = from_origin(500_000, 7_700_000, 10, 10)
    predicted = mask_of(A, B).astype(np.uint8)
    probabilities = np.full(SHAPE, 50, dtype=np.uint8)
    probabilities[:, 70:] = 255
    profile = {"driver": "GTiff", "height": 60, "width": 80, "count": 1, "dtype": "uint8", "crs": "EPSG:32608",
               "transform": transform}  # fmt: skip
    for name, values in (("binarized", predicted), ("probabilities", probabilities)):
        with rasterio.open(tmp_path / f"{name}.tif", "w", **profile) as file:
            file.write(values, 1)

    def box(rows, columns):
        return shapely.box(500_000 + 10 * columns[0], 7_700_000 - 10 * rows[1],
                           500_000 + 10 * columns[1], 7_700_000 - 10 * rows[0])  # fmt: skip

    gpd.GeoDataFrame(geometry=[box((2, 58), (2, 78))], crs="EPSG:32608").to_parquet(
        tmp_path / "prediction_extent.parquet"
    )
    truth = [box(*A), box(*B), box((20, 40), (60, 75))]  # the last one reaches into unknown ground
    gpd.GeoDataFrame(geometry=truth, crs="EPSG:32608").to_crs(4326).to_file(tmp_path / "truth.gpkg")
    return tmp_path


def test_exported_results_are_compared_where_they_are_trusted(exported):
    result = compare_with_truth(exported, exported / "truth.gpkg")
    assert result.pixel_iou == pytest.approx(1, abs=0.03)
    assert (result.n_found, result.n_missed, result.n_false) == (2, 0, 0)


def test_missing_results_are_named(exported):
    (exported / "binarized.tif").unlink()
    message = f"{exported / 'binarized.tif'} is missing, so there is nothing to compare. Export with the defaults."
    with pytest.raises(MissingDataError, match=f"^{re.escape(message)}$"):
        compare_with_truth(exported, exported / "truth.gpkg")
