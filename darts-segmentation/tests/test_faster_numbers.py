"""Faster numbers: what stays in float32, what happens beyond their range, and how they are told from float32."""

import threading
from contextlib import nullcontext

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from darts_segmentation import precision as of_networks
from darts_segmentation.ensemble import EnsembleV1
from darts_segmentation.inference import predict
from darts_segmentation.network import Member
from darts_segmentation.network_memory import bytes_per_px
from darts_segmentation.patches import Patching
from darts_segmentation.precision import computing_in, faster_precisions, prepare_exact_parts
from darts_segmentation.self_check import LIMIT, best_precision, check_precision, check_precisions, patches_to_try
from darts_utils.errors import ConfigError, DataError
from darts_utils.parameters import BFLOAT16, BFLOAT16_DECODER, FLOAT16, FLOAT32, PRECISIONS, Precision, precision_named

CPU = torch.device("cpu")
BANDS = ("nir", "slope", "red", "tc_wetness")
WHOLE = Patching(patch_size=64, overlap=16)


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return smp.Unet(
        "resnet18", encoder_weights=None, encoder_depth=3, decoder_channels=(32, 16, 8), in_channels=4
    ).eval()


@pytest.fixture
def member(net_of):
    return Member(name="small", model=net_of(len(BANDS)), bands=BANDS)


def dtypes_of(network, precision):
    """What each convolution gives, by its name."""
    found, hooks = {}, []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            keep = lambda _, __, output, name=name: found.update({name: output.dtype})  # noqa: E731
            hooks.append(module.register_forward_hook(keep))
    prepare_exact_parts(network, CPU)
    with torch.inference_mode(), computing_in(precision, CPU):
        network(torch.rand(1, 4, 32, 32))
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize(
    ("precision", "in_float32"),
    [
        (FLOAT32, ("",)),
        (BFLOAT16, ("encoder.conv1", "segmentation_head")),
        (BFLOAT16_DECODER, ("encoder", "segmentation_head")),
        (FLOAT16, ()),
    ],
)
def test_just_the_parts_that_are_to_stay_in_float32_do(unet, precision, in_float32):
    found = dtypes_of(unet, precision)
    assert len(found) > 15
    for name, dtype in found.items():
        wanted = torch.float32 if name.startswith(in_float32) else getattr(torch, precision.dtype)
        assert dtype == wanted, name


def test_threads_that_compute_in_other_numbers_do_not_meet(unet):
    prepare_exact_parts(unet, CPU)
    together, found = threading.Barrier(2), {}

    def compute(precision):
        with torch.inference_mode(), computing_in(precision, CPU):
            together.wait(10)
            found[precision] = unet(torch.ones(1, 4, 32, 32)).dtype, unet.encoder.conv1(torch.ones(1, 4, 8, 8)).dtype
            together.wait(10)

    threads = [threading.Thread(target=compute, args=(one,)) for one in (FLOAT16, BFLOAT16_DECODER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {
        FLOAT16: (torch.float16, torch.float16),
        BFLOAT16_DECODER: (torch.float32, torch.float32),
    }


class Large(nn.Module):
    """Numbers beyond the range of float16 on the way, in one patch of a tile."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Conv2d(4, 1, 1, bias=False), nn.Conv2d(1, 1, 1)
        nn.init.constant_(self.up.weight, 5e4)
        nn.init.constant_(self.down.weight, 1e-5)
        nn.init.constant_(self.down.bias, -0.5)

    def forward(self, x):
        return self.down(self.up(x))


def test_a_batch_beyond_the_range_of_float16_is_computed_in_float32(tile_of):
    tile, large = tile_of(80, 90, bands=BANDS), Member(name="large", model=Large().eval(), bands=BANDS)
    exact = predict(tile, [large], WHOLE, CPU, precision=FLOAT32).mean
    np.testing.assert_array_equal(predict(tile, [large], WHOLE, CPU, precision=FLOAT16).mean, exact)
    assert np.isfinite(exact).any()
    (batch, *_) = patches_to_try(tile, large)
    verdict = check_precision(large, [batch], FLOAT16, CPU)
    assert verdict.most == float("inf")
    assert not verdict.holds


def test_probabilities_of_faster_numbers_are_others_but_near(tile_of, member):
    tile = tile_of(80, 90, bands=BANDS)
    exact = predict(tile, [member], WHOLE, CPU, precision=FLOAT32).mean
    for precision in (BFLOAT16, BFLOAT16_DECODER):
        found = predict(tile, [member], WHOLE, CPU, precision=precision).mean
        assert 0 < np.nanmax(np.abs(found - exact)) < 0.05
    np.testing.assert_array_equal(predict(tile, [member], WHOLE, CPU).mean, exact)  # what is usual on the CPU


class Steep(nn.Module):
    """Decides by the ninth digit of a number that bfloat16 cuts after the third."""

    def __init__(self):
        super().__init__()
        self.first, self.middle, self.last = (nn.Conv2d(n, 1, 1) for n in (4, 1, 1))
        for layer in (self.first, self.middle, self.last):
            nn.init.constant_(layer.weight, 1.0)
            nn.init.constant_(layer.bias, 0.0)
        nn.init.constant_(self.last.weight, 1e3)
        nn.init.constant_(self.last.bias, -2e3)

    def forward(self, x):
        return self.last(self.middle(self.first(x)))


def test_a_self_check_tells_networks_that_need_their_digits_from_others(tile_of, member):
    tile, faster = tile_of(80, 90, bands=BANDS), (BFLOAT16, BFLOAT16_DECODER)
    steep = Member(name="steep", model=Steep().eval(), bands=BANDS)
    verdicts = check_precisions([member], tile, CPU, faster)
    assert list(verdicts) == [BFLOAT16], "the second is not tried where the first holds"
    assert 0 < verdicts[BFLOAT16]["small"].most <= LIMIT
    assert best_precision(verdicts, faster) == BFLOAT16
    verdicts = check_precisions([member, steep], tile, CPU, faster)
    assert list(verdicts) == [BFLOAT16, BFLOAT16_DECODER]
    assert verdicts[BFLOAT16]["steep"].most > LIMIT
    assert verdicts[BFLOAT16]["steep"].flips > 0
    assert best_precision(verdicts, faster) == FLOAT32, "one that does not hold is enough"
    assert best_precision({}, faster) == FLOAT32


def test_ground_without_data_is_not_what_precisions_are_compared_on(tile_of, member):
    tile = tile_of(1100, 600, bands=BANDS)
    tile["quality_data_mask"].values[:520] = 0
    (patch, *others) = patches_to_try(tile, member)
    assert len(others) < 4
    assert patch.valid[member.optical].float().mean() > 0.5
    tile["quality_data_mask"].values[:] = 0
    assert patches_to_try(tile, member) == []
    with pytest.raises(DataError, match="no valid pixel"):
        check_precisions([member], tile, CPU, [BFLOAT16])


def test_what_a_fingerprint_says_of_a_precision_is_read_back():
    for precision in PRECISIONS:
        assert Precision.of_document({"tta": "none", **precision.document}) == precision
    assert FLOAT32.document == {"precision": "float32"}
    assert Precision.of_document({"precision": None}) is None
    assert len({str(precision) for precision in PRECISIONS}) == len(PRECISIONS)


def test_the_memory_of_a_network_is_that_of_what_lives_at_once():
    class Known(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow = nn.Conv2d(4, 16, 1), nn.Conv2d(16, 1, 1)

        def forward(self, x):
            for _ in range(3):  # the first is freed when the second is there, and so on
                wide = self.wide(x)
            return self.narrow(torch.cat([wide[:, :8], wide[:, 8:].relu()], 1))

    weight = bytes_per_px([Member(name="known", model=Known().eval(), bands=BANDS)], CPU) / 1.3
    # inputs twice (as given, channels last), two wide ones, then one of them with its half and both put together
    assert weight == pytest.approx(4 * (4 + 4 + 16 + 8 + 16), rel=0.2)


def test_names_of_precisions(checkpoint):
    assert precision_named("bfloat16") == BFLOAT16
    assert EnsembleV1({"a": checkpoint}, "cpu").precision == FLOAT32
    assert EnsembleV1({"a": checkpoint}, "cpu", precision="bfloat16").precision == BFLOAT16
    with pytest.raises(ConfigError, match="precision is 'double' but must be float32, bfloat16, float16"):
        EnsembleV1({"a": checkpoint}, "cpu", precision="double")


@pytest.mark.parametrize(("limit", "able"), [("", True), ("AVX512_CORE_AMX", True), ("avx2", False)])
def test_a_processor_that_is_kept_from_bfloat16_does_not_try_it(monkeypatch, limit, able):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    monkeypatch.setattr(of_networks, "_abilities_of_cpu", lambda: {"avx512_bf16": True})
    assert faster_precisions(CPU) == ((BFLOAT16, BFLOAT16_DECODER) if able else ())


@pytest.mark.parametrize("precision", [FLOAT32, FLOAT16])
def test_a_gpu_does_not_round_inputs_of_float32_and_is_left_as_it_was(monkeypatch, precision):
    cudnn = torch.backends.cudnn
    where, name = (cudnn.conv, "fp32_precision") if hasattr(cudnn, "conv") else (cudnn, "allow_tf32")
    before = getattr(where, name)
    monkeypatch.setattr(of_networks.torch, "autocast", lambda *_, **__: nullcontext())
    with computing_in(precision, torch.device("cuda")):
        assert getattr(where, name) in ("ieee", False)
    assert getattr(where, name) == before
