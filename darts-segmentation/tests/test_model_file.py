import json
import struct
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from darts_segmentation.models.card import BandRange, ModelCard, read_card
from darts_segmentation.models.checkpoint import load, model_id, read_bands, read_checkpoint
from darts_segmentation.models.safe_file import write_model
from darts_utils.errors import CheckpointError

MODEL = {
    "arch": "unet",
    "encoder_name": "resnet18",
    "encoder_depth": 3,
    "decoder_channels": [16, 8, 8],
    "in_channels": 3,
    "classes": 1,
}
BANDS = tuple(BandRange.of(name) for name in ("red", "ndvi", "slope"))


@pytest.fixture(scope="session")
def weights(small_unet):
    return small_unet.state_dict()


@pytest.fixture
def card():
    return ModelCard(
        architecture=MODEL,
        bands=BANDS,
        name="coast",
        licence="CC-BY-4.0",
        input={"sensor": ["sentinel2"], "pixel_size_m": 10.0, "patch_size": 256, "tcvis_year": [2019]},
        calibration={"temperature": 1.5},
        thresholds={"low": 0.6, "medium": 0.7, "high": None, "best_f1": 0.45},
    )


@pytest.fixture
def file(tmp_path, card, weights):
    write_model(tmp_path / "coast.safetensors", card, weights)
    return tmp_path / "coast.safetensors"


def changed(file, change):
    """Write a file anew with another card, its weights left as they are."""
    weights = load_file(file)
    said = json.loads(_metadata(file)["darts"])
    change(said)
    save_file(weights, file, metadata={"darts": json.dumps(said)})


def _metadata(file):
    raw = file.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + size])["__metadata__"]


def refused(file, message, read=load):
    with pytest.raises(CheckpointError) as caught:
        read(file)
    assert str(caught.value) == message


def test_what_is_written_is_read(file, card, weights):
    model = load(file)
    read = read_card(file)
    assert model.bands == ("red", "ndvi", "slope") == read_bands(file)
    assert read == model.card
    assert (read.input, read.calibration, read.thresholds) == (card.input, card.calibration, card.thresholds)
    assert (read.name, read.licence, read.citation, read.temperature) == ("coast", "CC-BY-4.0", None, 1.5)
    assert all(torch.equal(weight, weights[name]) for name, weight in model.network.state_dict().items())


def test_the_header_is_one_object_of_sorted_keys(file):
    text = _metadata(file)["darts"]
    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False) == text
    assert json.loads(text)["bands"][0] == {"name": "red", "low": -0.1, "high": 0.5}
    assert (json.loads(text)["format"], json.loads(text)["format_version"]) == ("darts-model", 1)


def test_the_id_is_verified_and_the_file_says_it(file):
    assert read_card(file).model_id == model_id(file) == load(file).model_id


def test_the_id_changes_when_results_would_and_not_with_words(tmp_path, card, weights):
    def written(name, given, tensors=weights):
        return write_model(tmp_path / f"{name}.safetensors", given, tensors).model_id

    same = [written("a", card), written("b", card.with_(licence="MIT", name="other", thresholds=None))]
    others = [
        written("c", card.with_(calibration={"temperature": 1.6})),
        written("d", card.with_(bands=(BANDS[1], BANDS[0], BANDS[2]))),
        written("e", card.with_(input=None)),
        written("f", card, {**weights, "segmentation_head.0.bias": weights["segmentation_head.0.bias"] + 1e-6}),
    ]
    assert len(set(same)) == 1
    assert len({*same, *others}) == 5


def test_a_changed_weight_is_noticed(file):
    raw = bytearray(file.read_bytes())
    raw[-5] ^= 1
    file.write_bytes(raw)
    with pytest.raises(CheckpointError, match=r"is not what was written: its weights and card have the id"):
        load(file)


def test_a_changed_temperature_is_noticed(file):
    changed(file, lambda said: said["calibration"].update(temperature=0.2))
    with pytest.raises(CheckpointError, match="is not what was written"):
        load(file)


def test_bands_of_another_range_are_refused(file):
    changed(file, lambda said: said["bands"][0].update(high=0.4))
    refused(
        file,
        f"{file} was trained with red from -0.1 to 0.4, but this release normalises it from -0.1 to 0.5. "
        "Use the release that trained it, or train it anew.",
        read_checkpoint,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda said: said.update(format="other"), "has a card that is not of darts-model. Use a model that DARTS"
         " wrote."),
        (lambda said: said.update(format_version=9), "has the format version 9, but 1 is known. Update DARTS."),
        (lambda said: said.update(bands="red"), "has the band None, but an object with name, low and high is needed."
         " Write the file anew."),
        (lambda said: said.update(licence=3, input=[]), "has a card whose input, licence is not of the right kind."),
        (lambda said: said["calibration"].update(temperature=0), "has the temperature 0, but a positive number is"
         " needed. Calibrate it anew."),
        (lambda said: said["calibration"].update(temperature="hot"), "has the temperature 'hot', but a positive number"
         " is needed. Calibrate it anew."),
        (lambda said: said["architecture"].update(arch="mine"), "has the unknown architecture 'mine'; known: "),
    ],
)  # fmt: skip
def test_a_card_that_is_wrong_is_refused_in_one_line(file, change, message):
    changed(file, change)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(file)
    assert str(caught.value).startswith(f"{file} {message}")


def test_a_card_nested_a_million_times_is_refused(file):
    save_file(load_file(file), file, metadata={"darts": "[" * 10**6})
    refused(file, f"{file} has a card that is no JSON. Copy it again.")


def test_weights_without_a_card_are_refused(file):
    save_file(load_file(file), file)
    refused(
        file,
        f"{file} holds weights but does not say what they are of (no darts in its header). "
        "Use the file that `darts training` or `darts models pack` wrote.",
    )


@pytest.mark.parametrize("length", [0, 5, 8, 9, 100, 3000, -1])
def test_a_file_cut_short_is_refused(file, length):
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"\. (Copy it again|Give a \.pt or \.ckpt file)"):
        load(file)


def test_a_header_that_claims_gigabytes_is_refused_before_memory_is_taken(file):
    file.write_bytes(struct.pack("<Q", 2**40) + b"{" + file.read_bytes()[9:])
    with pytest.raises(CheckpointError, match="no header of safetensors"):
        load(file)


def test_a_card_is_read_without_torch(file):
    code = (
        "import sys; from pathlib import Path; from darts_segmentation.models.card import read_card;"
        f"print(read_card(Path({str(file)!r})).name, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["coast", "False"]
