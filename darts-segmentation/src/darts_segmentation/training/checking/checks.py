"""What can be wrong with a training set: its layout, its table, and each of its patches."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from darts_segmentation.training.checking.reading import TrainingSet
from darts_segmentation.training.labels import BACKGROUND, IGNORED, SLUMP
from darts_segmentation.training.patch_set import COLUMNS
from darts_segmentation.training.patches.selection import LEAST_LABELLED
from darts_utils.bands import INDICES, TRAINING_BANDS
from darts_utils.errors import ConfigError, DataError
from darts_utils.rasters.arrays import Array

BAND_ORDER = (*TRAINING_BANDS, *(name for name in INDICES if name not in TRAINING_BANDS))
"""Order of the bands in every training set and model; indices beyond those of every set come last."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with a part of a set, or with one of its patches."""

    kind: str
    where: str


@dataclass(frozen=True, kw_only=True)
class PatchReport:
    """What was found in a patch."""

    index: int
    problems: tuple[str, ...] = ()
    counts: tuple[int, int, int] = (0, 0, 0)
    """Pixels of background, slump, ignored."""
    digest: bytes = b""
    low: Array = field(default_factory=lambda: np.zeros(0))
    """Lowest value of each band."""
    high: Array = field(default_factory=lambda: np.zeros(0))
    mean: Array = field(default_factory=lambda: np.zeros(0))


def layout_problems(training_set: TrainingSet) -> Iterator[Problem]:
    """Yield what is wrong with the arrays: dims, dtypes, lengths and chunks."""
    for name, fault in training_set.faults.items():
        yield Problem(fault, name)
    for name, array, dims, dtype in (("x", training_set.x, 4, "float32"), ("y", training_set.y, 3, "uint8")):
        if array is None:
            continue
        if array.ndim != dims or str(array.dtype) != dtype:
            yield Problem(f"it is {array.dtype} with {array.ndim} dims, not {dtype} with {dims}", name)
        elif tuple(array.shards or array.chunks) != (1, *array.shape[1:]):
            yield Problem(f"its chunks are {tuple(array.shards or array.chunks)}, not one a patch", name)
    if training_set.x is not None and training_set.y is not None:
        x, y = training_set.x.shape, training_set.y.shape
        if x[:1] + x[2:] != y:
            yield Problem(f"x is {x} but y is {y}", "data.zarr")


def band_problems(training_set: TrainingSet) -> Iterator[Problem]:
    """Yield what is wrong with the band list: its length, unknown names, another order."""
    bands, x = training_set.bands, training_set.x
    if bands is None:
        return
    if x is not None and x.ndim == 4 and x.shape[1] != len(bands):
        yield Problem(f"it lists {len(bands)} bands but x has {x.shape[1]}", "config.toml")
    unknown = [band for band in bands if band not in BAND_ORDER]
    if unknown:
        yield Problem(f"no band is called {', '.join(unknown)}", "config.toml")
    elif list(bands) != sorted(set(bands), key=BAND_ORDER.index):
        yield Problem(f"its bands are not in the order {' '.join(BAND_ORDER)}", "config.toml")


def lacking_bands(training_set: TrainingSet, wanted: Sequence[str]) -> Iterator[Problem]:
    """Yield which of some bands the set does not have.

    Raises:
        ConfigError: If no band has one of the names.
    """
    unknown = [band for band in wanted if band not in BAND_ORDER]
    if unknown:
        raise ConfigError(f"no band is called {', '.join(unknown)}. Known ones are {', '.join(BAND_ORDER)}.")
    lacking = [band for band in wanted if band not in (training_set.bands or wanted)]
    if lacking:
        yield Problem(f"the set has no {', '.join(lacking)}", "config.toml")


def table_problems(training_set: TrainingSet) -> Iterator[Problem]:
    """Yield what is wrong with the metadata, apart from what patches must confirm."""
    table, name = training_set.metadata, "metadata.parquet"
    if table is None:
        return
    missing = [column for column in (*COLUMNS, "geometry") if column not in table.columns]
    if missing:
        yield Problem(f"it lacks {', '.join(missing)}", name)
    for array_name, array in (("x", training_set.x), ("y", training_set.y)):
        if array is not None and array.shape[0] != len(table):
            yield Problem(f"it has {len(table)} rows but {array_name} has {array.shape[0]} patches", name)
    if "z_idx" in table and list(table["z_idx"]) != list(range(len(table))):
        yield Problem(f"its z_idx is not 0 to {len(table) - 1} in order", name)
    if table.crs is None or table.crs.to_epsg() != 4326:
        yield Problem("its CRS is not EPSG:4326", name)
    if "patch_id" in table:
        for patch_id in table["patch_id"][table["patch_id"].duplicated()].unique():
            yield Problem("a patch_id is there twice", str(patch_id))
    yield from _geometry_problems(table)


def _geometry_problems(table: pd.DataFrame) -> Iterator[Problem]:
    if "geometry" in table:
        shapes = table["geometry"]
        for index in np.flatnonzero(shapes.isna() | shapes.is_empty | ~shapes.is_valid):
            yield Problem("its geometry is missing or invalid", f"patch {index}")


def check_patch(training_set: TrainingSet, index: int) -> PatchReport:
    """Read a patch and report on it; the patch itself is not kept."""
    if training_set.missing_chunks("x", index):
        return PatchReport(index=index, problems=("its chunk of x is missing",))
    try:
        x, y = training_set.patch(index)
    except DataError:
        return PatchReport(index=index, problems=("its chunks cannot be read",))
    problems = [*_value_problems(x), *_label_problems(y)]
    flat = x.reshape(len(x), -1)
    with np.errstate(invalid="ignore"):
        mean = flat.mean(axis=1, dtype=np.float64)
    return PatchReport(
        index=index,
        problems=tuple(problems),
        counts=(int((y == BACKGROUND).sum()), int((y == SLUMP).sum()), int((y == IGNORED).sum())),
        digest=hashlib.blake2b(np.ascontiguousarray(x), digest_size=16).digest(),
        low=flat.min(axis=1),
        high=flat.max(axis=1),
        mean=mean,
    )


def _value_problems(x: Array) -> Iterator[str]:
    if not np.isfinite(x).all():
        yield "x is NaN or infinite somewhere"
    elif x.min() < 0 or x.max() > 1:
        yield "x is not within 0 to 1"
    elif not x.any():
        yield "x is 0 everywhere"


def _label_problems(y: Array) -> Iterator[str]:
    if y.max() > IGNORED:
        yield "y has other values than 0, 1 and 2"
    if (y != IGNORED).mean() < LEAST_LABELLED:
        yield f"less than {LEAST_LABELLED:.0%} of it is labelled"


def flag_problems(reports: Sequence[PatchReport], empty: Sequence[bool]) -> Iterator[Problem]:
    """Yield patches whose `empty` flag and label disagree; empty means that no pixel is a slump."""
    for report in reports:
        if not report.digest or report.index >= len(empty):
            continue
        if bool(empty[report.index]) != (report.counts[1] == 0):
            said, found = ("empty", "has slumps") if empty[report.index] else ("not empty", "has no slump")
            yield Problem(f"metadata says {said} but y {found}", f"patch {report.index}")


def duplicate_problems(reports: Sequence[PatchReport]) -> Iterator[Problem]:
    """Yield patches whose x is that of an earlier one."""
    first: dict[bytes, int] = {}
    for report in reports:
        if report.digest and first.setdefault(report.digest, report.index) != report.index:
            yield Problem("x is the same as in another patch", f"patches {first[report.digest]} and {report.index}")
