"""Pictures of where the time of a run went."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from darts_utils.errors import ConfigError, DataError
from darts_utils.files import atomic_file
from darts_utils.paths import visible_files

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def benchviz(stopuhr_data: Path, *, viz_dir: Path | None = None) -> "Figure":
    """Draw how long each stage took and when it worked, from the timer file of a run.

    Writes `{stem}.png`. A `{time}.timer.parquet` gives a timeline beside the distributions; a
    `{time}.stopwatch.parquet`, or any table that stopuhr exported, gives the distributions alone.

    Args:
        stopuhr_data: Timer file of a run, or the results folder that it lies in: then the newest there.
        viz_dir: Folder for the picture, that of the timer file if not given.

    Returns:
        The figure.

    Raises:
        ConfigError: If the file does not exist.
        DataError: If it holds no durations.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    stopuhr_data = newest_timers(stopuhr_data)
    durations, timeline = read_timers(stopuhr_data)
    figure = _draw(durations, timeline, stopuhr_data.stem)
    with atomic_file((stopuhr_data.parent if viz_dir is None else viz_dir) / f"{stopuhr_data.stem}.png") as part:
        figure.savefig(part, dpi=120)
    return figure


def newest_timers(place: Path) -> Path:
    """Return a timer file, or the newest one of a folder; their names begin with the time of the run.

    Raises:
        ConfigError: If the folder has none.
    """
    if not place.is_dir():
        return place
    files = visible_files(place, ".parquet")
    kinds = (".timer.parquet", ".stopwatch.parquet")
    timers = next((found for kind in kinds if (found := [file for file in files if file.name.endswith(kind)])), None)
    if timers is None:
        raise ConfigError(f"{place} has no *.timer.parquet, so no run has ended there. Name the results folder of one.")
    return timers[-1]


def read_timers(file: Path) -> "tuple[pd.DataFrame, pd.DataFrame | None]":
    """Return durations (`stage`, `seconds`) and, where the file has them, times (`tile_id stage start end`).

    Raises:
        ConfigError: If the file does not exist.
        DataError: If it is no table of durations.
    """
    import pandas as pd

    if not file.exists():
        raise ConfigError(f"the timer file {file} does not exist. Name a *.timer.parquet of a run.")
    try:
        table = pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} is no parquet file. Name a *.timer.parquet of a run.") from error
    if {"tile_id", "stage", "start", "end"} <= set(table.columns):
        durations, timeline = table[["stage", "seconds"]], table
    else:
        durations, timeline = table.melt(var_name="stage", value_name="seconds").dropna(), None
    if durations.empty:
        raise DataError(f"{file} holds no durations: no tile was worked on in this run.")
    return durations.astype({"seconds": float}), timeline


def _draw(durations: "pd.DataFrame", timeline: "pd.DataFrame | None", title: str) -> "Figure":
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="whitegrid")
    stages = list(dict.fromkeys(durations["stage"]))
    colours = dict(zip(stages, sns.color_palette("deep", len(stages)), strict=True))
    n_panels = 1 if timeline is None else 2
    figure, axes = plt.subplots(1, n_panels, figsize=(7 * n_panels, 1.5 + 0.5 * len(stages)), squeeze=False)
    _draw_durations(axes[0, 0], durations, colours)
    if timeline is not None:
        _draw_timeline(axes[0, 1], timeline, colours)
    figure.suptitle(title)
    figure.tight_layout()
    return figure


def _draw_durations(axis: Any, durations: "pd.DataFrame", colours: dict[str, Any]) -> None:
    import seaborn as sns

    sns.boxplot(durations, x="seconds", y="stage", hue="stage", palette=colours, ax=axis, width=0.5, fliersize=0)
    sns.stripplot(durations, x="seconds", y="stage", ax=axis, color="0.2", size=3, jitter=True)
    axis.set(title="Duration of each stage", xlabel="seconds a tile", ylabel="", xlim=(0, None))


def _draw_timeline(axis: Any, timeline: "pd.DataFrame", colours: dict[str, Any]) -> None:
    """Draw a bar for each stage of each tile: bars above one another ran at the same time."""
    tiles = list(dict.fromkeys(timeline["tile_id"]))
    origin = timeline["start"].min()
    for tile, stage, start, end in zip(*(timeline[name] for name in ("tile_id", "stage", "start", "end")), strict=True):
        axis.barh(tiles.index(tile), end - start, left=start - origin, color=colours[stage], height=0.7, linewidth=0)
    axis.set(title="When each stage ran", xlabel="seconds since the start", ylabel="tile")
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.invert_yaxis()
    axis.legend([_swatch(colour) for colour in colours.values()], list(colours), fontsize="small", loc="best")


def _swatch(colour: Any) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=colour)
