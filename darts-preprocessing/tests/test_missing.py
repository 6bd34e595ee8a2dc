import numpy as np
import pytest

from darts_preprocessing import preprocess_v2
from darts_preprocessing.missing import missing_features

SHAPE = (4, 5)


def hole(*rows: int) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[list(rows)] = True
    return mask


def bits(mask: np.ndarray) -> np.ndarray:
    return np.packbits(mask, axis=1)


def test_a_hole_counts_where_a_model_reads_its_layer():
    holes = {"elevation": bits(hole(0)), "trends": bits(hole(3))}
    models = {"terrain": ["red", "slope"], "trend": ["tc_wetness"], "colour": ["red"], "all": ["dem", "tc_wetness"]}
    masks = missing_features(models, holes, SHAPE)
    np.testing.assert_array_equal(masks["features_missing"], hole(0, 3))
    np.testing.assert_array_equal(masks["features_missing-terrain"], hole(0))
    np.testing.assert_array_equal(masks["features_missing-trend"], hole(3))
    np.testing.assert_array_equal(masks["features_missing-all"], hole(0, 3))
    assert not masks["features_missing-colour"].values.any()
    assert masks["features_missing"].dtype == bool


def test_models_that_read_the_same_layers_have_one_mask():
    masks = missing_features({"a": ["slope"], "b": ["aspect", "red"]}, {"elevation": bits(hole(1))}, SHAPE)
    assert list(masks) == ["features_missing"]


def test_where_nothing_is_missing_masks_take_no_memory():
    masks = missing_features({"a": ["slope"], "b": ["red"]}, {"elevation": bits(hole())}, (20_000, 20_000))
    assert {name: mask.values.strides for name, mask in masks.items()} == dict.fromkeys(masks, (0, 0))


@pytest.fixture
def world(grid, make_tile, make_arcticdem, make_tcvis):
    return make_tile(grid), make_arcticdem(grid), make_tcvis(grid)


@pytest.mark.parametrize("lazy", [False, True])
def test_a_tile_says_where_elevation_or_all_trends_are_missing(world, lazy):
    optical, arcticdem, tcvis = world
    arcticdem = arcticdem.assign(dem=arcticdem.dem.where(arcticdem.x > float(arcticdem.x.mean())))
    models = {"one": ["slope", "tc_wetness"]}
    tile = preprocess_v2(optical, arcticdem, tcvis, bands=["slope", "dem", "tc_wetness"], models=models, lazy=lazy)
    no_dem = np.isnan(tile["dem"].values)
    whole = preprocess_v2(optical, arcticdem, tcvis)
    no_trends = np.logical_and.reduce(
        [whole[f"tc_{name}"].values == 0 for name in ("brightness", "greenness", "wetness")]
    )
    assert 0.1 < no_dem.mean() < 0.9
    np.testing.assert_array_equal(tile["features_missing"], no_dem | no_trends)
    assert "tc_brightness" not in tile


def test_elevation_that_is_missing_everywhere_is_missing_everywhere(world):
    optical, arcticdem, _ = world
    arcticdem = arcticdem.assign(dem=arcticdem.dem * np.float32(np.nan))
    tile = preprocess_v2(optical, arcticdem, bands=["slope"], models={"one": ["slope"]})
    assert tile["features_missing"].values.all()


def test_quality_stays_as_the_image_says(world):
    optical, arcticdem, _ = world
    arcticdem = arcticdem.assign(dem=arcticdem.dem * np.float32(np.nan))
    tile = preprocess_v2(optical, arcticdem, bands=["slope"], models={"one": ["slope"]})
    np.testing.assert_array_equal(tile["quality_data_mask"], optical["quality_data_mask"])


def test_without_models_nothing_is_said(world):
    optical, arcticdem, tcvis = world
    assert "features_missing" not in preprocess_v2(optical, arcticdem, tcvis)
