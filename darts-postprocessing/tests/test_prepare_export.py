import re

import numpy as np
import pytest
import xarray as xr

from darts_postprocessing import binarize, erode_mask, prepare_export
from darts_utils.errors import ConfigError, DataError


def test_level_0_neither_filters_nor_erodes_quality_but_cuts_the_edge(make_tile):
    tile = make_tile()
    prepared = prepare_export(tile, mask_erosion_size=4)
    expected = np.zeros((90, 71), dtype=bool)
    expected[4:-4, 4:-4] = True
    np.testing.assert_array_equal(prepared["extent"], expected)
    assert prepared["extent"].dtype == bool


@pytest.mark.parametrize(("level", "name"), [(1, "low_quality"), (2, "high_quality")])
def test_levels_above_0_take_ground_of_that_quality_eroded(make_tile, level, name):
    tile = make_tile()
    expected = erode_mask(tile["quality_data_mask"] >= level, 3)
    for spelled in (level, name):
        extent = prepare_export(tile, mask_erosion_size=3, quality_level=spelled)["extent"]
        np.testing.assert_array_equal(extent, expected)


def test_edge_erosion_of_zero_means_zero(make_tile):
    assert prepare_export(make_tile(), mask_erosion_size=5, edge_erosion_size=0)["extent"].all()
    assert prepare_export(make_tile(), mask_erosion_size=0, edge_erosion_size=2)["extent"].sum() == 86 * 67


def test_the_raster_is_masked_before_objects_are_found(make_tile):
    tile = make_tile()
    prepared = prepare_export(tile, min_object_size=8, mask_erosion_size=6, quality_level=2)
    masked_first = binarize(prepared["probabilities"], 0.5, 8, prepared["extent"])
    np.testing.assert_array_equal(prepared["binarized_segmentation"], masked_first)
    assert prepared["binarized_segmentation"].attrs["n_objects"] > 1


def test_cut_objects_are_marked_and_can_be_dropped(make_tile):
    given = {"min_object_size": 3, "mask_erosion_size": 2, "quality_level": 2}
    kept = prepare_export(make_tile(), **given)
    whole = prepare_export(make_tile(), **given, drop_cut_objects=True)
    cut = kept["cut_segmentation"].values
    assert cut.any()
    assert (kept["binarized_segmentation"].values & ~cut).any()
    np.testing.assert_array_equal(whole["binarized_segmentation"], kept["binarized_segmentation"].values & ~cut)
    assert not whole["cut_segmentation"].any()


def test_probabilities_are_unknown_outside_of_the_extent_and_unchanged_inside(make_tile):
    tile = make_tile()
    prepared = prepare_export(tile, quality_level=1)
    np.testing.assert_array_equal(
        prepared["probabilities"], np.where(prepared["extent"], tile["probabilities"], np.float32(np.nan))
    )
    assert prepared["probabilities"].dtype == np.float32


def test_uncertainty_is_masked_like_probabilities_if_it_is_there(make_tile):
    tile = make_tile()
    assert "uncertainty" not in prepare_export(tile)
    tile["uncertainty"] = tile["probabilities"] / 2
    prepared = prepare_export(tile, quality_level=1)
    np.testing.assert_array_equal(prepared["uncertainty"], prepared["probabilities"] / 2)
    assert np.isnan(prepared["uncertainty"]).any()


def test_each_subset_gets_its_own_results(make_tile):
    tile = make_tile(models=("with_tcvis", "without_tcvis"))
    prepared = prepare_export(tile, ensemble_subsets=["with_tcvis", "without_tcvis"], min_object_size=5)
    for name in ("with_tcvis", "without_tcvis"):
        alone = prepare_export(tile.assign(probabilities=tile[f"probabilities-{name}"]), min_object_size=5)
        np.testing.assert_array_equal(prepared[f"binarized_segmentation-{name}"], alone["binarized_segmentation"])
        np.testing.assert_array_equal(prepared[f"probabilities-{name}"], alone["probabilities"])


def test_input_stays_and_attributes_are_kept(make_tile):
    tile = make_tile()
    before = tile.copy(deep=True)
    prepared = prepare_export(tile, quality_level=2)
    xr.testing.assert_identical(tile, before)
    assert prepared.attrs == tile.attrs
    xr.testing.assert_identical(prepared["quality_data_mask"], tile["quality_data_mask"])


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (30, 2)])
def test_any_tile_size_works(make_tile, shape):
    tile = xr.Dataset(
        {
            "probabilities": (("y", "x"), np.full(shape, 0.9, np.float32)),
            "quality_data_mask": (("y", "x"), np.full(shape, 2, np.uint8)),
        }
    )
    prepared = prepare_export(tile, mask_erosion_size=1, edge_erosion_size=0, min_object_size=1, quality_level=2)
    assert prepared["binarized_segmentation"].all()
    assert not prepare_export(tile, mask_erosion_size=1)["extent"].any()


def test_quality_is_not_needed_at_level_0(make_tile):
    assert prepare_export(make_tile().drop_vars("quality_data_mask"))["extent"].any()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"quality_level": 3},
            "quality_level is 3 but must be none (0), low_quality (1) or high_quality (2).",
        ),
        (
            {"quality_level": "good"},
            "quality_level is 'good' but must be none (0), low_quality (1) or high_quality (2).",
        ),
        ({"mask_erosion_size": -1}, "mask_erosion_size is -1 px but must not be negative. Set 0 for none."),
        ({"edge_erosion_size": -1}, "edge_erosion_size is -1 px but must not be negative. Set 0 for none."),
        ({"min_object_size": -1}, "min_object_size is -1 px but must not be negative. Set 0 for none."),
        ({"bin_threshold": 50}, "the binarization threshold is 50 but must be within 0..1. Set it to e.g. 0.5."),
    ],
)
def test_parameters_out_of_range_are_refused(make_tile, parameters, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        prepare_export(make_tile(), **parameters)


def test_a_missing_band_is_named(make_tile):
    message = "the tile lacks probabilities-other. Segment it with the models whose results you ask for."
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        prepare_export(make_tile(), ensemble_subsets=["other"])


def test_in_place_gives_the_same_in_the_memory_that_was_given(make_tile):
    tile = make_tile()
    given = {name: tile[name].values for name in ("probabilities", "uncertainty") if name in tile}
    apart = prepare_export(make_tile(), mask_erosion_size=6, quality_level=2)
    prepared = prepare_export(tile, mask_erosion_size=6, quality_level=2, in_place=True)
    xr.testing.assert_identical(prepared, apart)
    for name, values in given.items():
        assert np.shares_memory(prepared[name].values, values)


def test_in_place_copies_what_cannot_be_changed(make_tile):
    tile = make_tile()
    tile["probabilities"].values.flags.writeable = False  # as Ray gives arrays
    prepared = prepare_export(tile, mask_erosion_size=6, quality_level=2, in_place=True)
    xr.testing.assert_identical(prepared, prepare_export(make_tile(), mask_erosion_size=6, quality_level=2))
