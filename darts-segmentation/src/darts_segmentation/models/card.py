"""What a model file says of its model: one JSON object in its header, read without torch or a pickle."""

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from darts_segmentation.models.wording import brief
from darts_utils.bands import manager
from darts_utils.errors import CheckpointError

FORMAT = "darts-model"
"""Marks the header of a model file."""
VERSION = 1
"""Version of the header that is written, and the newest that is read."""
KEY = "darts"
"""Where the header of safetensors keeps it."""

_LENGTH = struct.Struct("<Q")
_LARGEST_HEADER = 16 * 2**20
"""Bytes; names and places of the weights of the largest networks take a few hundred kilobytes."""
_TEXTS = ("name", "version", "created", "licence", "citation", "contact")
_OBJECTS = ("input", "calibration", "thresholds", "training", "domain", "input_statistics")


@dataclass(frozen=True, kw_only=True)
class BandRange:
    """A band, and the values that a network saw as 0 and as 1; None where that is not known."""

    name: str
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, name: str) -> "BandRange":
        """Return a band with the range that this release normalises it with."""
        low, high = manager[name].valid_range
        return cls(name=name, low=float(low), high=float(high))

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in a file."""
        return {"name": self.name, "low": self.low, "high": self.high}


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """All that is known of a model but its weights; see the guide to models for the content of each object."""

    architecture: Mapping[str, Any]
    """Arguments of `segmentation_models_pytorch.create_model`, `encoder_weights` None among them."""
    bands: tuple[BandRange, ...]
    """Input channels in order."""
    name: str | None = None
    version: str | None = None
    created: str | None = None
    """When it was made, ISO 8601 in UTC."""
    licence: str | None = None
    citation: str | None = None
    contact: str | None = None
    input: Mapping[str, Any] | None = None
    """What it was trained on: `sensor`, `pixel_size_m`, `patch_size`, `tcvis_year`."""
    calibration: Mapping[str, Any] | None = None
    """`temperature`, what it was fitted on, and how good it is."""
    thresholds: Mapping[str, Any] | None = None
    """`low`, `medium`, `high` of objects, `best_f1` of pixels."""
    training: Mapping[str, Any] | None = None
    domain: Mapping[str, Any] | None = None
    """Where it was trained, a GeoJSON MultiPolygon in longitude and latitude."""
    input_statistics: Mapping[str, Any] | None = None
    """`mean` and `std` of each band over the training patches, model representation."""
    model_id: str | None = None
    """See `darts_segmentation.models.identity`; None before it is known."""

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the input channels in order."""
        return tuple(band.name for band in self.bands)

    @property
    def temperature(self) -> float:
        """What logits are divided by before the sigmoid; 1 for a model that is not calibrated."""
        return float((self.calibration or {}).get("temperature", 1.0))

    @property
    def is_calibrated(self) -> bool:
        """Whether a temperature was fitted."""
        return bool(self.calibration) and "temperature" in (self.calibration or {})

    @property
    def sensors(self) -> frozenset[str]:
        """Sensors that it was trained on, empty where that is not known."""
        said = (self.input or {}).get("sensor")
        names = said if isinstance(said, list) else [said]
        return frozenset(name for name in names if isinstance(name, str))

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in a file."""
        values = {name: getattr(self, name) for name in (*_TEXTS, "architecture", *_OBJECTS, "model_id")}
        plain = {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}
        return {
            "format": FORMAT,
            "format_version": VERSION,
            **plain,
            "bands": [band.to_json() for band in self.bands],
        }

    def with_(self, **changes: Any) -> "ModelCard":
        """Return a card with other values; its id is not known any more."""
        return replace(self, **{"model_id": None, **changes})


def read_card(path: Path) -> ModelCard:
    """Return the card of a `.safetensors` model without its weights; nothing heavy is imported for it.

    Raises:
        CheckpointError: If the file is missing, damaged, or no model of DARTS.
    """
    return parse_card(path, read_header(path).get("__metadata__"))


def read_header(path: Path) -> Mapping[str, Any]:
    """Return the header of a safetensors file as it is.

    Raises:
        CheckpointError: If there is no such file, or it has no such header.
    """
    try:
        with path.open("rb") as file:
            (size,) = _LENGTH.unpack(file.read(_LENGTH.size))
            header = json.loads(file.read(size)) if size <= _LARGEST_HEADER else None
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no model file {path}. Check the path.") from error
    except OSError as error:
        raise CheckpointError(f"cannot read the model file {path}: {error.strerror}. Check the path.") from error
    except (ValueError, RecursionError, struct.error) as error:
        raise CheckpointError(f"{path} is damaged or cut short and cannot be read. Copy it again.") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} has no header of safetensors. Give a model that DARTS wrote.")
    return header


def parse_card(path: Path, metadata: object) -> ModelCard:
    """Return the card in the metadata of a safetensors header.

    Raises:
        CheckpointError: If it is none, or of a later release.
    """
    text = metadata.get(KEY) if isinstance(metadata, Mapping) else None
    if not isinstance(text, str):
        raise CheckpointError(
            f"{path} holds weights but does not say what they are of (no {KEY} in its header). "
            "Use the file that `darts training` or `darts models pack` wrote."
        )
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} has a card that is no JSON. Copy it again.") from error
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise CheckpointError(f"{path} has a card that is not of {FORMAT}. Use a model that DARTS wrote.")
    if said.get("format_version") != VERSION:
        version = brief(said.get("format_version"))
        raise CheckpointError(f"{path} has the format version {version}, but {VERSION} is known. Update DARTS.")
    return _card(path, said)


def _card(path: Path, said: Mapping[str, Any]) -> ModelCard:
    texts = {name: said.get(name) for name in (*_TEXTS, "model_id")}
    objects = {name: said.get(name) for name in _OBJECTS}
    wrong = [name for name, value in texts.items() if not isinstance(value, str | None)]
    wrong += [name for name, value in objects.items() if not isinstance(value, dict | None)]
    if not isinstance(said.get("architecture"), dict):
        wrong.append("architecture")
    if wrong:
        raise CheckpointError(f"{path} has a card whose {', '.join(sorted(wrong))} is not of the right kind.")
    bands = tuple(_bands(path, said.get("bands")))
    card = ModelCard(architecture=said["architecture"], bands=bands, **texts, **objects)
    _check_temperature(path, (card.calibration or {}).get("temperature", 1.0))
    return card


def _bands(path: Path, said: object) -> Iterable[BandRange]:
    for band in said if isinstance(said, list) else [None]:
        name, *limits = (band.get(key) if isinstance(band, dict) else None for key in ("name", "low", "high"))
        if not isinstance(name, str) or not all(isinstance(limit, int | float | None) for limit in limits):
            raise CheckpointError(
                f"{path} has the band {brief(band)}, but an object with name, low and high is needed."
                " Write the file anew."
            )
        yield BandRange(name=name, low=limits[0], high=limits[1])


def _check_temperature(path: Path, temperature: object) -> None:
    if not isinstance(temperature, int | float) or not 0 < temperature < float("inf"):
        raise CheckpointError(
            f"{path} has the temperature {brief(temperature)}, but a positive number is needed. Calibrate it anew."
        )


def check_ranges(path: Path, bands: Iterable[BandRange]) -> None:
    """Refuse a model whose network saw other numbers for the same ground than it would be shown now.

    Raises:
        CheckpointError: If a band is normalised with another range in this release.
    """
    for band in bands:
        if band.name not in manager or band.low is None or band.high is None:
            continue
        low, high = manager[band.name].valid_range
        if (band.low, band.high) != (low, high):
            raise CheckpointError(
                f"{path} was trained with {band.name} from {band.low:g} to {band.high:g}, but this release normalises"
                f" it from {low:g} to {high:g}. Use the release that trained it, or train it anew."
            )
