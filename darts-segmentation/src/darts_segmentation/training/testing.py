"""The test of a model on patches that it has not learned from: scores by region, pictures, one page."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from darts_segmentation.models.card import ModelCard
from darts_segmentation.models.checkpoint import LoadedModel, load
from darts_segmentation.training.assess.evaluation import LEAST_BLOCKS, Evaluation, evaluate, with_intervals
from darts_segmentation.training.assess.predicting import Predictor, predictor
from darts_segmentation.training.data import LearningData, open_learning_data
from darts_segmentation.training.figures.patch_pictures import draw_patches
from darts_segmentation.training.figures.plots import precision_recall_curve, reliability_diagram, save_figure
from darts_segmentation.training.figures.report import Picture, write_report
from darts_segmentation.training.loop.beginnings import division_of, learned_regions
from darts_segmentation.training.loop.history import Silent, TrainingView
from darts_segmentation.training.loop.runs import RUNS, find_runs
from darts_segmentation.training.parameters import TestParameters
from darts_segmentation.training.train import reader, training_set
from darts_utils.errors import ConfigError
from darts_utils.files import atomic_file, make_folder
from darts_utils.machine.devices import decide_device
from darts_utils.paths import PathManager

TESTS = "_tests"
"""Folder among the artifacts."""
_SHOWN = 6
_ALL = "all"


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """A model that was tested."""

    __test__ = False  # it is no test, whatever pytest thinks of its name

    folder: Path
    """`scores.json`, `scores.csv`, `patches.csv`, `figures/` and `report.html`."""
    scores: pd.DataFrame
    """A row a score and region (`all` first): `region score value low high`."""

    @property
    def overall(self) -> dict[str, float]:
        """Scores over all regions."""
        rows = self.scores[self.scores["region"] == _ALL]
        return dict(zip(rows["score"], rows["value"], strict=True))


def assess(parameters: TestParameters, paths: PathManager, *, view: TrainingView | None = None) -> TestResult:
    """Test a model and write what is found; nothing is written into the model.

    Raises:
        ConfigError: If there is no such model or training set, or there are no test patches.
        CheckpointError: If the model cannot be used.
        DataError: If the training set is damaged, or the model gives no numbers.
    """
    view = view or Silent()
    base = parameters.artifact_dir or paths.artifacts
    file = _model_file(parameters, base)
    model = load(file)
    folder = training_set(parameters.train_data_dir, paths)
    data, chosen, why = _patches(parameters, model.card, folder)
    view.say(f"Testing {file.stem} on {len(chosen)} patches of {folder.name}: {why}")
    device = decide_device("cpu" if parameters.accelerator == "cpu" else None)
    predict = predictor(model.network, device)
    batches = reader(data, chosen, parameters.batch_size)
    result = evaluate(predict, batches(), temperature=model.card.temperature)
    out = base / TESTS / f"{file.stem}-{model.model_id[:8]}-{folder.name}"
    return _write(out, data, result, model, predict)


def _model_file(parameters: TestParameters, base: Path) -> Path:
    """Return the model that was named, else that of the newest run of a name, or of all.

    Raises:
        ConfigError: If there is none.
    """
    if parameters.model_file is not None:
        return parameters.model_file
    parent = base / RUNS
    if parameters.name is not None:
        found = [run.model for run in find_runs(parent, parameters.name) if run.is_finished]
    else:
        found = sorted(parent.glob("*/*.safetensors"), key=lambda file: file.stat().st_mtime_ns)
    if not found:
        whose = "of any run" if parameters.name is None else f"of a finished run {parameters.name}"
        raise ConfigError(f"there is no model {whose} in {parent}. Train one, or name one with --model-file.")
    return found[-1]


def _patches(parameters: TestParameters, card: ModelCard, folder: Path) -> tuple[LearningData, Any, str]:
    """Return the set, the patches to test on, and why it is those."""
    whole = replace(parameters.division(), data_split_method="none", data_split_by=None, fold_method="none")
    data = open_learning_data(folder, card.band_names, whole, learns=False)
    training = card.training or {}
    if parameters.asks_for_division:
        data = open_learning_data(folder, card.band_names, parameters.division(), learns=False)
        chosen = _some(data.split.test)
        return data, chosen, f"split as asked for ({data.split.method}){_learned_too(data, chosen, card)}"
    if training.get("patch_set") == data.patches.id:
        data = open_learning_data(folder, card.band_names, division_of(training), learns=False)
        return data, _some(data.split.test), f"those kept for test when it was trained ({data.split.method})"
    known = learned_regions(card)
    new = np.flatnonzero(~data.patches.metadata["region"].isin(known).to_numpy())
    left_out = len(data.patches) - len(new)
    words = f", but {left_out} of regions that it has learned from" if left_out else ""
    return data, _some(new), f"all{words}, for it was trained on another set"


def _learned_too(data: LearningData, chosen: Any, card: ModelCard) -> str:
    """Return a warning, if a model is tested on regions that it has learned from."""
    shared = sorted(set(data.patches.metadata["region"].iloc[chosen]) & learned_regions(card))
    return f". It has learned from {', '.join(shared)}: scores there flatter it" if shared else ""


def _some(chosen: Any) -> Any:
    if not len(chosen):
        raise ConfigError("there are no test patches. Choose another --data-split-method, such as region or sample.")
    return chosen


def _write(folder: Path, data: LearningData, result: Evaluation, model: LoadedModel, predict: Predictor) -> TestResult:
    make_folder(folder)
    table = scores_by_region(data, result)
    with atomic_file(folder / "scores.csv") as part:
        table.to_csv(part, index=False)
    with atomic_file(folder / "patches.csv") as part:
        _described_patches(data, result).to_csv(part)
    tested = TestResult(folder=folder, scores=table)
    with atomic_file(folder / "scores.json") as part:
        part.write_text(json.dumps({"model_id": model.model_id, "scores": tested.overall}, indent=1), encoding="utf-8")
    pictures = _draw(folder / "figures", data, result, predict, model.card.temperature)
    write_report(folder / "report.html", model.card, tested.scores, pictures, n_patches=len(result.patches), data=data)
    return tested


def scores_by_region(data: LearningData, result: Evaluation) -> pd.DataFrame:
    """Return all scores with 95 % intervals: over all regions first, then of each.

    Regions are resampled where there are four or more, else samples; within a region, samples, else patches. Fewer than
    four of them give no interval.
    """
    table = data.patches.metadata.iloc[result.patches.index]
    index = result.patches.index
    named = {name: pd.Series(table[name].to_numpy(), index=index) for name in ("region", "sample_id")}
    blocks = named["region"] if named["region"].nunique() >= LEAST_BLOCKS else named["sample_id"]
    overall = with_intervals(result.patches, blocks)
    ranking = {name: value for name, value in result.scores().items() if name not in overall.index}
    parts = [_rows(_ALL, pd.concat([overall, pd.DataFrame({"value": ranking})]))]
    for region in sorted(set(named["region"])):
        inside = result.patches[named["region"] == region]
        samples = named["sample_id"][inside.index]
        own = samples if samples.nunique() >= LEAST_BLOCKS else pd.Series(range(len(inside)), index=inside.index)
        parts.append(_rows(region, with_intervals(inside, own)))
    return pd.concat(parts, ignore_index=True)


def _rows(region: str, table: pd.DataFrame) -> pd.DataFrame:
    rows = table.rename_axis("score").reset_index()
    ordered: pd.DataFrame = rows.assign(region=region)[["region", "score", "value", "low", "high"]]
    return ordered


def _described_patches(data: LearningData, result: Evaluation) -> pd.DataFrame:
    table = data.patches.metadata.iloc[result.patches.index]
    counts = result.patches
    either = counts["tp"] + counts["fp"] + counts["fn"]
    iou = (counts["tp"] / either.where(either > 0)).rename("iou")
    names = table[["patch_id", "sample_id", "region"]].set_index(counts.index)
    described: pd.DataFrame = pd.concat([names, iou, counts], axis=1)
    return described


def _draw(
    folder: Path, data: LearningData, result: Evaluation, predict: Predictor, temperature: float
) -> list[Picture]:
    """Write the pictures, and return them with what they show."""
    pictures: list[Picture] = []
    if result.pixels.has_both:
        raw = result.pixels.scaled(1 / temperature)
        save_figure(reliability_diagram(raw, result.pixels), folder / "reliability.png")
        save_figure(precision_recall_curve(result.pixels), folder / "precision-recall.png")
        pictures += [
            Picture(folder / "reliability.png", "How often pixels of a probability are slumps."),
            Picture(folder / "precision-recall.png", "Precision of pixels against recall, over all thresholds."),
        ]
    by_iou = _described_patches(data, result)["iou"].dropna().sort_values()
    for name, chosen, words in (
        ("worst", by_iou.index[:_SHOWN], "The patches with the lowest IoU."),
        ("best", by_iou.index[::-1][:_SHOWN], "The patches with the highest IoU."),
    ):
        if len(chosen):
            save_figure(draw_patches(data, list(chosen), predict, temperature), folder / f"{name}-patches.png")
            pictures.append(Picture(folder / f"{name}-patches.png", words))
    return pictures
