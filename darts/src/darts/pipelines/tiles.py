"""What is passed around: references to tiles, tiles in work, and outcomes. All typed and picklable."""

import platform
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

from darts_utils.errors import DataError, exit_status, one_line
from darts_utils.names import check_name, shown
from darts_utils.rasters.window import Window

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from darts_utils.rasters.arrays import Array


type MosaicResolution = Literal[2, 10, 32]
"""Pixel sizes of the ArcticDEM mosaics, in metres."""


@dataclass(frozen=True, kw_only=True)
class TileRef:
    """One tile to map, parsed once where it is found."""

    tile_id: str
    """Id as the source calls it."""
    output_folder: Path
    """Where its results go, relative to the results folder."""
    year: int | None = None
    """Year of the image."""
    window: Window | None = None
    """The part of the image that is mapped, None for all of it."""

    def __post_init__(self) -> None:
        """Check that results can only go into the results folder: ids come from catalogues and mirrors.

        Raises:
            DataError: If the id is no text, or a part of the folder cannot be the name of one.
        """
        if not isinstance(self.tile_id, str) or not self.tile_id:
            raise DataError(f"{shown(self.tile_id)} is no id of a tile. Use letters, digits, '_', '-', '.'.")
        for part in self.output_folder.parts or ("",):
            check_name(part, "a folder of results")


def require[T](value: T | None) -> T:
    """Return what an earlier step has filled in, so that it is never None here."""
    assert value is not None, "an earlier step fills it in"
    return value


class Source(Protocol):
    """Where tiles come from; one class a source."""

    resolution_m: ClassVar[MosaicResolution]
    """Pixel size of the ArcticDEM mosaic that suits its images."""

    def find(self) -> list[TileRef]:
        """Return the tiles that the user selected.

        Raises:
            ConfigError: If the selection is empty, contradictory or cannot be read.
        """
        ...

    def to_fetch(self, refs: Sequence[TileRef]) -> dict[str, int]:
        """Return which tiles must be fetched, wholly or in part, with the number of bytes, 0 where unknown."""
        ...

    def fetching(self, tile_ids: Collection[str]) -> Self:
        """Return a source for other processes, to each of which it is sent: of all tiles it can fetch only some."""
        ...

    def sizes(self, refs: Sequence[TileRef]) -> dict[str, str]:
        """Return how large images on disk are, for people, by tile id; those of which nothing is known are left out."""
        ...

    def footprints(self, refs: Sequence[TileRef]) -> "gpd.GeoDataFrame":
        """Return the outlines of the tiles' grids in EPSG:3413, with the column `tile_id`, without unknown ones."""
        ...

    def connect(self) -> None:
        """Check what fetching tiles needs, before any long work.

        Raises:
            CredentialsError: If keys are missing or refused.
        """
        ...

    def download(self, ref: TileRef, on_bytes: Callable[[int], None] | None = None) -> None:
        """Fetch what is not on disk of a tile.

        Args:
            ref: The tile.
            on_bytes: Told how many bytes have arrived.

        Raises:
            DartsError: If it cannot be had.
        """
        ...

    def load(self, ref: TileRef) -> "xr.Dataset":
        """Return the optical part of a tile as the contract says, with its quality mask.

        Raises:
            DartsError: If the image is missing or damaged.
        """
        ...

    def stage_command(self, ref: TileRef) -> str:
        """Return the shell command that fetches the auxiliary data of a tile."""
        ...

    def identity(
        self, ref: TileRef, remembered: Mapping[str, Sequence[Any]] | None = None
    ) -> tuple[dict[str, Any], dict[str, list[Any]]]:
        """Return what says which image a tile is made of, the same online, staged and offline.

        Args:
            ref: The tile.
            remembered: The files as they were seen before; one unchanged since is not read again.

        Returns:
            Plain values, None for what is not known before the image is read; and the files as they are now, by name:
            size, time of the last change in nanoseconds, SHA-256 of the header.
        """
        ...


@dataclass(frozen=True)
class Work:
    """A tile on its way through the stages."""

    ref: TileRef
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """What it is made from, as it was read: `image` and `files` (see `Source.identity`), `cubes`."""
    result: "Result | None" = None
    """What became of it."""

    @property
    def nbytes(self) -> int:
        """Memory that its arrays take, in bytes."""
        return 0


@dataclass(frozen=True, kw_only=True)
class Loaded(Work):
    """A tile in work, of which there are arrays."""

    tile: "xr.Dataset"
    auxiliary: Mapping[str, "xr.Dataset"] = field(default_factory=dict)
    """Auxiliary layers for the tile, by name, until features are made of them."""
    ground: "Array | None" = None
    """The ground of its picture, if that was drawn already."""

    @property
    def nbytes(self) -> int:
        """Memory that its arrays take, in bytes."""
        return sum(part.nbytes for part in (self.tile, *self.auxiliary.values()))


def loaded(work: Work) -> Loaded:
    """Return a work whose tile was loaded in an earlier stage.

    Raises:
        TypeError: If none was.
    """
    if not isinstance(work, Loaded):
        raise TypeError(f"no stage has loaded {work.ref.tile_id}")
    return work


@dataclass(frozen=True)
class StageTime:
    """When a stage worked on a tile, in seconds since the epoch."""

    stage: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is on the disk of a tile; None is unknown."""

    n_objects: int | None = None
    area_m2: float | None = None
    """Of all slumps, geodesic."""
    fingerprint: str | None = None


type Status = Literal["success", "skipped", "failed"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a tile ended."""

    ref: TileRef
    status: Status
    error: str | None = None
    """One line with the stage and the reason, None unless it failed or was left alone for a reason."""
    stage: str | None = None
    """Where it failed."""
    error_type: str | None = None
    """Class of the error."""
    times: tuple[StageTime, ...] = field(default=())
    host: str | None = field(default_factory=platform.node)
    """Machine that ended it."""
    result: Result = field(default_factory=Result)

    @property
    def seconds(self) -> float:
        """Time spent on the tile in all stages together."""
        return sum(time.seconds for time in self.times)


@dataclass(frozen=True)
class StageStarted:
    """A stage begins with a tile."""

    ref: TileRef
    stage: str


type Event = StageStarted | Outcome


class Executor(Protocol):
    """What brings tiles through the stages, on whatever machines."""

    def run(self, refs: Sequence[TileRef]) -> Iterator[Event]:
        """Yield what happens, and exactly one outcome for each tile that is not broken off."""
        ...

    def stop(self) -> None:
        """Let no further stage begin; `run` ends soon."""
        ...


def failed(ref: TileRef, where: str, error: BaseException, times: Sequence[StageTime] = ()) -> Outcome:
    """Return the outcome of a tile that failed, with the stage and the reason in one line."""
    reason = one_line(error)
    return Outcome(
        ref=ref, status="failed", error=f"{where}: {reason}", stage=where, error_type=type(error).__name__,
        times=tuple(times),
    )  # fmt: skip


def succeeded(work: Work, times: Sequence[StageTime]) -> Outcome:
    """Return the outcome of a tile that passed all stages."""
    return Outcome(ref=work.ref, status="success", times=tuple(times), result=work.result or Result())


@dataclass(frozen=True)
class RunReport:
    """How a run ended."""

    outcomes: tuple[Outcome, ...]
    folder: Path
    """The results folder."""
    interrupted: bool = False
    lacks_data: bool = False
    """Whether a dry run found that data is missing, which an offline run does not fetch."""
    record_folder: Path | None = None
    """Where the record of the run is, if not in the results folder."""

    @property
    def failures(self) -> list[Outcome]:
        """The tiles that failed."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]

    def count(self, status: str) -> int:
        """Return how many tiles ended with a status; `done`, the word of earlier releases, is `success`."""
        return sum(outcome.status == ("success" if status == "done" else status) for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """Exit status for the shell: 0 all done, 1 something failed or would, 3 only services did, 130 interrupted."""
        if self.interrupted:
            return 130
        return 1 if self.lacks_data else exit_status(outcome.error_type for outcome in self.failures)

    def __repr__(self) -> str:
        """Return counts and folder in a line: all outcomes of a large run would fill a terminal and a notebook."""
        counts = ", ".join(f"{self.count(status)} {status}" for status in ("success", "skipped", "failed"))
        return f"RunReport({counts}{', interrupted' if self.interrupted else ''}, folder={str(self.folder)!r})"

    def to_frame(self) -> "pd.DataFrame":
        """Return a row a tile, with the columns of `results.parquet`; what is unknown is missing."""
        from darts.report.notebook import frame_of

        return frame_of(self)

    def slumps(self) -> "gpd.GeoDataFrame":
        """Return the objects of all tiles that did not fail, each image by itself, in EPSG:3413.

        Columns `tile_id mean area_m2 cut acquired sensor image_id`: the mean probability in percent, the geodesic area.
        """
        from darts.report.notebook import slumps_of

        return slumps_of(self)

    def plot(self) -> "Figure":
        """Return a picture of mapped ground and slumps."""
        from darts.report.notebook import figure_of

        return figure_of(self)

    def _repr_html_(self) -> str | None:
        """Return the page over the results folder, for Jupyter; None where there is no record to make it of."""
        from darts.report.notebook import html_of

        return html_of(self) if self.outcomes else None
