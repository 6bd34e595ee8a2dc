"""What an owner states about a model, in place of what its file does not say; nothing heavy is imported for it."""

from dataclasses import dataclass
from typing import Any, Literal

from darts_segmentation.models.card import BandRange, ModelCard
from darts_utils.errors import ConfigError
from darts_utils.parameters import check_tcvis_year

type Sensor = Literal["sentinel2", "planet"]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What is stated about a model; what is not given stays as the file has it."""

    name: str | None = None
    """Name of the model, that of the file if nothing else is known."""
    version: str | None = None
    """Version of the model, free text."""
    licence: str | None = None
    """Licence under which it may be used, such as CC-BY-4.0."""
    citation: str | None = None
    """How it is cited, with its DOI if it has one."""
    contact: str | None = None
    """Whom to ask about it."""
    sensor: list[Sensor] | None = None
    """Sensors that it was trained on."""
    pixel_size_m: float | None = None
    """Edge of the pixels that it was trained on, in metres."""
    trained_patch_size: int | None = None
    """Edge of the patches that it was trained on, in pixels."""
    tcvis_year: list[int] | None = None
    """Last years of the trends that it was trained on."""

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("pixel_size_m", "trained_patch_size"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{name} is {value} but must be positive. Correct it, or leave it out.")
        for year in self.tcvis_year or ():
            check_tcvis_year(year)

    def applied_to(self, card: ModelCard, stem: str) -> ModelCard:
        """Return a card with what is stated; bands of unknown range get those of this release.

        Args:
            card: The card of the file.
            stem: The name of the file, for a model that has none.
        """
        texts = {name: getattr(self, name) for name in ("version", "licence", "citation", "contact")}
        given: dict[str, Any] = {name: value for name, value in texts.items() if value is not None}
        name = self.name if self.name is not None else card.name
        return card.with_(
            **given,
            name=stem if name is None else name,
            input={**(card.input or {}), **self._input()} or None,
            bands=tuple(band if is_known(band) else BandRange.of(band.name) for band in card.bands),
        )

    def _input(self) -> dict[str, Any]:
        said = {
            "sensor": self.sensor,
            "pixel_size_m": self.pixel_size_m,
            "patch_size": self.trained_patch_size,
            "tcvis_year": self.tcvis_year,
        }
        return {name: value for name, value in said.items() if value is not None}


def is_known(band: BandRange) -> bool:
    """Tell whether a file states the range of a band."""
    return band.low is not None and band.high is not None
