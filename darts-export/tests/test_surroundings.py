"""Columns of objects that an inventory needs: areas at other thresholds, the core, and the ground around."""

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from scipy import ndimage

from darts_export.surroundings import Objects, core_probabilities, ground_shares, sizes_above
from darts_utils.objects.core_mean import core_mean

EIGHT = np.ones((3, 3))


def objects_of(mask):
    """Return 8-connected objects, numbered in reading order, and their labels from 1 on."""
    labels, number = ndimage.label(mask, EIGHT)
    pixels = np.flatnonzero(labels)
    return Objects(pixels, labels.ravel()[pixels] - 1, number, labels.shape[1]), labels


def sizes_of(objects, probabilities, threshold):
    return sizes_above(objects, probabilities, probabilities.ravel()[objects.pixels], threshold)


def plain_sizes(probabilities, labels, threshold):
    """Count pixel by pixel: each goes to the nearest object of its component; None where two are equally near."""
    components, _ = ndimage.label(probabilities > threshold, EIGHT)
    sizes = np.zeros(labels.max(), dtype=int)
    for y, x in np.argwhere(components):
        own = np.argwhere((labels > 0) & (components == components[y, x]))
        if len(own):
            distances = ((own - [y, x]) ** 2).sum(axis=1)
            nearest = {labels[tuple(place)] for place in own[distances == distances.min()]}
            if len(nearest) > 1:
                return None
            sizes[nearest.pop() - 1] += 1
    return sizes


fields = hnp.arrays(np.int64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 9))


@settings(deadline=None, max_examples=60)
@given(fields, st.sampled_from([0.3, 0.45]))
def test_ground_above_a_low_threshold_goes_to_the_nearest_object(field, threshold):
    probabilities = (field / 10 + 0.05).astype(np.float32)
    objects, labels = objects_of(probabilities > 0.5)
    found = sizes_of(objects, probabilities, threshold)
    expected = plain_sizes(probabilities, labels, threshold)
    if expected is not None:
        assert found.tolist() == expected.tolist()
    components, _ = ndimage.label(probabilities > threshold, EIGHT)
    assert found.sum() == np.isin(components, np.unique(components[labels > 0])).sum()  # none twice, none left out


@settings(deadline=None, max_examples=25)
@given(fields, st.sampled_from([0.65, 0.8]))
def test_above_a_high_threshold_only_the_object_counts(field, threshold):
    probabilities = (field / 10 + 0.02).astype(np.float32)
    objects, labels = objects_of(probabilities > 0.5)
    found = sizes_of(objects, probabilities, threshold)
    expected = [((labels == n) & (probabilities > threshold)).sum() for n in range(1, labels.max() + 1)]
    assert found.tolist() == expected


def test_unknown_ground_is_above_nothing():
    probabilities = np.array([[0.9, np.nan, 0.4, 0.4]], dtype=np.float32)
    objects, _ = objects_of(np.array([[True, False, False, False]]))
    assert sizes_of(objects, probabilities, 0.3).tolist() == [1]


def test_the_core_is_the_part_above_the_75th_percentile():
    probabilities = np.array([[0.6, 0.7, 0.8, 0.9, 0.0, 0.55]], dtype=np.float32)
    objects, _ = objects_of(probabilities > 0.5)
    assert core_probabilities(objects, probabilities.ravel()[objects.pixels]) == pytest.approx(
        [core_mean(probabilities[0, :4]), 0.55]
    )
    assert core_probabilities(objects, probabilities.ravel()[objects.pixels])[0] == pytest.approx(0.9)


def test_shares_are_those_of_the_object_and_three_pixels_around_it():
    mask = np.zeros((20, 20), dtype=bool)
    mask[10, 10] = True
    objects, _ = objects_of(mask)
    y, x = np.mgrid[:20, :20]
    disk = (y - 10) ** 2 + (x - 10) ** 2 <= 9
    green, nir = np.where(y < 10, 0.3, 0.1).astype(np.float32), np.full((20, 20), 0.2, dtype=np.float32)
    tile = xr.Dataset(
        {
            "quality_data_mask": (("y", "x"), np.where(x < 10, 0, 2).astype(np.uint8)),
            "s2_scl": (("y", "x"), np.where(x == 10, 11, 4).astype(np.uint8)),
            "green": (("y", "x"), green),
            "nir": (("y", "x"), nir),
        }
    )
    shares = ground_shares(objects, tile)
    assert shares["nodata_fraction"] == pytest.approx([(disk & (x < 10)).sum() / disk.sum()])
    assert shares["snow_fraction"] == pytest.approx([7 / disk.sum()])
    assert shares["water_fraction"] == pytest.approx([(disk & (y < 10)).sum() / disk.sum()])


def test_shares_of_what_a_tile_does_not_tell_are_unknown():
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, 0] = mask[3, 3] = True
    objects, _ = objects_of(mask)
    shares = ground_shares(objects, xr.Dataset({"red": (("y", "x"), np.zeros((4, 4), dtype=np.float32))}))
    assert {name: np.isnan(values).all() for name, values in shares.items()} == dict.fromkeys(shares, True)
    udm = xr.Dataset({"planet_udm": (("band", "y", "x"), np.stack([mask * 0, mask, *[mask * 0] * 6]).astype(np.uint8))})
    assert ground_shares(objects, udm)["snow_fraction"] == pytest.approx([1 / 11, 1 / 11], abs=0.08)


def test_a_tile_without_objects_has_no_rows():
    nothing = np.zeros((5, 5), dtype=np.float32)
    objects, _ = objects_of(nothing > 0)
    tile = xr.Dataset(dict.fromkeys(("green", "nir"), (("y", "x"), nothing)))
    assert len(sizes_of(objects, nothing, 0.3)) == 0
    assert len(core_probabilities(objects, nothing[:0, 0])) == 0
    assert all(len(values) == 0 for values in ground_shares(objects, tile).values())
