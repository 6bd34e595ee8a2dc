"""Test-time augmentation against a plain version that turns arrays by NumPy, and networks that know no direction."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from darts_segmentation import EnsembleV1, SMPSegmenter
from darts_segmentation.inference import predict, sun_of
from darts_segmentation.network import Member, Variance
from darts_segmentation.patches import Patching
from darts_segmentation.symmetry import VIEWS
from darts_utils.bands import manager
from darts_utils.errors import ConfigError, DataError
from darts_utils.parameters import TTA_VIEWS

CPU = torch.device("cpu")
BANDS = ("red", "nir", "slope", "aspect", "hillshade")
SUN = (151.0, 28.0)
WHOLE = Patching(patch_size=128, overlap=0)
ALL = [tta for tta in TTA_VIEWS if tta != "none"]


@pytest.fixture
def tile(tile_of):
    """A tile that is not square, with directions, a sun, flat ground, and holes in the optical bands and the mask."""
    tile = tile_of(44, 61, bands=("red", "nir", "slope", "tc_wetness"))
    rng = np.random.default_rng(8)
    aspect = rng.uniform(0, 360, (44, 61)).astype(np.float32)
    aspect[5:15, 20:40] = -1
    tile["slope"].values[5:15, 20:40] = 0
    tile["aspect"] = (("y", "x"), aspect)
    tile["hillshade"] = (("y", "x"), rng.uniform(0, 1, (44, 61)).astype(np.float32))
    tile["nir"].values[30:33, 2:9] = np.nan
    tile["quality_data_mask"].values[:4, 50:] = 0
    return tile.assign_attrs(azimuth=SUN[0], elevation=SUN[1])


@pytest.fixture
def members(net_of):
    return [
        Member(name="a", model=net_of(5, 1), bands=BANDS),
        Member(name="b", model=net_of(2, 2), bands=("red", "tc_wetness")),
    ]


def turned(layers, view):
    """Each band turned by NumPy; aspect and hillshade as the formulas say."""
    result = {name: np.rot90(np.flip(a, 1) if view.mirrored else a, view.turns) for name, a in layers.items()}
    if not view.is_identity and "aspect" in layers:
        old = result["aspect"] * 360.0
        aspect = ((-old if view.mirrored else old) - 90 * view.turns) % 360
        slope = result["slope"] * 90.0
        aspect = np.where(slope == 0, old, aspect)
        z, s = math.radians(90 - SUN[1]), np.radians(slope)
        shade = math.cos(z) * np.cos(s) + math.sin(z) * np.sin(s) * np.cos(np.radians(SUN[0] - aspect))
        result["aspect"] = aspect / 360
        result["hillshade"] = np.where(slope == 0, result["hillshade"], shade.clip(0))
    return result


def back(values, view):
    """The opposite of `turned` for one array: turned back first, then mirrored."""
    values = np.rot90(values, -view.turns)
    return np.flip(values, 1) if view.mirrored else values


def plain(tile, members, views):
    """Logits of each member and view of the whole tile in one patch, (member, view, y, x), and what is valid."""
    quality = tile["quality_data_mask"].values != 0
    everything, valid_for_all = [], quality
    for member in members:
        valid = quality
        for band in set(member.bands) & {"red", "nir"}:
            valid = valid & ~np.isnan(tile[band].values)
        valid_for_all = valid_for_all & valid
        layers = {band: manager[band].normalize(tile[band].values) * valid for band in member.bands}
        seen = []
        for view in views:
            stack = np.stack([turned(layers, view)[band] for band in member.bands]).astype(np.float32)
            with torch.inference_mode():
                logits = member.model(torch.from_numpy(stack.copy())[None])[0, 0].double().numpy()
            seen.append(back(logits, view))
        everything.append(seen)
    return np.array(everything), valid_for_all


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("tta", TTA_VIEWS)
def test_it_equals_the_plain_slow_way(tile, members, tta):
    got = predict(tile, members, WHOLE, CPU, keep_members=True, tta=tta, uncertainty=True)
    logits, valid = plain(tile, members, VIEWS[: TTA_VIEWS[tta]])
    each = sigmoid(logits.mean(axis=1))
    np.testing.assert_allclose(got.mean, np.where(valid, each.mean(axis=0), np.nan), atol=1e-5)
    spread = sigmoid(logits).std(axis=(0, 1))
    np.testing.assert_allclose(got.uncertainty, np.where(valid, spread, np.nan), atol=1e-5)
    assert got.uncertainty.dtype == np.float32
    for index, member in enumerate(members):
        values = got.members[member.name]
        np.testing.assert_allclose(values[valid], each[index][valid], atol=1e-5)


def test_uncertainty_changes_no_probability_and_none_is_the_default(tile, members):
    without = predict(tile, members, WHOLE, CPU)
    assert without.uncertainty is None
    np.testing.assert_array_equal(predict(tile, members, WHOLE, CPU, tta="none", uncertainty=True).mean, without.mean)


class Wrapped(nn.Module):
    """A network that sees all views by itself, and gives the mean of their logits or the logit of their variance."""

    def __init__(self, member, views, sun, *, variance):
        super().__init__()
        self.member, self.views, self.sun, self.variance = member, views, sun, variance

    def forward(self, x):
        sun = torch.tensor([self.sun]).expand(len(x), 2)
        logits = torch.stack([v.undo(self.member.model(v.apply(x, self.member.bands, sun))) for v in self.views])
        if not self.variance:
            return logits.mean(dim=0)
        return torch.sigmoid(logits.double()).var(dim=0, correction=0).clamp_min(1e-12).logit().float()


@pytest.mark.parametrize("tta", ["minimal", "full"])
def test_overlapping_patches_blend_probabilities_and_variances(tile, members, tta):
    patching = Patching(patch_size=24, overlap=9, batch_size=3, reflection=2)
    member = members[0]
    got = predict(tile, [member], patching, CPU, tta=tta, uncertainty=True)
    mean, variance = (
        predict(
            tile,
            [
                Member(
                    name="w",
                    model=Wrapped(member, VIEWS[: TTA_VIEWS[tta]], SUN, variance=variance),
                    bands=member.bands,
                )
            ],
            patching,
            CPU,
        ).mean
        for variance in (False, True)
    )
    np.testing.assert_allclose(got.mean, mean, atol=1e-5)
    np.testing.assert_allclose(got.uncertainty, np.sqrt(variance), atol=1e-4)


class Directional(nn.Module):
    """How red changes in the direction that the ground faces, smoothed evenly: a question that no view changes."""

    def forward(self, x):
        red, aspect = x[:, :1], 2 * math.pi * x[:, 1:]
        padded = F.pad(red, (1, 1, 1, 1), mode="replicate")
        east = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
        north = padded[:, :, :-2, 1:-1] - padded[:, :, 2:, 1:-1]
        change = torch.where(aspect == 0, 0, east * torch.sin(aspect) + north * torch.cos(aspect))  # 0 is no direction
        return 20 * F.avg_pool2d(change, 3, stride=1, padding=1)


@pytest.mark.parametrize("tta", ALL)
@pytest.mark.parametrize("patching", [WHOLE, Patching(patch_size=32, overlap=8)])
def test_a_network_that_cannot_tell_views_apart_gives_the_same_with_each_tta(tile, tta, patching):
    tile["aspect"].values[:] = np.random.default_rng(3).uniform(1, 359, tile["aspect"].shape)
    tile["slope"].values[:] = 20
    member = Member(name="m", model=Directional(), bands=("red", "aspect"))
    plain = predict(tile, [member], patching, CPU)
    assert np.nanstd(plain.mean) > 0.1
    got = predict(tile, [member], patching, CPU, tta=tta, uncertainty=True)
    np.testing.assert_allclose(got.mean, plain.mean, atol=2e-6)
    assert np.nanmax(got.uncertainty) < 1e-5


def test_uncertainty_of_two_constant_networks_is_half_their_difference(tile):
    class Constant(nn.Module):
        def __init__(self, logit):
            super().__init__()
            self.logit = logit

        def forward(self, x):
            return torch.full_like(x[:, :1], self.logit)

    members = [Member(name=str(p), model=Constant(math.log(p / (1 - p))), bands=("red",)) for p in (0.2, 0.9)]
    got = predict(tile, members, Patching(patch_size=32, overlap=8), CPU, tta="full", uncertainty=True)
    seen = ~np.isnan(got.mean)
    assert seen.any()
    np.testing.assert_allclose(got.uncertainty[seen], 0.35, atol=1e-6)
    np.testing.assert_array_equal(np.isnan(got.uncertainty), ~seen)


def test_variance_is_that_of_numpy_and_0_where_nothing_varies():
    values = torch.rand(9, 4, 5)
    variance = Variance()
    for one in values:
        variance.add(one)
    np.testing.assert_allclose(variance.value.numpy(), values.numpy().var(axis=0), atol=1e-7)
    same = Variance()
    for _ in range(8):
        same.add(values[0])
    assert not same.value.any()


def test_the_sun_is_where_the_tile_says_and_unknown_otherwise(tile):
    assert sun_of(tile) == SUN
    unknown = [None, math.nan, "25", 91]
    for value in unknown:
        assert math.isnan(sun_of(tile.assign_attrs(elevation=value))[1])
    assert math.isnan(sun_of(tile.drop_attrs())[0])


def test_numbers_that_are_too_large_in_a_turned_view_alone_are_refused(tile):
    class Overflowing(nn.Module):
        def forward(self, x):
            return torch.where(x[:, :1, :, :1] > x[:, :1, :, -1:], torch.inf, 0.0).expand_as(x[:, :1])

    tile["red"].values[:, 0], tile["red"].values[:, -1] = 0.1, 0.3
    member = Member(name="bad", model=Overflowing(), bands=("red",))
    narrow = tile.isel(y=slice(4, 36), x=slice(None))
    assert np.isfinite(predict(narrow, [member], WHOLE, CPU).mean).all()
    with pytest.raises(DataError, match=r"^the model bad gives no finite probability for \d+ valid pixels: "):
        predict(narrow, [member], WHOLE, CPU, tta="minimal")


def test_both_classes_take_it_by_name_only_and_say_what_uncertainty_is(checkpoint, tile_of):
    tile = tile_of(40, 50)
    one = SMPSegmenter(checkpoint, device="cpu").segment_tile(tile, tta="standard", uncertainty=True)
    other = EnsembleV1({"small": checkpoint}, device="cpu").segment_tile(tile, tta="standard", uncertainty=True)
    np.testing.assert_array_equal(one["uncertainty"], other["uncertainty"])
    np.testing.assert_array_equal(one["probabilities"], other["probabilities"])
    assert one["uncertainty"].max() <= 0.5
    assert one["uncertainty"].attrs["units"] == "1"
    assert one["uncertainty"].dtype == np.float32
    plain = SMPSegmenter(checkpoint, device="cpu").segment_tile(tile)
    assert "uncertainty" not in plain
    assert not np.array_equal(plain["probabilities"], one["probabilities"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"tta": "twice"},
            "tta is 'twice' but must be none, minimal, standard, full: 1, 2, 4 or 8 views of each patch.",
        ),
        (
            {"uncertainty": True},
            "uncertainty is the spread of models and of views, but there is one model, and tta none shows it one view. "
            "Add a model, or --tta minimal, standard or full, or leave uncertainty out.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(checkpoint, tile_of, given, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        SMPSegmenter(checkpoint, device="cpu").segment_tile(tile_of(9, 9), **given)
