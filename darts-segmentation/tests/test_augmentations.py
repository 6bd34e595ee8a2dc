"""Augmentations against physics: what changes together, what never changes, and what SciPy makes of the same."""

import math
import re
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from darts_segmentation.symmetry import VIEWS
from darts_segmentation.training.augment.augmentations import AUGMENTATIONS, Augmenter
from darts_segmentation.training.augment.geometry import Scale
from darts_segmentation.training.augment.holes import DropLayer
from darts_segmentation.training.augment.light import Blur, RandomBrightnessContrast, blurred
from darts_segmentation.training.augment.samples import Bands, Draws, Samples
from darts_segmentation.training.parameters import DEFAULT_AUGMENTATIONS
from darts_utils.bands import INDICES, TRAINING_BANDS, BandCodec, SpectralIndex, manager
from darts_utils.errors import ConfigError

OPTICAL = ("red", "green", "blue", "nir")
TERRAIN = ("relative_elevation", "slope", "aspect", "hillshade", "curvature")
TRENDS = ("tc_brightness", "tc_greenness", "tc_wetness")
EVERYTHING = (*TRAINING_BANDS, "ndwi", "dem")


def normalised_difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.clip(0, 1), b.clip(0, 1)
    with np.errstate(invalid="ignore"):  # 0 / 0
        return (a - b) / (a + b)


def batch(
    n: int = 6, height: int = 16, width: int = 16, bands: Sequence[str] = EVERYTHING, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Smooth patches whose indices agree with their reflectance; flat ground at the left, no data in a corner."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    layers = {}
    for name in (*OPTICAL, *TERRAIN, *TRENDS, "dem"):
        phase, along, down = rng.uniform(0, 6, n), rng.uniform(2, 9, n), rng.uniform(2, 9, n)
        wave = np.sin(x / along[:, None, None] + y / down[:, None, None] + phase[:, None, None])
        layers[name] = 0.5 + 0.3 * wave
    for name in ("slope", "aspect"):
        layers[name][:, :, :3] = 0
    for name in ("ndvi", "ndwi"):
        one, other = (0.6 * layers[band] - 0.1 for band in INDICES[name].difference)
        layers[name] = (normalised_difference(one, other) + 1) / 2
    stack = np.stack([layers[name] for name in bands], axis=1).astype(np.float32)
    stack[:, :, :2, -2:] = 0
    labels = (rng.uniform(size=(n, height, width)) < 0.4).astype(np.uint8)
    labels[:, -1] = 2
    sun = np.stack([rng.uniform(0, 360, n), rng.uniform(10, 60, n)], axis=1).astype(np.float32)
    sun[0] = np.nan
    return torch.from_numpy(stack), torch.from_numpy(labels), torch.from_numpy(sun)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def channels(names: Sequence[str], bands: Sequence[str] = EVERYTHING) -> list[int]:
    return [bands.index(name) for name in names]


def applied(augmentation: object, x: torch.Tensor, y: torch.Tensor, sun: torch.Tensor, seed: int = 0) -> Samples:
    """All patches changed, by an augmentation with parameters of its own."""
    bands = EVERYTHING[: x.shape[1]]
    samples = Samples(x=x.clone(), y=y.clone(), sun=sun, bands=Bands.of(bands))
    return augmentation.apply(samples, Draws(seeded(seed), x.device))


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("bands", [EVERYTHING, ("red", "slope"), ("ndvi", "tc_wetness"), ("aspect", "hillshade")])
@pytest.mark.parametrize("width", [16, 24])
def test_every_augmentation_keeps_what_a_batch_is(name, bands, width):
    x, y, sun = batch(width=width, bands=bands)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        given = x.contiguous(memory_format=memory_format)
        generator = seeded(3)
        for _ in range(4):
            new_x, new_y = Augmenter([name], bands)(given, y, sun, generator)
            assert (new_x.shape, new_x.dtype) == (x.shape, torch.float32)
            assert (new_y.shape, new_y.dtype) == (y.shape, torch.uint8)
            assert new_x.is_contiguous(memory_format=memory_format)
            assert torch.isfinite(new_x).all()
            assert new_x.min() >= 0
            assert new_x.max() <= 1
            assert new_y.max() <= 2
            assert torch.equal(given, x)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_changes_some_patches_and_each_in_its_own_way(name):
    x, y, sun = (part[1:2].expand(40, *part.shape[1:]).clone() for part in batch())
    new_x, new_y = Augmenter([name], EVERYTHING)(x, y, sun, seeded(1))
    results = {(patch.numpy().tobytes(), labels.numpy().tobytes()) for patch, labels in zip(new_x, new_y, strict=True)}
    assert len(results) >= {
        "HorizontalFlip": 2,
        "VerticalFlip": 2,
        "RandomRotate90": 4,
        "Posterize": 4,
        "DropLayer": 3,
    }.get(name, 8)
    changed = torch.tensor([not torch.equal(patch, x[0]) for patch in new_x]).float().mean()
    expected = {"RandomRotate90": 3 / 4, "D4": 7 / 8}.get(name, AUGMENTATIONS[name].probability)
    assert changed == pytest.approx(expected, abs=0.25)


def test_equal_generators_give_equal_batches_and_others_do_not():
    x, y, sun = batch()
    augmenter = Augmenter(list(AUGMENTATIONS), EVERYTHING)
    first, again, other = (augmenter(x, y, sun, seeded(seed))[0] for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_order_of_names_and_names_said_twice_change_nothing():
    x, y, sun = batch()
    one = Augmenter(["DropLayer", "D4", "D4"], EVERYTHING)(x, y, sun, seeded())
    other = Augmenter(["D4", "DropLayer"], EVERYTHING)(x, y, sun, seeded())
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


def test_no_names_give_an_equal_batch_and_an_empty_batch_an_empty_one():
    x, y, sun = batch()
    same, labels = Augmenter([], EVERYTHING)(x, y, sun, seeded())
    assert torch.equal(same, x)
    assert torch.equal(labels, y)
    none, _ = Augmenter(list(AUGMENTATIONS), EVERYTHING)(x[:0], y[:0], sun[:0], seeded())
    assert none.shape == x[:0].shape


def test_pixels_without_data_stay_without_wherever_nothing_moves():
    x, y, sun = batch()
    names = [
        name
        for name in AUGMENTATIONS
        if name not in ("HorizontalFlip", "VerticalFlip", "RandomRotate90", "D4", "Scale")
    ]
    new_x, _ = Augmenter(names, EVERYTHING)(x, y, sun, seeded(2))
    assert not new_x[:, :, :2, -2:].any()


@pytest.mark.parametrize("name", ["HorizontalFlip", "VerticalFlip", "RandomRotate90", "D4"])
@pytest.mark.parametrize("width", [16, 24])
def test_views_are_those_of_the_square_with_their_labels_and_their_own_sun(name, width):
    x, y, sun = batch(n=30, width=width)
    new_x, new_y = Augmenter([name], EVERYTHING)(x, y, sun, seeded(4))
    found = set()
    for index in range(30):
        for view in VIEWS if width == 16 else VIEWS[:4]:
            seen = view.apply(x[index : index + 1], EVERYTHING, sun[index : index + 1])[0]
            if torch.allclose(seen, new_x[index], atol=1e-6) and torch.equal(view.turn(y[index]), new_y[index]):
                found.add(view)
                break
        else:
            pytest.fail(f"patch {index} is no view of what it was")
    square = {"HorizontalFlip": 2, "VerticalFlip": 2, "RandomRotate90": 4, "D4": 8}
    assert len(found) == (square[name] if width == 16 else {**square, "RandomRotate90": 2, "D4": 4}[name])


LIGHT = ("RandomBrightnessContrast", "MultiplicativeNoise", "Posterize", "Blur")


@pytest.mark.parametrize("name", LIGHT)
def test_light_changes_neither_terrain_nor_labels(name):
    x, y, sun = batch()
    new_x, new_y = Augmenter([name], EVERYTHING)(x, y, sun, seeded(5))
    assert torch.equal(new_x[:, channels((*TERRAIN, "dem"))], x[:, channels((*TERRAIN, "dem"))])
    assert torch.equal(new_y, y)
    assert not torch.equal(new_x[:, channels(OPTICAL)], x[:, channels(OPTICAL)])
    trends = channels(TRENDS)
    assert torch.equal(new_x[:, trends], x[:, trends]) == (name != "RandomBrightnessContrast")


@pytest.mark.parametrize("name", LIGHT)
def test_indices_follow_from_the_changed_reflectance(name):
    x, y, sun = batch()
    new_x, _ = Augmenter([name], EVERYTHING)(x, y, sun, seeded(5))
    for index in ("ndvi", "ndwi"):
        one, other = (0.6 * new_x[:, EVERYTHING.index(band)] - 0.1 for band in INDICES[index].difference)
        inside = (x[:, channels(OPTICAL)] > 0).all(dim=1)
        inside &= ((new_x[:, channels(OPTICAL)] > 0) & (new_x[:, channels(OPTICAL)] < 1)).all(dim=1)
        expected = (normalised_difference(one.numpy(), other.numpy()) + 1) / 2
        got = new_x[:, EVERYTHING.index(index)]
        np.testing.assert_allclose(got[inside].numpy(), expected[inside.numpy()], atol=2e-6)
    assert inside.float().mean() > 0.5


def test_an_index_stays_where_its_reflectance_was_clipped():
    x, y, sun = batch()
    red, ndvi = EVERYTHING.index("red"), EVERYTHING.index("ndvi")
    x[:, red, 5] = 1
    x[:, red, 6] = 0
    changed = applied(RandomBrightnessContrast(gain=0.2, offset=0.02), x, y, sun)
    assert torch.equal(changed.x[:, ndvi, 5:7], x[:, ndvi, 5:7])
    assert not torch.equal(changed.x[:, ndvi, 7:9], x[:, ndvi, 7:9])


def test_an_index_stays_if_its_bands_or_its_formula_are_missing(monkeypatch):
    x, y, sun = batch(bands=("green", "nir", "ndvi", "ndwi"))
    augmenter = Augmenter(["RandomBrightnessContrast"], ("green", "nir", "ndvi", "ndwi"))
    new_x, _ = augmenter(x, y, sun, seeded(6))
    assert torch.equal(new_x[:, 2], x[:, 2])
    assert not torch.equal(new_x[:, 3], x[:, 3])
    unknown = SpectralIndex(inputs=("green", "nir"), function="a:b", long_name="", codec=BandCodec.ndi())
    monkeypatch.setitem(INDICES, "ndwi", unknown)
    new_x, _ = augmenter(x, y, sun, seeded(6))
    assert torch.equal(new_x[:, 3], x[:, 3])


def test_light_is_one_line_of_reflectance_a_band_with_gains_that_hardly_differ():
    x, y, sun = batch(n=30)
    x[:, :4] = 0.2 + 0.4 * x[:, :4]  # nothing is clipped
    x[:, :, :2, -2:] = 0
    changed = applied(RandomBrightnessContrast(gain=0.2, band_gain=0.04, offset=0.02), x, y, sun)
    seen = (x[:, :4] != 0).all(dim=1)
    gains, offsets = np.empty((30, 4)), np.empty((30, 4))
    for sample in range(30):
        for band in range(4):
            old, new = (0.6 * part[sample, band][seen[sample]].double().numpy() - 0.1 for part in (x, changed.x))
            gains[sample, band], offsets[sample, band] = np.polyfit(old, new, 1)
            np.testing.assert_allclose(gains[sample, band] * old + offsets[sample, band], new, atol=1e-6)
    assert np.ptp(offsets, axis=1).max() < 1e-5
    assert np.abs(offsets).max() <= 0.02
    assert 0 < (gains.max(axis=1) / gains.min(axis=1)).max() <= 1.04 / 0.96 + 1e-6
    assert 0.8 * 0.96 <= gains.min() < 0.9
    assert 1.1 < gains.max() <= 1.2 * 1.04


def test_a_trend_is_shifted_as_a_whole_and_stays_missing_where_it_is():
    x, y, sun = batch()
    trends = channels(TRENDS)
    x[:, trends[0], 7] = 0  # a value: the other two are there
    changed = applied(RandomBrightnessContrast(trend_level=0.03), x, y, sun)
    shift = changed.x[:, trends] - x[:, trends]
    seen = (x[:, trends] > 0.1) & (x[:, trends] < 0.9)
    for sample in range(len(x)):
        for band in range(3):
            values = shift[sample, band][seen[sample, band]]
            assert 0 < values.abs().max() <= 0.03 + 1e-6
            assert values.max() - values.min() < 1e-6
    assert not changed.x[:, trends, :2, -2:].any()


def test_blur_is_that_of_scipy_over_pixels_with_data():
    x, y, sun = batch(n=2)
    changed = applied(Blur(sharpest_px=1.2, softest_px=1.2), x, y, sun)
    data = (x[:, channels(OPTICAL)] != 0).any(dim=1).double().numpy()
    for sample, band in ((0, 0), (1, 3)):
        values = x[sample, band].double().numpy()
        blur = {"sigma": 1.2, "radius": 4, "mode": "constant"}
        expected = gaussian_filter(values * data[sample], **blur) / gaussian_filter(data[sample], **blur)
        np.testing.assert_allclose(changed.x[sample, band].numpy(), expected * data[sample], atol=1e-6)


def test_each_patch_is_blurred_by_its_own_width():
    x, _, _ = batch(n=3)
    got = blurred(x, torch.tensor([0.5, 1.5, 1.0]))
    for sample, sigma in enumerate((0.5, 1.5, 1.0)):
        expected = gaussian_filter(x[sample].double().numpy(), sigma, radius=5, mode="constant", axes=(1, 2))
        np.testing.assert_allclose(got[sample].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "zoom", [0.8203125, 1.0, 1.2265625]
)  # exact in float32, and no source lies halfway between pixels
@pytest.mark.parametrize("width", [16, 23])
def test_zoom_is_that_of_scipy(zoom, width):
    x, y, sun = batch(n=2, width=width)
    x[:, :, :2, -2:] = 0.5
    x[:, channels(("slope",)), :, :3] = 0.4
    changed = applied(Scale(lowest=zoom, highest=zoom), x, y, sun)
    rows, columns = (np.arange(length) / zoom + (length - 1) / 2 * (1 - 1 / zoom) for length in (16, width))
    places = np.meshgrid(rows, columns, indexing="ij")
    inside = (rows.round() == rows.round().clip(0, 15))[:, None] & (
        columns.round() == columns.round().clip(0, width - 1)
    )
    for band in ("red", "slope", "tc_wetness", "ndvi", "dem"):
        values = x[1, EVERYTHING.index(band)].double().numpy()
        expected = map_coordinates(values, places, order=1, mode="nearest") * inside
        np.testing.assert_allclose(changed.x[1, EVERYTHING.index(band)].numpy(), expected, atol=1e-5, err_msg=band)
    labels, aspect = y[1].numpy(), x[1, EVERYTHING.index("aspect")].numpy()
    nearest = [place.round().astype(int).clip(0, length - 1) for place, length in zip(places, (16, width), strict=True)]
    assert np.array_equal(changed.y[1].numpy(), np.where(inside, labels[*nearest], 2))
    assert np.array_equal(changed.x[1, EVERYTHING.index("aspect")].numpy(), np.where(inside, aspect[*nearest], 0))
    assert (not inside.all()) == (zoom < 1)


def test_zoomed_gaps_darken_nothing_and_lakes_stay_flat():
    x, y, sun = batch(n=4)
    x[:, channels(OPTICAL)] = torch.where(x[:, channels(OPTICAL)] > 0, 0.7, 0.0)
    changed = applied(Scale(lowest=1.1, highest=1.25), x, y, sun)
    values = changed.x[:, channels(OPTICAL)]
    assert ((values - 0.7).abs() < 1e-5).logical_or(values == 0).all()
    slope, aspect = (changed.x[:, EVERYTHING.index(name)] for name in ("slope", "aspect"))
    assert torch.equal(slope == 0, aspect == 0)


def test_a_dropped_layer_is_all_terrain_or_all_trends():
    x, y, sun = batch(n=60)
    changed = applied(DropLayer(whole=0.5, smallest=0.3), x, y, sun)
    kinds = {"terrain": channels((*TERRAIN, "dem")), "trends": channels(TRENDS)}
    seen = set()
    for sample in range(60):
        gone = {kind: (changed.x[sample, at] == 0).all(dim=0) for kind, at in kinds.items()}
        had = (x[sample] != 0).any(dim=0)
        [kind] = [kind for kind, where in gone.items() if (where & had).any()]
        hole = (gone[kind] & had).nonzero()
        height, width = (hole.max(dim=0).values - hole.min(dim=0).values + 1).tolist()
        assert len(hole) >= height * width - 4  # a rectangle, less what had no data
        assert min(height, width) >= round(0.3 * 16) - 2
        other = [channel for channel in range(len(EVERYTHING)) if channel not in kinds[kind]]
        assert torch.equal(changed.x[sample, other], x[sample, other])
        seen.add((kind, len(hole) >= 250))
    assert len(seen) == 4
    assert torch.equal(changed.y, y)


def test_posterize_leaves_the_levels_of_its_bits():
    x, y, sun = batch(n=1, height=64, width=64)
    changed, _ = Augmenter(["Posterize"], EVERYTHING)(
        *(part.expand(30, *part.shape[1:]) for part in (x, y, sun)), seeded()
    )
    levels = {len(patch[0].unique()) for patch in changed}
    assert min(levels) <= 2**4
    assert max(levels) > 2**7  # some stay as they are


def test_defaults_are_there_and_an_unknown_name_is_refused_with_what_was_meant():
    assert set(DEFAULT_AUGMENTATIONS) == {"D4", "RandomBrightnessContrast", "MultiplicativeNoise", "DropLayer"}
    Augmenter(DEFAULT_AUGMENTATIONS, EVERYTHING)
    names = (
        "HorizontalFlip, VerticalFlip, RandomRotate90, D4, Scale, RandomBrightnessContrast, Blur, MultiplicativeNoise, "
        "Posterize, DropLayer"
    )
    for wrong, end in (("horizontalflip", " Did you mean HorizontalFlip?"), ("Zzz", "")):
        message = f"'{wrong}' is no augmentation; there are {names}.{end}"
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            Augmenter([wrong], EVERYTHING)


def test_ranges_are_those_of_the_codecs():
    assert {manager[name].valid_range for name in OPTICAL} == {(-0.1, 0.5)}  # which the tests above write out
    assert math.isclose(sum(manager["ndvi"].valid_range), 0)
