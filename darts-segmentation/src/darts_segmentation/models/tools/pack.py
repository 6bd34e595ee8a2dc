"""Older model files become `.safetensors`, with what their owner states about them."""

from dataclasses import dataclass
from pathlib import Path

from darts_segmentation.models.card import BandRange, ModelCard
from darts_segmentation.models.checkpoint import read_model
from darts_segmentation.models.safe_file import SUFFIX, write_model
from darts_segmentation.models.tools.statement import Statement, is_known
from darts_utils.errors import ConfigError, OutputError


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
