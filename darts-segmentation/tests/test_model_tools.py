"""Model files packed, converted, checked and exported, with networks of a second's work."""

import json
import sys
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import darts_segmentation.models.tools.export as exporting
import darts_segmentation.models.tools.verify as verifying
from darts_segmentation.models.card import BandRange, ModelCard, read_card
from darts_segmentation.models.checkpoint import load, model_id
from darts_segmentation.models.safe_file import write_model
from darts_segmentation.models.tools.cards import card_of
from darts_segmentation.models.tools.convert import convert, plain_content
from darts_segmentation.models.tools.export import export
from darts_segmentation.models.tools.pack import pack
from darts_segmentation.models.tools.statement import Statement
from darts_segmentation.models.tools.verify import verify
from darts_segmentation.training import convert_lightning_checkpoint
from darts_utils.errors import CheckpointError, ConfigError, DataError, OutputError

MODEL = {
    "arch": "unet",
    "encoder_name": "resnet18",
    "encoder_depth": 3,
    "decoder_channels": [16, 8, 8],
    "in_channels": 3,
    "classes": 1,
}
BANDS = ("red", "ndvi", "slope")
RANGES = [(-0.1, 0.5), (-1, 1), (0, 90)]


@dataclass
class Settings:
    """Stands for the configuration class of somebody else's training code."""

    model: dict
    bands: list


@pytest.fixture
def safe(tmp_path, small_unet):
    file = tmp_path / "coast.safetensors"
    bands = tuple(BandRange.of(name) for name in BANDS)
    card = ModelCard(architecture=MODEL, bands=bands, calibration={"temperature": 2.0})
    write_model(file, card, small_unet.state_dict())
    return file


@pytest.fixture
def with_objects(tmp_path, small_unet):
    """A checkpoint whose configuration is an object of a class that only its writer has."""
    file = tmp_path / "objects.ckpt"
    state = {f"model.{name}": weight for name, weight in small_unet.state_dict().items()}
    torch.save({"hyper_parameters": {"config": Settings(MODEL, list(BANDS))}, "state_dict": state}, file)
    return file


def test_packing_states_what_the_older_file_does_not_say(tmp_path, checkpoint, small_unet):
    stated = Statement(
        licence="CC-BY-4.0", citation="doi:10.1/x", contact="a@b.c", sensor=["sentinel2"], pixel_size_m=10.0,
        trained_patch_size=256, tcvis_year=[2019],
    )  # fmt: skip
    written = pack(checkpoint, stated, tmp_path / "packed.safetensors")
    card = read_card(tmp_path / "packed.safetensors")
    assert card == written.card
    assert (card.name, card.licence, card.citation, card.contact) == ("small", "CC-BY-4.0", "doi:10.1/x", "a@b.c")
    assert card.input == {"sensor": ["sentinel2"], "pixel_size_m": 10.0, "patch_size": 256, "tcvis_year": [2019]}
    assert [(band.low, band.high) for band in card.bands] == RANGES
    assert [band.name for band in written.assumed] == list(BANDS)
    assert written.former_id == model_id(checkpoint) != card.model_id
    weights = load_file(tmp_path / "packed.safetensors")
    assert all(torch.equal(weight, weights[name]) for name, weight in small_unet.state_dict().items())


def test_packing_a_model_again_with_another_licence_keeps_its_id_and_all_else(safe, tmp_path):
    written = pack(safe, Statement(licence="MIT"), tmp_path / "again.safetensors")
    assert written.former_id == written.card.model_id == read_card(safe).model_id
    assert written.card == read_card(safe).with_(
        licence="MIT", name="coast", architecture=written.card.architecture, model_id=written.former_id
    )
    assert written.assumed == ()


def test_a_file_that_is_there_is_only_replaced_if_asked_for(safe, checkpoint):
    before = safe.read_bytes()
    with pytest.raises(OutputError) as caught:
        pack(checkpoint, Statement(), safe)
    assert str(caught.value) == f"{safe} is there already. Name another file with --out, or add --overwrite."
    assert safe.read_bytes() == before
    pack(checkpoint, Statement(), safe, overwrite=True)
    assert safe.read_bytes() != before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pixel_size_m": 0}, "pixel_size_m is 0 but must be positive. Correct it, or leave it out."),
        ({"pixel_size_m": float("nan")}, "pixel_size_m is nan but must be positive. Correct it, or leave it out."),
        ({"trained_patch_size": -1}, "trained_patch_size is -1 but must be positive. Correct it, or leave it out."),
        ({"tcvis_year": [1999]}, "tcvis_year is 1999 but must be 2019, 2020, 2022 or 2024: the last of the twenty years"
         " of trends. Correct it, or leave it out to read those that suit each image."),
    ],
)  # fmt: skip
def test_a_statement_that_cannot_be_is_refused(given, message):
    with pytest.raises(ConfigError) as caught:
        Statement(**given)
    assert str(caught.value) == message


def test_another_suffix_is_refused(tmp_path, checkpoint):
    with pytest.raises(ConfigError) as caught:
        pack(checkpoint, Statement(), tmp_path / "x.pt")
    assert str(caught.value) == f"out is {tmp_path / 'x.pt'} but must end in .safetensors. Correct it."


def test_converting_states_nothing_and_keeps_the_id(tmp_path, checkpoint):
    written = convert(checkpoint, tmp_path / "new.safetensors")
    assert written.former_id == written.card.model_id == model_id(checkpoint) == model_id(written.file)
    assert [band.to_json() for band in written.card.bands] == [{"name": b, "low": None, "high": None} for b in BANDS]
    assert (written.card.name, written.card.licence, written.card.input) == (None, None, None)


def test_a_checkpoint_with_objects_is_converted_only_where_it_is_trusted(with_objects, small_unet):
    with pytest.raises(CheckpointError, match=r"could run code on loading and was refused\. .*convert FILE --trust"):
        convert(with_objects)
    assert not with_objects.with_suffix(".safetensors").exists()
    made = convert_lightning_checkpoint(str(with_objects), trust=True)
    assert made == with_objects.with_suffix(".safetensors")
    model = load(made)
    assert model.bands == BANDS
    assert all(
        torch.equal(weight, model.network.state_dict()[name]) for name, weight in small_unet.state_dict().items()
    )


def test_objects_of_a_package_that_is_not_there_name_it(with_objects, with_pickle):
    name = __name__.encode()
    gone = with_pickle(with_objects, lambda raw: raw.replace(b"c" + name + b"\n", b"cnowhere\n"))
    with pytest.raises(CheckpointError) as caught:
        convert(gone, trust=True)
    assert str(caught.value) == (
        f"{gone} holds objects of the package nowhere, which is not installed. Install it, and try again."
    )


def test_a_damaged_file_is_one_line_even_where_it_is_trusted(tmp_path, checkpoint):
    file = tmp_path / "cut.pt"
    file.write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(CheckpointError, match=rf"^{file} cannot be unpickled \(.*\)\. Copy it again"):
        convert(file, trust=True)


def test_what_a_trusted_file_lacks_is_said_of_that_file(tmp_path):
    torch.save({"config": Namespace(model=MODEL)}, tmp_path / "none.pt")
    with pytest.raises(CheckpointError) as caught:
        convert(tmp_path / "none.pt", trust=True)
    assert str(caught.value).startswith(f"{tmp_path / 'none.pt'} does not say which bands it needs")


def test_objects_become_plain_values_and_what_is_none_vanishes():
    content = {
        "a": Namespace(b=np.int64(3)),
        Path("k"): {1, 2},
        "c": Settings({"d": (1,)}, []),
        "e": object(),
        "f": b"x",
    }
    plain = plain_content(content)
    assert plain == {"a": {"b": 3}, "k": [1, 2], "c": {"model": {"d": [1]}, "bands": []}, "e": None, "f": b"x"}
    assert type(plain["a"]["b"]) is int


def test_what_holds_itself_ends():
    endless = []
    endless.append(endless)
    with pytest.raises(CheckpointError, match="nested deeper than 50 levels"):
        plain_content(endless)


def test_a_sound_model_is_found_sound(safe, checkpoint):
    verdict = verify(safe)
    assert (verdict.fault, verdict.model_id, verdict.n_bands) == (None, read_card(safe).model_id, 3)
    assert (verdict.unstated, verdict.is_recorded) == ((), True)
    older = verify(checkpoint)
    assert (older.fault, older.unstated, older.is_recorded) == (None, BANDS, False)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda raw: raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:], "is not what was written"),
        (lambda raw: raw[:-1000], "is damaged or cut short"),
        (lambda raw: raw.replace(rb"\"high\":0.5", rb"\"high\":0.4"), "was trained with red from -0.1 to 0.4"),
        (lambda raw: raw.replace(rb"\"name\":\"red\"", rb"\"name\":\"rad\""), "needs the unknown bands rad"),
    ],
)
def test_a_damaged_model_is_found(safe, damage, fault):
    raw = damage(safe.read_bytes())
    assert raw != safe.read_bytes()
    safe.write_bytes(raw)
    assert verify(safe).fault.startswith(f"{safe} {fault}")


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"thresholds": {"low": 0.7, "medium": 0.4, "high": 0.8}}, "says thresholds [0.7, 0.4, 0.8], but numbers"),
        ({"thresholds": {"low": 3}}, "says thresholds [3, None, None], but numbers from 0 to 1"),
        ({"input": {"pixel_size_m": -10}}, "says pixel_size_m -10, but numbers above 0 are needed"),
        ({"input": {"patch_size": "256"}}, "says patch_size '256', but numbers above 0 are needed"),
        ({"input_statistics": {"red": {"mean": "x"}}}, "says input_statistics of red {'mean': 'x'}, but a mean and"),
    ],
)
def test_a_card_that_cannot_be_is_found(tmp_path, small_unet, said, fault):
    card = ModelCard(architecture=MODEL, bands=tuple(BandRange.of(name) for name in BANDS), **said)
    file = tmp_path / "said.safetensors"
    write_model(file, card, dict(small_unet.state_dict()))
    assert verify(file).fault.startswith(f"{file} {fault}")


def test_a_network_that_depends_on_its_batch_is_found(safe, monkeypatch):
    model = load(safe)
    model.network.train()  # batch statistics: what no network in use may have
    monkeypatch.setattr(verifying, "load", lambda _: model)
    assert verify(safe).fault.startswith(
        f"{safe} gives other logits for a patch in a batch than for the patch alone (by "
    )


def test_a_network_whose_numbers_overflow_is_found(tmp_path, small_unet):
    weights = dict(small_unet.state_dict())
    weights["segmentation_head.0.weight"] = torch.full_like(weights["segmentation_head.0.weight"], 3e38)
    card = ModelCard(architecture=MODEL, bands=tuple(BandRange.of(name) for name in BANDS))
    write_model(tmp_path / "over.safetensors", card, weights)
    fault = verify(tmp_path / "over.safetensors").fault
    assert fault == (
        f"{tmp_path / 'over.safetensors'} gives logits that are not finite for random patches. Use another epoch of it."
    )


def test_the_card_of_any_layout_is_read_and_unknown_bands_are_told(safe, checkpoint):
    assert card_of(safe) == read_card(safe)
    assert card_of(checkpoint).band_names == BANDS
    safe.write_bytes(safe.read_bytes().replace(rb"\"name\":\"red\"", rb"\"name\":\"rad\""))
    with pytest.raises(CheckpointError, match="needs the unknown bands rad; known bands: "):
        card_of(safe)


def test_a_pt2_graph_gives_the_logits_of_the_network_for_other_sizes_than_it_was_made_with(safe, small_unet):
    made = export(safe)
    assert made.file == safe.with_suffix(".pt2")
    assert (made.patch_size, made.stride) == (None, 8)
    assert made.difference < 1e-5
    graph = torch.export.load(made.file).module()
    for shape in ((1, 3, 40, 72), (5, 3, 16, 24)):
        patches = torch.rand(shape)
        with torch.inference_mode():
            torch.testing.assert_close(graph(patches), small_unet(patches), rtol=1e-4, atol=1e-4)


def test_an_onnx_graph_gives_the_logits_of_the_network_run_by_another_engine(safe, small_unet):
    runtime = pytest.importorskip("onnxruntime")
    made = export(safe, form="onnx", patch_size=32)
    assert (made.file, made.patch_size) == (safe.with_suffix(".onnx"), 32)
    session = runtime.InferenceSession(str(made.file), providers=["CPUExecutionProvider"])
    assert [entry.name for entry in (*session.get_inputs(), *session.get_outputs())] == ["patches", "logits"]
    patches = torch.rand(4, 3, 32, 32)
    (logits,) = session.run(None, {"patches": patches.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(logits, small_unet(patches).numpy(), rtol=1e-4, atol=1e-4)


def test_a_graph_that_gives_other_numbers_never_appears(safe, monkeypatch):
    monkeypatch.setattr(exporting, "_write_pt2", lambda *_: lambda patches: patches[:, :1])
    with pytest.raises(DataError, match=r"^the exported graph differs from the network of .* but 0\.0001 is allowed\."):
        export(safe, patch_size=16)
    assert not safe.with_suffix(".pt2").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"patch_size": 20}, "patch_size is 20 but must be a multiple of 8, the stride of the network."),
        ({"patch_size": 0}, "patch_size is 0 but must be a multiple of 8, the stride of the network."),
        ({"form": "jpg"}, "format is jpg but must be pt2 or onnx. Correct it."),
        ({"out": Path("x.onnx")}, "out is x.onnx but must end in .pt2. Correct it, or choose another --format."),
    ],
)
def test_an_export_that_cannot_be_is_refused(safe, given, message):
    with pytest.raises(ConfigError) as caught:
        export(safe, **given)
    assert str(caught.value) == message


def test_without_the_packages_of_onnx_the_extra_is_named(safe, monkeypatch):
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnxruntime" else sys)
    with pytest.raises(ConfigError) as caught:
        export(safe, form="onnx")
    assert str(caught.value) == (
        "ONNX needs the packages onnxruntime. Install the extra: pip install 'darts-nextgen[onnx]'."
    )


def test_the_json_of_a_card_is_plain(safe):
    assert json.loads(json.dumps(read_card(safe).to_json()))["bands"][1] == {"name": "ndvi", "low": -1.0, "high": 1.0}
