import re
import subprocess
import sys

import pytest
import torch

from darts_segmentation.models.checkpoint import load_model, model_id, save_checkpoint
from darts_utils.errors import CheckpointError

MODEL = {
    "arch": "unet",
    "encoder_name": "resnet18",
    "encoder_depth": 3,
    "decoder_channels": [16, 8, 8],
    "in_channels": 3,
    "classes": 1,
}
BANDS = ["red", "ndvi", "slope"]
BIAS = "segmentation_head.0.bias"
NOT_FINITE = (
    "{path} has a weight that is not a finite number: {name}. Its training failed, or the file was damaged: use another"
    " epoch of it."
)
NO_TYPE = (
    "{path} has the weight {name} as {kind}, but float16, bfloat16, float32 or float64 is needed."
    " Write the checkpoint anew."
)


@pytest.fixture
def with_weights(tmp_path, small_unet):
    def write(**changed):
        weights = {**small_unet.state_dict(), **{name.replace("__", "."): value for name, value in changed.items()}}
        save_checkpoint(tmp_path / "model.pt", MODEL, BANDS, weights)
        return tmp_path / "model.pt"

    return write


def refused(path, message, **values):
    for read in (load_model, model_id):
        with pytest.raises(CheckpointError, match=f"^{re.escape(message.format(path=path, **values))}$"):
            read(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_weight_that_is_no_finite_number_is_refused_by_name(with_weights, value, dtype):
    path = with_weights(segmentation_head__0__bias=torch.tensor([value], dtype=dtype))
    refused(path, NOT_FINITE, name=BIAS)


def test_the_first_of_many_is_named_buffers_too(with_weights, small_unet):
    nan = {name.replace(".", "__"): value * float("nan") for name, value in small_unet.state_dict().items()}
    refused(with_weights(**{k: v for k, v in nan.items() if "bn1__running_var" in k}), NOT_FINITE,
            name="encoder.bn1.running_var")  # fmt: skip


def test_a_number_that_is_finite_only_in_double_precision_is_refused(with_weights):
    path = with_weights(segmentation_head__0__bias=torch.tensor([1e300], dtype=torch.float64))
    refused(path, NOT_FINITE, name=BIAS)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [(torch.int64, "int64"), (torch.uint8, "uint8"), (torch.bool, "bool"), (torch.complex64, "complex64"),
     (torch.float8_e4m3fn, "float8_e4m3fn"), (torch.uint16, "uint16")],
)  # fmt: skip
def test_weights_of_other_numbers_are_refused(with_weights, dtype, kind):
    path = with_weights(segmentation_head__0__bias=torch.ones(1).to(dtype))
    refused(path, NO_TYPE, name=BIAS, kind=kind)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted(with_weights, small_unet, dtype):
    network, _ = load_model(with_weights(**{
        name.replace(".", "__"): value.to(dtype) if value.is_floating_point() else value
        for name, value in small_unet.state_dict().items()
    }))  # fmt: skip
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32, torch.int64}


def test_weights_that_share_memory_or_lie_across_come_back_as_they_were(with_weights, small_unet):
    weight = small_unet.state_dict()["segmentation_head.0.weight"]
    whole = torch.stack([weight, weight + 1]).permute(1, 2, 3, 4, 0)
    torch_save = whole[..., 1]  # a view with steps into a larger storage
    content = {"config": {"model": MODEL, "bands": BANDS},
               "statedict": {**small_unet.state_dict(), "segmentation_head.0.weight": torch_save}}  # fmt: skip
    path = with_weights().with_name("view.pt")
    torch.save(content, path)
    assert torch.equal(load_model(path)[0].state_dict()["segmentation_head.0.weight"], weight + 1)


HOSTILE = [
    ({"encoder_depth": 99}, r"describes a network that cannot be built \("),
    ({"encoder_depth": "three"}, r"describes a network that cannot be built \("),
    ({"decoder_channels": [16, 8]}, r"describes a network that cannot be built \("),
    ({"decoder_channels": [10**9, 10**9, 10**9]}, r"describes a network that cannot be built|do not fit unet"),
    ({"decoder_channels": [2**40, 8, 8]}, r"has the argument decoder_channels = .*, but only plain values"),
    ({"decoder_channels": [float("nan"), 8, 8]}, r"has the argument decoder_channels = .*, but only plain values"),
    ({"decoder_attention_type": "other"}, r"describes a network that cannot be built \("),
    ({"in_channels": 0}, r"has 0 input channels, but a whole number of bands is needed\."),
    ({"in_channels": 3.0}, r"has 3.0 input channels, but a whole number of bands is needed\."),
    ({"in_channels": True}, r"has True input channels, but a whole number of bands is needed\."),
    ({"in_channels": 2**30}, r"lists 3 bands \(red, ndvi, slope\) but its network has 1073741824 input channels\."),
    ({"classes": 1.0}, r"predicts 1.0 classes, but 1"),
    ({"classes": 0}, r"predicts 0 classes, but 1"),
    ({"encoder_name": "tu-no_such_thing"}, r"describes a network that cannot be built \("),
    ({"encoder_name": None}, r"has the encoder None, but only the name"),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE, ids=[str(change) for change, _ in HOSTILE])
def test_arguments_that_make_no_network_are_refused_in_a_line(tmp_path, small_unet, change, message):
    model = {**MODEL, **change}
    path = tmp_path / "model.pt"
    torch.save({"config": {"model": model, "bands": BANDS}, "statedict": small_unet.state_dict()}, path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"arch": "fpn", "upsampling": 2}, {"arch": "pspnet", "upsampling": 4}])
def test_a_network_whose_output_does_not_lie_on_its_input_is_refused(tmp_path, change):
    import segmentation_models_pytorch as smp

    model = {"encoder_name": "resnet18", "encoder_weights": None, **change}
    path = tmp_path / "model.pt"
    save_checkpoint(path, model, BANDS, smp.create_model(**model).state_dict())
    message = (
        f"{path} describes a network that cannot be built (it makes (1, 1, 32, 32) of (1, 3, 64, 64), but one value a"
        " pixel is needed). Check its arguments, or the version of segmentation-models-pytorch."
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        load_model(path)


def test_a_model_is_read_without_loading_the_compiler(tmp_path, small_unet):
    path = tmp_path / "model.pt"
    torch.save({"config": {"model": MODEL, "bands": BANDS}, "statedict": small_unet.state_dict()}, path)
    script = (
        "import sys; from pathlib import Path; from darts_segmentation.models.checkpoint import load\n"
        f"load(Path({str(path)!r})); print('torch._dynamo' in sys.modules, 'torch._dynamo.utils' in sys.modules)\n"
        "from torchvision.ops.roi_align import is_compile_supported\n"
        "import torch; print(is_compile_supported('cpu') in (True, False), torch.compiler.disable(len)([1]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True", "1"]
