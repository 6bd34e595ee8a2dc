"""A card in words, line by line."""

from collections.abc import Iterator, Mapping
from typing import Any

from darts_segmentation.models.card import ModelCard
from darts_segmentation.models.ensemble_card import EnsembleCard


def card_lines(card: ModelCard) -> Iterator[tuple[str, str]]:
    """Yield name and value of all that a card says, for people; what it does not say is left out, but a licence."""
    texts = ("name", "version", "created", "licence", "citation", "contact")
    yield from ((name, str(value)) for name in texts if (value := getattr(card, name)) is not None)
    if card.licence is None:
        yield "licence", "not stated, so nobody but its makers may pass it on"
    yield "id", card.model_id or "none"
    yield "network", f"{card.architecture.get('arch')}, encoder {card.architecture.get('encoder_name')}"
    for index, band in enumerate(card.bands):
        has_range = band.low is not None and band.high is not None
        yield f"band {index}", f"{band.name}, {f'{band.low:g} to {band.high:g}' if has_range else 'range not stated'}"
    yield from _items("input", card.input)
    yield "calibrated", "yes" if card.is_calibrated else "no"
    yield from _items("calibration", card.calibration)
    yield from _items("threshold", card.thresholds)
    yield from _training(card.training or {})
    if (box := bounding_box(card.domain)) is not None:
        west, south, east, north = box
        yield "domain", f"longitude {west:.2f} to {east:.2f}, latitude {south:.2f} to {north:.2f}"


def ensemble_lines(card: EnsembleCard) -> Iterator[tuple[str, str]]:
    """Yield name and value of all that an ensemble card says, for people."""
    yield "name", card.name
    yield "id", card.card_id
    yield from (("model", f"{name} {model_id}") for name, model_id in card.models.items())
    yield "calibrated", "yes"
    yield from _items("calibration", card.calibration)
    yield from _items("threshold", card.thresholds)


def _training(training: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    metrics, split = training.get("metrics"), training.get("split")
    plain = {key: value for key, value in training.items() if key not in ("metrics", "split", "hyperparameters")}
    yield from _items("training", plain)
    yield from _items("split", split)
    for role, scores in (metrics if isinstance(metrics, Mapping) else {}).items():
        yield from _items(str(role), scores)


def _items(before: str, said: Any) -> Iterator[tuple[str, str]]:
    for key, value in (said if isinstance(said, Mapping) else {}).items():
        yield f"{before} {key}", _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    return "none" if value is None else str(value)


def bounding_box(domain: Mapping[str, Any] | None) -> tuple[float, float, float, float] | None:
    """Return west, south, east and north of a GeoJSON geometry in degrees, None if it has no positions."""
    positions = list(_positions((domain or {}).get("coordinates")))
    if not positions:
        return None
    longitudes, latitudes = zip(*positions, strict=True)
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def _positions(coordinates: Any) -> Iterator[tuple[float, float]]:
    if not isinstance(coordinates, list | tuple):
        return
    if len(coordinates) >= 2 and all(isinstance(value, int | float) for value in coordinates[:2]):
        yield coordinates[0], coordinates[1]
        return
    for part in coordinates:
        yield from _positions(part)
