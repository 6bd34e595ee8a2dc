"""The run record beside the tiles: configuration, results, timers. Each file is whole at any moment."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from darts.pipelines.tiles import Outcome
from darts_utils.files import atomic_file, new_file
from darts_utils.functools import write_toml


class Journal:
    """Writes down what became of each tile, right when it is known, so that a kill at any moment loses nothing.

    Args:
        folder: The results folder.
        config: The parameters of the run, kept as `{time}.config.toml`.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder = folder
        self.outcomes: list[Outcome] = []
        self.stem = claim_stem(folder, "config.toml", lambda part: write_toml(part, config))
        self._write()

    def path(self, name: str) -> Path:
        """Return the file `{time}.{name}` of this run."""
        return self.folder / f"{self.stem}.{name}"

    def add(self, *outcomes: Outcome) -> None:
        """Write down outcomes."""
        if outcomes:
            self.outcomes.extend(outcomes)
            self._write()

    def _write(self) -> None:
        import pandas as pd

        _write_parquet(
            pd.DataFrame(self._results(), columns=["tile_id", "output_path", "status", "error"]),
            self.path("results.parquet"),
        )
        timers = self._timers()
        timer = pd.DataFrame(timers, columns=["tile_id", "stage", "start", "end", "seconds"])
        _write_parquet(timer, self.path("timer.parquet"))
        _write_parquet(_one_column_a_stage(timers), self.path("stopwatch.parquet"))

    def _results(self) -> list[tuple[str, str, str, str | None]]:
        folder = self.folder.absolute()
        return [
            (outcome.ref.tile_id, str(folder / outcome.ref.output_folder), outcome.status, outcome.error)
            for outcome in self.outcomes
        ]

    def _timers(self) -> list[tuple[str, str, float, float, float]]:
        return [
            (outcome.ref.tile_id, time.stage, time.start, time.end, time.seconds)
            for outcome in self.outcomes
            for time in outcome.times
        ]


def claim_stem(folder: Path, suffix: str, write: Callable[[Path], object]) -> str:
    """Write a file `{time}.{suffix}` and return the present time as a stem that no other run in the folder has.

    The tasks of a job on a cluster begin within the same second, so the file itself is the claim.
    """
    stem = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
    for name in (stem, *(f"{stem}-{number}" for number in range(2, 10_000))):
        try:
            with new_file(folder / f"{name}.{suffix}") as part:
                write(part)
        except FileExistsError:
            continue
        return name
    raise AssertionError("ten thousand runs began within a second")


def _one_column_a_stage(timers: list[tuple[str, str, float, float, float]]) -> Any:
    """Return the durations in seconds as stopuhr exports them: a column a stage, a row a call."""
    import pandas as pd
    from stopuhr import Chronometer

    chronometer = Chronometer(log=False)
    for _, stage, _, _, seconds in timers:
        chronometer.durations[stage].append(seconds)
    return chronometer.export().astype("Float64") if timers else pd.DataFrame()


def _write_parquet(table: Any, path: Path) -> None:
    with atomic_file(path) as part:
        table.to_parquet(part)
