"""Resolving: flag > environment > default, models by file stem, and the record of it."""

import json
import logging
import struct
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from darts.pipelines.computing.memory import memory_budget_bytes
from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.run import Resolved, say_cards
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts_segmentation.models.card import BandRange, ModelCard
from darts_utils.errors import CheckpointError, ConfigError
from darts_utils.paths import DefaultPaths
from darts_utils.toml import write_toml


@pytest.fixture
def models(tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("b.pt", "a.pt", "notes.txt"):
        (tmp_path / "models" / name).touch()
    return tmp_path / "models"


def test_defaults_hang_off_the_working_folder(models, tmp_path):
    run = Sentinel2Pipeline().resolved()
    assert run.model_files == [models / "a.pt", models / "b.pt"]
    assert run.output_data_dir == tmp_path / "output" / "sentinel2-cdse"
    assert run.arcticdem_dir == tmp_path / "aux" / "arcticdem_10m.icechunk"
    assert run.tcvis_dir == tmp_path / "aux" / "tcvis.icechunk"
    assert run.raw_data_store == tmp_path / "input" / "sentinel2" / "cdse-scenes"
    assert run.sentinel2_grid_dir == tmp_path / "input" / "sentinel2" / "grid"


def test_given_locations_win(models):
    run = Sentinel2Pipeline(
        output_data_dir=Path("/o"), raw_data_store=Path("/r"), default_dirs=DefaultPaths(aux_dir=Path("/a"))
    ).resolved()
    assert run.output_data_dir == Path("/o")
    assert run.raw_data_store == Path("/r")
    assert run.tcvis_dir == Path("/a/tcvis.icechunk")


def test_resolving_makes_a_copy_and_twice_is_the_same_as_once(models):
    pipeline = Sentinel2Pipeline(model_files=models / "a.pt", write_model_outputs=True)
    run = pipeline.resolved()
    assert pipeline.output_data_dir is None
    assert run.resolved() == run
    assert run.write_model_outputs is False


def test_no_model_is_one_clear_line(tmp_path):
    with pytest.raises(ConfigError) as caught:
        Sentinel2Pipeline().resolved()
    assert str(caught.value) == (
        f"there is no model (*.safetensors, *.pt) in {tmp_path / 'models'}, which does not exist. Put one there, or"
        " name one with --model-files."
    )


def with_card(folder, name, **said):
    """Write the header of a model without its weights, which nobody reads before a run begins."""
    card = {"format": "darts-model", "format_version": 1, "bands": [], "architecture": {}, **said}
    raw = json.dumps({"__metadata__": {"darts": json.dumps(card)}}).encode()
    file = folder / name
    file.write_bytes(struct.pack("<Q", len(raw)) + raw)
    return file


def test_of_one_stem_the_safetensors_wins(models):
    safe = with_card(models, "b.safetensors")
    assert Sentinel2Pipeline().resolved().model_files == [models / "a.pt", safe]


def test_models_of_another_sensor_are_left_out_of_the_default_and_said_once(models, caplog):
    with_card(models, "mine.safetensors", input={"sensor": ["sentinel2"]})
    with_card(models, "both.safetensors", input={"sensor": ["planet", "sentinel2"]})
    with_card(models, "theirs.safetensors", input={"sensor": ["planet"]})
    with caplog.at_level(logging.WARNING):
        chosen = Sentinel2Pipeline().with_models()
        again = chosen.resolved().models_by_name()
    assert list(again) == ["a", "b", "both", "mine"]
    assert caplog.messages == ["models of another sensor than sentinel2 are left out: theirs.safetensors (planet)"]
    assert list(PlanetPipeline().models_by_name()) == ["a", "b", "both", "theirs"]


def test_a_folder_with_models_of_other_sensors_only_is_one_clear_line(tmp_path):
    (tmp_path / "models").mkdir()
    with_card(tmp_path / "models", "theirs.safetensors", input={"sensor": "planet"})
    with pytest.raises(ConfigError) as caught:
        Sentinel2Pipeline().models_by_name()
    assert str(caught.value) == (
        f"no model in {tmp_path / 'models'} is of sentinel2: theirs.safetensors (planet). Put one there, or"
        " name one by --model-files."
    )


def test_a_model_that_was_named_is_used_whatever_its_sensor(models):
    file = with_card(models, "theirs.safetensors", input={"sensor": ["planet"]})
    run = Sentinel2Pipeline(model_files=file).with_models()
    assert (run.model_files, run.models_by_name()) == (file, {"theirs": file})


def test_a_model_of_the_folder_that_is_none_stops_the_run(models):
    (models / "odd.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match=r"odd\.safetensors is damaged or cut short"):
        Sentinel2Pipeline().models_by_name()


def test_a_named_model_of_another_sensor_is_said_when_the_run_begins(models, monkeypatch, caplog):
    card = ModelCard(architecture={}, bands=(BandRange(name="red"),), input={"sensor": ["planet"]})
    monkeypatch.setattr("darts.pipelines.run.read_checkpoint", lambda _: SimpleNamespace(card=card))
    source = SimpleNamespace(resolution_m=10)
    run = Resolved(parameters=Sentinel2Pipeline(), source=source, models={"theirs": models / "a.pt"}, results=models)
    with caplog.at_level(logging.WARNING):
        say_cards(run, [])
    assert caplog.messages == [
        "models trained on another sensor than sentinel2 are used, as you asked: theirs (planet)"
    ]


def test_cards_are_read_once_and_one_calibrated_model_gives_calibrated_probabilities(models, monkeypatch):
    cards = {
        "a": ModelCard(architecture={}, bands=(BandRange(name="red"),), calibration={"temperature": 1.0}),
        "b": ModelCard(architecture={}, bands=(BandRange(name="nir"), BandRange(name="red"))),
    }
    read = []

    def read_checkpoint(file):
        read.append(file.stem)
        return SimpleNamespace(card=cards[file.stem])

    monkeypatch.setattr("darts.pipelines.run.read_checkpoint", read_checkpoint)

    def run(*names):
        files = {name: models / f"{name}.pt" for name in names}
        return Resolved(parameters=Sentinel2Pipeline(), source=None, models=files, results=models)

    both = run("a", "b")
    assert both.model_bands == {"a": ("red",), "b": ("nir", "red")}
    assert both.features >= {"red", "nir"}
    assert read == ["a", "b"]


def test_two_models_of_the_same_name_are_refused():
    with pytest.raises(ConfigError, match=r"^two models have the same name: x/a\.pt, y/a\.ckpt\. Rename one\.$"):
        Sentinel2Pipeline(model_files=[Path("x/a.pt"), Path("y/a.ckpt")]).resolved()


@pytest.mark.parametrize("asked", [{"uncertainty": True}, {"export_bands": ["uncertainty"]}])
def test_uncertainty_is_a_product_by_either_name_and_needs_something_that_varies(models, asked):
    assert Sentinel2Pipeline(**asked).resolved().products[-1] == "uncertainty"
    one = Sentinel2Pipeline(model_files=models / "a.pt", **asked)
    for ask in (one.resolved, one.run):
        with pytest.raises(ConfigError) as caught:
            ask()
        assert str(caught.value) == (
            "uncertainty is the spread of models and of views, but there is one model, and tta none shows it one view. "
            "Add a model, or --tta minimal, standard or full, or leave uncertainty out."
        )
    assert (
        Sentinel2Pipeline(model_files=models / "a.pt", tta="minimal", **asked).resolved().products[-1] == "uncertainty"
    )


def test_products_are_named_once(models):
    run = Sentinel2Pipeline(export_bands=["uncertainty", "binarized"], uncertainty=True)
    assert run.products == ["uncertainty", "binarized"]
    assert Sentinel2Pipeline(export_bands=["binarized"]).products == ["binarized"]


def test_the_dumped_config_gives_the_same_run_again(models, tmp_path, darts, monkeypatch):
    run = Sentinel2Pipeline(
        scene_ids=["a", "b"], edge_erosion_size=0, device="cpu", default_dirs=DefaultPaths(aux_dir=Path("/a"))
    ).resolved()
    write_toml(tmp_path / "again.toml", run.to_config())
    assert "default_dirs" not in tomllib.loads((tmp_path / "again.toml").read_text())["darts"]
    seen = []
    monkeypatch.setattr(Sentinel2Pipeline, "run", lambda self: seen.append(self))
    code, _, err = darts("inference", "sentinel2-sequential", "--config-file", tmp_path / "again.toml", "--log-plain")
    assert (code, err) == (0, "")
    assert seen[0].resolved() == run


def test_the_dumped_config_means_the_same_in_any_folder(models, tmp_path):
    run = Sentinel2Pipeline(model_files=[Path("models/a.pt")], output_data_dir=Path("out")).resolved()
    config = run.to_config()["darts"]
    assert config["model_files"] == [tmp_path / "models" / "a.pt"]
    assert config["output_data_dir"] == tmp_path / "out"


@pytest.mark.parametrize("count", [1, 3])
def test_flags_reach_the_pipeline(darts, monkeypatch, count):
    seen = []
    monkeypatch.setattr(Sentinel2Pipeline, "run", lambda self: seen.append(self))
    names = [f"scene{n}" for n in range(count)]
    darts("inference", "sentinel2-sequential", "--scene-ids", *names, "--offline", "--quality-level", "high_quality")
    assert seen[0].scene_ids == names
    assert seen[0].offline is True
    assert seen[0].quality_level == "high_quality"


def test_the_memory_budget_is_what_the_user_gave_or_half_of_the_machine():
    assert memory_budget_bytes(1.5) == 1.5 * 2**30
    assert 0 < memory_budget_bytes(None) < 2**50
