"""The page of a test: everything in one file that opens from disk."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pandas as pd

from darts_segmentation.models.card import ModelCard
from darts_segmentation.training.data import LearningData
from darts_utils.files import atomic_file

_SHOWN = (
    "JaccardIndex", "F1Score", "Precision", "Recall", "AUROC", "AveragePrecision", "ECE", "ECE@0.02-0.98",
    "BoundaryIoU", "ObjectF1@0.3", "ObjectPrecision@0.3", "ObjectRecall@0.3", "ObjectF1@0.5", "ObjectPrecision@0.5",
    "ObjectRecall@0.5",
)  # fmt: skip
_BY_REGION = ("JaccardIndex", "Precision", "Recall", "ObjectF1@0.3", "ObjectF1@0.5")
_NAMES = {
    "JaccardIndex": "IoU", "F1Score": "F1", "AveragePrecision": "average precision",
    "ECE": "calibration error of all pixels", "ECE@0.02-0.98": "calibration error between 0.02 and 0.98",
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A picture and what it shows."""

    file: Path
    words: str

    @property
    def content(self) -> str:
        """Return the picture as text, for a page that needs no other file."""
        return base64.b64encode(self.file.read_bytes()).decode()


def write_report(
    file: Path,
    card: ModelCard,
    scores: pd.DataFrame,
    pictures: Sequence[Picture],
    *,
    n_patches: int,
    data: LearningData,
) -> None:
    """Write the page; it appears whole or not at all.

    Args:
        file: The page.
        card: The model.
        scores: See `darts_segmentation.training.testing.TestResult`.
        pictures: What is shown below.
        n_patches: How many patches were tested on.
        data: The set that they are of.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=loader)
    page = environment.get_template("report.html.jinja").render(
        card=card,
        overall=[_row(scores, "all", name) for name in _SHOWN],
        regions=[(region, [_row(scores, region, name) for name in _BY_REGION]) for region in _regions(scores)],
        by_region=[_label(name) for name in _BY_REGION],
        pictures=pictures,
        n_patches=n_patches,
        data_name=data.patches.folder.name,
        training=card.training or {},
        thresholds=card.thresholds or {},
    )
    with atomic_file(file) as part:
        part.write_text(page, encoding="utf-8")


def _regions(scores: pd.DataFrame) -> list[str]:
    return [str(name) for name in dict.fromkeys(scores["region"]) if name != "all"]


def _label(name: str) -> str:
    if name.startswith("Object"):
        measure, iou = name.removeprefix("Object").split("@")
        return f"{measure.lower() if measure != 'F1' else 'F1'} of objects at IoU {iou}"
    return _NAMES.get(name, name)


def _row(scores: pd.DataFrame, region: str, name: str) -> dict[str, str]:
    found = scores[(scores["region"] == region) & (scores["score"] == name)]
    value, low, high = (found[key].iloc[0] if len(found) else float("nan") for key in ("value", "low", "high"))
    interval = "" if pd.isna(low) else f"{low:.3f} to {high:.3f}"
    return {"name": _label(name), "value": "unknown" if pd.isna(value) else f"{value:.3f}", "interval": interval}
