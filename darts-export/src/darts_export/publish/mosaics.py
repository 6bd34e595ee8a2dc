"""Mosaics of each year on a fixed grid: mean probability, and the number of images that it is the mean of.

What is there already and made of the same is not made again, so that a run that was killed goes on, and a publication
with one more year makes only its files.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from itertools import starmap
from pathlib import Path
from typing import Any

from darts_export.publish.cells import make
from darts_export.publish.grids import Cell, MosaicGrid
from darts_export.publish.looks import Look, PlacedLook, placed
from darts_export.publish.told import MosaicTile, Place
from darts_utils.canonical import canonical, sha256_of
from darts_utils.files import atomic_file, remove_parts
from darts_utils.machine.outputs import check_writable, writing

VERSION = 1
"""Of what is worked out: rasters of another version are made again."""
_WITHOUT = ".without-looks.json"
"""Cells that images reach into without having seen anything, by name, with the SHA-256 of what was looked at."""
_RASTER = re.compile(r"(probability|looks)-\d+-(x[-\d]+y[-\d]+|z\d+x\d+y\d+)\.tif")

type Spread = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], Iterable[Any]]
"""Calls a function with each of many arguments, here or elsewhere, and gives what it returns in their order."""


def write_mosaics(
    looks: Sequence[Look],
    folder: Path,
    grid: MosaicGrid,
    *,
    spread: Spread = starmap,
    tell: Callable[[int, int], object] = lambda *_: None,
) -> list[MosaicTile]:
    """Write the mosaics of all years, or bring them up to date.

    They are `{year}/probability-{year}-{cell}.tif` and `{year}/looks-{year}-{cell}.tif`.

    A value is the mean, in whole percent and rounded half to even, of what the images of the year say at the pixel in
    which the middle of that of the mosaic lies. A pixel has a probability where it has looks, and only there; a cell
    without looks has no files. Equal looks give equal bytes, whatever their order and the processes. Other files in the
    folder stay, but rasters that are named like those of a mosaic and are none any more are deleted.

    Only one process may write to a folder at a time; whoever calls this cares for that.

    Args:
        looks: Tiles of the inventory. Those of one image count as one look: of several that have something at a pixel
            the first by path.
        folder: Of the mosaics alone.
        grid: `polar_grid` or `mercator_grid`; keep it over all publications, or all files are others.
        spread: Calls functions in other processes; here if not given.
        tell: Is called with how many cells were looked at, and of how many.

    Returns:
        The cells that are there, by year and cell.

    Raises:
        MissingDataError: If a raster of a look is not there.
        DataError: If one cannot be read, or is none of probabilities.
        OutputError: If the folder cannot be written to.
    """
    check_writable(folder)
    _remove_unfinished(folder)
    ordered = sorted(set(looks), key=lambda one: (one.year, one.image_id, one.file))
    work = _work(folder, grid, list(spread(placed, [(look, grid) for look in ordered])))
    known = _known_without(folder)
    unknown = [one for one in work if known.get(one[0].name) != one[-1]]
    tiles = []
    for number, tile in enumerate(spread(make, unknown), start=1):
        tiles += [] if tile is None else [tile]
        tell(number, len(unknown))
    there = {file for tile in tiles for file in (tile.probability, tile.looks)}
    with writing(folder):
        _remove_others(folder, there)
        _note_without(folder, {place.name: inputs for place, _, inputs in work if place.file("looks") not in there})
    return tiles


def _work(folder: Path, grid: MosaicGrid, looks: Sequence[PlacedLook]) -> list[tuple[Place, list[PlacedLook], str]]:
    """Return cells and years that looks reach into, in order, with these, and the SHA-256 of what decides each."""
    by_place: dict[tuple[int, Cell], list[PlacedLook]] = {}
    for one in looks:
        for cell in one.cells:
            by_place.setdefault((one.look.year, cell), []).append(one)
    work = []
    for (year, cell), several in sorted(by_place.items()):
        place = Place(folder=folder, grid=grid, cell=cell, year=year)
        ids = [[one.look.image_id, one.sha256] for one in several]
        work.append(
            (place, several, sha256_of({"version": VERSION, "grid": grid.name, "place": place.name, "looks": ids}))
        )
    return work


def _years(folder: Path) -> list[Path]:
    """Return the folders of years that are there."""
    return sorted(one for one in folder.glob("*") if one.name.isdecimal() and one.is_dir())


def _remove_unfinished(folder: Path) -> None:
    """Delete what killed runs left half done."""
    for one in (folder, *_years(folder)):
        remove_parts(one)


def _remove_others(folder: Path, kept: Set[Path]) -> None:
    """Delete rasters of mosaics that are none any more, and folders of years without any."""
    for year in _years(folder):
        for file in year.iterdir():
            if _RASTER.fullmatch(file.name) and file not in kept:
                file.unlink()
        with suppress(OSError):  # it is not empty
            year.rmdir()


def _known_without(folder: Path) -> Mapping[str, str]:
    """Return the cells that were found to have no looks, with the SHA-256 of what was looked at."""
    try:
        known = json.loads((folder / _WITHOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # they are looked at again
        return {}
    return known if isinstance(known, dict) else {}


def _note_without(folder: Path, without: Mapping[str, str]) -> None:
    """Note which cells have no looks, for the next run."""
    if not without:
        (folder / _WITHOUT).unlink(missing_ok=True)
        return
    with atomic_file(folder / _WITHOUT) as part:
        part.write_bytes(canonical(without))
