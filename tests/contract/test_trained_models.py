"""What the contract promises of inference, with trained networks on a sample world: batches, patch grid, seams, NaN."""

import numpy as np
import pytest

from darts.demo.training_data import load_features
from darts.demo.world import make_world
from darts.demo.write import write_world
from darts_segmentation import EnsembleV1

PATCHES = {"patch_size": 160, "overlap": 64}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Give the features of a world that the models never saw, and the models."""
    written = write_world(make_world(5, 384), tmp_path_factory.mktemp("world"))
    models = {path.stem: path for path in sorted(written.models_dir.glob("*.pt"))}
    return load_features(written), EnsembleV1(models, "cpu")


@pytest.fixture(scope="module")
def probabilities(world):
    tile, ensemble = world
    return ensemble.segment_tile(tile, **PATCHES, batch_size=4).probabilities.values


def difference(a, b):
    return np.abs(a - b)[np.isfinite(a) & np.isfinite(b)]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_size_changes_nothing(world, probabilities, batch_size):
    tile, ensemble = world
    other = ensemble.segment_tile(tile, **PATCHES, batch_size=batch_size).probabilities.values
    np.testing.assert_array_equal(np.isnan(other), np.isnan(probabilities))
    assert difference(other, probabilities).max() <= 1e-4


@pytest.mark.parametrize("shift", [1, 13, 32])
def test_a_shifted_patch_grid_hardly_changes_anything(world, probabilities, shift):
    tile, ensemble = world
    cut = tile.isel(y=slice(shift, None), x=slice(shift, None))
    other = ensemble.segment_tile(cut, **PATCHES, batch_size=4).probabilities.values
    inner = 32  # beyond the reach of the tile's new edge
    a, b = probabilities[shift + inner :, shift + inner :], other[inner:, inner:]
    assert np.percentile(difference(a, b), 99.9) <= 0.02


def test_another_patch_size_hardly_changes_anything(world, probabilities):
    tile, ensemble = world
    other = ensemble.segment_tile(tile, patch_size=224, overlap=96, batch_size=2).probabilities.values
    assert np.percentile(difference(probabilities, other), 99.9) <= 0.02


def test_there_is_no_seam_where_patches_meet(probabilities):
    step = PATCHES["patch_size"] - PATCHES["overlap"]
    gradient = np.abs(np.diff(probabilities, axis=1))
    columns = np.arange(gradient.shape[1])
    near_border = np.isin((columns + 1) % 32, (0, 1, 31)) & (columns > step // 2)
    assert np.nanmean(gradient[:, near_border]) <= 1.2 * np.nanmean(gradient[:, ~near_border])


def test_one_missing_pixel_changes_nothing_out_of_the_reach_of_the_network(world, probabilities):
    tile, ensemble = world
    red = tile.red.values.copy()
    red[200, 180] = np.nan
    other = ensemble.segment_tile(tile.assign(red=tile.red.copy(data=red)), **PATCHES, batch_size=4)
    values = other.probabilities.values
    assert np.isnan(values[200, 180])
    changed = np.abs(values - probabilities) > 1e-6
    rows, columns = np.nonzero(changed)
    reach = 128  # half the width of what an output pixel of these networks looks at
    assert changed.sum() > 0
    assert np.abs(rows - 200).max() < reach
    assert np.abs(columns - 180).max() < reach


def test_the_models_know_slumps(probabilities):
    assert 0.001 < np.nanmean(probabilities > 0.5) < 0.2
