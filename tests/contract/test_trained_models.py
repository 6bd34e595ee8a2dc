"""What the contract promises of inference, with trained networks on a sample world: batches, patch grid, seams, NaN."""

import math

import numpy as np
import pytest

from darts.demo.world.make import make_world
from darts.demo.world.write import write_world
from darts_acquisition import load_arcticdem, load_cdse_s2_sr_scene, load_tcvis
from darts_preprocessing import preprocess_v2
from darts_segmentation import EnsembleV1
from darts_segmentation.model_input import BandStack
from darts_segmentation.patches import Patching, patch_grid
from darts_utils.tile import geobox_of

PATCHES = {"patch_size": 160, "overlap": 64}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Give the features of a world that the models never saw, and the models."""
    written = write_world(make_world(5, 384), tmp_path_factory.mktemp("world"))
    models = {path.stem: path for path in sorted(written.models_dir.glob("*.safetensors"))}
    tile = load_cdse_s2_sr_scene(written.scene_id, store=written.store, offline=True)
    geobox = geobox_of(tile)
    elevation = load_arcticdem(geobox, written.aux_dir, 10, buffer=16, offline=True)
    tile = preprocess_v2(tile, elevation, load_tcvis(geobox, written.aux_dir, offline=True), device="cpu")
    return tile, EnsembleV1(models, "cpu")


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


def seam_ratios(world, whole):
    """Return how much rougher the blended result is on the borders of patches than inside, along x and y.

    What is looked at is the difference from a result in one patch, so that the ground itself does not count.
    """
    tile, ensemble = world
    multiple = math.lcm(*(member.multiple for member in ensemble.members))
    grid = patch_grid(whole.shape, Patching(**PATCHES), multiple, BandStack(tile, ["red"]).origin)
    difference_from_whole = ensemble.segment_tile(tile, **PATCHES, batch_size=4).probabilities.values - whole
    ratios = []
    for axis, spans in enumerate((grid.rows, grid.columns)):
        gradient = np.nanmean(np.abs(np.diff(difference_from_whole, axis=axis)), axis=1 - axis)
        ends = {end for span in spans for end in (span.target.start, span.target.stop)}
        borders = np.array(sorted(ends - {0, whole.shape[axis]})) - 1
        assert len(borders) >= 4
        ratios.append(np.nanmean(gradient[borders]) / np.nanmean(np.delete(gradient, borders)))
    return ratios


def test_there_is_no_seam_where_patches_meet(world, monkeypatch):
    tile, ensemble = world
    whole = ensemble.segment_tile(tile, patch_size=384, overlap=0, batch_size=1).probabilities.values
    assert max(seam_ratios(world, whole)) <= 1.2
    # without the smooth window there are seams, and the measure sees them
    monkeypatch.setattr("darts_segmentation.patches.blending_window", np.ones)
    assert min(seam_ratios(world, whole)) > 1.2


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
