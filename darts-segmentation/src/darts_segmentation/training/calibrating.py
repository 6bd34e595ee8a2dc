"""Calibration of models that are there: of one, written into its file, or of several, written as an ensemble card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_segmentation.ensemble import load_member
from darts_segmentation.models.card import ModelCard
from darts_segmentation.models.checkpoint import read_model
from darts_segmentation.models.ensemble_card import EnsembleCard, write_ensemble_card
from darts_segmentation.models.safe_file import SUFFIX, write_model
from darts_segmentation.network import Member
from darts_segmentation.training.assess.calibration import Calibration, calibrate, check_apart
from darts_segmentation.training.assess.predicting import ensemble_predictor
from darts_segmentation.training.data import LearningData, open_learning_data
from darts_segmentation.training.loop.beginnings import division_of, learned_regions, learned_samples
from darts_segmentation.training.loop.history import Silent, TrainingView
from darts_segmentation.training.parameters import CalibrateParameters
from darts_segmentation.training.train import reader, training_set
from darts_utils.errors import CheckpointError, ConfigError
from darts_utils.machine.devices import decide_device
from darts_utils.paths import PathManager
from darts_utils.rasters.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What was calibrated."""

    file: Path
    """The model, or the ensemble card."""
    card: Mapping[str, Any]
    """Its `calibration`, as it was written."""
    thresholds: Mapping[str, float | None]


def calibrate_models(
    files: Sequence[Path], parameters: CalibrateParameters, paths: PathManager, *, view: TrainingView | None = None
) -> Calibrated:
    """Fit temperature and thresholds of a model, or of the mean of several, on patches it has not learned from.

    One model is written anew with them, as `.safetensors` beside what it was, and gets a new id. Several stay as they
    are; `{name}.ensemble.json` beside the first says what their mean needs.

    Raises:
        ConfigError: If patches are those that a model has learned from (and it is not forced), there are none, or all
            their ground is of one class; the models stay as they are.
        CheckpointError: If a model cannot be used.
    """
    view = view or Silent()
    _check_names(files, parameters)
    cards = {file: read_model(file)[0] for file in files}
    folder = training_set(parameters.train_data_dir, paths)
    data, chosen = _patches(parameters, list(cards.values()), folder)
    described = _fitted_on(data, chosen, list(cards.values()), parameters)
    check_apart(described, force=parameters.force)
    device = decide_device("cpu" if parameters.accelerator == "cpu" else None)
    members = [load_member(file.stem, file, device) for file in files]
    if len(members) == 1:  # fitted anew, whatever it was fitted to before
        members = [Member(name=one.name, model=one.model, bands=one.bands) for one in members]
    view.say(f"Calibrating {' + '.join(one.name for one in members)} on {len(chosen)} patches of {folder.name}")
    fitted = calibrate(ensemble_predictor(members, data.bands, device), reader(data, chosen, parameters.batch_size))
    if not fitted.is_known:
        raise ConfigError(
            f"the {len(chosen)} validation patches of {folder.name} show {fitted.before.n_slump} pixels of slumps "
            f"among {fitted.before.n}, but both classes are needed. Choose other patches; the models are as they were."
        )
    return _write(files, cards, fitted, described, parameters)


def _check_names(files: Sequence[Path], parameters: CalibrateParameters) -> None:
    stems = [file.stem for file in files]
    if len(set(stems)) < max(len(stems), 1):
        raise ConfigError(
            f"the models are {', '.join(stems) or 'none'}, but one or more with names of their own are needed: an "
            "ensemble knows its models by the names of their files. Name each once."
        )
    if len(files) > 1 and parameters.name is None:
        raise ConfigError("several models are calibrated as an ensemble, which needs a name. Give one with --name.")


def _patches(parameters: CalibrateParameters, cards: Sequence[ModelCard], folder: Path) -> tuple[LearningData, Array]:
    """Return the set with the bands of all models, and the patches to fit on."""
    bands = list(dict.fromkeys(band for card in cards for band in card.band_names))
    training = cards[0].training or {}
    division = parameters.division()
    if not parameters.asks_for_division and training.get("hyperparameters"):
        division = division_of(training)
    data = open_learning_data(folder, bands, division, learns=False)
    if not len(data.split.val):
        raise ConfigError("there are no validation patches to calibrate on. Choose a --fold-method.")
    return data, data.split.val


def _fitted_on(
    data: LearningData, chosen: Array, cards: Sequence[ModelCard], parameters: CalibrateParameters
) -> dict[str, Any]:
    """Return what is fitted on, and whether one of the models has learned from the same regions or scenes."""
    table = data.patches.metadata.iloc[chosen]
    regions, scenes = set(table["region"]), set(table["sample_id"])
    learned: set[str] = set()
    learned_scenes: set[str] = set()
    for card in cards:
        learned |= learned_regions(card)
        learned_scenes |= learned_samples(card, data)
    unknown = [card for card in cards if not card.training]
    if unknown and not parameters.force:
        raise ConfigError(
            "a model does not say what it was trained on, so whether these patches are new to it is unknown. "
            "Use --force if you know that they are."
        )
    return {
        "patch_set": data.patches.id,
        "split": "val",
        "regions": sorted(regions),
        "shares_scenes": bool(scenes & learned_scenes),
        "shares_regions": bool(regions & learned),
    }


def _write(
    files: Sequence[Path],
    cards: Mapping[Path, ModelCard],
    fitted: Calibration,
    described: Mapping[str, Any],
    parameters: CalibrateParameters,
) -> Calibrated:
    calibration, thresholds = fitted.to_card(described), fitted.thresholds()
    if len(files) == 1:
        file = files[0].with_suffix(SUFFIX)
        card, weights = read_model(files[0])
        if any(band.low is None for band in card.bands):
            raise CheckpointError(
                f"{files[0]} does not say how its bands were normalised. Write it anew with `darts models pack` first."
            )
        write_model(file, card.with_(calibration=calibration, thresholds=thresholds), weights)
        return Calibrated(file=file, card=calibration, thresholds=thresholds)
    name = str(parameters.name)
    file = files[0].parent / f"{name}.ensemble.json"
    ids = {one.stem: str(cards[one].model_id) for one in files}
    write_ensemble_card(file, EnsembleCard(name=name, models=ids, calibration=calibration, thresholds=thresholds))
    return Calibrated(file=file, card=calibration, thresholds=thresholds)
