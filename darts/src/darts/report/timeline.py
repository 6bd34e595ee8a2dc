"""Where the time of runs went: sums of all runs by stage, and the last run as a timeline."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from darts.pipelines.results.records import RunRecord

_MOST_SPANS = 3000


def stage_rows(runs: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Return for each stage of all runs, in the order in which they work: how often, and seconds in text."""
    table = _times(runs)
    if table.empty:
        return []
    total = table["seconds"].sum()
    return [
        {
            "name": stage, "n": f"{len(seconds):,}", "mean": f"{seconds.mean():.2f}", "longest": f"{seconds.max():.2f}",
            "total": f"{seconds.sum():,.1f}", "percent": round(100 * seconds.sum() / max(total, 1e-9)),
        }
        for stage, seconds in ((stage, table.loc[table["stage"] == stage, "seconds"]) for stage in _stages(table))
    ]  # fmt: skip


def timeline_of(runs: Sequence[RunRecord]) -> dict[str, Any]:
    """Return the last run that worked: its `stages`, `spans` of (stage, start, length), and all its `seconds`."""
    last = next((table for run in reversed(runs) if not (table := _times([run])).empty), None)
    if last is None:
        return {"stages": [], "spans": [], "seconds": 0}
    stages, begin = _stages(last), last["start"].min()
    shown = last.iloc[np.unique(np.linspace(0, len(last) - 1, min(len(last), _MOST_SPANS)).astype(int))]
    spans = [
        [stages.index(stage), round(start - begin, 2), round(seconds, 2)]
        for stage, start, seconds in zip(shown["stage"], shown["start"], shown["seconds"], strict=True)
    ]
    return {"stages": stages, "spans": spans, "seconds": round(float(last["end"].max() - begin), 2)}


def _times(runs: Sequence[RunRecord]) -> pd.DataFrame:
    tables = [table.to_pandas() for run in runs if (table := run.times()) is not None and table.num_rows]
    return (
        pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["stage", "start", "end", "seconds"])
    )


def _stages(table: pd.DataFrame) -> list[str]:
    """Return the stages in the order in which they work."""
    tiles = table.groupby("stage", sort=False)["start"].min()
    return [str(stage) for stage in tiles.sort_values().index]
