"""Runs in faster numbers: decided by a self-check, kept to by later runs, refused where they cannot be had."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from darts.pipelines.computing import ability as of_runs
from darts.pipelines.results.finished import DOCUMENT
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts_export.record import read_record
from darts_utils.errors import ConfigError
from darts_utils.parameters import BFLOAT16, BFLOAT16_DECODER


@pytest.fixture
def able(monkeypatch):
    """Let this processor compute in bfloat16, fast or not, and take what the untrained network says then."""
    monkeypatch.setattr("darts_segmentation.self_check.LIMIT", 0.5)
    monkeypatch.setattr(of_runs, "faster_precisions", lambda _: (BFLOAT16, BFLOAT16_DECODER))


@pytest.fixture
def pipeline(make_model, make_scene, scene_ids, tmp_path_factory):
    for scene_id in scene_ids[:2]:
        make_scene(Path("store"), scene_id, size=(64, 70))
    return Sentinel2Pipeline(
        model_files=[make_model(Path("small.pt"), ["red", "green", "nir"])], raw_data_store=Path("store"),
        output_data_dir=Path("results"), scene_ids=scene_ids[:1], export_bands=["probabilities"], offline=True,
        mask_erosion_size=2, patch_size=64, overlap=16, device="cpu",
    )  # fmt: skip


def recorded(scene_id, folder="results"):
    parameters = read_record(Path(folder) / scene_id)[DOCUMENT]["parameters"]
    return {name: parameters[name] for name in ("precision", "float32_parts") if name in parameters}


def percent(scene_id, folder):
    with rasterio.open(Path(folder) / scene_id / "probabilities.tif") as raster:
        return raster.read(1).astype(int)


@pytest.mark.usefixtures("able")
def test_a_self_check_decides_once_and_the_folder_keeps_to_it(pipeline, scene_ids, monkeypatch, capsys):
    assert pipeline.run().count("success") == 1
    assert recorded(scene_ids[0]) == BFLOAT16.document
    assert "models compute in bfloat16, first convolution and head in float32" in capsys.readouterr().out
    (kept,) = json.loads(Path("logs/precision.json").read_text()).values()
    assert kept.keys() == {next(iter(read_record(Path("results") / scene_ids[0])[DOCUMENT]["models"].values()))}

    def never(*_):
        raise AssertionError

    monkeypatch.setattr("darts.pipelines.run.judged_on", never)
    both = replace(pipeline, scene_ids=scene_ids[:2])
    assert both.run().count("skipped") == 1
    assert recorded(scene_ids[1]) == BFLOAT16.document
    assert replace(both, dry_run=True).run().exit_code == 0
    exact = replace(pipeline, precision="float32", output_data_dir=Path("exact"))
    assert exact.run().count("success") == 1
    assert recorded(scene_ids[0], "exact") == {"precision": "float32"}
    apart = np.abs(percent(scene_ids[0], "exact") - percent(scene_ids[0], "results"))
    assert 0 < apart[apart < 100].mean() < 1, "in percent"


def test_results_in_faster_numbers_are_not_continued_where_these_are_slow(pipeline, scene_ids, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("darts_segmentation.self_check.LIMIT", 0.5)
        patch.setattr(of_runs, "faster_precisions", lambda _: (BFLOAT16,))
        pipeline.run()
    both = replace(pipeline, scene_ids=scene_ids[:2])
    with pytest.raises(ConfigError, match="computed in bfloat16, first convolution and head in float32, which is not"):
        both.run()
    assert not (Path("results") / scene_ids[1]).exists()
    assert replace(both, keep_old=True).run().count("success") == 1
    assert recorded(scene_ids[1]) == {"precision": "float32"}
    with pytest.raises(ConfigError, match=r"precision bfloat16 \(now float32\), float32_parts ends \(now none\)"):
        replace(both, precision="float32").run()


def test_patches_of_auto_are_recorded_as_resolved_and_kept_to(pipeline, scene_ids, monkeypatch):
    auto = replace(pipeline, patch_size="auto")
    assert auto.run().count("success") == 1
    assert read_record(Path("results") / scene_ids[0])["DARTS_patch_size"] == 2048
    monkeypatch.setattr(of_runs, "memory_budget_bytes", lambda _: 2**28)
    assert replace(auto, scene_ids=scene_ids[:2]).run().count("skipped") == 1
    assert read_record(Path("results") / scene_ids[1])["DARTS_patch_size"] == 2048
    small = replace(auto, output_data_dir=Path("small"))
    assert replace(small, dry_run=True).run().exit_code == 0
    assert small.run().count("success") == 1
    assert read_record(Path("small") / scene_ids[0])["DARTS_patch_size"] == 1024


@pytest.mark.usefixtures("able")
def test_a_self_check_goes_on_to_the_next_image_where_one_cannot_be_loaded(pipeline, scene_ids):
    shutil.rmtree(next(Path("store").glob(f"*{scene_ids[0]}*")) / "B04_10m")
    report = replace(pipeline, scene_ids=scene_ids[:2]).run()
    assert report.count("failed") == 1
    assert recorded(scene_ids[1]) == BFLOAT16.document
