"""What a run begins with besides a patch set: weights of another model, or the checkpoint of another run.

Both have learned already. What they have learned from must not be among the patches that the run is scored on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from darts_segmentation.models.architecture import checked_arguments
from darts_segmentation.models.card import ModelCard
from darts_segmentation.models.checkpoint import model_id, read_model
from darts_segmentation.training.data import LearningData, open_learning_data
from darts_segmentation.training.loop.checkpoints import WholeCheckpoints
from darts_segmentation.training.loop.runs import RunFolder, find_run_of
from darts_segmentation.training.splits.division import SplitParameters
from darts_utils.errors import CheckpointError, ConfigError

_SCORED = {"val": "validation", "test": "test"}
"""What patches that are not learned from are for."""


def learned_regions(card: ModelCard) -> set[str]:
    """Return the regions that a model has learned from, those of the models that it began with among them."""
    training = card.training or {}
    began_with = training.get("began_with") or {}
    return {*((training.get("split") or {}).get("train") or ()), *(began_with.get("regions") or ())}


def learned_samples(card: ModelCard, data: LearningData) -> set[str]:
    """Return the samples of a set that a model has learned from, empty if it was trained on another set."""
    training = card.training or {}
    if training.get("patch_set") != data.patches.id:
        return set()
    own = open_learning_data(data.patches.folder, card.band_names, division_of(training), learns=False)
    return set(data.patches.metadata["sample_id"].iloc[own.split.train])


def division_of(training: Mapping[str, Any]) -> SplitParameters:
    """Return how a model's training set was divided, from its card."""
    given = training.get("hyperparameters") or {}
    known = {field.name: given[field.name] for field in fields(SplitParameters) if field.name in given}
    return SplitParameters(**{**known, "random_seed": training.get("division_seed", known.get("random_seed", 42))})


def described_model(path: Path, card: ModelCard) -> dict[str, Any]:
    """Return what a card says of the model whose weights were the first."""
    return {"file": path.name, "model_id": model_id(path), "regions": sorted(learned_regions(card))}


def described_checkpoint(path: Path) -> dict[str, Any]:
    """Return what a card says of the checkpoint that was gone on from."""
    run = find_run_of(path)
    return {"file": path.name, "run": None if run is None else run.folder.name, "regions": _regions_of(run)}


def _regions_of(run: RunFolder | None) -> list[str]:
    """Return the regions that a run learns from, and that it began with."""
    if run is None:
        return []
    said = run.parameters()
    trained = ((said.get("split") or {}).get("regions") or {}).get("train") or ()
    return sorted({*trained, *((said.get("began_with") or {}).get("regions") or ())})


def check_unseen(data: LearningData, model: Path, card: ModelCard) -> None:
    """Do nothing if a model has learned from no patch that is for validation or test.

    Raises:
        ConfigError: If it has: scores there would flatter what is begun with it.
    """
    check_regions(data, learned_regions(card), model)
    samples = learned_samples(card, data)
    for role, words in _SCORED.items():
        shared = sorted(set(data.patches.metadata["sample_id"].iloc[getattr(data.split, role)]) & samples)
        if shared:
            raise ConfigError(_flattered(model, shared, words))


def check_regions(data: LearningData, regions: Iterable[str], whose: Path) -> None:
    """Do nothing if no patch for validation or test is of regions that were learned from.

    Regions that are learned from here too are left to the samples: a set may be divided within its regions.

    Raises:
        ConfigError: If one is.
    """
    learned = set(regions) - set(data.split.regions.get("train", ()))
    for role, words in _SCORED.items():
        shared = sorted(set(data.patches.metadata["region"].iloc[getattr(data.split, role)]) & learned)
        if shared:
            raise ConfigError(_flattered(whose, shared, words))


def _flattered(whose: Path, shared: Sequence[str], words: str) -> str:
    some = ", ".join(shared[:4]) + (" and others" if len(shared) > 4 else "")
    return (
        f"{whose} has learned from {some}, which is for {words} here: scores there would flatter. Divide the set as it"
        " was divided then (--fold, --random-seed, --data-split-by), or begin without it."
    )


def start_from(network: nn.Module, architecture: dict[str, Any], bands: tuple[str, ...], path: Path) -> None:
    """Put the weights of another model into a network.

    Raises:
        CheckpointError: If it has other bands or another architecture.
    """
    card, weights = read_model(path)
    theirs = checked_arguments(path, card.architecture)
    _check_alike(path, (theirs, card.band_names), (architecture, bands))
    with torch.no_grad():
        for name, weight in network.state_dict().items():
            weight.copy_(weights[name])


def check_continues(path: Path, architecture: dict[str, Any], bands: tuple[str, ...], max_epochs: int) -> None:
    """Do nothing if a run can go on from the checkpoint of another.

    Raises:
        CheckpointError: If it is damaged, or of other bands or another architecture.
        ConfigError: If it has learned for as many epochs already.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}. Check the path.")
    content = WholeCheckpoints().load_checkpoint(path)
    config = (content.get("hyper_parameters") or {}).get("config")
    if not isinstance(config, Mapping) or not {"model", "bands"} <= set(config) or "optimizer_states" not in content:
        raise CheckpointError(
            f"{path} is no checkpoint of a training run. Use it as --weights-from-checkpoint, or give a .ckpt file of "
            "a run."
        )
    theirs = checked_arguments(path, config["model"])
    _check_alike(path, (theirs, tuple(config["bands"])), (architecture, bands))
    epochs = int(content.get("epoch", -1)) + 1
    if epochs >= max_epochs:
        raise ConfigError(
            f"{path} has learned for {epochs} epochs, and max_epochs is {max_epochs}. Raise --max-epochs to go on."
        )


def _check_alike(
    path: Path, theirs: tuple[Mapping[str, Any], tuple[str, ...]], ours: tuple[Mapping[str, Any], tuple[str, ...]]
) -> None:
    (their_architecture, their_bands), (architecture, bands) = theirs, ours
    names = dict.fromkeys([*their_architecture, *architecture])
    unlike = [
        f"{name} {their_architecture.get(name)}"
        for name in names
        if their_architecture.get(name) != architecture.get(name)
    ]
    if their_bands != bands:
        unlike.append(f"the bands {', '.join(their_bands)}")
    if unlike:
        raise CheckpointError(
            f"{path} cannot be started from: it has {', '.join(unlike)}. Ask for the same, or start without it."
        )
