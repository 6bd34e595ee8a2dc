"""Older model files become `.safetensors`, with what their owner states about them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from darts_segmentation.models.card import BandRange, ModelCard
from darts_segmentation.models.checkpoint import read_model
from darts_segmentation.models.safe_file import SUFFIX, write_model
from darts_utils.errors import ConfigError, OutputError
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


@dataclass(frozen=True, kw_only=True)
class Written:
    """A model file that was written."""

    file: Path
    card: ModelCard
    """As written."""
    former_id: str
    """Id of the model in the file that it was made of."""
    assumed: tuple[BandRange, ...] = ()
    """Bands whose range the older file does not state, with those of this release."""


def is_known(band: BandRange) -> bool:
    """Tell whether a file states the range of a band."""
    return band.low is not None and band.high is not None


def pack(file: Path, stated: Statement, out: Path | None = None, *, overwrite: bool = False) -> Written:
    """Write a model as `.safetensors` with what is stated about it.

    Args:
        file: A model file of any layout.
        stated: What is known of it beside what the file says.
        out: The file to write; beside the older one, of its name, if not given.
        overwrite: Whether a file that is there already is replaced.

    Raises:
        CheckpointError: If the file is not a usable model.
        ConfigError: If the name to write has another suffix.
        OutputError: If there is such a file already, or it cannot be written.
    """
    target = target_of(file, out, overwrite=overwrite)
    card, weights = read_model(file)
    assumed = tuple(BandRange.of(band.name) for band in card.bands if not is_known(band))
    written = write_model(target, stated.applied_to(card, file.stem), weights)
    return Written(file=target, card=written, former_id=str(card.model_id), assumed=assumed)


def target_of(file: Path, out: Path | None, *, overwrite: bool = False) -> Path:
    """Return the `.safetensors` file to write.

    Raises:
        ConfigError: If another suffix was given.
        OutputError: If it is there already and is not to be replaced.
    """
    target = file.with_suffix(SUFFIX) if out is None else out
    if target.suffix.lower() != SUFFIX:
        raise ConfigError(f"out is {target} but must end in {SUFFIX}. Correct it.")
    check_free(target, overwrite=overwrite)
    return target


def check_free(target: Path, *, overwrite: bool) -> None:
    """Do nothing where a file can be written.

    Raises:
        OutputError: If it is there already and is not to be replaced.
    """
    if target.exists() and not overwrite:
        raise OutputError(f"{target} is there already. Name another file with --out, or add --overwrite.")
