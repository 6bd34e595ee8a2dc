import hashlib

import pytest
import torch

from darts_segmentation import EnsembleV1, SMPSegmenter
from darts_segmentation.models import checkpoint as module
from darts_segmentation.models.checkpoint import load, model_id, save_checkpoint
from darts_segmentation.models.identity import identity

MODEL = {
    "arch": "unet",
    "encoder_name": "resnet18",
    "encoder_depth": 3,
    "decoder_channels": [16, 8, 8],
    "in_channels": 3,
    "classes": 1,
}
BANDS = ["red", "ndvi", "slope"]


@pytest.fixture
def weights(small_unet):
    return dict(small_unet.state_dict())


def written(path, content, **options):
    torch.save(content, path, **options)
    return path


def test_the_id_is_the_hash_of_names_types_shapes_bytes_and_what_else_decides():
    weights = {"b": torch.tensor([[1, 2]], dtype=torch.int64), "a": torch.tensor(1.5, dtype=torch.bfloat16)}
    plain = hashlib.sha256(
        b'["a","bfloat16",[]]' + bytes([0xC0, 0x3F]) + b'["b","int64",[1,2]]' + bytes([1, *[0] * 7, 2, *[0] * 7])
        + b'{"architecture":{"arch":"unet"},"bands":[{"high":null,"low":null,"name":"red"}],'
        b'"calibration":null,"input":null}'
    )  # fmt: skip
    assert identity(weights, {"arch": "unet"}, [{"name": "red", "low": None, "high": None}]) == plain.hexdigest()


def test_the_id_does_not_depend_on_container_layout_names_order_or_memory(tmp_path, checkpoint, weights):
    upside_down = dict(reversed(weights.items()))
    columns = {k: v.to(memory_format=torch.channels_last) if v.ndim == 4 else v for k, v in weights.items()}
    config = {"config": {"model": {**MODEL, "arch": "Unet", "encoder_weights": "imagenet"}, "bands": BANDS}}
    files = [
        written(tmp_path / "old.pt", {**config, "statedict": upside_down}, _use_new_zipfile_serialization=False),
        written(tmp_path / "columns.pt", {**config, "statedict": columns}),
        written(
            tmp_path / "lightning.ckpt",
            {
                "hyper_parameters": {"config": {"model": MODEL, "input_combination": BANDS}},
                "state_dict": {f"_orig_mod.model.module.{k}": v for k, v in weights.items()}
                | {"loss.weight": torch.ones(2)},
            },
        ),
    ]
    assert {model_id(file) for file in files} == {model_id(checkpoint)}


def test_the_id_changes_with_weights_their_type_bands_and_architecture(tmp_path, checkpoint, weights):
    nudged = {**weights, "segmentation_head.0.bias": weights["segmentation_head.0.bias"] + 1e-6}
    half = {k: v.bfloat16() if v.is_floating_point() else v for k, v in weights.items()}
    variants = [
        (MODEL, BANDS, nudged),
        (MODEL, BANDS, half),
        (MODEL, ["ndvi", "red", "slope"], weights),
        ({**MODEL, "decoder_interpolation": "bilinear"}, BANDS, weights),
    ]
    ids = {model_id(checkpoint)}
    for number, (config, bands, state) in enumerate(variants):
        save_checkpoint(tmp_path / f"{number}.pt", config, bands, state)
        ids.add(model_id(tmp_path / f"{number}.pt"))
    assert len(ids) == 5


def test_what_is_only_said_about_a_model_is_not_in_its_id(tmp_path, checkpoint, weights):
    save_checkpoint(tmp_path / "other.pt", MODEL, BANDS, weights, metadata={"licence": "CC-BY-4.0"})
    assert model_id(tmp_path / "other.pt") == model_id(checkpoint)


def test_loaded_models_carry_their_id_from_one_reading_of_the_file(tmp_path, checkpoint, weights, monkeypatch):
    expected = model_id(checkpoint)
    save_checkpoint(tmp_path / "other.pt", MODEL, ["nir", "red", "slope"], weights)
    read, times = module.read_checkpoint, []
    monkeypatch.setattr(module, "read_checkpoint", lambda path: times.append(path) or read(path))
    assert load(checkpoint).model_id == expected
    assert SMPSegmenter(checkpoint, device="cpu").model_id == expected
    ensemble = EnsembleV1({"a": checkpoint, "b": tmp_path / "other.pt"}, device="cpu")
    assert times == [checkpoint, checkpoint, checkpoint, tmp_path / "other.pt"]
    assert ensemble.model_ids == {"a": expected, "b": model_id(tmp_path / "other.pt")}
    assert ensemble.model_bands == {"a": ("red", "ndvi", "slope"), "b": ("nir", "red", "slope")}
