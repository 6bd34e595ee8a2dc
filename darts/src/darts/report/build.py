"""A report on disk: the page, two layers as a GeoPackage, and a QGIS project over them."""

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import rasterio

from darts.maps.qgis import MOST_RASTERS, Project, Raster, Vector, plain_renderer, write_project
from darts.pipelines.results.records import LOCK, read_runs
from darts.report.gather import Gathered, gather
from darts.report.layers import CRS, FILE, SCENES, SLUMPS, Layers, write_layers
from darts.report.page import page_of
from darts.utils.terminal import say, short_path
from darts_utils.errors import one_line
from darts_utils.files import atomic_file, exclusive_lock, make_folder

logger = logging.getLogger(__name__)

PAGE = "index.html"
PROJECT = "darts.qgz"
_TIP = (
    "<b>[% \"tile_id\" %]</b><br>[% \"acquired\" %], [% \"n_objects\" %] objects<br>"
    '<img src="file:///[% @project_folder %]/[% "thumbnail" %]" width="420">'
)  # fmt: skip


def build_report(folders: Sequence[Path], out: Path, record_folder: Path | None = None) -> Gathered:
    """Write `index.html`, `darts_layers.gpkg` and `darts.qgz` over results folders, and return what they tell.

    Args:
        folders: Results folders.
        out: Folder for the report; pictures stay with the tiles.
        record_folder: Where the records of their runs are, if not in them.

    Raises:
        MissingDataError: If there is no such folder, or no record in it.
        OutputError: If the folder cannot be written to.
    """
    for folder in folders:
        read_runs(record_folder or folder)  # before anything is made on disk
    make_folder(out)
    with exclusive_lock(out / LOCK):  # runs that end at once wait for each other, and the last one tells all
        found = gather(folders, out, record_folder)
        write_layers(found.layers, out / FILE)
        write_project(_project(found), out / PROJECT)
        with atomic_file(out / PAGE) as part:
            part.write_text(page_of(found, project=PROJECT), encoding="utf-8")
    return found


def _project(found: Gathered) -> Project:
    """Return slumps and mapped ground, and the probabilities of tiles, as QGIS shows them."""
    slumps = Vector(name=SLUMPS, path=FILE, authid=CRS, title=SLUMPS, renderer=plain_renderer("178,24,43", 150))
    ground = plain_renderer("31,95,139", 25)
    scenes = Vector(name=SCENES, path=FILE, authid=CRS, title=SCENES, renderer=ground, tip=_TIP)
    bounds = _bounds(found.layers)
    return Project(title="DARTS", crs=CRS, vectors=(slumps, scenes), rasters=_rasters(found), bounds=bounds)


def _bounds(layers: Layers) -> Sequence[float]:
    shapes = layers.scenes.geometry.dropna()
    bounds: Sequence[float] = shapes.total_bounds if len(shapes) else (-3e6, -3e6, 3e6, 3e6)
    return bounds


def _rasters(found: Gathered) -> list[Raster]:
    """Return the probabilities of tiles that can be read; none where there are too many to list."""
    files = {f"{tile.path}/probabilities.tif": tile.folder / "probabilities.tif" for tile in found.tiles}
    there = {path: file for path, file in sorted(files.items()) if file.is_file()}
    if len(there) > MOST_RASTERS:
        return []
    known = {path: authid for path, file in there.items() if (authid := _authid(file)) is not None}
    return [Raster(path, authid, PurePosixPath(path).parent.name) for path, authid in known.items()]


def _authid(file: Path) -> str | None:
    try:
        with rasterio.open(file) as raster:
            return None if raster.crs is None else raster.crs.to_string()
    except rasterio.errors.RasterioError as error:
        logger.warning("%s is not in the QGIS project: %s", file, error)
        return None


def end_with_report(results: Path, n_new: int, record_folder: Path | None, since: float = 0.0) -> None:
    """Bring the report of a results folder up to date after a run; where that fails, the tiles are there all the same.

    Args:
        results: The folder.
        n_new: How many tiles the run worked on.
        record_folder: Where the records of runs are.
        since: When the newest tile of the folder was finished, in seconds since the epoch.
    """
    if not n_new and _is_written(results / PAGE, since):  # to look at thousands of tiles takes minutes
        return
    try:
        build_report([results], results, record_folder)
    except Exception as error:
        logger.debug("the report was not written", exc_info=True)
        reason = one_line(error)
        logger.warning("no report of %s: %s `darts report` writes it later.", results, reason)
    else:
        say(f"report: {short_path(results / PAGE)}")


def _is_written(page: Path, since: float) -> bool:
    """Tell whether a page was written after some moment; a run that was killed may have left an older one."""
    try:
        return page.stat().st_mtime >= since
    except OSError:
        return False
