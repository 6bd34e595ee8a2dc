"""`darts validate-inference`: the demo's model keeps what is promised; what is broken on purpose, or wrong, is said."""

import json
import re
import shutil
from pathlib import Path

import pytest

from darts.demo import run as demo
from darts.demo.world.make import make_world
from darts.demo.world.write import write_world
from darts.validation import resumed
from darts_segmentation.model_input import BandStack
from darts_utils.parameters import PRECISIONS

CHECKS = [
    "coverage", "offset grid", "seams", "no data", "batch size", "determinism", "resume", "tta", "georeference",
    *(f"precision {one}" for one in PRECISIONS[1:]),
]  # fmt: skip
MODELS = Path(demo.__file__).with_name("models")
SMALL = ("--window", 128, "--patch-size", 64, "--overlap", 32, "--device", "cpu", "--log-plain")
BANDS = ["red", "green", "nir"]


@pytest.fixture
def store(make_scene, scene_ids):
    make_scene(Path("input/sentinel2/cdse-scenes"), scene_ids[0])
    return Path(f"input/sentinel2/cdse-scenes/cdse-s2-sr-scene-{scene_ids[0]}.zarr")


def lines(run):
    """Results by check, and the last line, of what was printed."""
    rows = [line.split(": ") for line in run.stdout.splitlines()]
    return {row[0]: row[1] for row in rows if row[0] in CHECKS}, run.stdout.splitlines()[-1]


def test_the_model_of_the_demo_does_what_it_promises(darts):
    written = write_world(make_world(11, 256), Path("world"))
    folders = ("--fast-dir", "world", "--large-dir", "world")
    run = darts(
        "validate-inference", "demo_without_tcvis", written.scene_id, "--patch-size", 256, "--overlap", 64, *folders,
        "--device", "cpu", "--json", "out/table.json", "--log-plain",
    )  # fmt: skip
    results, verdict = lines(run)
    assert results == {**dict.fromkeys(CHECKS[:-3], "passed"), **dict.fromkeys(CHECKS[-3:], "information")}
    assert (run.returncode, verdict) == (0, "9 checks passed")
    table = json.loads(Path("out/table.json").read_text())
    assert (table["scene"], table["window"], table["precision"]) == (written.scene_id, [0, 0, 256, 256], "float32")
    assert table["patching"] == {"patch_size": 128, "overlap": 32, "batch_size": 8, "reflection": 0}
    assert [check["check"] for check in table["checks"]] == CHECKS
    assert all(check["meaning"].endswith(".") and check["limit"] for check in table["checks"])
    assert sorted(path.name for path in Path("world").iterdir()) == ["aux", "input", "logs", "models", "truth"]


def test_an_engine_that_is_broken_fails_with_status_1(darts, store, make_model, monkeypatch):
    """Two networks, no blanks where an image has no data, and a record that always differs."""
    models = [str(make_model(Path(f"{name}.pt"), BANDS, seed)) for seed, name in enumerate("ab")]
    monkeypatch.setattr(BandStack, "blank_invalid", lambda *_: 0)
    monkeypatch.setattr(resumed, "_NOT_COMPARED", ())
    run = darts("validate-inference", models[0], store, "--with-models", models[1], *SMALL)
    results, verdict = lines(run)
    assert {name for name, result in results.items() if result == "failed"} >= {"no data", "resume"}
    assert {results[name] for name in ("batch size", "determinism", "tta", "georeference")} == {"passed"}
    assert re.search(
        r"resume: failed: 1 of \d+ files differ; others: darts_inference.json \(the tile was absent", run.stdout
    )
    assert verdict.startswith("failed: ")
    assert ", resume; " in verdict or "resume, " in verdict
    assert run.returncode == 1
    assert re.search(r"(?m)^Scene: S2B_\w+, rows \d+ to \d+, columns \d+ to \d+, of 150 x 190 px$", run.stdout)


def test_a_tiny_planet_scene_is_tried_too(darts, make_planet_scene, make_model):
    folder = make_planet_scene(Path("images"))
    run = darts("validate-inference", make_model(Path("a.pt"), BANDS), folder, *SMALL)
    results, verdict = lines(run)
    assert {results[name] for name in ("coverage", "no data", "resume", "tta")} == {"passed"}
    assert verdict == "6 checks passed, skipped: offset grid, seams, georeference"


def test_what_is_wrong_is_said_in_one_line(darts, store, make_model, make_planet_scene):
    model, empty = make_model(Path("a.pt"), [*BANDS, "slope"]), Path("input/empty")
    empty.mkdir()
    nowhere = (
        f"there is no scene 'nowhere': neither a folder, nor an id below {Path.cwd()}/input. Name its folder: that of "
        "a raw scene store ({source}-s2-sr-scene-{id}.zarr), or one with a PlanetScope image."
    )
    wrong = {
        ("no.pt", store): (2, "there is no model file no.pt. Check the path."),
        (model, "nowhere"): (2, nowhere),
        (model, store, "--window", 100): (2, "window is 100 px but must be at least 128. Raise it."),
        (model, store, "--json", empty): (2, "json is input/empty, which is a folder. Name a file."),
        (model, store, "--overlap", 2000): (
            2, "overlap is 2000 px but must be below patch_size (1024 px). Lower overlap or raise patch_size."
        ),
    }  # fmt: skip
    for words, (status, error) in wrong.items():
        run = darts("validate-inference", *words, "--log-plain")
        assert (run.returncode, run.stdout, run.stderr) == (status, "", f"Error: {error}\n")
    run = darts("validate-inference", model, empty)
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    run = darts("validate-inference", model, store)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"Error: there is no datacube at {Path.cwd()}/aux/arcticdem_10m.icechunk. Stage it")


def test_a_model_of_another_sensor_and_a_scene_without_a_band_are_refused(darts, store, make_planet_scene):
    planet = MODELS / "planet" / "planet_without_tcvis.safetensors"
    run = darts("validate-inference", planet, store, "--log-plain")
    said = (
        f"{store.stem.removeprefix('cdse-s2-sr-scene-')} is of sentinel2, but models were trained on another sensor: "
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == f"Error: {said}planet_without_tcvis (planet). Pair them.\n"
    shutil.rmtree(store / "B08_10m")
    own = MODELS / "sentinel2" / "demo_without_tcvis.safetensors"
    run = darts("validate-inference", own, store)
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert "B08_10m" in run.stderr
