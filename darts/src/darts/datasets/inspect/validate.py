"""`darts training validate-dataset`: is a training set whole and sound?"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from darts.utils.console import show_table
from darts.utils.terminal import is_plain, output_console, say
from darts_segmentation.training.splits.division import SplitParameters

if TYPE_CHECKING:
    from darts_segmentation.training.checking.checks import PatchReport
    from darts_segmentation.training.checking.validate import ValidationReport

_EXAMPLES = 5


def validate_command(
    train_data_dir: Path,
    *,
    threads: int | None = None,
    bands: list[str] | None = None,
    split: Annotated[SplitParameters | None, Parameter(name="*")] = None,
) -> int:
    """Check a training set: layout, metadata, band list, every patch and its label.

    If anything is said of how to divide it, it is shown what would be for training, validation and test in each fold.

    Args:
        train_data_dir: Folder with data.zarr, metadata.parquet and config.toml.
        threads: Patches read at once; as many as there are cores, up to 8, if not given.
        bands: Bands that a model is to be trained with; all of them must be in the set.
        split: How to divide it, to see what comes out; None to see nothing of it.

    Returns:
        The exit status: 0 sound, 1 there are problems.

    Raises:
        ConfigError: If there is no training set, the number of threads is not positive, a band is unknown, or the set
            cannot be divided so.
    """
    from darts_segmentation.training.checking.validate import validate_dataset

    report = validate_dataset(train_data_dir, threads=threads, bands=bands, split=split, progress=_progress)
    _show(report)
    return report.exit_code


def _progress(reports: "Iterator[PatchReport]", total: int) -> "Iterator[PatchReport]":
    """Show a progress bar, on a terminal, while the patches go by."""
    from rich.progress import Progress

    with Progress(console=output_console(), transient=True, disable=is_plain()) as progress:
        yield from progress.track(reports, total=total, description="patches")


def _show(report: "ValidationReport") -> None:
    show_table(
        "Labels, share of all pixels",
        ("region", "patches", "without slump", "background", "slump", "ignored"),
        [(region, n, empty, *_shares(counts)) for region, n, empty, *counts in report.balance],
    )
    rows = [(name, *(f"{value:.3f}" for value in values)) for name, *values in report.bands]
    show_table("Bands", ("band", "lowest", "mean", "highest"), rows)
    if report.split is not None:
        say(report.split)
        show_table(
            "Roles", ("fold", "role", "patches", "with slumps", "without", "regions"), [r.cells for r in report.roles]
        )
    places: dict[str, list[str]] = defaultdict(list)
    for problem in report.problems:
        places[problem.kind].append(problem.where)
    if places:
        rows_of_problems = [(kind, len(where), _examples(where)) for kind, where in places.items()]
        show_table("Problems", ("problem", "number", "where"), rows_of_problems)
    n = len(report.problems)
    said = "no problems" if n == 0 else f"{n} problem{'s' if n > 1 else ''}"
    say(f"{report.n_patches} patches checked: {said}")


def _shares(counts: Sequence[int]) -> list[str]:
    total = max(sum(counts), 1)
    return [f"{count / total:.2%}" for count in counts]


def _examples(where: Sequence[str]) -> str:
    more = len(where) - _EXAMPLES
    return ", ".join(where[:_EXAMPLES]) + (f" and {more} more" if more > 0 else "")
