"""`darts training show-dataset`: patches of a training set with their labels, and where they lie."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np

from darts.datasets.inspect.contact_sheet import draw_contact_sheet
from darts.datasets.inspect.patch_map import draw_map
from darts.utils.console import show_rows
from darts.utils.terminal import say
from darts_segmentation.training.checking.reading import TrainingSet, open_training_set
from darts_segmentation.training.labels import IGNORED, SLUMP
from darts_utils.errors import ConfigError, DataError
from darts_utils.files import atomic_file
from darts_utils.paths import user_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WITH_SLUMPS = 2 / 3
"""Share of the chosen patches that have slumps, where there are enough of both kinds."""


@dataclass(frozen=True, kw_only=True)
class ShownSet:
    """What was drawn."""

    patches: tuple[int, ...]
    """The chosen patches, by z_idx."""
    contact_sheet: Path
    map: Path


def show_dataset(train_data_dir: Path, *, number: int = 24, seed: int = 0, viz_dir: Path | None = None) -> ShownSet:
    """Draw some patches of a training set with their labels, and a map of all of them, as PNG.

    Two thirds of the patches have slumps, where there are enough. The same seed chooses the same patches.

    Args:
        train_data_dir: Folder with data.zarr, metadata.parquet and config.toml.
        number: How many patches to draw.
        seed: Which patches to draw.
        viz_dir: Folder for the pictures, that of the training set if not given.

    Returns:
        What was drawn; a table of it is printed.

    Raises:
        ConfigError: If there is no training set, or the number is not positive.
        DataError: If the training set cannot be read.
    """
    if number < 1:
        raise ConfigError(f"number is {number} but must be positive. Use 1 or more.")
    training_set = open_training_set(train_data_dir)
    table = _metadata(training_set)
    chosen = choose(table["empty"].to_numpy(dtype=bool), number, seed)
    folder = user_path(train_data_dir if viz_dir is None else viz_dir)
    shown = ShownSet(patches=tuple(chosen), contact_sheet=folder / "patches.png", map=folder / "map.png")
    _save(draw_contact_sheet(training_set, table, chosen), shown.contact_sheet)
    _save(draw_map(table, chosen), shown.map)
    _print(training_set, table, shown)
    return shown


def choose(empty: np.ndarray, number: int, seed: int) -> list[int]:
    """Return which patches to draw, in order; fewer if there are not so many.

    Args:
        empty: (n) bool, whether a patch has no slump.
        number: How many are wanted.
        seed: Which ones.
    """
    shuffled = np.random.default_rng(seed).permutation(len(empty))
    with_slumps, without = shuffled[~empty[shuffled]], shuffled[empty[shuffled]]
    n_with = max(round(number * _WITH_SLUMPS), number - len(without))
    picked = with_slumps[:n_with]
    return sorted(map(int, np.concatenate([picked, without[: number - len(picked)]])))


def _metadata(training_set: TrainingSet) -> gpd.GeoDataFrame:
    """Return the table of a set that can be drawn."""
    table, x, y = training_set.metadata, training_set.x, training_set.y
    faults = [f"{name}: {fault}" for name, fault in training_set.faults.items()]
    if table is None or x is None or y is None or training_set.bands is None:
        raise DataError(f"{training_set.folder} cannot be drawn ({'; '.join(faults)}). Make the set anew.")
    missing = sorted({"empty", "region", "patch_id"} - set(table.columns))
    if missing or not x.shape[0] == y.shape[0] == len(table) > 0:
        why = f"its metadata lacks {', '.join(missing)}" if missing else f"{len(table)} rows, {x.shape[0]} patches"
        raise DataError(f"{training_set.folder} cannot be drawn ({why}). Run `darts training validate-dataset` on it.")
    return table.reset_index(drop=True)


def _save(figure: "Figure", path: Path) -> None:
    import matplotlib.pyplot as plt

    with atomic_file(path) as part:
        figure.savefig(part)
    plt.close(figure)


def _print(training_set: TrainingSet, table: gpd.GeoDataFrame, shown: ShownSet) -> None:
    rows = []
    for index in shown.patches:
        _, label = training_set.patch(index)
        known = label != IGNORED
        slump = f"{(label == SLUMP).sum() / max(known.sum(), 1):.1%}"
        rows.append((index, table["region"][index], table["patch_id"][index], slump, f"{known.mean():.0%}"))
    show_rows("Patches", ("z_idx", "region", "patch", "slump", "labelled"), rows)
    say(f"Pictures: {shown.contact_sheet} {shown.map}")
