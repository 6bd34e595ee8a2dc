"""The run record beside the tiles: configuration, results, timers. Each file is whole at any moment."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from darts.pipelines.tiles import Outcome
from darts_utils.files import atomic_file, new_file
from darts_utils.toml import write_toml

RESULT_COLUMNS = (
    "tile_id", "output_path", "status", "error", "stage", "error_type", "started", "seconds", "host", "n_objects",
    "area_m2", "fingerprint",
)  # fmt: skip
"""Columns of `results.parquet`."""


class Journal:
    """Writes down what became of each tile, right when it is known, so that a kill at any moment loses nothing.

    Args:
        folder: The results folder.
        config: The parameters of the run, kept as `{time}.config.toml`.
        record_folder: Where the record lies, beside the results if not given.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], *, record_folder: Path | None = None) -> None:
        self.results_folder = folder
        self.folder = folder if record_folder is None else record_folder
        self.outcomes: list[Outcome] = []
        self.stem = claim_stem(self.folder, "config.toml", lambda part: write_toml(part, config))
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

        with atomic_file(self.path("results.parquet")) as part:
            write_results(part, [result_row(outcome, self.results_folder) for outcome in self.outcomes])
        timers = self._timers()
        timer = pd.DataFrame(timers, columns=["tile_id", "stage", "start", "end", "seconds"])
        _write_parquet(timer, self.path("timer.parquet"))
        _write_parquet(_one_column_a_stage(timers), self.path("stopwatch.parquet"))

    def _timers(self) -> list[tuple[str, str, float, float, float]]:
        return [
            (outcome.ref.tile_id, time.stage, time.start, time.end, time.seconds)
            for outcome in self.outcomes
            for time in outcome.times
        ]


def result_row(outcome: Outcome, folder: Path) -> dict[str, Any]:
    """Return how a tile ended as a row of `results.parquet`; None is unknown."""
    return {
        "tile_id": outcome.ref.tile_id,
        "output_path": str(folder.absolute() / outcome.ref.output_folder),
        "status": outcome.status,
        "error": outcome.error,
        "stage": outcome.stage,
        "error_type": outcome.error_type,
        "started": outcome.times[0].start if outcome.times else None,
        "seconds": outcome.seconds if outcome.times else None,
        "host": outcome.host,
        "n_objects": outcome.result.n_objects,
        "area_m2": outcome.result.area_m2,
        "fingerprint": outcome.result.fingerprint,
    }


def write_results(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of `results.parquet`; whatever happened, all records have the same schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        "started": pa.timestamp("us", tz="UTC"),
        "seconds": pa.float64(),
        "n_objects": pa.int64(),
        "area_m2": pa.float64(),
    }
    schema = pa.schema([pa.field(name, types.get(name, pa.string())) for name in RESULT_COLUMNS])
    moments = [{**row, "started": _moment(row["started"])} for row in rows]
    pq.write_table(pa.Table.from_pylist(moments, schema=schema), path)


def _moment(seconds: float | None) -> datetime | None:
    """Return a time in seconds since the epoch as a date in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


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
