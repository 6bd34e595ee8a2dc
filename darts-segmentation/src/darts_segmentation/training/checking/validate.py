"""Everything that can be wrong with a training set, looked for in every patch."""

import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from darts_segmentation.training.checking.checks import (
    PatchReport,
    Problem,
    band_problems,
    check_patch,
    duplicate_problems,
    flag_problems,
    lacking_bands,
    layout_problems,
    table_problems,
)
from darts_segmentation.training.checking.reading import TrainingSet, open_training_set
from darts_segmentation.training.checking.roles import RoleRow, role_rows
from darts_segmentation.training.splits.division import SplitParameters
from darts_utils.errors import ConfigError

_MOST_THREADS = 8


type Progress = Callable[[Iterator[PatchReport], int], Iterator[PatchReport]]


@dataclass(frozen=True, kw_only=True)
class ValidationReport:
    """What was found in a training set."""

    n_patches: int
    problems: tuple[Problem, ...]
    balance: tuple[tuple[str, int, int, int, int, int], ...]
    """For each region: name, patches, empty patches, pixels of background, slump, ignored. The last row is all."""
    bands: tuple[tuple[str, float, float, float], ...]
    """For each band: name, lowest, mean and highest value."""
    split: str | None = None
    """What was divided how, if it was asked for."""
    roles: tuple[RoleRow, ...] = ()
    """What is for test, and for validation and training of each fold, if it was asked for."""

    @property
    def exit_code(self) -> int:
        """Exit status for the shell: 0 sound, 1 there are problems."""
        return 1 if self.problems else 0


def validate_dataset(
    train_data_dir: Path,
    *,
    threads: int | None = None,
    bands: list[str] | None = None,
    split: SplitParameters | None = None,
    progress: Progress | None = None,
) -> ValidationReport:
    """Check a training set: layout, metadata, band list, every patch and its label.

    If anything is said of how to divide it, the report says what is for training, validation and test in each fold.

    Args:
        train_data_dir: Folder with data.zarr, metadata.parquet and config.toml.
        threads: Patches read at once; as many as there are cores, up to 8, if not given.
        bands: Bands that a model is to be trained with; all of them must be in the set.
        split: How to divide it, to see what comes out; None to see nothing of it.
        progress: Is given the reports of patches as they come, and their number, and yields them again.

    Returns:
        The report.

    Raises:
        ConfigError: If there is no training set, the number of threads is not positive, a band is unknown, or the set
            cannot be divided so.
    """
    if threads is not None and threads < 1:
        raise ConfigError(f"threads is {threads} but must be positive. Use 1 or more.")
    training_set = open_training_set(train_data_dir)
    problems = [*layout_problems(training_set), *band_problems(training_set), *table_problems(training_set)]
    problems += lacking_bands(training_set, bands or ())
    line, roles, unsplit = role_rows(training_set, split)
    problems += unsplit
    workers = min(os.cpu_count() or 1, _MOST_THREADS) if threads is None else threads
    patches = _readable(training_set)
    checked = _in_order(partial(check_patch, training_set), patches, workers)
    reports = list(checked if progress is None else progress(checked, len(patches)))
    problems += [Problem(kind, f"patch {report.index}") for report in reports for kind in report.problems]
    problems += [*_missing_labels(training_set, reports), *duplicate_problems(reports)]
    if training_set.metadata is not None and "empty" in training_set.metadata:
        problems += flag_problems(reports, list(training_set.metadata["empty"]))
    return ValidationReport(
        n_patches=len(reports),
        problems=tuple(problems),
        balance=tuple(_balance(training_set, reports)),
        bands=tuple(_band_rows(training_set, reports)),
        split=line,
        roles=roles,
    )


def _readable(training_set: TrainingSet) -> range:
    """Return the patches that both arrays have; none if their dims are not as they should be."""
    x, y = training_set.x, training_set.y
    if x is None or y is None or x.ndim != 4 or y.ndim != 3 or x.shape[2:] != y.shape[1:]:
        return range(0)
    return range(min(x.shape[0], y.shape[0]))


def _in_order(function: Callable[[int], PatchReport], indices: range, workers: int) -> Iterator[PatchReport]:
    """Yield what a function gives for each index, several at once; only a few results wait in memory."""
    waiting: deque[Future[PatchReport]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="darts-validate") as pool:
        try:
            for index in indices:
                waiting.append(pool.submit(function, index))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _missing_labels(training_set: TrainingSet, reports: Sequence[PatchReport]) -> Iterator[Problem]:
    """Yield patches without a chunk of y, unless chunks of zeros were left out when the set was written."""
    background = [report.index for report in reports if sum(report.counts) and not any(report.counts[1:])]
    missing = {index for index in background if training_set.missing_chunks("y", index)}
    if len(missing) < len(background):
        yield from (Problem("its chunk of y is missing", f"patch {index}") for index in sorted(missing))


def _balance(
    training_set: TrainingSet, reports: Sequence[PatchReport]
) -> Iterator[tuple[str, int, int, int, int, int]]:
    """Yield the row of each region, and that of all."""
    table = training_set.metadata
    regions = [] if table is None or "region" not in table else list(table["region"])
    counts: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for report in reports:
        counts[str(regions[report.index]) if report.index < len(regions) else "?"].append(report.counts)
    counts = {**dict(sorted(counts.items())), "all": [report.counts for report in reports]}
    for region, rows in counts.items():
        background, slump, ignored = np.sum(rows or [(0, 0, 0)], axis=0)
        yield region, len(rows), sum(row[1] == 0 for row in rows), int(background), int(slump), int(ignored)


def _band_rows(training_set: TrainingSet, reports: Sequence[PatchReport]) -> Iterator[tuple[str, float, float, float]]:
    read = [report for report in reports if len(report.low)]
    if read:
        low = np.min([report.low for report in read], axis=0)
        mean = np.mean([report.mean for report in read], axis=0)
        high = np.max([report.high for report in read], axis=0)
        names = training_set.bands or ()
        for index in range(len(low)):
            name = names[index] if index < len(names) else f"band {index}"
            yield name, float(low[index]), float(mean[index]), float(high[index])
