"""Which patches of a training set would be for training, validation and test: numbers and regions of each fold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from darts_segmentation.training.checking.checks import Problem
from darts_segmentation.training.checking.reading import TrainingSet
from darts_segmentation.training.splits.division import SplitParameters
from darts_segmentation.training.splits.folds import Role, Split, every_fold
from darts_utils.errors import DataError


@dataclass(frozen=True, kw_only=True)
class RoleRow:
    """What has a role in a fold."""

    fold: int | None
    """The fold, None for what is the same in all."""
    role: str
    positives: int
    """Patches with slumps."""
    negatives: int
    """Patches without."""
    regions: tuple[str, ...]

    @property
    def cells(self) -> tuple[str | int, ...]:
        """The row as it is shown."""
        fold = "all" if self.fold is None else self.fold
        regions = ", ".join(self.regions) or "none"
        return fold, self.role, self.positives + self.negatives, self.positives, self.negatives, regions


def role_rows(
    training_set: TrainingSet, parameters: SplitParameters | None
) -> tuple[str | None, tuple[RoleRow, ...], list[Problem]]:
    """Return a line that says how a set is divided, the rows of all folds, and why it cannot be if it is damaged.

    Args:
        training_set: The set.
        parameters: How to divide it; None to do nothing.

    Raises:
        ConfigError: If the parameters are illegal, or cannot be followed with this set.
    """
    table = training_set.metadata
    if parameters is None or table is None:
        return None, (), []
    try:
        splits = list(every_fold(table, parameters))
    except DataError as error:
        return None, (), [Problem(str(error), "metadata.parquet")]
    return _line(splits), tuple(_rows(splits)), []


def _line(splits: Sequence[Split]) -> str:
    first = splits[0]
    validation = f"{len(splits)} folds by {first.fold_method}" if first.total_folds else "no validation"
    return f"Split by {first.method}, {validation}"


def _rows(splits: Sequence[Split]) -> Iterator[RoleRow]:
    yield _row(splits[0], None, "test", "test")
    for split in splits:
        fold = split.fold if split.total_folds else None
        if fold is not None:
            yield _row(split, fold, "val", "validation")
        yield _row(split, fold, "train", "training")


def _row(split: Split, fold: int | None, role: Role, name: str) -> RoleRow:
    positives = split.positives[role]
    number = len({"train": split.train, "val": split.val, "test": split.test}[role])
    return RoleRow(fold=fold, role=name, positives=positives, negatives=number - positives, regions=split.regions[role])
