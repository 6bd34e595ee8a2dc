"""Which patches of a training set are for training, for validation and for test."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal, get_args

import geopandas as gpd
import numpy as np

from darts_segmentation.training.splits.division import FoldMethod, SplitMethod, SplitParameters
from darts_segmentation.training.splits.groups import (
    choose_groups,
    near,
    region_groups,
    sample_groups,
    stratified_folds,
    subsample,
)
from darts_utils.errors import ConfigError, DataError
from darts_utils.rasters.arrays import Array

type Role = Literal["train", "val", "test"]

LEAST_REGIONS = 4
"""From so many regions on a set is split by region unless something else is asked for."""
TEST_SHARE = 0.2
"""Share of the patches that is for test unless something else is asked for."""
_COLUMNS = ("z_idx", "region", "sample_id", "empty", "geometry")
_BY_REGION = ("region", "region-stratified")
_ROLES: dict[Role, str] = {"test": "test", "val": "validation", "train": "training"}
_MOST_NAMES = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Patches by role, as positions in the set (`z_idx`), int64, ascending; no patch has two roles."""

    train: Array
    val: Array
    test: Array
    left_out: Array
    """Patches that would be for training but are too near to validation or test."""
    method: SplitMethod
    """How test patches were chosen, never None."""
    fold_method: FoldMethod
    """How validation patches were chosen, never None."""
    fold: int
    total_folds: int
    """How many folds there are; 0 without validation."""
    buffer_m: float
    regions: Mapping[Role, tuple[str, ...]]
    """Regions by role, in the order of their names; only a method by region keeps them apart."""
    positives: Mapping[Role, int]
    """Number of patches with slumps by role."""

    def describe(self) -> str:
        """Return what was divided how, as one line for the log."""
        validation = f"fold {self.fold} of {self.total_folds} by {self.fold_method}"
        parts = [
            f"split by {self.method}: {self._role('test')}" if self.method != "none" else "no test",
            f"{validation}: {self._role('val')}" if self.fold_method != "none" else "no validation",
            self._role("train"),
        ]
        if len(self.left_out):
            parts.append(f"{_patches(len(self.left_out))} left out within {self.buffer_m:g} m of test or validation")
        return "; ".join(parts)

    def _role(self, role: Role) -> str:
        number, names = len(getattr(self, role)), self.regions[role]
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        where = ", ".join(names[:_MOST_NAMES]) + more
        return f"{_ROLES[role]} {_patches(number)}, {self.positives[role]} with slumps ({where})"


def make_split(metadata: gpd.GeoDataFrame, parameters: SplitParameters) -> Split:
    """Return the patches of a training set by role.

    Whatever the method, patches of a sample have one role. Where test (or validation) is by region, no training patch
    lies in one of its regions, nor within the buffer of one of its patches. The order of the rows does not matter.

    Args:
        metadata: A row a patch, with `z_idx`, `region`, `sample_id`, `empty` and outlines in any CRS.
        parameters: How to divide it.

    Raises:
        ConfigError: If the parameters are illegal, or cannot be followed with this set.
        DataError: If the metadata lack a column or a value.
    """
    _check_parameters(parameters)
    table = _checked(metadata)
    method, is_test = _test(table, parameters)
    fold_method = _fold_method(method, parameters)
    is_val, total_folds = _validation(table, ~is_test, fold_method, parameters)
    by_region = (is_test & (method == "region")) | (is_val & (fold_method in _BY_REGION))
    is_near = _near(table, ~(is_test | is_val), by_region, parameters.buffer_m)
    _check_training(~(is_test | is_val | is_near), f"All lies within buffer_m ({parameters.buffer_m:g} m) of the rest.")
    masks: dict[Role, Array] = {"train": ~(is_test | is_val | is_near), "val": is_val, "test": is_test}
    masks = _subsampled(masks, table["empty"].to_numpy(dtype=bool), parameters)
    z_idx = table["z_idx"].to_numpy(dtype=np.int64)
    return Split(
        train=z_idx[masks["train"]],
        val=z_idx[masks["val"]],
        test=z_idx[masks["test"]],
        left_out=z_idx[is_near],
        method=method,
        fold_method=fold_method,
        fold=parameters.fold,
        total_folds=total_folds,
        buffer_m=parameters.buffer_m,
        regions={role: tuple(sorted(set(table["region"][mask]))) for role, mask in masks.items()},
        positives={role: int((~table["empty"][mask].astype(bool)).sum()) for role, mask in masks.items()},
    )


def every_fold(metadata: gpd.GeoDataFrame, parameters: SplitParameters) -> Iterator[Split]:
    """Yield the split of each fold, from fold 0 on, whatever `fold` is; one without validation if there are no folds.

    Raises:
        ConfigError: If the parameters are illegal, or cannot be followed with this set.
        DataError: If the metadata lack a column or a value.
    """
    first = make_split(metadata, replace(parameters, fold=0))
    yield first
    for fold in range(1, first.total_folds):
        yield make_split(metadata, replace(parameters, fold=fold))


def _check_parameters(parameters: SplitParameters) -> None:
    for name, value, legal in (
        ("data_split_method", parameters.data_split_method, get_args(SplitMethod.__value__)),
        ("fold_method", parameters.fold_method, get_args(FoldMethod.__value__)),
    ):
        if value is not None and value not in legal:
            raise ConfigError(f"{name} is {value!r} but must be {', '.join(legal)}. Correct it.")
    if parameters.total_folds < 2:
        raise ConfigError(
            f"total_folds is {parameters.total_folds} but must be at least 2. Raise it, or set fold_method to none."
        )
    if parameters.subsample is not None and parameters.subsample < 1:
        raise ConfigError(f"subsample is {parameters.subsample} but must be positive. Leave it out to use all patches.")
    if not (math.isfinite(parameters.buffer_m) and parameters.buffer_m >= 0):
        raise ConfigError(f"buffer_m is {parameters.buffer_m} but must be 0 or more metres. Correct it.")
    if not 0 <= parameters.random_seed < 2**32:
        raise ConfigError(f"random_seed is {parameters.random_seed} but must be 0 to {2**32 - 1}. Correct it.")


def _checked(metadata: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the columns that matter in the order of the patches."""
    lacking = [name for name in _COLUMNS if name not in metadata]
    if lacking:
        raise DataError(f"the metadata of the training set lack {', '.join(lacking)}. Make the set anew.")
    table = metadata[list(_COLUMNS)].sort_values("z_idx", ignore_index=True)
    holes = [name for name in _COLUMNS if table[name].isna().any()]
    if table.geometry.is_empty.any():
        holes.append("geometry")
    if holes:
        raise DataError(f"patches of the training set have no {', '.join(holes)}. Make the set anew.")
    if table["z_idx"].duplicated().any():
        raise DataError("two patches of the training set have the same z_idx. Make the set anew.")
    if table.empty:
        raise ConfigError("the training set has no patches. Add images to it.")
    return table.astype({"region": str, "sample_id": str})


def _test(table: gpd.GeoDataFrame, parameters: SplitParameters) -> tuple[SplitMethod, Array]:
    """Return how test patches are chosen, and which they are."""
    by_region = region_groups(table["region"].to_numpy(), table["sample_id"].to_numpy())
    method = parameters.data_split_method
    if method is None:
        method = "region" if by_region.max() + 1 >= LEAST_REGIONS else "sample"
    names = parameters.data_split_by
    if method == "none":
        if names:
            raise ConfigError(f"data_split_by is {', '.join(names)} but there is no test. Choose a data_split_method.")
        return method, np.zeros(len(table), dtype=bool)
    groups = by_region if method == "region" else sample_groups(table["sample_id"].to_numpy())
    what = "region" if method == "region" else "sample"
    if groups.max() == 0:
        raise ConfigError(
            f"there is one {what} only, and none to test with. Set data_split_method to "
            f"{'sample or none' if what == 'region' else 'none'}, or add images to the set."
        )
    if method == "random" or not names:
        return method, choose_groups(groups, _share(names), parameters.random_seed)
    is_test = np.isin(groups, groups[_named(table, what, names)])
    _check_training(~is_test, f"data_split_by names every {what}. Name fewer.")
    return method, is_test


def _share(names: Sequence[str] | None) -> float:
    if not names:
        return TEST_SHARE
    try:
        (share,) = map(float, names)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise ConfigError(
            f"data_split_by is {', '.join(names)} but must be one share between 0 and 1 where data_split_method is "
            "random, such as 0.2."
        )
    return share


def _named(table: gpd.GeoDataFrame, what: str, names: Sequence[str]) -> Array:
    """Return the patches of regions or samples."""
    columns = {"region": "region", "sample": "sample_id"}
    known = sorted(set(table[columns[what]]))
    other = "sample" if what == "region" else "region"
    for name in names:
        if name not in known:
            like = get_close_matches(name, known, n=1)
            hint = f"Did you mean {like[0]}?" if like else f"There are {_some(known)}."
            if name in set(table[columns[other]]):
                hint = f"It is a {other}: set data_split_method to {other}."
            raise ConfigError(f"data_split_by names the {what} {name!r}, which the set does not have. {hint}")
    return np.isin(table[columns[what]].to_numpy(dtype=object), names)


def _fold_method(method: SplitMethod, parameters: SplitParameters) -> FoldMethod:
    if parameters.fold_method is not None:
        return parameters.fold_method
    return "region" if method == "region" else "kfold"


def _validation(
    table: gpd.GeoDataFrame, is_pool: Array, method: FoldMethod, parameters: SplitParameters
) -> tuple[Array, int]:
    """Return which patches are for validation, and the number of folds."""
    is_val = np.zeros(len(table), dtype=bool)
    if method == "none":
        return is_val, 0
    pool = table[is_pool]
    samples = pool["sample_id"].to_numpy()
    by_region = method in _BY_REGION
    groups = region_groups(pool["region"].to_numpy(), samples) if by_region else sample_groups(samples)
    total = _total_folds(int(groups.max()) + 1, "region" if by_region else "sample", parameters)
    is_val[is_pool] = _fold(groups, ~pool["empty"].to_numpy(dtype=bool), method, total, parameters)
    return is_val, total


def _total_folds(n_groups: int, what: str, parameters: SplitParameters) -> int:
    """Return the number of folds; the usual one becomes that of the groups if there are fewer."""
    total, is_usual = parameters.total_folds, parameters.total_folds == SplitParameters.total_folds
    if n_groups < 2:
        raise ConfigError(
            f"there is one {what} only beside the test, and none to validate with. Set fold_method to "
            f"{'kfold or none' if what == 'region' else 'none'}, or add images to the set."
        )
    if total > n_groups and not is_usual:
        raise ConfigError(
            f"total_folds is {total} but beside the test there are {n_groups} {what}s. Lower it to {n_groups} or less."
        )
    total = min(total, n_groups)
    if not 0 <= parameters.fold < total:
        raise ConfigError(f"fold is {parameters.fold} but must be from 0 to {total - 1}. Correct it.")
    return total


def _fold(groups: Array, positive: Array, method: FoldMethod, total: int, parameters: SplitParameters) -> Array:
    """Return (n) bool, which patches of the pool are in the fold."""
    from sklearn.model_selection import GroupKFold, GroupShuffleSplit  # a second, that checks of a set do not need

    seed, number = parameters.random_seed, parameters.fold
    if method in ("stratified", "region-stratified"):
        return np.asarray(stratified_folds(groups, positive, total, seed) == number)
    folds = (
        GroupShuffleSplit(total, test_size=1 / total, random_state=seed)
        if method == "shuffle"
        else GroupKFold(total, shuffle=True, random_state=seed)
    )
    is_val = np.zeros(len(groups), dtype=bool)
    is_val[list(folds.split(groups, groups=groups))[number][1]] = True
    return is_val


def _near(table: gpd.GeoDataFrame, is_train: Array, is_kept_apart: Array, buffer_m: float) -> Array:
    """Return which training patches are too near to those that must be kept apart."""
    is_near = np.zeros(len(table), dtype=bool)
    if is_kept_apart.any():
        is_near[is_train] = near(table.geometry[is_train], table.geometry[is_kept_apart], buffer_m)
    return is_near


def _check_training(is_train: Array, remedy: str) -> None:
    if not is_train.any():
        raise ConfigError(f"no patch is left for training. {remedy}")


def _subsampled(masks: Mapping[Role, Array], empty: Array, parameters: SplitParameters) -> dict[Role, Array]:
    """Return the masks with so many patches as are wanted at most."""
    if parameters.subsample is None:
        return dict(masks)
    used = np.flatnonzero(np.any(list(masks.values()), axis=0))
    kinds = 2 * sum(number * mask for number, mask in enumerate(masks.values())) + empty
    strata = np.unique(kinds[used], return_inverse=True)[1]
    least = int(strata.max()) + 1
    if parameters.subsample < min(least, len(used)):
        raise ConfigError(
            f"subsample is {parameters.subsample} but must be at least {least}, one patch with and one without slumps "
            "for each of training, validation and test. Raise it."
        )
    kept = np.zeros(len(empty), dtype=bool)
    kept[used[subsample(strata, parameters.subsample, parameters.random_seed)]] = True
    return {role: mask & kept for role, mask in masks.items()}


def _patches(number: int) -> str:
    return f"{number} patch{'' if number == 1 else 'es'}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (
        f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    )
