"""What a report tells: the runs of one or several results folders, their tiles, and where those lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from typing import Any

from darts.pipelines.results.records import RunRecord, TileEnd, last_ends, read_runs
from darts.report.layers import FILE, Layers, layers_of, read_layers
from darts.status.summary import RunStatus, run_status
from darts_export.record import read_record


@dataclass(frozen=True, kw_only=True)
class Tile:
    """How a tile ended when it was tried last."""

    end: TileEnd
    folder: Path
    """Where its results are now."""
    path: str
    """The same from the page."""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """All that a report tells."""

    folders: Sequence[Path]
    runs: Sequence[RunRecord]
    statuses: Sequence[RunStatus]
    tiles: Sequence[Tile]
    layers: Layers

    @property
    def failures(self) -> list[TileEnd]:
        """Tiles that failed when they were tried last."""
        return [tile.end for tile in self.tiles if tile.end.status == "failed"]

    def last_record(self) -> Mapping[str, Any]:
        """Return what the tile that was made last says of how it was made; empty if none can be read."""
        made = sorted(
            (tile for tile in self.tiles if tile.end.status != "failed"),
            key=lambda tile: tile.end.started.timestamp() if tile.end.started else 0.0,
            reverse=True,
        )
        return next((record for tile in made if (record := read_record(tile.folder))), {})


def gather(folders: Sequence[Path], page_folder: Path, record_folder: Path | None = None) -> Gathered:
    """Return what a report over results folders tells.

    Args:
        folders: Results folders.
        page_folder: Where the page will be, for paths from there.
        record_folder: Where the records of their runs are, if not in them.

    Raises:
        MissingDataError: If a folder is not there, or no run has written a record to it.
    """
    runs_of = {folder: read_runs(record_folder or folder) for folder in folders}
    ends = {end.folder: (end, folder) for folder, runs in runs_of.items() for end in last_ends(runs).values()}
    tiles = [_tile(end, folder, page_folder) for end, folder in ends.values()]
    named = {tile.path: tile.folder for tile in tiles}
    runs = sorted((run for of_folder in runs_of.values() for run in of_folder), key=lambda run: run.stem)
    return Gathered(
        folders=folders,
        runs=runs,
        statuses=[run_status(run) for run in runs],
        tiles=tiles,
        layers=layers_of(named, read_layers(page_folder / FILE)),
    )


def _tile(end: TileEnd, folder: Path, page_folder: Path) -> Tile:
    place = _placed(end.folder, folder)
    return Tile(end=end, folder=place, path=_from(page_folder, place))


def _placed(written: Path, folder: Path) -> Path:
    """Return where the results of a tile are; the folder may have been moved, or be seen from another machine."""
    parts = written.parts
    # an orthotile's image lies one deeper, and may be there as a scene too
    candidates = [folder.joinpath(*parts[-depth:]) for depth in (2, 1)]
    return next((path for path in candidates if path.is_dir()), candidates[-1])


def _from(page_folder: Path, place: Path) -> str:
    """Return the path to a folder as a page names it: relative, with slashes; whole on another drive."""
    try:
        return Path(relpath(place, page_folder)).as_posix()
    except ValueError:
        return place.absolute().as_uri()
