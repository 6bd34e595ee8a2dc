"""Ensemble cards: what the mean of several models needs to be believed, `{name}.ensemble.json` beside them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darts_utils.canonical import sha256_of
from darts_utils.errors import CheckpointError, one_line
from darts_utils.files import atomic_file

SUFFIX = ".ensemble.json"
FORMAT = "darts-ensemble"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class EnsembleCard:
    """A card of exactly these models together."""

    name: str
    models: Mapping[str, str]
    """Ids of the models by their names."""
    calibration: Mapping[str, Any]
    """`temperature` of the logit of their mean probability, and what it was fitted on."""
    thresholds: Mapping[str, Any]
    file: Path | None = field(default=None, compare=False)
    """Where it was read."""

    @property
    def temperature(self) -> float:
        """What the logit of the mean is divided by."""
        return float(self.calibration["temperature"])

    @property
    def card_id(self) -> str:
        """Return what tells cards apart: a hash over models and calibration."""
        return sha256_of({"models": sorted(self.models.values()), "calibration": dict(self.calibration)})

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in its file."""
        return {
            "format": FORMAT,
            "format_version": VERSION,
            "name": self.name,
            "models": dict(self.models),
            "calibration": dict(self.calibration),
            "thresholds": dict(self.thresholds),
        }

    def is_of(self, model_ids: Iterable[str]) -> bool:
        """Tell whether it is the card of exactly these models."""
        return sorted(model_ids) == sorted(self.models.values())


def write_ensemble_card(file: Path, card: EnsembleCard) -> None:
    """Write a card; it appears whole or not at all."""
    with atomic_file(file) as part:
        part.write_text(json.dumps(card.to_json(), indent=1, sort_keys=True, allow_nan=False), encoding="utf-8")


def read_ensemble_card(file: Path) -> EnsembleCard:
    """Return a card.

    Raises:
        CheckpointError: If it is none, or of a later release.
    """
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        if said["format"] != FORMAT or said["format_version"] != VERSION:
            raise ValueError("it is of another kind or release")
        card = EnsembleCard(
            name=str(said["name"]),
            models={str(name): str(model_id) for name, model_id in said["models"].items()},
            calibration=dict(said["calibration"]),
            thresholds=dict(said["thresholds"]),
            file=file,
        )
        if not 0 < card.temperature < float("inf"):
            raise ValueError("its temperature is no positive number")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = one_line(error, 120)
        raise CheckpointError(
            f"the ensemble card {file} cannot be used ({reason}). Make it anew, or delete it."
        ) from error
    return card


def named_ensemble_card(file: Path, model_ids: Iterable[str]) -> EnsembleCard:
    """Return a card that was named for some models.

    Raises:
        CheckpointError: If it cannot be read, or is of other models.
    """
    card = read_ensemble_card(file)
    if not card.is_of(model_ids):
        raise CheckpointError(
            f"the ensemble card {file} is of {', '.join(sorted(card.models))}, and not of exactly the models that are "
            "used. Name these, or leave the card out."
        )
    return card


def find_ensemble_card(folders: Iterable[Path], model_ids: Iterable[str]) -> EnsembleCard | None:
    """Return the card of exactly these models in some folders, None if there is none.

    Raises:
        CheckpointError: If a card cannot be read, or two differ about the same models.
    """
    wanted = sorted(model_ids)
    files = [file for folder in dict.fromkeys(folders) for file in sorted(folder.glob(f"*{SUFFIX}"))]
    found = [card for card in map(read_ensemble_card, files) if card.is_of(wanted)]
    if len({card.card_id for card in found}) > 1:
        names = ", ".join(card.name for card in found)
        raise CheckpointError(f"the ensemble cards {names} are of the same models but differ. Keep one of them.")
    return found[0] if found else None
