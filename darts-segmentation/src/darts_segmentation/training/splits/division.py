"""How a training set is to be divided, as users say it; kept apart from the doing, which takes a second to import."""

from dataclasses import dataclass
from typing import Literal

type SplitMethod = Literal["none", "random", "region", "sample"]
type FoldMethod = Literal["kfold", "shuffle", "stratified", "region", "region-stratified", "none"]


@dataclass(frozen=True, kw_only=True)
class DivisionParameters:
    """How a training set is divided into test and folds."""

    data_split_method: SplitMethod | None = None
    """What is kept for test: whole regions (`region`), whole samples (`sample`), samples drawn until they are a share
    of the patches (`random`), or nothing (`none`). Not given: by region where the set has at least four regions, else
    by sample. Regions that share a sample count as one."""
    data_split_by: list[str] | None = None
    """Regions or samples for test, by name; for `random` their share, such as 0.2. Not given: a fifth, by seed."""
    fold_method: FoldMethod | None = None
    """How the rest is divided into folds, of which one is for validation: by sample (`kfold`; `stratified`, with like
    shares of patches with slumps; `shuffle`, a fifth for five folds drawn anew for each), by region (`region`,
    `region-stratified`), or no validation (`none`). Not given: by region if the test is, else `kfold`."""
    total_folds: int = 5
    """Number of folds. If this is left as it is, and there are fewer regions or samples, one fold for each of them."""
    subsample: int | None = None
    """Use so many patches at most, drawn by seed after the division: from training, validation and test in proportion,
    with and without slumps. So regions and samples keep their roles."""
    buffer_m: float = 1000.0
    """Where test or validation is by region, leave out training patches within this distance of one of theirs, in
    metres of EPSG:3413."""


@dataclass(frozen=True, kw_only=True)
class SplitParameters(DivisionParameters):
    """How a training set is divided into training, validation and test."""

    fold: int = 0
    """The fold that is for validation, from 0."""
    random_seed: int = 42
    """Seed of all that is drawn. The test patches depend on it unless they are named."""
