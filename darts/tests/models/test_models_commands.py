"""`darts models`, typed as users do, on networks of a second's work."""

import json
import re

import pytest
import segmentation_models_pytorch as smp
import torch

from darts_segmentation.models.card import BandRange, ModelCard, read_card
from darts_segmentation.models.checkpoint import save_checkpoint
from darts_segmentation.models.ensemble_card import EnsembleCard, write_ensemble_card
from darts_segmentation.models.safe_file import write_model

MODEL = {"arch": "unet", "encoder_name": "resnet18", "encoder_depth": 3, "decoder_channels": [8, 8, 4],
         "in_channels": 2, "classes": 1}  # fmt: skip
CARD = ModelCard(
    architecture=MODEL, bands=(BandRange.of("red"), BandRange.of("slope")), name="coast", licence="CC-BY-4.0",
    citation="doi:10.5281/zenodo.1", input={"sensor": ["sentinel2"], "pixel_size_m": 10.0},
    calibration={"temperature": 1.25}, thresholds={"low": 0.5, "high": None},
    training={"metrics": {"val": {"JaccardIndex": 0.81234}}, "split": {"train": ["Banks", "Herschel"]}, "seeds": [42]},
    domain={"type": "MultiPolygon", "coordinates": [
        [[[-139.5, 69.25], [-138.0, 69.25], [-138.0, 70.0], [-139.5, 69.25]]],
        [[[-125.0, 72.0], [-124.0, 72.0], [-124.0, 73.5], [-125.0, 72.0]]]]},
)  # fmt: skip


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(1)
    return smp.create_model(**MODEL, encoder_weights=None).eval().state_dict()


@pytest.fixture
def folder(tmp_path, weights):
    models = tmp_path / "models"
    models.mkdir()
    card = write_model(models / "coast.safetensors", CARD, weights)
    save_checkpoint(models / "older.pt", MODEL, ("red", "slope"), weights)
    (models / "odd.safetensors").write_bytes(b"nothing")
    ensemble = EnsembleCard(name="both", models={"coast": card.model_id, "older": "1" * 64},
                            calibration={"temperature": 2.0}, thresholds={})  # fmt: skip
    write_ensemble_card(models / "both.ensemble.json", ensemble)
    return models


def test_the_list_has_a_row_for_every_file_and_the_reason_where_one_cannot_be_used(darts, folder):
    code, out, err = darts("models", "list", "--log-plain")
    assert (code, err) == (0, "")
    rows = out.splitlines()
    own = read_card(folder / "coast.safetensors").model_id[:12]
    assert rows[:2] == [
        "file; name; id; bands; sensor; val IoU; licence; calibrated",
        f"coast.safetensors; coast; {own}; 2; sentinel2; 0.812; CC-BY-4.0; yes",
    ]
    assert re.fullmatch(r"older\.pt; older; [0-9a-f]{12}; 2; ; ; ; no", rows[2])
    assert re.fullmatch(r"both\.ensemble\.json; both = coast \+ older; [0-9a-f]{12}; ; ; ; ; yes", rows[3])
    assert rows[4:] == [
        "Files that cannot be used:",
        "odd.safetensors: is damaged or cut short and cannot be read. Copy it again.",
    ]


def test_the_list_is_json_for_other_programs(darts, folder):
    code, out, err = darts("models", "list", "--json")
    rows = {row["file"].rsplit("/", 1)[1]: row for row in json.loads(out)}
    assert (code, err) == (0, "")
    assert (rows["coast.safetensors"]["name"], rows["coast.safetensors"]["val_IoU"]) == ("coast", "0.812")
    assert rows["odd.safetensors"]["fault"] == "is damaged or cut short and cannot be read. Copy it again."


def test_a_broken_ensemble_card_is_a_row(darts, tmp_path):
    (tmp_path / "both.ensemble.json").write_text("{}")
    _, out, _ = darts("models", "list", "--models-dir", tmp_path, "--log-plain")
    assert "both.ensemble.json: the ensemble card" in out


def test_an_empty_folder_says_so(darts, tmp_path):
    assert darts("models", "list", "--models-dir", tmp_path / "x")[1] == f"There is no model in {tmp_path / 'x'}.\n"


def test_a_card_is_shown_in_full_by_name_or_file(darts, folder):
    code, out, _ = darts("models", "show", "coast", "--log-plain")
    assert code == 0
    lines = out.splitlines()
    expected = {
        "name: coast", "licence: CC-BY-4.0", "citation: doi:10.5281/zenodo.1", "network: unet, encoder resnet18",
        "band 0: red, -0.1 to 0.5", "band 1: slope, 0 to 90", "input sensor: sentinel2", "input pixel_size_m: 10",
        "calibrated: yes", "calibration temperature: 1.25", "threshold low: 0.5", "threshold high: none",
        "split train: Banks, Herschel", "val JaccardIndex: 0.8123", "training seeds: 42",
        "domain: longitude -139.50 to -124.00, latitude 69.25 to 73.50",
    }  # fmt: skip
    assert expected <= set(lines)
    assert darts("models", "show", folder / "coast.safetensors", "--log-plain")[1] == out


def test_an_ensemble_card_is_shown_by_name_or_file(darts, tmp_path):
    card = EnsembleCard(name="both", models={"coast": "ab12", "odd": "cd34"},
                        calibration={"temperature": 0.75}, thresholds={"low": 0.5, "high": None})  # fmt: skip
    folder = tmp_path / "cards"
    folder.mkdir()
    write_ensemble_card(folder / "both.ensemble.json", card)
    code, out, err = darts("models", "show", "both", "--models-dir", folder, "--log-plain")
    assert (code, err) == (0, "")
    expected = {
        "name: both", f"id: {card.card_id}", "model: coast ab12", "calibrated: yes", "calibration temperature: 0.75",
        "threshold low: 0.5", "threshold high: none",
    }  # fmt: skip
    assert expected <= set(out.splitlines())
    assert darts("models", "show", folder / "both.ensemble.json", "--log-plain")[1] == out
    assert json.loads(darts("models", "show", "both", "--models-dir", folder, "--json")[1]) == card.to_json()
    assert "only both. Did you mean both?" in darts("models", "show", "bot", "--models-dir", folder)[2]


def test_a_card_is_shown_as_json(darts, folder):
    _, out, _ = darts("models", "show", "coast", "--json")
    assert json.loads(out) == read_card(folder / "coast.safetensors").to_json()


def test_an_unknown_name_is_one_line(darts, folder):
    code, _, err = darts("models", "show", "cost", "--log-plain")
    assert (code, err) == (2, f"Error: there is no model 'cost' in {folder}, only both, coast, odd, older. Did you mean"
                              " coast? Name one, or a file.\n")  # fmt: skip


def test_an_older_model_is_packed_and_the_ranges_that_were_assumed_are_said(darts, folder):
    code, out, err = darts(
        "models", "pack", folder / "older.pt", "--out", "new.safetensors", "--name", "arctic", "--licence", "MIT",
        "--citation", "doi:10.1/2", "--contact", "a@b.c", "--sensor", "planet", "sentinel2", "--pixel-size-m", "3",
        "--tcvis-year", "2019", "2024", "--trained-patch-size", "512",
    )  # fmt: skip
    assert (code, err) == (0, "")
    card = read_card(folder.parent / "new.safetensors")
    assert (card.name, card.licence, card.sensors) == ("arctic", "MIT", {"planet", "sentinel2"})
    assert card.input == {"sensor": ["planet", "sentinel2"], "pixel_size_m": 3.0, "patch_size": 512,
                          "tcvis_year": [2019, 2024]}  # fmt: skip
    first, second, third = out.splitlines()
    assert first == (
        "The older file does not state the ranges of its bands; those of this release were written: red -0.1 to 0.5,"
        " slope 0 to 90"
    )
    assert second.startswith("Its id was ")
    assert third == f"Written: new.safetensors, id {card.model_id[:12]}"
    again = darts("models", "pack", folder / "older.pt", "--out", "new.safetensors", "--log-plain")
    message = "Error: new.safetensors is there already. Name another file with --out, or add --overwrite.\n"
    assert again == (2, "", message)


def test_sound_models_are_told_from_broken_ones_by_line_and_status(darts, folder):
    code, out, err = darts("models", "verify", folder / "coast.safetensors", folder / "odd.safetensors", "--log-plain")
    own = read_card(folder / "coast.safetensors").model_id[:12]
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        f"sound: {folder / 'coast.safetensors'}: id {own}, 2 bands (ranges of this release), all weights finite,"
        " forward pass finite and the same for any batch",
        f"failed: {folder / 'odd.safetensors'} is not a model checkpoint. Give a .pt or .ckpt file written by torch.",
    ]
    code, out, _ = darts("models", "verify", folder / "older.pt", "--log-plain")
    assert code == 0
    assert re.search(r"id [0-9a-f]{12} \(computed: the file does not say it\), 2 bands \(ranges not stated in the", out)


def test_verifying_nothing_is_wrong_usage(darts):
    code, _, err = darts("models", "verify", "--log-plain")
    assert (code, err) == (2, "Error: no model was named. Name at least one file to verify.\n")


class Settings(dict):
    """A class that no table knows."""


def test_code_of_a_file_runs_only_if_it_is_trusted_and_that_is_said_first(darts, tmp_path, weights):
    file = tmp_path / "objects.ckpt"
    torch.save({"config": Settings(model=MODEL, bands=["red", "slope"]), "state_dict": weights}, file)
    code, _, err = darts("models", "convert", file, "--log-plain")
    assert code == 2
    assert f"holds the object {__name__}.Settings that could run code on loading and was refused." in err
    assert err.count("\n") == 1
    code, out, err = darts("models", "convert", file, "--trust")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"Code from {file} will now run as you, with all that you may do."
    assert "safe " not in out
    assert read_card(tmp_path / "objects.safetensors").band_names == ("red", "slope")


def test_a_config_file_decides_where_models_are_and_neither_what_is_trusted_nor_what_is_replaced(
    darts, folder, tmp_path, weights
):
    file = tmp_path / "objects.ckpt"
    torch.save({"config": Settings(model=MODEL, bands=["red", "slope"]), "state_dict": weights}, file)
    folder.rename(tmp_path / "elsewhere")
    keys = f'models_dir = "{tmp_path / "elsewhere"}"\npatch_size = 17\noverwrite = true\ntrust = true\n'
    (tmp_path / "config.toml").write_text(f"[darts]\n{keys}")
    code, out, err = darts("models", "show", "coast", "--log-plain")
    assert (code, "name: coast" in out.splitlines()) == (0, True)
    assert err.count("no darts command knows the key trust, it is ignored") == 1
    assert "overwrite" not in err
    code, out, _ = darts("models", "convert", file, "--log-plain")
    assert (code, out) == (2, "")
    older = tmp_path / "elsewhere" / "older.pt"
    code, _, err = darts("models", "pack", older, "--out", tmp_path / "elsewhere" / "coast.safetensors", "--log-plain")
    assert (code, "is there already" in err) == (2, True)
    assert darts("models", "export", older, "--out", "a.pt2", "--patch-size", "16", "--log-plain")[0] == 0


def test_an_export_says_how_far_it_is_from_the_network_and_what_is_no_part_of_it(darts, folder):
    code, out, err = darts("models", "export", folder / "coast.safetensors", "--patch-size", "16", "--out", "c.pt2")
    assert (code, err) == (0, "")
    written, inputs, difference, output = out.splitlines()
    assert written == "Written: c.pt2"
    assert inputs == "Input: n x 2 bands (red, slope), 0 to 1; edges: 16 x 16 pixels only"
    assert re.fullmatch(
        r"Largest difference from the network: \S+ of the range of its logits \(0\.0001 allowed\)", difference
    )
    assert output == ("Output: logits. The temperature is no part of the graph: probability = sigmoid(logit / 1.25)")
