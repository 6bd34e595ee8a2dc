import copy
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_segmentation import inference, patch_loader
from darts_segmentation.inference import predict
from darts_segmentation.model_input import BandStack
from darts_segmentation.network import Member
from darts_segmentation.patches import Patching, blending_window, patch_grid, patch_starts
from darts_utils.bands import manager
from darts_utils.errors import ConfigError, DataError

CPU = torch.device("cpu")
BANDS = ("nir", "slope", "red", "tc_wetness")


@pytest.fixture(scope="session")
def member(net_of):
    return Member(name="small", model=net_of(len(BANDS)), bands=BANDS)


def slow_reference(tile, member, patch, overlap, reflection=0, multiple=1):
    """The obvious way: pad the whole tile, hold all patches, keep a full map of weights."""
    optical = [band for band in member.bands if band in {"red", "green", "blue", "nir"}]
    valid = tile["quality_data_mask"].values != 0
    for band in optical:
        valid = valid & ~np.isnan(tile[band].values)
    stack = np.stack([manager[band].normalize(tile[band].values) * valid for band in member.bands])
    stack = np.pad(stack, [(0, 0)] + [(reflection, reflection)] * 2, mode="reflect")
    stack = np.pad(stack, [(0, 0)] + [(0, -n % multiple) for n in stack.shape[1:]], mode="reflect")
    size = [min(-(-patch // multiple) * multiple, n) for n in stack.shape[1:]]
    rows, columns = (patch_starts(n, p, overlap, multiple) for n, p in zip(stack.shape[1:], size, strict=True))
    places = [(row, column) for row in rows for column in columns]
    patches = np.stack([stack[:, r : r + size[0], c : c + size[1]] for r, c in places])
    with torch.inference_mode():
        results = torch.sigmoid(member.model(torch.from_numpy(patches)))[:, 0].numpy().astype(np.float64)
    window = np.outer(blending_window(size[0]), blending_window(size[1]))
    total, weights = np.zeros(stack.shape[1:]), np.zeros(stack.shape[1:])
    for (r, c), result in zip(places, results, strict=True):
        total[r : r + size[0], c : c + size[1]] += result * window
        weights[r : r + size[0], c : c + size[1]] += window
    height, width = valid.shape
    mean = (total / weights)[reflection : reflection + height, reflection : reflection + width]
    return np.where(valid, mean, np.nan)


def with_holes(tile, seed=1):
    """The tile with bad quality, optical and terrain holes."""
    rng = np.random.default_rng(seed)
    tile = tile.copy(deep=True)
    shape = tile["red"].shape
    tile["quality_data_mask"].values[rng.random(shape) < 0.1] = 0
    tile["nir"].values[rng.random(shape) < 0.05] = np.nan
    tile["slope"].values[rng.random(shape) < 0.1] = np.nan
    return tile


@pytest.mark.parametrize(("patch", "overlap"), [(40, 12), (64, 0), (33, 20), (300, 16)])
def test_equals_the_plain_slow_way(tile_of, member, patch, overlap):
    tile = with_holes(tile_of(90, 131))
    fast = predict(tile, [member], Patching(patch_size=patch, overlap=overlap, batch_size=3), CPU).mean
    np.testing.assert_allclose(fast, slow_reference(tile, member, patch, overlap), atol=2e-6)


def test_blocks_of_rows_read_side_by_side_make_whole_patches(tile_of, member, monkeypatch):
    monkeypatch.setattr(patch_loader, "_BLOCK_ROWS", 7)
    tile = with_holes(tile_of(90, 131))
    tile["quality_data_mask"].values[:40, :70] = 0  # patches to leave out, before and between others
    fast = predict(tile, [member], Patching(patch_size=32, overlap=4, batch_size=3, reflection=5), CPU).mean
    np.testing.assert_allclose(fast, slow_reference(tile, member, 32, 4, reflection=5), atol=2e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_columns_that_are_copied_from_the_patch_before_are_what_reading_gives(tile_of, member, monkeypatch, batch_size):
    monkeypatch.setattr(patch_loader, "_BLOCK_ROWS", 7)
    tile = with_holes(tile_of(150, 181))
    tile["quality_data_mask"].values[:40, 50:120] = 0  # patches to leave out between others
    tile["nir"].values[60:, :30] = np.nan
    reads, read = [], BandStack.read
    other = Member(name="other", model=member.model, bands=("red", "slope", "nir", "ndvi"))

    def counted(stack, patch, rows, inputs, *given):
        reads.append(inputs.shape[0] * inputs.shape[1])
        return read(stack, patch, rows, inputs, *given)

    monkeypatch.setattr(BandStack, "read", counted)
    tile["ndvi"] = tile["slope"] / 90
    for patching in (Patching(patch_size=32, overlap=12, batch_size=batch_size, reflection=5),
                     Patching(patch_size=48, overlap=30, batch_size=batch_size)):  # fmt: skip
        found, n_read = [], []
        for cores in (1, 64):
            monkeypatch.setattr(patch_loader, "usable_cores", lambda cores=cores: cores)
            reads.clear()
            found.append(predict(tile, [member, other], patching, CPU, keep_members=True))
            n_read.append(sum(reads))
        np.testing.assert_array_equal(found[0].mean, found[1].mean)
        np.testing.assert_array_equal(found[0].members["other"], found[1].members["other"])
        assert n_read[0] < 0.85 * n_read[1], "something was copied"


def test_on_the_cpu_large_patches_go_one_by_one(tile_of, net_of, monkeypatch):
    monkeypatch.setattr(inference, "_HOST_BATCH_PX", 2 * 32 * 32)
    sizes, net = [], net_of(1)
    net.register_forward_hook(lambda module, inputs, output: sizes.append(len(inputs[0])))
    member = Member(name="counting", model=net, bands=("red",))
    for patch_size, largest in ((32, 2), (64, 1)):
        sizes.clear()
        predict(tile_of(128, 128), [member], Patching(patch_size=patch_size, overlap=0, batch_size=8), CPU)
        assert max(sizes) == largest


def test_equals_the_plain_slow_way_with_mirrored_edges(tile_of, member):
    tile = with_holes(tile_of(90, 131))
    fast = predict(tile, [member], Patching(patch_size=50, overlap=10, reflection=9), CPU).mean
    np.testing.assert_allclose(fast, slow_reference(tile, member, 50, 10, reflection=9), atol=2e-6)


def test_a_network_with_a_stride_gets_patches_of_its_multiple(tile_of, small_unet):
    member = Member(name="unet", model=small_unet, bands=("red", "ndvi", "slope"))
    tile = with_holes(tile_of(70, 45))
    fast = predict(tile, [member], Patching(patch_size=30, overlap=10), CPU).mean
    np.testing.assert_allclose(fast, slow_reference(tile, member, 30, 10, multiple=8), atol=2e-5)


@settings(deadline=None, max_examples=60)
@given(height=st.integers(1, 72), width=st.integers(1, 72), reflection=st.sampled_from([0, 3]), data=st.data())
def test_any_tile_size_up_to_three_patches_is_covered(tile_of, member, height, width, reflection, data):
    overlap = data.draw(st.integers(0, 23))
    tile = tile_of(height, width)
    patching = Patching(patch_size=24, overlap=overlap, reflection=reflection)
    result = predict(tile, [member], patching, CPU).mean
    assert result.shape == (height, width)
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1


@pytest.mark.parametrize("batch_size", [2, 5, 100])
def test_the_batch_size_does_not_matter(tile_of, small_unet, batch_size):
    member = Member(name="unet", model=small_unet, bands=("red", "ndvi", "slope"))
    tile = with_holes(tile_of(100, 150))
    one, many = (
        predict(tile, [member], Patching(patch_size=48, overlap=16, batch_size=size), CPU).mean
        for size in (1, batch_size)
    )
    np.testing.assert_allclose(one, many, atol=1e-4)


def test_a_shifted_patch_grid_gives_the_same_probabilities(tile_of, member):
    tile = tile_of(200, 230)
    patching = Patching(patch_size=96, overlap=64)
    whole = predict(tile, [member], patching, CPU).mean[13:, 22:]
    shifted = predict(tile.isel(y=slice(13, None), x=slice(22, None)), [member], patching, CPU).mean
    reach = member.model.reach  # at the tile's own edges the networks see different surroundings
    difference = np.abs(whole - shifted)[reach:, reach:]
    assert np.percentile(difference, 99.9) <= 0.02


def seam_ratios(tile, member):
    """Return how much rougher the difference from a one-patch result is on the borders of patches than inside."""
    patching = Patching(patch_size=64, overlap=24)
    whole = predict(tile, [member], Patching(patch_size=320, overlap=0), CPU).mean
    difference = predict(tile, [member], patching, CPU).mean - whole
    grid = patch_grid(whole.shape, patching, member.multiple, BandStack(tile, list(BANDS)).origin)
    for axis, spans in enumerate((grid.rows, grid.columns)):
        gradient = np.nanmean(np.abs(np.diff(difference, axis=axis)), axis=1 - axis)
        ends = {end for span in spans for end in (span.target.start, span.target.stop)}
        borders = np.array(sorted(ends - {0, whole.shape[axis]})) - 1
        yield np.nanmean(gradient[borders]) / np.nanmean(np.delete(gradient, borders))


def test_there_are_no_seams_where_patches_begin_and_end(tile_of, member, monkeypatch):
    tile = tile_of(160, 260)
    assert max(seam_ratios(tile, member)) <= 1.2
    monkeypatch.setattr("darts_segmentation.patches.blending_window", np.ones)
    assert min(seam_ratios(tile, member)) > 1.2


def test_one_missing_pixel_changes_nothing_out_of_the_networks_reach(tile_of, member):
    tile = tile_of(120, 120)
    holed = tile.copy(deep=True)
    holed["nir"].values[60, 70] = np.nan
    patching = Patching(patch_size=48, overlap=16)
    before, after = (predict(t, [member], patching, CPU).mean for t in (tile, holed))
    assert np.isnan(after[60, 70])
    assert np.isnan(after).sum() == 1
    changed = np.argwhere(np.abs(before - np.nan_to_num(after, nan=-1)) > 1e-6)
    assert np.abs(changed - (60, 70)).max() <= member.model.reach


def test_a_hole_in_the_terrain_alone_leaves_the_pixel_valid(tile_of, member):
    tile = tile_of(40, 40)
    tile["slope"].values[10:20] = np.nan
    assert not np.isnan(predict(tile, [member], Patching(), CPU).mean).any()


def test_what_lies_under_invalid_pixels_does_not_matter(tile_of, member):
    tile = tile_of(60, 60)
    tile["quality_data_mask"].values[20:40, 10:50] = 0
    other = tile.copy(deep=True)
    for band in BANDS:
        other[band].values[20:40, 10:50] = 77
    results = [predict(t, [member], Patching(patch_size=32), CPU).mean for t in (tile, other)]
    np.testing.assert_array_equal(*results)
    assert np.isnan(results[0][20:40, 10:50]).all()


def test_only_patches_without_any_valid_pixel_are_skipped(tile_of, net_of):
    seen = []
    net = net_of(1)
    net.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    member = Member(name="counting", model=net, bands=("red",))
    tile = tile_of(64, 96)
    tile["quality_data_mask"].values[:, :] = 0
    tile["quality_data_mask"].values[40, 40] = 1
    result = predict(tile, [member], Patching(patch_size=32, overlap=0, batch_size=4), CPU).mean
    assert sum(seen) == 1
    assert np.isfinite(result).sum() == 1


def test_a_tile_without_any_valid_pixel_is_all_nan(tile_of, member):
    tile = tile_of(64, 96)
    tile["quality_data_mask"].values[:, :] = 0
    assert np.isnan(predict(tile, [member], Patching(patch_size=32), CPU).mean).all()


def test_a_tile_without_quality_mask_is_valid_where_its_optical_bands_are(tile_of, member):
    tile = tile_of(30, 30).drop_vars("quality_data_mask")
    tile["red"].values[3, 4] = np.nan
    assert np.argwhere(np.isnan(predict(tile, [member], Patching(), CPU).mean)).tolist() == [[3, 4]]


def test_members_differ_in_bands_and_validity_and_the_mean_needs_all(tile_of, net_of):
    tile = tile_of(70, 50)
    tile["nir"].values[5:9, 5:9] = np.nan
    members = [
        Member(name="a", model=net_of(3, 1), bands=("slope", "nir", "red")),
        Member(name="b", model=net_of(2, 2), bands=("tc_wetness", "slope")),  # neither in order nor side by side
        Member(name="c", model=net_of(1, 3), bands=("slope",)),
    ]
    patching = Patching(patch_size=32, overlap=8)
    together = predict(tile, members, patching, CPU, keep_members=True)
    alone = {m.name: predict(tile, [m], patching, CPU).mean for m in members}
    for name, values in alone.items():
        np.testing.assert_allclose(together.members[name], values, atol=1e-6)
    np.testing.assert_allclose(together.mean, sum(alone.values()) / 3, atol=1e-6)
    assert np.isnan(together.mean).sum() == 16
    assert not np.isnan(together.members["b"]).any()
    np.testing.assert_array_equal(together.mean, predict(tile, members, patching, CPU).mean)


def test_members_see_their_own_pixels_beside_patches_that_are_left_out(tile_of, net_of):
    tile = tile_of(32, 128)
    tile["quality_data_mask"].values[:, :32] = 0  # the first patch
    tile["nir"].values[4:30, 70:90] = np.nan  # in the third one
    members = [
        Member(name="a", model=net_of(2, 1), bands=("nir", "red")),
        Member(name="b", model=net_of(2, 2), bands=("red", "tc_wetness")),
    ]
    patching = Patching(patch_size=32, overlap=0, batch_size=2)
    together = predict(tile, members, patching, CPU, keep_members=True)
    for member in members:
        np.testing.assert_allclose(
            together.members[member.name], predict(tile, [member], patching, CPU).mean, atol=1e-6
        )


def test_the_tile_stays_as_it_was(tile_of, member):
    tile = with_holes(tile_of(40, 40))
    before = tile.copy(deep=True)
    predict(tile, [member], Patching(patch_size=32), CPU)
    assert tile.identical(before)


def test_missing_bands_are_named_for_each_model(tile_of, net_of):
    members = [
        Member(name="with_dem", model=net_of(2), bands=("red", "dem")),
        Member(name="tc", model=net_of(3), bands=("tc_brightness", "red", "tc_greenness")),
        Member(name="fine", model=net_of(1), bands=("red",)),
    ]
    message = (
        "the tile lacks dem for the model with_dem and tc_brightness, tc_greenness for the model tc."
        " Add the bands, or leave out the model."
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        predict(tile_of(9, 9), members, Patching(), CPU)


class Cramped(torch.nn.Module):
    """Runs out of memory above a batch size."""

    def __init__(self, net, fits):
        super().__init__()
        self.net, self.fits, self.seen = net, fits, []

    def forward(self, x):
        if len(x) > self.fits:
            raise torch.cuda.OutOfMemoryError
        self.seen.append(len(x))
        return self.net(x)


def test_a_full_device_gets_smaller_batches_with_one_warning(tile_of, net_of, caplog):
    tile = tile_of(96, 96)
    net = net_of(1)
    cramped = Cramped(net, fits=2)
    patching = Patching(patch_size=32, overlap=0, batch_size=9)
    result = predict(tile, [Member(name="m", model=cramped, bands=("red",))], patching, CPU).mean
    expected = predict(tile, [Member(name="m", model=net, bands=("red",))], patching, CPU).mean
    np.testing.assert_allclose(result, expected, atol=1e-6)
    assert cramped.seen == [2, 2, 2, 2, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "cpu has too little memory for 9 patches at once; fewer are used"
    ]


def test_a_device_that_cannot_hold_one_patch_is_an_error(tile_of, net_of):
    member = Member(name="m", model=Cramped(net_of(1), fits=0), bands=("red",))
    message = "one patch does not fit into the memory of cpu. Lower patch_size or use device cpu."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        predict(tile_of(32, 32), [member], Patching(), CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_agrees_with_the_cpu(tile_of, net_of):
    tile = with_holes(tile_of(200, 150))
    patching = Patching(patch_size=64, overlap=16, batch_size=2)
    on_cpu = predict(tile, [Member(name="m", model=net_of(4), bands=BANDS)], patching, CPU).mean
    gpu = torch.device("cuda", 0)
    on_gpu = predict(tile, [Member(name="m", model=net_of(4).to(gpu), bands=BANDS)], patching, gpu).mean
    np.testing.assert_allclose(on_cpu, on_gpu, atol=0.05)


def test_a_strided_network_gives_the_same_probabilities_on_another_patch_grid(tile_of, small_unet):
    """Patches begin at multiples of the network's stride, also when the tile is mirrored at its edges first."""
    member = Member(name="unet", model=small_unet, bands=("red", "ndvi", "slope"))
    tile = tile_of(250, 270)
    one, other, mirrored = (
        predict(tile, [member], patching, CPU).mean[64:-64, 64:-64]
        for patching in (
            Patching(patch_size=160, overlap=120),
            Patching(patch_size=184, overlap=128),
            Patching(patch_size=160, overlap=120, reflection=3),
        )
    )
    assert one.max() - one.min() > 0.2
    assert np.percentile(np.abs(one - other), 99.9) <= 0.02
    assert np.percentile(np.abs(one - mirrored), 99.9) <= 0.02


@pytest.mark.parametrize("cut", [(13, 22), (8, 1)])
def test_the_same_ground_cut_differently_gives_the_same_probabilities(tile_of, small_unet, cut):
    """Patches lie where the map says, so a strided network sees each place in the same phase in every cut."""
    member = Member(name="unet", model=small_unet, bands=("red", "ndvi", "slope"))
    tile = tile_of(330, 340)
    rows, columns = cut
    patching = Patching(patch_size=160, overlap=120)
    whole = predict(tile, [member], patching, CPU).mean[rows:, columns:]
    part = predict(tile.isel(y=slice(rows, None), x=slice(columns, None)), [member], patching, CPU).mean
    assert np.percentile(np.abs(whole - part)[90:, 90:], 99.9) <= 0.02


class Overflowing(torch.nn.Module):
    """Numbers that grow out of float32 wherever the ground is bright."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return torch.where(x[:, :1] > 0.9, self.value, x[:, :1])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("keep", [False, True])
def test_a_probability_that_is_not_finite_on_valid_ground_names_the_model(tile_of, net_of, value, keep):
    members = [
        Member(name="fine", model=net_of(1), bands=("red",)),
        Member(name="broken", model=Overflowing(value), bands=("red",)),
    ]
    tile = tile_of(64, 64)
    tile["red"].values[:] = 0.1
    tile["red"].values[20:30, 40:44] = 0.49
    message = (
        "the model broken gives no finite probability for 40 valid pixels: its numbers are too large to compute with."
        " Leave it out, or use another epoch of its training."
    )
    for chosen in (members, members[1:]):
        with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
            predict(tile, chosen, Patching(patch_size=32), CPU, keep_members=keep)
    tile["quality_data_mask"].values[20:30, 40:44] = 0
    assert np.isnan(predict(tile, members, Patching(patch_size=32), CPU).mean).sum() == 40


def test_weights_that_overflow_inside_of_a_network_fail_the_tile(tile_of, small_unet):
    network = copy.deepcopy(small_unet)
    with torch.no_grad():
        network.encoder.conv1.weight.fill_(1e30)
        network.decoder.blocks[0].conv1[0].weight.fill_(1e30)
    with pytest.raises(DataError, match=r"^the model huge gives no finite probability for \d+ valid pixels: its "):
        predict(tile_of(64, 64), [Member(name="huge", model=network, bands=("red", "ndvi", "slope"))], Patching(), CPU)


def test_a_network_that_does_not_take_the_patches_is_named(tile_of):
    class Picky(torch.nn.Module):
        def forward(self, x):
            raise AssertionError(f"Input height ({x.shape[-2]}) doesn't match model (224).")

    message = (
        "the model picky cannot work on patches of 32 x 32 pixels (AssertionError: Input height (32) doesn't match"
        " model (224).). Change patch_size, or leave it out."
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        predict(tile_of(32, 32), [Member(name="picky", model=Picky(), bands=("red",))], Patching(), CPU)


def test_patches_that_nobody_asks_for_are_not_computed_and_change_nothing_elsewhere(tile_of, net_of):
    sizes, net = [], net_of(len(BANDS))
    net.register_forward_hook(lambda module, inputs, output: sizes.append(len(inputs[0])))
    member, tile = Member(name="counting", model=net, bands=BANDS), with_holes(tile_of(150, 131))
    patching = Patching(patch_size=48, overlap=16, batch_size=1)
    whole = predict(tile, [member], patching, CPU).mean
    n_patches, asked = len(sizes), np.zeros((150, 131), bool)
    asked[100:, 60:] = True
    sizes.clear()
    part = predict(tile, [member], patching, CPU, nobody_asks=lambda rows, columns: not asked[rows, columns].any()).mean
    np.testing.assert_array_equal(part[asked], whole[asked])
    assert 0 < len(sizes) < n_patches / 2
    assert np.isnan(part[:40, :20]).all()
    same = (part == whole) | np.isnan(part)
    assert same.all(), "what is there is whole: no pixel has only a share of what it needs"
    assert np.isnan(predict(tile, [member], patching, CPU, nobody_asks=lambda *_: True).mean).all()


def test_patches_wholly_of_water_get_0_if_they_are_not_to_be_seen(tile_of, net_of):
    sizes, net = [], net_of(len(BANDS))
    net.register_forward_hook(lambda module, inputs, output: sizes.append(len(inputs[0])))
    member, tile = Member(name="counting", model=net, bands=BANDS), with_holes(tile_of(150, 131))
    patching = Patching(patch_size=48, overlap=0, batch_size=1)
    whole = predict(tile, [member], patching, CPU, skip_water=True).mean
    n_patches = len(sizes)
    classes = np.full((150, 131), 4, np.uint8)
    classes[:60, :60] = 6
    classes[tile["quality_data_mask"].values == 0] = 0
    tile["s2_scl"] = (("y", "x"), classes)
    sizes.clear()
    found = predict(tile, [member], patching, CPU, skip_water=True).mean
    is_zero = found == 0
    assert len(sizes) < n_patches
    assert is_zero.any()
    assert (classes[is_zero] == 6).all()
    np.testing.assert_array_equal(found[classes == 4], whole[classes == 4])
    np.testing.assert_array_equal(np.isnan(found), np.isnan(whole))
    np.testing.assert_array_equal(predict(tile, [member], patching, CPU).mean, whole)
