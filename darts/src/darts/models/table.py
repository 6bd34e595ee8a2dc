"""What is in a folder of models, a row a file; one that cannot be used is a row too."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darts_segmentation.models.card import ModelCard
from darts_segmentation.models.ensemble_card import SUFFIX, read_ensemble_card
from darts_segmentation.models.tools.cards import SUFFIXES, card_of
from darts_utils.errors import DartsError, one_line
from darts_utils.paths import visible_files

COLUMNS = ("file", "name", "id", "bands", "sensor", "val IoU", "licence", "calibrated")
ID_DIGITS = 12
"""Of an id, where it is shown: enough to tell models apart."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A file of the folder."""

    file: Path
    cells: tuple[str, ...] = ()
    """After the name of the file, see `COLUMNS`."""
    fault: str | None = None
    """Why it cannot be used."""

    @property
    def document(self) -> dict[str, str]:
        """It, for other programs: the file, and its cells by column or the reason why it cannot be used."""
        names = [column.replace(" ", "_") for column in COLUMNS[1:]]
        cells = {"fault": self.fault} if self.fault is not None else dict(zip(names, self.cells, strict=True))
        return {"file": str(self.file), **cells}


def rows_of(folder: Path) -> Iterator[Row]:
    """Yield what is in a folder of models: model files by name, then ensemble cards."""
    for file in visible_files(folder, *SUFFIXES):
        yield _row(file)
    yield from map(_ensemble_row, ensemble_cards(folder))


def ensemble_cards(folder: Path) -> list[Path]:
    """Return the files of the ensemble cards of a folder, by name."""
    return [file for file in visible_files(folder, ".json") if file.name.endswith(SUFFIX)]


def _row(file: Path) -> Row:
    try:
        card = card_of(file)
        model_id = card.model_id if card.model_id is not None else _computed_id(file)
    except (DartsError, OSError) as error:
        return Row(file=file, fault=_reason(file, error))
    cells = (
        card.name or file.stem, model_id[:ID_DIGITS], str(len(card.bands)), ", ".join(sorted(card.sensors)),
        validation_iou(card), card.licence or "", "yes" if card.is_calibrated else "no",
    )  # fmt: skip
    return Row(file=file, cells=cells)


def _computed_id(file: Path) -> str:
    from darts_segmentation.models.checkpoint import model_id

    return model_id(file)


def _ensemble_row(file: Path) -> Row:
    try:
        card = read_ensemble_card(file)
    except DartsError as error:
        return Row(file=file, fault=_reason(file, error))
    cells = (f"{card.name} = {' + '.join(card.models)}", card.card_id[:ID_DIGITS], "", "", "", "", "yes")
    return Row(file=file, cells=cells)


def validation_iou(card: ModelCard) -> str:
    """Return the IoU of pixels on the validation patches as its card has it, nothing if it has none."""
    metrics = (card.training or {}).get("metrics")
    scores = metrics.get("val") if isinstance(metrics, dict) else None
    value = scores.get("JaccardIndex") if isinstance(scores, dict) else None
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def _reason(file: Path, error: Exception) -> str:
    return one_line(error).removeprefix(f"{file} ")
