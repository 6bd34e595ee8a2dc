"""The one table at the end: what became of every row, image and patch."""

from pathlib import Path

import geopandas as gpd

from darts.datasets.build.regions import Regions
from darts.datasets.build.samples import Collection
from darts.utils.console import show_rows
from darts_segmentation.training import TrainDatasetBuilder

_MOST_NEAR_MISSES = 20
_REASONS = {
    "few_labelled": "patches left out: under a tenth labelled",
    "no_positive": "patches left out: without a slump",
    "with_nan": "patches left out: a band has no data somewhere",
}


def show_rows_of(collection: Collection) -> None:
    """Show what became of the rows of labels and footprints."""
    rows = _of_rows(collection)
    _show_near_misses(collection)
    show_rows("Labels and footprints", ("what", "number"), rows)


def show_summary(collection: Collection, regions: Regions, builder: TrainDatasetBuilder, folder: Path) -> None:
    """Show what became of rows, images and patches."""
    negatives = sum(not len(sample.image.labels) for sample in collection)
    metadata = gpd.read_parquet(folder / "metadata.parquet")
    left_out = {
        what: sum(getattr(counts, reason) for counts in builder.samples.values()) for reason, what in _REASONS.items()
    }
    rows = [
        *_of_rows(collection),
        ("samples", len(list(collection))),
        ("samples without any label, used as negatives", negatives),
        *regions.tally(),
        ("samples in the data set", len(builder.samples)),
        ("patches", len(builder)),
        ("patches with a slump", int((~metadata["empty"].astype(bool)).sum())),
        *((what, n) for what, n in left_out.items() if n),
        *_alignment(metadata),
    ]
    _show_near_misses(collection)
    show_rows("Training data", ("what", "number"), rows)


def _of_rows(collection: Collection) -> list[tuple[str, int]]:
    matched = collection.matched
    return [*matched.footprints.tally(), *matched.labels.tally(), *(line for line in collection.tally if line[1])]


def _alignment(metadata: gpd.GeoDataFrame) -> list[tuple[str, int]]:
    """Return for how many samples labels were moved, if that was tried."""
    if "aligned" not in metadata:
        return []
    by_sample = metadata.drop_duplicates("sample_id")
    return [(f"samples with labels {how}", int(n)) for how, n in by_sample["aligned"].value_counts().items()]


def _show_near_misses(collection: Collection) -> None:
    near = list(collection.matched.near_misses.items())
    if near:
        more = [(f"and {len(near) - _MOST_NEAR_MISSES} more", "")] if len(near) > _MOST_NEAR_MISSES else []
        title = "Ids that fit nothing, and what they nearly are; correct them in the layers"
        show_rows(title, ("id", "nearly"), [*near[:_MOST_NEAR_MISSES], *more])
