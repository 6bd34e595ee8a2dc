import json
import os
import shutil

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import sklearn
import torch
from sklearn import metrics as oracle
from training_sets import make_set

from darts_segmentation.models.card import read_card
from darts_segmentation.models.checkpoint import load, model_id
from darts_segmentation.models.ensemble_card import read_ensemble_card
from darts_segmentation.training.assess.calibration import LEAST_OBJECTS, tier_threshold
from darts_segmentation.training.assess.domain import domain_of
from darts_segmentation.training.assess.evaluation import count_scores, patch_counts, with_intervals
from darts_segmentation.training.calibrating import calibrate_models
from darts_segmentation.training.loop.history import Silent
from darts_segmentation.training.loop.losses import make_loss
from darts_segmentation.training.loop.module import StageScores
from darts_segmentation.training.parameters import CalibrateParameters, RunParameters, TestParameters
from darts_segmentation.training.testing import assess
from darts_segmentation.training.train import train
from darts_utils.errors import ConfigError
from darts_utils.paths import DefaultPaths, PathManager

PATHS = PathManager(DefaultPaths())


def random_case(seed):
    """A small patch: logits as half precision has them, labels of which some are ignored."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, (12, 15), p=[0.6, 0.3, 0.1]).astype(np.uint8)
    logits = rng.normal(0, 2, labels.shape) + (labels == 1) * rng.uniform(-1, 3)
    return logits.astype(np.float16).astype(np.float32), labels


def test_pixel_scores_are_those_of_scikit_learn_on_random_masks():
    """Both those that are logged while a network learns and those that are summed from patches."""
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        for seed in range(int(os.environ.get("DARTS_TEST_MASKS", "200"))):
            logits, labels = random_case(seed)
            known = labels < 2
            true, found = labels[known], logits[known] > 0
            of_classes = oracle.precision_recall_fscore_support(true, found, labels=[False, True], zero_division=0)
            (_, precision), (specificity, recall), (_, f1), _ = of_classes
            expected = {
                "Accuracy": oracle.accuracy_score(true, found),
                "Precision": precision,
                "Recall": recall,
                "Specificity": specificity,
                "F1Score": f1,
                "JaccardIndex": oracle.jaccard_score(true, found, zero_division=0),
                "CohenKappa": oracle.cohen_kappa_score(true, found),
                "HammingDistance": oracle.hamming_loss(true, found),
            }
            summed = count_scores(patch_counts(logits > 0, labels))
            assert {name: summed[name] for name in expected} == pytest.approx(expected, abs=1e-9)
            if seed < 25:  # the same metrics again, of torchmetrics, which takes its time
                assert logged(logits, labels) == pytest.approx(expected, abs=1e-5)


def logged(logits, labels):
    stage = StageScores("val", make_loss("bce"))
    stage.update(torch.from_numpy(logits)[None, None], torch.from_numpy(labels)[None])
    scores = {name.removeprefix("val/"): value for name, value in stage.compute().items()}
    return {name: value for name, value in scores.items() if name not in ("loss", "AUROC", "AveragePrecision")}


def test_sums_over_patches_are_the_scores_of_all_their_pixels():
    cases = [random_case(seed) for seed in range(6)]
    sums = pd.DataFrame([patch_counts(logits > 0, labels) for logits, labels in cases]).sum()
    whole = [np.concatenate([case[part] for case in cases]) for part in (0, 1)]
    pixels = ("Accuracy", "Precision", "JaccardIndex", "CohenKappa")
    expected = count_scores(patch_counts(whole[0] > 0, whole[1]))
    assert {name: count_scores(sums)[name] for name in pixels} == pytest.approx(
        {name: expected[name] for name in pixels}
    )


def test_one_slump_in_two_halves_is_a_hit_and_a_false_object():
    true, found = np.zeros((20, 20), np.uint8), np.zeros((20, 20), bool)
    true[4:12, 4:16] = 1
    found[4:12, 4:11] = True
    found[4:12, 13:16] = True
    counts = patch_counts(found, true)
    assert [counts[f"{name}_50"] for name in ("tp", "fp", "fn")] == [1, 1, 0]
    assert [counts[f"{name}_30"] for name in ("tp", "fp", "fn")] == [1, 1, 0]


def test_an_interval_is_that_of_a_plain_bootstrap():
    rng = np.random.default_rng(4)
    rows = pd.DataFrame([patch_counts(*(part > 0 if n == 0 else part for n, part in enumerate(random_case(seed))))
                         for seed in range(30)])  # fmt: skip
    blocks = pd.Series(np.arange(30) // 3)
    table = with_intervals(rows, blocks, seed=1)
    groups = [rows[blocks == block].sum() for block in range(10)]
    repeated = [
        count_scores(sum(groups[index] for index in rng.integers(0, 10, 10)))["JaccardIndex"] for _ in range(2000)
    ]
    expected = np.percentile(repeated, (2.5, 97.5))
    assert table.loc["JaccardIndex", ["low", "high"]].to_numpy(float) == pytest.approx(expected, abs=0.006)
    assert with_intervals(rows, blocks % 3).low.isna().all()  # no more than the range of three
    assert with_intervals(rows, blocks % 4).low.notna().any()


def slow_threshold(scores, right, precision):
    """The lowest score from which all higher ones keep the precision, tried one by one."""
    kept = None
    for score in sorted(set(scores), reverse=True):
        above = right[scores >= score]
        if len(above) >= LEAST_OBJECTS:
            if above.mean() < precision:
                break
            kept = score
    return kept


@pytest.mark.parametrize("precision", [0.5, 0.7, 0.9])
def test_a_threshold_keeps_its_precision_from_there_on(precision):
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(0, 120))
        scores = np.round(rng.uniform(0.5, 1, n), 2)
        right = rng.random(n) < np.clip((scores - 0.5) * rng.uniform(1, 4), 0, 1)
        found, expected = tier_threshold(scores, right, precision), slow_threshold(scores, right, precision)
        assert found == (None if expected is None else pytest.approx(expected))


def test_the_ground_of_training_is_a_hull_for_each_region_cut_at_the_antimeridian():
    corners = [
        (-137.5, 69.0, -137.2, 69.1),
        (-137.1, 69.2, -137, 69.3),
        (179.8, 68, 180, 68.1),
        (-180, 68, -179.8, 68.1),
    ]
    boxes = [shapely.box(*corner) for corner in corners]
    table = gpd.GeoDataFrame({"region": ["coast", "coast", "east", "east"]}, geometry=boxes, crs="EPSG:4326")
    ground = shapely.geometry.shape(domain_of(table))
    assert ground.is_valid
    assert len(ground.geoms) == 3
    assert all(ground.buffer(0.011).contains(box) for box in boxes)
    assert not ground.intersects(shapely.box(-100, 60, 100, 75))
    assert all(round(x, 2) == x for part in ground.geoms for pair in part.exterior.coords for x in pair)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    make_set(folder / "coast", regions=6)
    given = {
        "train_data_dir": folder / "coast", "artifact_dir": folder / "artifacts", "accelerator": "cpu",
        "model_encoder": "tu-mobilenetv2_050", "encoder_depth": 3, "decoder_channels": [16, 8, 8], "max_epochs": 4,
        "learning_rate": 5e-3, "batch_size": 4, "loss": "bce+dice", "data_split_by": ["Region 4", "Region 5"],
        "data_split_method": "region",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("darts_segmentation.training.train.expected_duration", lambda *_: "")
        return folder, [
            train(RunParameters(**given, name=name, random_seed=seed), PATHS) for name, seed in (("a", 1), ("b", 2))
        ]


def test_a_test_is_of_the_patches_that_were_kept_for_it_and_leaves_a_page(trained):
    folder, (run, _) = trained
    tested = assess(TestParameters(train_data_dir=folder / "coast", artifact_dir=folder / "artifacts", name="a"), PATHS)
    assert list(dict.fromkeys(tested.scores.region)) == ["all", "Region 4", "Region 5"]
    kept = run.card.training["metrics"]["test"]
    assert tested.overall == pytest.approx({name: kept[name] for name in tested.overall}, abs=1e-5)
    page = (tested.folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in page.replace("http-equiv", "")
    assert json.loads((tested.folder / "scores.json").read_text())["model_id"] == run.card.model_id
    assert set(pd.read_csv(tested.folder / "patches.csv").region) == {"Region 4", "Region 5"}
    assert model_id(run.run.model) == run.card.model_id


def test_a_model_is_not_tested_on_what_it_has_learned_from(trained, tmp_path):
    """The set has grown since: what was learned then is left out, and if it is asked for all the same that is said."""
    _, (run, _) = trained
    grown = tmp_path / "grown"
    make_set(grown, regions=7)
    said = []
    view = Silent()
    view.say = said.append
    given = {"model_file": run.run.model, "train_data_dir": grown, "artifact_dir": tmp_path, "accelerator": "cpu"}
    tested = assess(TestParameters(**given), PATHS, view=view)
    learned = run.card.training["split"]["train"]
    assert set(tested.scores["region"]) == {"all", *(f"Region {n}" for n in range(7))} - set(learned)
    assert "of regions that it has learned from" in said[0]
    asked = {"data_split_method": "region", "data_split_by": learned[:1]}
    assess(TestParameters(**given, **asked), PATHS, view=view)
    assert f"It has learned from {learned[0]}: scores there flatter it" in said[-1]


def test_a_model_is_calibrated_anew_and_gets_a_new_id(trained, tmp_path):
    folder, (run, _) = trained
    file = tmp_path / "a.safetensors"
    file.write_bytes(run.run.model.read_bytes())
    chosen = {"data_split_method": "region", "data_split_by": ["Region 4", "Region 5"], "random_seed": 1}
    used = CalibrateParameters(train_data_dir=folder / "coast", accelerator="cpu")
    again = calibrate_models([file], used, PATHS)
    assert again.card["temperature"] == pytest.approx(run.card.temperature, rel=1e-3)
    assert read_card(file).calibration == again.card
    with pytest.raises(ConfigError, match=r"^validation shares scenes and regions with training"):
        calibrate_models([file], CalibrateParameters(train_data_dir=folder / "coast", fold=1, **chosen), PATHS)
    forced = calibrate_models(
        [file], CalibrateParameters(train_data_dir=folder / "coast", fold=1, force=True, **chosen), PATHS
    )
    assert forced.card["fitted_on"]["shares_regions"]
    assert load(file).model_id != run.card.model_id


def test_ground_of_one_class_calibrates_nothing(trained, tmp_path):
    folder, (run, _) = trained
    file = tmp_path / "a.safetensors"
    file.write_bytes(run.run.model.read_bytes())
    without = tmp_path / "without"
    shutil.copytree(folder / "coast", without)
    for labels in (without / "data.zarr" / "y" / "c").rglob("0"):
        if labels.is_file():
            labels.write_bytes(bytes(labels.stat().st_size))
    used = CalibrateParameters(train_data_dir=without, accelerator="cpu", force=True)
    with pytest.raises(ConfigError, match=r"show 0 pixels of slumps among \d+, but both classes are needed\."):
        calibrate_models([file], used, PATHS)
    assert read_card(file).calibration == run.card.calibration


def test_models_of_an_ensemble_have_names_of_their_own(trained, tmp_path):
    folder, (run, _) = trained
    used = CalibrateParameters(train_data_dir=folder / "coast", name="both")
    for files in ([], [run.run.model, run.run.model], [run.run.model, tmp_path / run.run.model.name]):
        with pytest.raises(ConfigError, match="knows its models by the names of their files"):
            calibrate_models(files, used, PATHS)


def test_several_models_get_a_card_of_their_mean(trained, tmp_path):
    folder, runs = trained
    files = []
    for run in runs:
        files.append(tmp_path / run.run.model.name)
        files[-1].write_bytes(run.run.model.read_bytes())
    used = CalibrateParameters(train_data_dir=folder / "coast", accelerator="cpu", name="both", force=True)
    result = calibrate_models(files, used, PATHS)
    card = read_ensemble_card(tmp_path / "both.ensemble.json")
    assert card.is_of([run.card.model_id for run in runs])
    assert card.temperature == result.card["temperature"]
    assert result.card["nll_after"] <= result.card["nll_before"] + 1e-6
    assert [model_id(file) for file in files] == [run.card.model_id for run in runs]
    with pytest.raises(ConfigError, match="needs a name"):
        calibrate_models(files, CalibrateParameters(train_data_dir=folder / "coast"), PATHS)
