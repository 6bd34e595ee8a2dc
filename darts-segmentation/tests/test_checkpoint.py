import pickle
import re
from pathlib import Path

import pytest
import torch

from darts_segmentation.models import checkpoint as module
from darts_segmentation.models.checkpoint import load_model, read_bands, read_checkpoint, read_input, save_checkpoint
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
CONVERT = (
    "Only tensors and plain containers are read: if you trust who wrote it, `darts models convert FILE --trust` runs"
    " the code in it and writes it anew."
)


@pytest.fixture
def weights(small_unet):
    return small_unet.state_dict()


def written(path, content, **options):
    torch.save(content, path, **options)
    return path


def refused(path, message, read=read_checkpoint):
    with pytest.raises(CheckpointError) as caught:
        read(path)
    assert str(caught.value) == message.format(path=path)
    assert "\n" not in str(caught.value)


def same_weights(model, weights):
    loaded = model.state_dict()
    return loaded.keys() == weights.keys() and all(torch.equal(loaded[k], weights[k]) for k in weights)


def test_a_checkpoint_of_our_own_comes_back_as_it_was(checkpoint, weights):
    model, bands = load_model(checkpoint)
    assert bands == ("red", "ndvi", "slope")
    assert same_weights(model, weights)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_checkpoint_may_say_what_it_was_trained_on(tmp_path, checkpoint, weights):
    said = {"sensor": ["sentinel2"], "tcvis_year": 2019}
    save_checkpoint(tmp_path / "kept.pt", MODEL, BANDS, weights, metadata={"input": said})
    assert read_input(tmp_path / "kept.pt") == said
    content = torch.load(checkpoint, weights_only=True)
    assert read_input(written(tmp_path / "top.pt", {**content, "input": said})) == said
    assert read_input(checkpoint) == {}
    for nonsense in ({"input": [2019]}, {"metadata": "text"}, {"metadata": {"input": 7}}):
        assert read_input(written(tmp_path / "nonsense.pt", {**content, **nonsense})) == {}


def test_half_precision_weights_are_widened(tmp_path, weights):
    path = tmp_path / "half.pt"
    halves = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    save_checkpoint(path, MODEL, BANDS, halves)
    model, _ = load_model(path)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    torch.testing.assert_close(
        model.state_dict()["encoder.conv1.weight"], weights["encoder.conv1.weight"], atol=1e-3, rtol=0
    )


@pytest.mark.parametrize(
    "layout",
    ["lightning", "lightning with bands beside", "statedict", "bands dict", "old container", "compiled"],
)
def test_other_layouts_are_read(tmp_path, weights, layout):
    prefixed = {f"model.{k}": v for k, v in weights.items()}
    contents = {
        "lightning": {
            "pytorch-lightning_version": "2.5.0",
            "hyper_parameters": {"config": {"model": MODEL, "input_combination": BANDS}, "learning_rate": 1e-3},
            "state_dict": {**prefixed, "loss.weight": torch.ones(2)},
        },
        "lightning with bands beside": {
            "hyper_parameters": {"config": {"model": MODEL}, "bands": tuple(BANDS)},
            "state_dict": prefixed,
        },
        "statedict": {"config": {"model": MODEL, "input_combination": BANDS, "patch_size": 1024}, "statedict": weights},
        "bands dict": {"config": {"model": MODEL, "bands": {b: [1.0, 0.0] for b in BANDS}}, "statedict": weights},
        "old container": {"config": {"model": MODEL, "input_combination": BANDS}, "statedict": weights},
        "compiled": {
            "hyper_parameters": {"config": {"model": MODEL, "bands": BANDS}},
            "state_dict": {f"model._orig_mod.{k}": v for k, v in weights.items()},
        },
    }
    path = written(tmp_path / "model.ckpt", contents[layout], _use_new_zipfile_serialization=layout != "old container")
    assert read_bands(path) == tuple(BANDS)
    assert same_weights(load_model(path)[0], weights)


def test_pretrained_weights_are_never_fetched(tmp_path, weights, monkeypatch):
    content = {"config": {"model": {**MODEL, "encoder_weights": "imagenet"}, "bands": BANDS}, "statedict": weights}
    path = written(tmp_path / "model.pt", content)
    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", lambda *a, **k: pytest.fail("network"))
    assert read_checkpoint(path).model_config["encoder_weights"] is None
    load_model(path)


def test_arguments_from_before_smp_0_5_are_understood(tmp_path, weights):
    content = {
        "config": {"model": {**MODEL, "decoder_use_batchnorm": True, "activation": "sigmoid"}, "bands": BANDS},
        "statedict": weights,
    }
    model, _ = load_model(written(tmp_path / "model.pt", content))
    assert same_weights(model, weights)
    assert model(torch.rand(1, 3, 16, 16)).min() < 0  # the sigmoid is ours to apply, once


def test_reading_the_bands_builds_no_network(checkpoint, monkeypatch):
    monkeypatch.setattr(module, "outline", lambda *_: pytest.fail("a network was built"))
    assert read_bands(checkpoint) == ("red", "ndvi", "slope")


class TouchesAFile:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (Path(self.target),)


class RunsCode:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return eval, (f"open({str(self.target)!r}, 'w')",)


@pytest.mark.parametrize("trap", [TouchesAFile, RunsCode])
@pytest.mark.parametrize("kind", ["zip", "old container", "plain pickle"])
def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path, weights, trap, kind):
    target, path = tmp_path / "made by the trap", tmp_path / "trap.pt"
    content = {"config": {"model": MODEL, "bands": BANDS}, "statedict": weights, "extra": trap(target)}
    if kind == "plain pickle":
        path.write_bytes(pickle.dumps(content, protocol=4))
    else:
        written(path, content, _use_new_zipfile_serialization=kind == "zip")
    for read in (read_checkpoint, read_bands, load_model):
        with pytest.raises(
            CheckpointError, match=r"could run code on loading|a pickle that torch did not write"
        ) as caught:
            read(path)
        assert str(caught.value).endswith(CONVERT)
    assert not target.exists()


def test_the_refused_object_is_named(tmp_path, weights):
    content = {"config": {"model": MODEL, "loss": re.compile("dice"), "bands": BANDS}, "statedict": weights}
    path = written(tmp_path / "model.pt", content)
    refused(path, "{path} holds the object re._compile that could run code on loading and was refused. " + CONVERT)


def test_a_truncated_file_is_refused_at_any_length(checkpoint, tmp_path):
    whole = checkpoint.read_bytes()
    path = tmp_path / "cut.pt"
    for share in (0.01, 0.3, 0.7, 0.999):
        path.write_bytes(whole[: int(len(whole) * share)])
        refused(path, "{path} is damaged or cut short and cannot be read. Copy it again.")


@pytest.mark.parametrize("content", [b"", b"hello, I am a text file", b"\x89PNG"])
def test_any_other_file_is_no_checkpoint(tmp_path, content):
    path = tmp_path / "other.pt"
    path.write_bytes(content)
    refused(path, "{path} is not a model checkpoint. Give a .pt or .ckpt file written by torch.")


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    refused(tmp_path / "nothing.pt", "there is no model file {path}. Check the path.")
    refused(tmp_path, "cannot read the model file {path}: Is a directory. Check the path.")


GOOD = {"model": MODEL, "bands": BANDS}
LIST = "red, green, blue"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": None}, f"{{path}} is not a DARTS checkpoint: config must be a dict but is missing. {CONVERT}"),
        (
            {"config": {"bands": BANDS}},
            f"{{path}} is not a DARTS checkpoint: config.model must be a dict but is missing. {CONVERT}",
        ),
        (
            {"statedict": None},
            f"{{path}} is not a DARTS checkpoint: the state dict (state_dict or statedict) must be a dict"
            f" but is missing. {CONVERT}",
        ),
        ({"statedict": {"a": 1.0}}, f"{{path}} holds no weights, or some that are no plain tensors. {CONVERT}"),
        (
            {"config": {"model": MODEL}},
            f"{{path}} does not say which bands it needs (bands or input_combination). {CONVERT}",
        ),
        (
            {"config": {**GOOD, "bands": [1, 2]}},
            f"{{path}} has the band list [1, 2], but a list of band names is needed. {CONVERT}",
        ),
        (
            {"config": {**GOOD, "bands": ["red", "ndvi"]}},
            "{path} lists 2 bands (red, ndvi) but its network has 3 input channels."
            " Write the checkpoint anew with the right list.",
        ),
        (
            {"config": {**GOOD, "bands": ["red", "red", "ndvi"]}},
            "{path} lists the bands red more than once. Write the checkpoint anew.",
        ),
        (
            {"config": {**GOOD, "model": {**MODEL, "arch": "unot"}}},
            "{path} has the unknown architecture 'unot'; known: unet, unetplusplus, manet, linknet, fpn, pspnet,"
            " deeplabv3, deeplabv3plus, pan, upernet, segformer, dpt. Update segmentation-models-pytorch if it is a"
            " newer one.",
        ),
        (
            {"config": {**GOOD, "model": {**MODEL, "checkpoint_path": "/etc/passwd"}}},
            "{path} has unknown arguments for unet: checkpoint_path. Write it anew without.",
        ),
        (
            {"config": {**GOOD, "model": {**MODEL, "encoder_name": "tu-hf-hub:stranger/net"}}},
            "{path} has the encoder 'tu-hf-hub:stranger/net', but only the name of a known encoder is accepted.",
        ),
        (
            {"config": {**GOOD, "model": {**MODEL, "classes": 4}}},
            "{path} predicts 4 classes, but 1 (slump or not) is needed.",
        ),
        (
            {"config": {**GOOD, "model": {**MODEL, "activation": "softmax2d"}}},
            "{path} has the activation 'softmax2d', but only sigmoid or none is known.",
        ),
        (
            {"format": "darts-segmentation", "version": 99},
            "{path} has the format version 99, but 1 is known. Update DARTS.",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_named(tmp_path, weights, change, message):
    path = written(tmp_path / "model.pt", {"config": GOOD, "statedict": weights, **change})
    refused(path, message)


def test_unknown_bands_are_named_with_the_known_ones(tmp_path, weights):
    content = {"config": {**GOOD, "bands": ["red", "b8a", "swir"]}, "statedict": weights}
    path = written(tmp_path / "model.pt", content)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path} needs the unknown bands b8a, swir; known bands: red, green, blue,")
    assert str(caught.value).endswith("Rename them in the checkpoint.")


def test_weights_that_do_not_fit_are_counted_and_named(tmp_path, weights):
    changed = {k: v for k, v in weights.items() if k != "encoder.conv1.weight"}
    changed["encoder.conv9.weight"] = torch.zeros(1)
    changed["segmentation_head.0.bias"] = torch.zeros(7)
    path = written(tmp_path / "model.pt", {"config": GOOD, "statedict": changed})
    refused(
        path,
        "the weights in {path} do not fit unet with resnet18: 1 missing (encoder.conv1.weight), 1 unexpected"
        " (encoder.conv9.weight), 1 of another shape (segmentation_head.0.bias). Write the checkpoint anew with the"
        " arguments it was trained with.",
        load_model,
    )


def test_a_network_that_cannot_be_built_is_an_error_of_one_line(tmp_path, weights):
    content = {"config": {**GOOD, "model": {**MODEL, "encoder_name": "resnet18000"}}, "statedict": weights}
    path = written(tmp_path / "model.pt", content)
    with pytest.raises(CheckpointError, match=r"cannot be built \(KeyError: .Wrong encoder name") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_could_not_be_read_back_is_not_written(tmp_path, weights):
    path = tmp_path / "model.pt"
    with pytest.raises(CheckpointError, match="lists 2 bands"):
        save_checkpoint(path, MODEL, BANDS[:2], weights)
    assert list(tmp_path.iterdir()) == []
